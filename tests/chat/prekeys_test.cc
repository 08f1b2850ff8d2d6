// SPDX-License-Identifier: Apache-2.0
#include "chat/prekeys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

class PrekeysTest : public testing::Test {
 protected:
  bool RenewAfter(absl::Duration time) { return prekeys_.Renew(now_ += time, rng_, effort_); }

  support::SeededRng rng_{8};
  absl::Time now_ = absl::FromUnixSeconds(1'790'000'000);
  uint32_t effort_ = 7;
  Prekeys prekeys_;
};

TEST_F(PrekeysTest, AreMadeOnceAndOfferedUntilTheyAreOldOrUsed) {
  EXPECT_TRUE(RenewAfter(absl::ZeroDuration()));
  const BundleContents first = prekeys_.Contents();
  EXPECT_EQ(first.one_time.size(), kOneTimePrekeysMax);
  EXPECT_EQ(first.door_effort, 7u);
  EXPECT_FALSE(RenewAfter(absl::Hours(47)));
  EXPECT_EQ(prekeys_.Contents(), first);
  const uint64_t version = prekeys_.version();
  EXPECT_TRUE(RenewAfter(absl::Hours(1)));
  EXPECT_NE(prekeys_.Contents().signed_prekey, first.signed_prekey);
  EXPECT_EQ(prekeys_.Contents().one_time, first.one_time);
  EXPECT_GT(prekeys_.version(), version);
}

TEST_F(PrekeysTest, AnotherEffortIsSomethingNewToPublish) {
  RenewAfter(absl::ZeroDuration());
  const BundleContents before = prekeys_.Contents();
  const uint64_t version = prekeys_.version();
  effort_ = 2048;
  EXPECT_TRUE(RenewAfter(absl::Seconds(1)));
  EXPECT_FALSE(RenewAfter(absl::Seconds(1)));
  EXPECT_EQ(prekeys_.Contents().door_effort, 2048u);
  EXPECT_EQ(prekeys_.Contents().one_time, before.one_time);
  EXPECT_GT(prekeys_.version(), version);
}

TEST_F(PrekeysTest, AUsedOneTimePrekeyIsOfferedNoMoreAndGoneAfterTwoDays) {
  RenewAfter(absl::ZeroDuration());
  const keys::X25519Public used = prekeys_.Contents().one_time[3];
  prekeys_.Use(used, now_);
  EXPECT_TRUE(RenewAfter(absl::Hours(1)));
  const auto offered = prekeys_.Contents().one_time;
  EXPECT_EQ(offered.size(), kOneTimePrekeysMax);
  EXPECT_EQ(std::count(offered.begin(), offered.end(), used), 0);
  EXPECT_NE(prekeys_.FindOneTime(used), nullptr) << "another stranger may have picked it meanwhile";
  prekeys_.Use(used, now_ + absl::Hours(40));
  RenewAfter(absl::Hours(48));
  EXPECT_EQ(prekeys_.FindOneTime(used), nullptr) << "the first use counts";
}

TEST_F(PrekeysTest, AReplacedSignedPrekeyOpensWhatIsStillOnItsWayAndThenIsGone) {
  RenewAfter(absl::ZeroDuration());
  const keys::X25519Public first = prekeys_.Contents().signed_prekey;
  RenewAfter(absl::Hours(48));
  RenewAfter(absl::Hours(29 * 24));
  EXPECT_NE(prekeys_.FindSigned(first), nullptr);
  RenewAfter(absl::Hours(24));
  EXPECT_EQ(prekeys_.FindSigned(first), nullptr);
}

TEST_F(PrekeysTest, WhoUsesThemUpFillsNoMemory) {
  RenewAfter(absl::ZeroDuration());
  for (int i = 0; i < 100; ++i) {
    for (const keys::X25519Public& one : prekeys_.Contents().one_time) prekeys_.Use(one, now_);
    EXPECT_TRUE(RenewAfter(absl::Minutes(1)));
    EXPECT_EQ(prekeys_.Contents().one_time.size(), kOneTimePrekeysMax);
  }
  EXPECT_LE(prekeys_.Serialize().size(), 100 + (kPrekeysMax * 73));
}

TEST_F(PrekeysTest, ComeBackFromDisk) {
  RenewAfter(absl::ZeroDuration());
  prekeys_.Use(prekeys_.Contents().one_time[0], now_);
  RenewAfter(absl::Hours(49));
  const base::Bytes bytes = prekeys_.Serialize();
  ASSERT_OK_AND_ASSIGN(const Prekeys again, Prekeys::Parse(bytes));
  EXPECT_EQ(again.Serialize(), bytes);
  EXPECT_EQ(again.Contents(), prekeys_.Contents());
  for (size_t size = 0; size < bytes.size(); size += 5) {
    EXPECT_STATUS(Prekeys::Parse(base::ByteView(bytes).first(size)), kDataLoss);
  }
}

}  // namespace
}  // namespace chat
