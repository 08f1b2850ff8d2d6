// SPDX-License-Identifier: Apache-2.0
// keys/identity.h — Ed25519 key pairs (RFC 8032), for identities of people and for node keys alike; X25519 twins.
#pragma once

#include <array>
#include <compare>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "keys/secret.h"

namespace keys {

using Signature = std::array<uint8_t, 64>;

// An Ed25519 public key as it travels. Not checked to be a point until something is verified with it.
struct PublicKey {
  std::array<uint8_t, 32> bytes{};

  auto operator<=>(const PublicKey&) const = default;
  base::ByteView view() const { return bytes; }
  template <typename H>
  friend H AbslHashValue(H h, const PublicKey& key) {
    return H::combine(std::move(h), key.bytes);
  }
};

// True if the signature is the owner's over the bytes. False for small-order or malformed keys.
bool Verify(const PublicKey& key, base::ByteView message, const Signature& signature);

// A key pair; the seed is the RFC 8032 seed, which is also what TLS certificates are made of (certificate.h).
class SigningKey {
 public:
  explicit SigningKey(Secret<32> seed);
  static SigningKey Generate(base::Rng& rng) { return SigningKey(Secret<32>::Random(rng)); }
  SigningKey Clone() const { return SigningKey(seed_.Clone()); }

  const PublicKey& public_key() const { return public_key_; }
  const Secret<32>& seed() const { return seed_; }
  Signature Sign(base::ByteView message) const;

  // The clamped scalar a (A = a·G) and the nonce prefix, both out of SHA-512(seed): for blinding and X25519.
  Secret<32> Scalar() const;
  Secret<32> NoncePrefix() const;

 private:
  Secret<32> seed_;
  PublicKey public_key_;
};

// X25519 twin of an Ed25519 key: for sealing to an identity. Fails if the key is no valid point.
absl::StatusOr<std::array<uint8_t, 32>> ToX25519(const PublicKey& key);
Secret<32> ToX25519(const SigningKey& key);

}  // namespace keys
