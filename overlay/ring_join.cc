// SPDX-License-Identifier: Apache-2.0
// Ways into a ring: the first join, the return of a detached node, founding anew. The rules are in ring.h.
//
// sweep (all ways in, eight at a time) -> lookup of the own point through the first member that answers -> its predecessor's
// State -> range fetched -> State again -> member. Any failure on the way leads back to a sweep after a pause.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "overlay/ring.h"
#include "overlay/routing_table.h"

namespace overlay {
namespace {

constexpr absl::Duration kSoon = absl::Milliseconds(50);  // the place is there, its neighbours are about to notice

}  // namespace

RingActions Ring::Join(std::vector<Peer> contacts, absl::Time now) {
  CHECK(state_ == RingState::kIdle);
  now_ = now;
  for (const Peer& peer : contacts) AddContact(peer);
  SetState(RingState::kJoining);
  StartSweep();
  return Finish();
}

RingActions Ring::Return(absl::Time now) {
  CHECK(state_ == RingState::kIdle);
  now_ = now;
  SetState(RingState::kDetached);
  awaits_contacts_ = true;
  StartSweep();
  return Finish();
}

RingActions Ring::ContactsMet(absl::Time now) {
  now_ = now;
  const bool is_idle = state_ == RingState::kDetached && !seeking_place_ && lane_.step == Step::kIdle;
  if (std::exchange(awaits_contacts_, false) && is_idle) StartSweep();
  return Finish();
}

RingActions Ring::AddContacts(const std::vector<Peer>& contacts, absl::Time now) {
  now_ = now;
  for (const Peer& peer : contacts) AddContact(peer);
  return Finish();
}

void Ring::AddContact(const Peer& peer) {
  if (peer.SameProcess(self_)) return;
  std::erase_if(contacts_, [&](const Peer& known) { return known.point == peer.point; });
  contacts_.insert(contacts_.begin(), peer);
  if (contacts_.size() > kContactsMax) contacts_.pop_back();
}

std::vector<Peer> Ring::WaysIn() const {
  std::vector<Peer> ways;
  const auto add = [&](const Peer& peer) {
    if (peer.SameProcess(self_) || ways.size() == kWaysInMax || ContainsPoint(ways, peer.point)) return;
    ways.push_back(peer);
  };
  if (predecessor_) add(*predecessor_);
  for (const Peer& peer : contacts_) add(peer);
  for (const Peer& peer : remembered_) add(peer);
  for (const Finger& finger : fingers_.entries()) add(finger.peer);
  for (const Peer& peer : predecessors_) add(peer);
  for (const Peer& peer : more_) add(peer);
  return ways;
}

void Ring::StartSweep() {
  seek_due_ = absl::InfiniteFuture();
  ++sweep_;
  sweep_open_ = 0;
  sweep_strangers_.clear();
  const std::vector<Peer> ways = WaysIn();
  sweep_queue_.assign(ways.begin(), ways.end());
  PumpSweep();
}

void Ring::PumpSweep() {
  while (sweep_open_ < kSweepParallel && !sweep_queue_.empty()) {
    ++sweep_open_;
    Send(sweep_queue_.front(), NextHopRequest{self_.point}, Purpose::kSweep, sweep_);
    sweep_queue_.pop_front();
  }
  if (sweep_open_ > 0) return;
  exhausted_ = !awaits_contacts_;
  for (const Peer& stranger : sweep_strangers_) Knock(stranger);
  actions_.push_back(ContactsWanted{});
  SeekLater(/*soon=*/false);
}

void Ring::OnSweepReply(const OpenCall& call, const absl::StatusOr<NextHopReply>& reply) {
  if (call.tag != sweep_ || IsMember() || seeking_place_) return;
  --sweep_open_;
  if (reply.ok() && reply->member) return SeekPlace(call.to);
  if (reply.ok()) sweep_strangers_.push_back(call.to);
  PumpSweep();
}

void Ring::SeekPlace(const Peer& member) {
  seeking_place_ = true;
  exhausted_ = false;
  ++sweep_;  // what is still under way of it no longer counts
  uint64_t tag = 0;
  NewLookup(self_.point, LookupFor::kPlace, tag).lookup.AddCandidates({member});
  PumpLookup(tag);
}

void Ring::SeekLater(bool soon) {
  seeking_place_ = false;
  lane_ = {};
  list_.Clear();
  seek_due_ = now_ + Jittered(soon ? kSoon : seek_pause_);
  if (!soon) seek_pause_ = std::min(seek_pause_ * 2, options_.stabilize_max);
}

// Zave's Join: we stand between the contact and its head. Or it is a ring of two in which we are the other one.
bool Ring::CanTakePlace(const Peer& predecessor, const StateReply& state) const {
  if (state.successors.size() == 1 && state.successors.front().point == self_.point) return !state.open;
  const NodeId& head = state.successors.empty() ? predecessor.point : state.successors.front().point;
  return InOpen(self_.point, predecessor.point, head);
}

void Ring::OnPlaceState(const Peer& predecessor, const StateReply* state) {
  if (state != nullptr && state->pending) return SeekLater(/*soon=*/true);
  if (state == nullptr || !state->member) {
    OnPeerFailed(predecessor);
    return SeekLater(/*soon=*/false);
  }
  if (!CanTakePlace(predecessor, *state)) {
    // It still lists who we were before we failed: it has to see that we are no member before we can join again.
    if (state->successors.front().point == self_.point) Send(predecessor, LeavingRequest{self_}, Purpose::kNotice);
    return SeekLater(/*soon=*/true);
  }
  FillPlace(predecessor, *state);
  Neighbourhood next = {self_, true, storing_successors_, storing_predecessors_};
  const bool nothing_to_fetch = !options_.prepares || (next.successors.empty() && next.predecessors.empty());
  if (nothing_to_fetch || prepared_ == next) return BecomeMember();
  prepared_ = next;
  lane_ = {Step::kWaitForRange, 0, predecessor};
  actions_.push_back(JoinPrepared{std::move(next)});
}

RingActions Ring::OnRangeReady(absl::Time now) {
  now_ = now;
  if (lane_.step == Step::kWaitForRange) {
    const Peer predecessor = lane_.asked;
    Ask(Step::kAskForPlace, predecessor, StateRequest{});
  }
  return Finish();
}

RingActions Ring::OnRangeFailed(absl::Time now) {
  now_ = now;
  if (lane_.step == Step::kWaitForRange) {
    prepared_.reset();
    SeekLater(/*soon=*/false);
  }
  return Finish();
}

// A chain that starts after the predecessor, as it goes on from here: round to the predecessor again, unless it is open. In a
// small ring it may name us, and begins with who is behind us then.
std::vector<Peer> Ring::SeenFromHere(const std::vector<Peer>& chain, bool open, const Peer& predecessor) const {
  std::vector<Peer> seen;
  const auto self = std::find_if(chain.begin(), chain.end(), [&](const Peer& peer) { return peer.point == self_.point; });
  if (self != chain.end()) {
    seen.assign(self + 1, chain.end());
    if (!open) seen.push_back(predecessor);
    if (!open) seen.insert(seen.end(), chain.begin(), self);
  } else {
    seen = chain;
    if (!open) seen.push_back(predecessor);
  }
  if (seen.empty()) seen.push_back(predecessor);
  return seen;
}

void Ring::FillPlace(const Peer& predecessor, const StateReply& state) {
  const std::vector<Peer> near = SeenFromHere(state.successors, state.open, predecessor);
  list_.Assign(self_, near.front(), {near.begin() + 1, near.end()}, state.open, options_.successor_count);
  std::vector<Peer> far = state.successors;
  far.insert(far.end(), state.more_successors.begin(), state.more_successors.end());
  far = SeenFromHere(far, state.open, predecessor);
  more_ = Chain(self_, far.front(), {far.begin() + 1, far.end()}, Direction::kClockwise, kTableNeighbours);
  std::erase_if(more_, [&](const Peer& peer) { return list_.Contains(peer.point); });
  const bool run_goes_on = CountProcesses(state.storing_successors, predecessor.node_key) >= options_.storing_count;
  const std::vector<Peer> storing = SeenFromHere(state.storing_successors, run_goes_on, predecessor);
  storing_successors_ =
      StoringRun(self_, storing.front(), {storing.begin() + 1, storing.end()}, Direction::kClockwise, options_.storing_count);
  predecessor_ = predecessor;
  predecessors_ = Chain(self_, predecessor, state.predecessors, Direction::kCounterClockwise, kTableNeighbours);
  storing_predecessors_ =
      StoringRun(self_, predecessor, state.storing_predecessors, Direction::kCounterClockwise, options_.storing_count);
}

void Ring::BecomeMember() {
  lane_ = {};
  seeking_place_ = exhausted_ = false;
  prepared_.reset();
  seek_due_ = pending_since_ = absl::InfiniteFuture();
  seek_pause_ = interval_ = finger_interval_ = options_.stabilize_min;
  round_quiet_ = false;
  stabilize_due_ = now_;
  check_due_ = now_ + Jittered(options_.check_min);
  finger_due_ = now_ + Jittered(options_.stabilize_min);
  reunion_interval_ = options_.check_min;
  reunion_due_ = now_ + Jittered(reunion_interval_);
  SetState(RingState::kMember);
}

void Ring::Detach() {
  more_.insert(more_.begin(), list_.peers().begin(), list_.peers().end());
  list_.Clear();
  lane_ = {};
  rectify_queue_.clear();
  found_between_.reset();
  storing_successors_.clear();
  learned_.Clear();
  exhausted_ = seeking_place_ = false;
  seek_pause_ = options_.stabilize_min;
  seek_due_ = now_;
  SetState(RingState::kDetached);
}

void Ring::LeaveForOtherRing(const Peer& member) {
  Detach();
  predecessor_.reset();
  AddContact(member);
}

// --- Founding anew ---

void Ring::Knock(const Peer& stranger) { Send(stranger, RectifyRequest{self_, {}, {}, /*seeking=*/true}, Purpose::kNotice); }

void Ring::OnKnock(const RectifyRequest& notice) {
  if (state_ != RingState::kJoining && state_ != RingState::kDetached) return;
  AddContact(notice.candidate);
  if (lane_.step != Step::kIdle || seeking_place_) return;
  if (state_ == RingState::kDetached && exhausted_) return Ask(Step::kAskNewcomer, notice.candidate, StateRequest{});
  if (seek_due_ != absl::InfiniteFuture()) seek_due_ = std::min(seek_due_, now_ + kSoon);
}

void Ring::OnNewcomerState(const Peer& newcomer, const StateReply* state) {
  if (state == nullptr) return;
  if (state->member || state->pending) {
    if (!seeking_place_) seek_due_ = now_;
    return;
  }
  if (seeking_place_ || !exhausted_ || !options_.founds) return;
  const bool theirs_to_found = state->detached && newcomer.point < self_.point;
  if (!theirs_to_found) return Found(newcomer);
  Knock(newcomer);
}

void Ring::Found(const Peer& newcomer) {
  list_.Clear();
  more_.clear();
  predecessor_.reset();
  predecessors_.clear();
  storing_successors_.clear();
  storing_predecessors_.clear();
  fingers_.Clear();
  BecomeMember();
  Notify(newcomer);
}

}  // namespace overlay
