// SPDX-License-Identifier: Apache-2.0
#include "keys/short_hash.h"

#include <gtest/gtest.h>

namespace keys {
namespace {

// The paper's appendix A: key 00..0f, input 00..0e.
TEST(ShortHash, AgreesWithThePaper) {
  ShortHashKey key;
  base::Bytes input(15);
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(i);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(ShortHash(key, input), 0xa129ca6149be45e5ull);
}

TEST(ShortHash, EveryKeyIsAnotherFunction) {
  ShortHashKey key{}, other{};
  other[15] = 1;
  EXPECT_NE(ShortHash(key, {}), ShortHash(other, {}));
}

}  // namespace
}  // namespace keys
