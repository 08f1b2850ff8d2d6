// SPDX-License-Identifier: Apache-2.0
#include "dht/owner_cache.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/dht/store_world.h"

namespace dht {
namespace {

using overlay::NodeId;
using overlay::Peer;

NodeId At(uint8_t first) {
  NodeId point;
  point.bytes[0] = first;
  return point;
}
std::vector<Peer> OwnersFrom(uint8_t point) {
  std::vector<Peer> owners(3);
  for (size_t i = 0; i < 3; ++i) owners[i].point = At(static_cast<uint8_t>(point + 10 * i));
  return owners;
}
const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

TEST(OwnerCacheTest, SaysOfEveryPointUpToTheOwnerWhatALookupSaid) {
  OwnerCache cache;
  EXPECT_TRUE(cache.Find(At(50), kNow).empty());
  cache.Learn(At(45), OwnersFrom(60), kNow);
  EXPECT_EQ(cache.Find(At(45), kNow), OwnersFrom(60));
  EXPECT_EQ(cache.Find(At(60), kNow), OwnersFrom(60));
  EXPECT_TRUE(cache.Find(At(44), kNow).empty()) << "another node may stand between";
  EXPECT_TRUE(cache.Find(At(61), kNow).empty());
  cache.Learn(At(41), OwnersFrom(60), kNow);
  cache.Learn(At(55), OwnersFrom(60), kNow);
  EXPECT_EQ(cache.Find(At(42), kNow), OwnersFrom(60));
}

TEST(OwnerCacheTest, ArcsGoAroundZero) {
  OwnerCache cache;
  cache.Learn(At(250), OwnersFrom(5), kNow);
  EXPECT_EQ(cache.Find(At(252), kNow), OwnersFrom(5));
  EXPECT_EQ(cache.Find(At(3), kNow), OwnersFrom(5));
  EXPECT_TRUE(cache.Find(At(249), kNow).empty());
}

TEST(OwnerCacheTest, ForgetsWithTimeAndWhenTold) {
  OwnerCache cache;
  cache.Learn(At(45), OwnersFrom(60), kNow);
  EXPECT_FALSE(cache.Find(At(50), kNow + kOwnersFor).empty());
  EXPECT_TRUE(cache.Find(At(50), kNow + kOwnersFor + absl::Seconds(1)).empty());
  cache.Forget(At(50));
  EXPECT_TRUE(cache.Find(At(50), kNow).empty());
  cache.Forget(At(50));
}

TEST(OwnerCacheTest, IsBounded) {
  OwnerCache cache;
  for (size_t i = 0; i < 3 * kOwnerArcsMax; ++i) {
    std::vector<Peer> owners = OwnersFrom(60);
    owners[0].point.bytes[1] = static_cast<uint8_t>(i);
    owners[0].point.bytes[2] = static_cast<uint8_t>(i >> 8);
    cache.Learn(owners[0].point, owners, kNow);
  }
  std::vector<Peer> last = OwnersFrom(60);
  last[0].point.bytes[1] = static_cast<uint8_t>(3 * kOwnerArcsMax - 1);
  last[0].point.bytes[2] = static_cast<uint8_t>((3 * kOwnerArcsMax - 1) >> 8);
  EXPECT_FALSE(cache.Find(last[0].point, kNow).empty());
}

// Who was remembered is dead or not responsible any more: the user does not notice.
TEST(OwnerCacheStory, StaleOwnersAreLookedUpAgain) {
  StoreWorld world(11);
  for (int i = 0; i < 12; ++i) world.AddMember();
  world.RunFor(absl::Seconds(20));
  StoreWorld::Node& user = *world.nodes()[0];
  Record record;
  for (int i = 0; record.body.empty() || ContainsProcess(world.ring().Holders(record.name.point, 6), user.peer.node_key); ++i) {
    record = MakeBlob(base::AsBytes(absl::StrCat("text ", i)), world.now() + absl::Hours(20));
  }
  const auto put = [&] {
    size_t receipts = 0;
    world.Put(user, record, /*pass_on=*/true,
              [&](const absl::StatusOr<DhtReply>& reply) { receipts = AnswerAs<PutReply>(reply)->receipts.size(); });
    world.RunFor(absl::Seconds(20));
    return receipts;
  };
  EXPECT_EQ(put(), 3u);
  for (const overlay::Peer& holder : world.ring().Holders(record.name.point)) {
    for (const auto& node : world.nodes()) {
      if (node->peer == holder) world.Kill(*node);
    }
  }
  world.RunFor(absl::Seconds(5));
  EXPECT_EQ(put(), 3u);
}

}  // namespace
}  // namespace dht
