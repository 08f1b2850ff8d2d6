// SPDX-License-Identifier: Apache-2.0
#include "circuits/skin_filter.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"

namespace circuits {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

base::Bytes Skin(base::Rng& rng) {
  base::Bytes skin(keys::kOnionSkinSize);
  rng.Fill(skin);
  return skin;
}

TEST(SkinFilter, LetsEverySkinThroughOnce) {
  support::SeededRng rng(1);
  SkinFilter filter(rng);
  for (int i = 0; i < 1000; ++i) {
    const base::Bytes skin = Skin(rng);
    EXPECT_TRUE(filter.Admit(skin, kStart));
    EXPECT_FALSE(filter.Admit(skin, kStart));
  }
}

TEST(SkinFilter, LooksAtTheTwoKeysOnly) {
  support::SeededRng rng(2);
  SkinFilter filter(rng);
  base::Bytes skin = Skin(rng);
  EXPECT_TRUE(filter.Admit(skin, kStart));
  skin[0] ^= 1, skin[32] ^= 1, skin[97] ^= 1, skin[144] ^= 1;  // suite, node key, client data, MAC
  EXPECT_FALSE(filter.Admit(skin, kStart));
  skin[33] ^= 1;
  EXPECT_TRUE(filter.Admit(skin, kStart)) << "another onion key";
  skin[96] ^= 1;
  EXPECT_TRUE(filter.Admit(skin, kStart)) << "another client key";
}

TEST(SkinFilter, RemembersOneGenerationAtLeastAndTwoAtMost) {
  support::SeededRng rng(3);
  SkinFilter filter(rng);
  const base::Bytes skin = Skin(rng);
  EXPECT_TRUE(filter.Admit(skin, kStart));
  EXPECT_FALSE(filter.Admit(skin, kStart + kSkinGeneration));
  EXPECT_TRUE(filter.Admit(skin, kStart + 2 * kSkinGeneration));
}

TEST(SkinFilter, IsBounded) {
  support::SeededRng rng(4);
  SkinFilter filter(rng);
  for (size_t i = 0; i < 5 * kSkinsPerGeneration; ++i) {
    filter.Admit(Skin(rng), kStart);
    ASSERT_LE(filter.size(), 2 * kSkinsPerGeneration);
  }
}

}  // namespace
}  // namespace circuits
