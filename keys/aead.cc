// SPDX-License-Identifier: Apache-2.0
#include "keys/aead.h"

#include <sodium.h>

#include "base/check.h"

namespace keys {

static_assert(kSealOverhead == crypto_aead_xchacha20poly1305_ietf_ABYTES);
static_assert(sizeof(SealNonce) == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);

base::Bytes Seal(std::span<const uint8_t, 32> key, const SealNonce& nonce, base::ByteView associated, base::ByteView plaintext) {
  base::Bytes sealed(plaintext.size() + kSealOverhead);
  CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data(), nullptr, plaintext.data(), plaintext.size(), associated.data(),
                                                   associated.size(), nullptr, nonce.data(), key.data()) == 0);
  return sealed;
}

absl::StatusOr<base::Bytes> Open(std::span<const uint8_t, 32> key, const SealNonce& nonce, base::ByteView associated,
                                 base::ByteView sealed) {
  const absl::Status refused = absl::UnauthenticatedError("the seal is broken");
  if (sealed.size() < kSealOverhead) return refused;
  base::Bytes plaintext(sealed.size() - kSealOverhead);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(plaintext.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                 associated.data(), associated.size(), nonce.data(), key.data()) != 0) {
    return refused;
  }
  return plaintext;
}

}  // namespace keys
