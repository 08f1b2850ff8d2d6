// SPDX-License-Identifier: Apache-2.0
// keys/address.h — an identity as people copy it: bulb1..., bech32m (BIP 350), 64 characters.
//
// Data: version byte 0 and the 32-byte Ed25519 public key (33 bytes, 53 groups of five bits) and 6 characters of checksum.
// All upper or all lower case, never mixed; upper case gives the smaller QR code.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "keys/identity.h"
#include "keys/secret.h"

namespace keys {

std::string FormatAddress(const PublicKey& identity);

// InvalidArgument whose message is the "why" line of cli.md E4: which character is wrong and how, a wrong length, a wrong
// checksum (with the place of a single wrong character where it can be told), mixed case, a key that is no valid point.
// PermissionDenied if the text is a secret key (E5).
absl::StatusOr<PublicKey> ParseAddress(std::string_view text);

// BULB-SECRET-KEY-1...: the seed, upper case, only ever printed by `keys export --secret`.
std::string FormatSecretKey(const SigningKey& identity);
absl::StatusOr<SigningKey> ParseSecretKey(std::string_view text);

}  // namespace keys
