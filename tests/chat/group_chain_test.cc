// SPDX-License-Identifier: Apache-2.0
// The places that one member of a group writes at and all others read.
#include "chat/group_chain.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "chat/box_reader.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

class GroupChainTest : public testing::Test {
 protected:
  Content Text(const std::string& text) {
    Content content{.kind = ContentKind::kText};
    content.text = base::ToBytes(base::AsBytes(text));
    return content;
  }
  support::SeededRng rng_{1};
  const GroupId group_{rng_.Array<32>()};
  const keys::PublicKey self_{rng_.Array<32>()};
  const absl::Time expiry_ = StartOfDay(20800);
};

TEST_F(GroupChainTest, AReaderFindsVerifiesAndOpensWhatTheWriterWrote) {
  GroupWriter writer(7, 1, rng_);
  GroupWriter loaded = GroupWriter::Parse(writer.Serialize());
  BoxReader reader(PlaceChain(writer.Tell().secret), 7, writer.writer());
  std::set<keys::PublicKey> keys;
  for (uint32_t seq = 7; seq < 20; ++seq) {
    GroupWriter& one = seq % 2 == 0 ? writer : loaded;
    const Box box = one.Seal(group_, self_, Text(absl::StrCat(seq)), "local", expiry_, rng_);
    (seq % 2 == 0 ? loaded : writer) = GroupWriter::Parse(one.Serialize());
    EXPECT_TRUE(VerifyBox(box, "local"));
    EXPECT_FALSE(VerifyBox(box, "other"));
    EXPECT_EQ(EncodeBox(box).size(), kBoxBodySize);
    EXPECT_TRUE(keys.insert(box.key).second);
    const auto probes = reader.NextHead();
    ASSERT_EQ(probes.size(), 1u);
    EXPECT_EQ(probes[0].box_key, box.key);
    const auto seed = reader.SeedOf(seq);
    ASSERT_TRUE(seed.has_value());
    ASSERT_OK_AND_ASSIGN(const Content content, OpenGroupBox(group_, self_, writer.writer(), seq, *seed, box.sealed));
    EXPECT_EQ(base::ToString(content.text), absl::StrCat(seq));
    EXPECT_STATUS(OpenGroupBox(GroupId{}, self_, writer.writer(), seq, *seed, box.sealed), kUnauthenticated);
    EXPECT_STATUS(OpenGroupBox(group_, self_, writer.writer(), seq + 1, *seed, box.sealed), kUnauthenticated);
    EXPECT_TRUE(reader.OnFound(seq, expiry_));
    EXPECT_FALSE(reader.SeedOf(seq).has_value()) << "what was read cannot be opened once more";
  }
}

TEST_F(GroupChainTest, WhoReadsCannotWrite) {
  GroupWriter writer(0, 1, rng_);
  const GroupChain known = writer.Tell();
  const keys::WipedArray<32> seed = PlaceChain(known.secret).Seed();
  const keys::PublicKey place = GroupBoxKey(known.writer, seed);
  EXPECT_EQ(place, writer.Seal(group_, self_, Text("mine"), "local", expiry_, rng_).key);
  // All that a reader has to sign with: the seed, and a pair of its own.
  Box forged = MakeBox(seed, "local", base::Bytes(kBoxSealedSize, 1), expiry_);
  EXPECT_NE(forged.key, place);
  forged.key = place;
  EXPECT_FALSE(VerifyBox(forged, "local"));
  GroupWriter other(0, 1, rng_);
  forged = other.Seal(group_, self_, Text("yours"), "local", expiry_, rng_);
  EXPECT_NE(forged.key, place);
  forged.key = place;
  EXPECT_FALSE(VerifyBox(forged, "local"));
}

}  // namespace
}  // namespace chat
