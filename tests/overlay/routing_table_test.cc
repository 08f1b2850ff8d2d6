// SPDX-License-Identifier: Apache-2.0
#include "overlay/routing_table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class RoutingTableTest : public testing::Test {
 protected:
  // A ring of `size` nodes and the true table of its first one.
  RoutingTable Make(size_t size, size_t relays = 0) {
    peers_.clear();
    for (size_t i = 0; i < size; ++i) {
      keys::SigningKey key = keys::SigningKey::Generate(rng_);
      peers_.push_back(MakePeer(network_, key.public_key(), 0, i < relays ? Role::kRelay : Role::kStoring,
                                absl::StrCat("127.0.0.1:", 10001 + i)));
      if (i == 0) key_.emplace(std::move(key));
    }
    RoutingTable table;
    table.owner = peers_[0];
    std::sort(peers_.begin(), peers_.end(), [](const Peer& a, const Peer& b) { return a.point < b.point; });
    const size_t self = static_cast<size_t>(std::find(peers_.begin(), peers_.end(), table.owner) - peers_.begin());
    for (size_t i = 1; i < size && i <= kTableNeighbours; ++i) {
      table.successors.push_back(peers_[(self + i) % size]);
      table.predecessors.push_back(peers_[(self + size - i) % size]);
    }
    for (int exponent = 0; exponent < 256; ++exponent) {
      const std::vector<Peer> ideal = ResponsibleFor(table.owner.point.PlusPowerOfTwo(exponent), peers_, 1);
      if (ideal.empty() || ideal[0] == table.owner) continue;
      if (table.fingers.empty() || !(table.fingers.back().peer == ideal[0])) {
        table.fingers.push_back({static_cast<uint8_t>(exponent), ideal[0]});
      }
    }
    SignTable(network_, *key_, table, kNow);
    return table;
  }

  support::SeededRng rng_{11};
  Network network_ = Network::Local();
  std::optional<keys::SigningKey> key_;
  std::vector<Peer> peers_;
};

TEST_F(RoutingTableTest, ComesBackAsItWasSigned) {
  for (size_t size : {1, 2, 5, 17, 60}) {
    const RoutingTable made = Make(size);
    ASSERT_OK_AND_ASSIGN(const RoutingTable read, DecodeTable(network_, made.encoded, kNow));
    EXPECT_EQ(read.successors, made.successors);
    EXPECT_EQ(read.predecessors, made.predecessors);
    EXPECT_EQ(read.fingers.size(), made.fingers.size());
    EXPECT_EQ(read.CoversRing(), size <= 2 * kTableNeighbours) << size;
    if (read.CoversRing()) {
      EXPECT_EQ(read.Members(), peers_);
    }
  }
}

TEST_F(RoutingTableTest, IsRefusedWithAByteChangedOrCut) {
  const RoutingTable made = Make(12);
  for (size_t i = 0; i < made.encoded.size(); ++i) {
    base::Bytes changed = made.encoded;
    changed[i] ^= static_cast<uint8_t>(1 + rng_.Below(255));
    EXPECT_FALSE(DecodeTable(network_, changed, kNow).ok()) << i;
    EXPECT_FALSE(DecodeTable(network_, base::ByteView(made.encoded).first(i), kNow).ok()) << i;
  }
}

TEST_F(RoutingTableTest, OutOfOrderIsRefusedThoughSigned) {
  RoutingTable swapped = Make(12);
  std::swap(swapped.successors[2], swapped.successors[3]);
  SignTable(network_, *key_, swapped, kNow);
  EXPECT_STATUS(DecodeTable(network_, swapped.encoded, kNow), kInvalidArgument);
  RoutingTable doubled = Make(12);
  doubled.predecessors[4] = doubled.predecessors[3];
  SignTable(network_, *key_, doubled, kNow);
  EXPECT_STATUS(DecodeTable(network_, doubled.encoded, kNow), kInvalidArgument);
  RoutingTable own = Make(12);
  own.successors.back() = own.owner;
  SignTable(network_, *key_, own, kNow);
  EXPECT_STATUS(DecodeTable(network_, own.encoded, kNow), kInvalidArgument);
}

TEST_F(RoutingTableTest, FingerBeforeItsIdealPointIsRefused) {
  RoutingTable table = Make(40);
  table.fingers.back().peer = table.successors[0];  // a successor of the owner is no successor of a point half a circle away
  table.fingers.erase(table.fingers.begin(), table.fingers.end() - 1);
  table.fingers[0].exponent = 255;
  SignTable(network_, *key_, table, kNow);
  EXPECT_STATUS(DecodeTable(network_, table.encoded, kNow), kInvalidArgument);
}

TEST_F(RoutingTableTest, ResponsibleAreTheNextStoringProcesses) {
  Make(20, /*relays=*/6);
  for (int round = 0; round < 200; ++round) {
    const NodeId point = round < 20 ? peers_[static_cast<size_t>(round)].point : NodeId::Random(rng_);
    std::vector<Peer> naive;
    size_t at = 0;
    while (at < peers_.size() && peers_[at].point < point) ++at;
    for (size_t i = 0; i < peers_.size() && naive.size() < 3; ++i) {
      const Peer& peer = peers_[(at + i) % peers_.size()];
      if (peer.role == Role::kStoring) naive.push_back(peer);
    }
    EXPECT_EQ(ResponsibleFor(point, peers_, 3), naive);
  }
}

}  // namespace
}  // namespace overlay
