// SPDX-License-Identifier: Apache-2.0
// keys/certificate.h — self-signed Ed25519 X.509 certificates, and the key back out of one (RFC 5280, RFC 8410).
//
// A link's TLS key is the node's Ed25519 key. Certificates say nothing else: constant name "node", constant validity, random serial.
#pragma once

#include <optional>
#include <string>

#include "base/rng.h"
#include "keys/identity.h"

namespace keys {

inline constexpr char kCertificateName[] = "node";  // subject, subject alternative name and TLS target name override

struct TlsIdentity {
  PublicKey public_key;
  std::string certificate_pem;
  std::string private_key_pem;  // PKCS#8; handed to gRPC only
};
TlsIdentity MakeTlsIdentity(const SigningKey& key, base::Rng& rng);

// The key of a certificate in PEM; nothing unless it is exactly one Ed25519 key (strict DER walk, at most 8 KiB).
std::optional<PublicKey> KeyOfCertificate(std::string_view pem);

}  // namespace keys
