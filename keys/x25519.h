// SPDX-License-Identifier: Apache-2.0
// keys/x25519.h — Diffie-Hellman on Curve25519 (RFC 7748). A result of all zeros is an error, never a secret.
#pragma once

#include <array>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "keys/secret.h"

namespace keys {

using X25519Public = std::array<uint8_t, 32>;

struct X25519KeyPair {
  WipedArray<32> secret_key;
  X25519Public public_key;

  static X25519KeyPair Generate(base::Rng& rng);
  static X25519KeyPair FromSecret(std::span<const uint8_t, 32> secret_key);
};

// Unauthenticated if the peer's point is degenerate.
absl::StatusOr<WipedArray<32>> X25519(std::span<const uint8_t, 32> secret_key, const X25519Public& public_key);

}  // namespace keys
