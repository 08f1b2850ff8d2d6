// SPDX-License-Identifier: Apache-2.0
// keys/aead.h — XChaCha20-Poly1305 (libsodium's IETF construction): sealed boxes with associated data.
#pragma once

#include <array>
#include <span>

#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace keys {

inline constexpr size_t kSealOverhead = 16;
using SealNonce = std::array<uint8_t, 24>;

// plaintext.size() + kSealOverhead bytes. A nonce is used once per key; one-time keys use the zero nonce.
base::Bytes Seal(std::span<const uint8_t, 32> key, const SealNonce& nonce, base::ByteView associated, base::ByteView plaintext);
// Unauthenticated, with one text, whatever is wrong.
absl::StatusOr<base::Bytes> Open(std::span<const uint8_t, 32> key, const SealNonce& nonce, base::ByteView associated,
                                 base::ByteView sealed);

}  // namespace keys
