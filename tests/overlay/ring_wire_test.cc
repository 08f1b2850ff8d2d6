// SPDX-License-Identifier: Apache-2.0
#include "overlay/ring_wire.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

const Network kNetwork;

Peer RandomPeer(base::Rng& rng) {
  keys::PublicKey key;
  rng.Fill(key.bytes);
  return MakePeer(kNetwork, key, 0, Role::kStoring, "127.0.0.1:10001");
}

std::vector<Peer> RandomPeers(base::Rng& rng, size_t count) {
  std::vector<Peer> peers;
  while (peers.size() < count) peers.push_back(RandomPeer(rng));
  return peers;
}

TEST(RingWire, CarriesStates) {
  support::SeededRng rng(1);
  const Peer self = RandomPeer(rng);
  StateReply state;
  state.member = state.open = true;
  state.predecessor = RandomPeer(rng);
  state.successors = RandomPeers(rng, 8);
  state.more_successors = RandomPeers(rng, 8);
  state.storing_successors = RandomPeers(rng, 4);
  state.predecessors = RandomPeers(rng, 16);
  state.storing_predecessors = RandomPeers(rng, 3);
  ASSERT_OK_AND_ASSIGN(const RingReply decoded, DecodeReply(kNetwork, StateRequest{}, self, EncodeReply(state, self)));
  const StateReply& got = std::get<StateReply>(decoded);
  EXPECT_TRUE(got.member && got.open && !got.pending && !got.detached);
  EXPECT_EQ(got.predecessor, state.predecessor);
  EXPECT_EQ(got.successors, state.successors);
  EXPECT_EQ(got.more_successors, state.more_successors);
  EXPECT_EQ(got.storing_successors, state.storing_successors);
  EXPECT_EQ(got.predecessors, state.predecessors);
  EXPECT_EQ(got.storing_predecessors, state.storing_predecessors);
}

TEST(RingWire, RefusesTheStateOfSomebodyElse) {
  support::SeededRng rng(2);
  EXPECT_STATUS(DecodeReply(kNetwork, StateRequest{}, RandomPeer(rng), EncodeReply(StateReply{}, RandomPeer(rng))), kInvalidArgument);
}

TEST(RingWire, CarriesQuestions) {
  support::SeededRng rng(3);
  const NextHopRequest ask = {NodeId::Random(rng)};
  ASSERT_OK_AND_ASSIGN(const IndexedRequest hop, DecodeRequest(kNetwork, kMethodNextHop, EncodeRequest(ask, 0)));
  EXPECT_EQ(std::get<NextHopRequest>(hop.request).point, ask.point);
  RectifyRequest notice = {RandomPeer(rng), RandomPeers(rng, 16), RandomPeers(rng, 4), /*seeking=*/true};
  ASSERT_OK_AND_ASSIGN(const IndexedRequest rectify, DecodeRequest(kNetwork, kMethodRectify, EncodeRequest(notice, 0)));
  const RectifyRequest& got = std::get<RectifyRequest>(rectify.request);
  EXPECT_EQ(got.candidate, notice.candidate);
  EXPECT_EQ(got.predecessors, notice.predecessors);
  EXPECT_EQ(got.storing_predecessors, notice.storing_predecessors);
  EXPECT_TRUE(got.seeking);
}

TEST(RingWire, RefusesListsBeyondTheBoundAndUnknownVirtualNodes) {
  support::SeededRng rng(4);
  NextHopReply reply;
  reply.closer = RandomPeers(rng, kWireListMax);
  const Peer self = RandomPeer(rng);
  EXPECT_OK(DecodeReply(kNetwork, NextHopRequest{}, self, EncodeReply(reply, self)));
  reply.closer.push_back(RandomPeer(rng));
  EXPECT_STATUS(DecodeReply(kNetwork, NextHopRequest{}, self, EncodeReply(reply, self)), kInvalidArgument);
  EXPECT_STATUS(DecodeRequest(kNetwork, kMethodState, EncodeRequest(StateRequest{}, 1)), kInvalidArgument);
}

TEST(RingWire, ComputesPointsAnewSoThatNobodyChoosesOne) {
  support::SeededRng rng(5);
  Peer liar = RandomPeer(rng);
  const NodeId honest = liar.point;
  liar.point = NodeId::Random(rng);
  ASSERT_OK_AND_ASSIGN(const IndexedRequest request, DecodeRequest(kNetwork, kMethodLeaving, EncodeRequest(LeavingRequest{liar}, 0)));
  EXPECT_EQ(std::get<LeavingRequest>(request.request).leaver.point, honest);
}

TEST(RingWire, SurvivesEveryFlippedAndCutByte) {
  support::SeededRng rng(6);
  const Peer self = RandomPeer(rng);
  StateReply state;
  state.member = true;
  state.successors = RandomPeers(rng, 3);
  const std::string good = EncodeReply(state, self);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << rng.Below(8)));
    if (const auto decoded = DecodeReply(kNetwork, StateRequest{}, self, bad); decoded.ok()) {
      EXPECT_LE(std::get<StateReply>(*decoded).successors.size(), static_cast<size_t>(kWireListMax));
    }
    DecodeReply(kNetwork, StateRequest{}, self, good.substr(0, i)).IgnoreError();
  }
}

TEST(RingWire, TellsForeignHealthServicesThatTheyAreUnknown) {
  EXPECT_OK(DecodeRequest(kNetwork, kMethodHealthCheck, ""));
  EXPECT_OK(DecodeRequest(kNetwork, kMethodHealthCheck, "\x0a\x0e" "bulbil.v1.Ring"));
  EXPECT_STATUS(DecodeRequest(kNetwork, kMethodHealthCheck, "\x0a\x05" "other"), kNotFound);
}

}  // namespace
}  // namespace overlay
