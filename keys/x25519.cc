// SPDX-License-Identifier: Apache-2.0
#include "keys/x25519.h"

#include <sodium.h>

#include "base/check.h"

namespace keys {

X25519KeyPair X25519KeyPair::Generate(base::Rng& rng) {
  WipedArray<32> secret_key;
  rng.Fill(secret_key.mutable_view());
  return FromSecret(secret_key.view());
}

X25519KeyPair X25519KeyPair::FromSecret(std::span<const uint8_t, 32> secret_key) {
  X25519KeyPair pair;
  pair.secret_key = WipedArray<32>(secret_key);
  CHECK(crypto_scalarmult_base(pair.public_key.data(), pair.secret_key.view().data()) == 0);
  return pair;
}

absl::StatusOr<WipedArray<32>> X25519(std::span<const uint8_t, 32> secret_key, const X25519Public& public_key) {
  WipedArray<32> shared;  // libsodium refuses small-order points and an all-zero result
  if (crypto_scalarmult(shared.mutable_view().data(), secret_key.data(), public_key.data()) != 0) {
    return absl::UnauthenticatedError("degenerate X25519 key");
  }
  return shared;
}

}  // namespace keys
