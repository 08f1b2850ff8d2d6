// SPDX-License-Identifier: Apache-2.0
// What a replica reads for whom: names of what the asker may hold, and nothing beside.
#include "dht/range_server.h"

#include <gtest/gtest.h>

#include "dht/memory_record_store.h"
#include "tests/dht/oracle_ring.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

// Counts the names that are read.
class CountedStore : public MemoryRecordStore {
 public:
  absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                    const NameVisitor& visit) const override {
    return MemoryRecordStore::Scan(range, cursor, wall_now, [&](const HeldName& held) {
      ++read;
      return visit(held);
    });
  }
  mutable size_t read = 0;
};

class RangeServerTest : public testing::Test {
 protected:
  RangeServerTest() {
    for (int i = 0; i < 12; ++i) ring_.Add(PeerOf(network_, keys::SigningKey::Generate(rng_)));
    self_ = ring_.members()[5];
    replicas_.Update(ring_.Around(self_, /*member=*/true));
    WriteBatch batch;
    for (int i = 0; i < 3000; ++i) batch.puts.push_back(MakeBlob(base::AsBytes(std::to_string(i)), kNow + absl::Hours(1)));
    EXPECT_OK(store_.Apply(batch));
  }
  // All pages, as a process with those virtual nodes gets them.
  std::vector<RecordName> NamesFor(const std::vector<overlay::Peer>& caller, const overlay::RingRange& range) {
    std::vector<RecordName> names;
    NamesRequest request{.range = range};
    while (true) {
      const auto reply = server_.Names(caller, request, {kNow, kNow});
      EXPECT_OK(reply);
      const auto& page = std::get<NamesReply>(*reply);
      for (const HeldName& held : page.names) names.push_back(held.name);
      if (!page.more) return names;
      request.cursor = names.back();
    }
  }
  std::vector<RecordName> Expected(const std::vector<overlay::Peer>& caller, const overlay::RingRange& range) const {
    std::vector<RecordName> expected;
    EXPECT_OK(store_.MemoryRecordStore::Scan(range, std::nullopt, kNow, [&](const HeldName& held) {
      const auto may_hold = [&](const overlay::Peer& peer) { return replicas_.MayHold(peer, held.name.point); };
      if (std::any_of(caller.begin(), caller.end(), may_hold)) expected.push_back(held.name);
      return true;
    }));
    return expected;
  }

  support::SeededRng rng_{9};
  const overlay::Network network_ = overlay::Network::Local();
  OracleRing ring_;
  overlay::Peer self_;
  ReplicaSet replicas_{3};
  CountedStore store_;
  RangeIndex index_{1};
  Witness witness_{store_};
  RangeServer server_{replicas_, store_, index_, witness_};
};

TEST_F(RangeServerTest, OfTheWholeCircleAnAskerGetsWhatItMayHoldAndNoMoreIsRead) {
  for (const size_t i : {3, 4, 6, 7}) {
    const overlay::Peer& caller = ring_.members()[i];
    for (const overlay::NodeId& start : {self_.point, caller.point, overlay::NodeId{}, ring_.members()[10].point}) {
      const overlay::RingRange circle{start, start};
      store_.read = 0;
      const std::vector<RecordName> names = NamesFor({caller}, circle);
      EXPECT_GT(names.size(), 0u);
      EXPECT_LT(names.size(), 2900u);
      EXPECT_EQ(names, Expected({caller}, circle));
      EXPECT_LE(store_.read, names.size() + names.size() / kNamesPageMax + 3);
    }
  }
}

TEST_F(RangeServerTest, SeveralVirtualNodesGetTheUnionInOrder) {
  std::vector<overlay::Peer> caller;
  const keys::SigningKey key = keys::SigningKey::Generate(rng_);
  for (uint8_t i = 0; i < 4; ++i) {
    caller.push_back(overlay::MakePeer(network_, key.public_key(), i, overlay::Role::kStoring, "127.0.0.1:10001"));
  }
  for (int round = 0; round < 20; ++round) {
    const overlay::RingRange range{overlay::NodeId::Random(rng_), overlay::NodeId::Random(rng_)};
    store_.read = 0;
    const std::vector<RecordName> names = NamesFor(caller, range);
    EXPECT_EQ(names, Expected(caller, range));
    EXPECT_LE(store_.read, names.size() + names.size() / kNamesPageMax + caller.size() + 2);
  }
}

TEST_F(RangeServerTest, ARelayAndAClientGetNothing) {
  const overlay::Peer relay = PeerOf(network_, keys::SigningKey::Generate(rng_), overlay::Role::kRelay);
  EXPECT_TRUE(NamesFor({relay}, {self_.point, self_.point}).empty());
  EXPECT_LE(store_.read, 1u);
  EXPECT_STATUS(server_.Names({}, {.range = {self_.point, self_.point}}, {kNow, kNow}), kPermissionDenied);
}

}  // namespace
}  // namespace dht
