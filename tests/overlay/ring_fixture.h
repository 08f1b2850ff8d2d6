// SPDX-License-Identifier: Apache-2.0
// tests/overlay/ring_fixture.h — one Ring core at point 100 and a script: what it asked, and answers that the test hands it.
#pragma once

#include <gtest/gtest.h>

#include "overlay/ring.h"
#include "tests/overlay/test_peers.h"
#include "tests/support/seeded_rng.h"

namespace overlay {

inline StateReply Member(std::optional<int> predecessor, std::initializer_list<int> successors) {
  StateReply state;
  state.member = true;
  if (predecessor) state.predecessor = PeerAt(*predecessor);
  state.successors = PeersAt(successors);
  state.storing_successors = state.successors;
  return state;
}

inline StateReply Pending() {
  StateReply state;
  state.member = state.pending = true;
  return state;
}

// The ring at point 100, with everything it wanted done.
class RingTest : public testing::Test {
 protected:
  explicit RingTest(Ring::Options options = SmallOptions()) : ring_(PeerAt(100), options, rng_) {}

  static Ring::Options SmallOptions() {
    Ring::Options options;
    options.successor_count = 3;
    return options;
  }

  void Take(RingActions actions) {
    for (RingAction& action : actions) {
      if (auto* call = std::get_if<Call>(&action)) calls_.push_back(std::move(*call));
      if (auto* done = std::get_if<LookupDone>(&action)) lookups_.push_back(std::move(done->result));
      if (auto* prepared = std::get_if<JoinPrepared>(&action)) prepared_.push_back(std::move(prepared->neighbourhood));
      if (auto* state = std::get_if<StateChanged>(&action)) states_.push_back(state->state);
      if (std::holds_alternative<ContactsWanted>(action)) ++contacts_wanted_;
    }
  }
  // The oldest open call of that kind to that peer, or null.
  template <typename Request>
  const Call* Find(int to) const {
    for (const Call& call : calls_) {
      if (call.to == PeerAt(to) && std::holds_alternative<Request>(call.request)) return &call;
    }
    return nullptr;
  }
  template <typename Request>
  bool Asked(int to) const {
    return Find<Request>(to) != nullptr;
  }
  template <typename Request>
  void Answer(int to, absl::StatusOr<RingReply> reply) {
    const Call* call = Find<Request>(to);
    ASSERT_NE(call, nullptr) << "nothing asked of " << to;
    const CallId id = call->id;
    std::erase_if(calls_, [&](const Call& open) { return open.id == id; });
    Take(ring_.OnReply(id, std::move(reply), now_));
  }
  RingReply Request(const RingRequest& request) {
    Ring::Answered answered = ring_.OnRequest(request, now_);
    Take(std::move(answered.actions));
    return answered.reply;
  }
  StateReply StateNow() { return std::get<StateReply>(Request(StateRequest{})); }
  // Runs what is due within the span.
  void Pass(absl::Duration span) {
    const absl::Time end = now_ + span;
    while (ring_.NextTick() <= end) {
      now_ = std::max(now_, ring_.NextTick());
      Take(ring_.OnTick(now_));
    }
    now_ = end;
  }
  // Forgets what was asked beside the lane: notices, signs of life, lookups.
  void ForgetCalls() { calls_.clear(); }

  // A member with predecessor 90 and list 110, 120, 130, at rest.
  void JoinBetween90And110() {
    Take(ring_.Join({PeerAt(90)}, now_));
    NextHopReply found;
    found.member = found.found = true;
    found.owners = PeersAt({110, 120, 130});
    Answer<NextHopRequest>(90, found);  // the sweep: a member
    Answer<NextHopRequest>(90, found);  // the lookup of its own point
    Answer<StateRequest>(90, Member(80, {110, 120, 130}));
    ASSERT_EQ(prepared_.size(), 1u);
    Take(ring_.OnRangeReady(now_));
    Answer<StateRequest>(90, Member(80, {110, 120, 130}));
    ASSERT_TRUE(ring_.IsMember());
    Answer<StateRequest>(110, Member(90, {120, 130, 140}));
    ASSERT_TRUE(Asked<RectifyRequest>(110));
    ForgetCalls();
  }

  void Answer110UntilQuiet() {
    for (int i = 0; i < 300; ++i) {
      Pass(absl::Milliseconds(100));
      if (Asked<StateRequest>(110)) Answer<StateRequest>(110, Member(100, {120, 130, 140}));
    }
    ForgetCalls();
  }

  support::SeededRng rng_{1};
  Ring ring_;
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  std::vector<Call> calls_;
  std::vector<absl::StatusOr<LookupResult>> lookups_;
  std::vector<Neighbourhood> prepared_;
  std::vector<RingState> states_;
  int contacts_wanted_ = 0;
};

}  // namespace overlay
