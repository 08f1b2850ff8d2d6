// SPDX-License-Identifier: Apache-2.0
#include "keys/short_hash.h"

#include <sodium.h>

#include "base/check.h"

namespace keys {

uint64_t ShortHash(const ShortHashKey& key, base::ByteView bytes) {
  static_assert(crypto_shorthash_KEYBYTES == sizeof(ShortHashKey) && crypto_shorthash_BYTES == sizeof(uint64_t));
  uint8_t out[crypto_shorthash_BYTES];
  CHECK(crypto_shorthash(out, bytes.data(), bytes.size(), key.data()) == 0);
  uint64_t value = 0;
  for (size_t i = sizeof out; i-- > 0;) value = value << 8 | out[i];
  return value;
}

}  // namespace keys
