// SPDX-License-Identifier: Apache-2.0
// The lane and the steps of the correct Chord. Joining is in ring_join.cc, lookups and fingers in ring_routing.cc.
#include "overlay/ring.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/overloaded.h"
#include "overlay/routing_table.h"

namespace overlay {
namespace {

constexpr absl::Duration kPendingPauseMin = absl::Milliseconds(10);  // before a node that was in a step is asked again,
constexpr absl::Duration kPendingPauseSpan =
    absl::Milliseconds(30);                                    // at random, so that two do not wait for each other for ever
constexpr absl::Duration kHintPause = absl::Milliseconds(30);  // hints make a node look at most that often

}  // namespace

const char* Name(RingState state) {
  switch (state) {
    case RingState::kIdle:
      return "idle";
    case RingState::kJoining:
      return "joining";
    case RingState::kMember:
      return "member";
    case RingState::kDetached:
      return "detached";
    case RingState::kLeft:
      return "left";
  }
  return "unknown";
}

Ring::Options Ring::Options::Of(const Network& network, Role role) {
  Options options;
  options.successor_count = network.successor_count;
  options.storing_count = static_cast<size_t>(network.replica_count) + 1;
  options.stabilize_min = network.stabilize_min;
  options.stabilize_max = network.stabilize_max;
  options.call_timeout = network.call_timeout;
  options.prepares = role == Role::kStoring;
  options.virtual_nodes = network.virtual_nodes;
  return options;
}

Ring::Ring(Peer self, Options options, base::Rng& rng)
    : self_(std::move(self)),
      options_(options),
      rng_(rng),
      learned_(self_.point, options.learned_bytes),
      interval_(options.stabilize_min),
      seek_pause_(options.stabilize_min),
      finger_interval_(options.stabilize_min),
      reunion_interval_(options.check_min) {
  CHECK(options.successor_count >= 1 && options.successor_count <= kSuccessorCountMax);
}

RingActions Ring::Create(absl::Time now) {
  CHECK(state_ == RingState::kIdle);
  now_ = now;
  BecomeMember();
  return Finish();
}

RingActions Ring::Leave(absl::Time now) {
  now_ = now;
  if (IsMember()) {
    for (const Peer& peer : list_.peers()) Send(peer, LeavingRequest{self_}, Purpose::kNotice);
    for (const Peer& peer : predecessors_) Send(peer, LeavingRequest{self_}, Purpose::kNotice);
  }
  lane_ = {};
  rectify_queue_.clear();
  for (const auto& [tag, lookup] : std::exchange(lookups_, {})) {
    if (lookup.purpose != LookupFor::kCaller) continue;
    actions_.push_back(LookupDone{lookup.caller_id, absl::UnavailableError("leaving the ring")});
  }
  SetState(RingState::kLeft);
  return Finish();
}

RingActions Ring::OnDoubt(const NodeId& point, absl::Time now) {
  now_ = now;
  OnLeaving(point);
  return Finish();
}

RingActions Ring::OnTick(absl::Time now) {
  now_ = now;
  if (IsMember()) {
    if (now >= check_due_) CheckNeighbours();
    if (now >= finger_due_) RefreshFinger();
    if (now >= reunion_due_) StartReunion();
  } else if (now >= seek_due_) {
    StartSweep();
  }
  RetryLookups();
  return Finish();
}

absl::Time Ring::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  if (IsMember()) {
    next = std::min({check_due_, finger_due_, reunion_due_});
    if (lane_.step == Step::kIdle) next = std::min(next, stabilize_due_);
  } else if (state_ == RingState::kJoining || state_ == RingState::kDetached) {
    next = seek_due_;
  }
  for (const auto& [tag, lookup] : lookups_) next = std::min(next, lookup.retry_at);
  return next;
}

RingActions Ring::OnReply(CallId id, absl::StatusOr<RingReply> reply, absl::Time now) {
  now_ = now;
  const auto found = calls_.find(id);
  if (found == calls_.end()) return {};
  const OpenCall call = std::move(found->second);
  calls_.erase(found);
  if (state_ == RingState::kLeft) return {};
  if (reply.ok()) Remember(call.to);
  switch (call.purpose) {
    case Purpose::kLane:
      if (id == lane_.call) OnLaneReply(std::move(reply));
      break;
    case Purpose::kPingSuccessor:
    case Purpose::kPingPredecessor: {
      const HealthReply* health = reply.ok() ? std::get_if<HealthReply>(&*reply) : nullptr;
      OnPingReply(call, health != nullptr && health->serving);
      break;
    }
    case Purpose::kSweep: {
      NextHopReply* hop = reply.ok() ? std::get_if<NextHopReply>(&*reply) : nullptr;
      OnSweepReply(call, hop != nullptr ? absl::StatusOr<NextHopReply>(std::move(*hop)) : absl::UnavailableError(""));
      break;
    }
    case Purpose::kLookup:
      OnLookupReply(call, std::move(reply));
      break;
    case Purpose::kNotice:
      if (!reply.ok()) OnPeerFailed(call.to);
      break;
  }
  return Finish();
}

Ring::Answered Ring::OnRequest(const RingRequest& request, absl::Time now) {
  now_ = now;
  RingReply reply = std::visit(base::Overloaded{[&](const StateRequest&) -> RingReply { return DescribeState(); },
                                                [&](const RectifyRequest& notice) -> RingReply {
                                                  OnNotice(notice);
                                                  return RectifyReply{};
                                                },
                                                [&](const NextHopRequest& ask) -> RingReply { return NextHop(ask.point); },
                                                [&](const LeavingRequest& hint) -> RingReply {
                                                  OnLeaving(hint.leaver.point);
                                                  return LeavingReply{};
                                                },
                                                [&](const HealthRequest&) -> RingReply { return HealthReply{IsMember()}; }},
                               request);
  return {std::move(reply), Finish()};
}

std::vector<Peer> Ring::FarSuccessors() const {
  if (list_.empty()) return {};
  std::vector<Peer> rest(list_.peers().begin() + 1, list_.peers().end());
  rest.insert(rest.end(), more_.begin(), more_.end());
  return Chain(self_, list_.head(), rest, Direction::kClockwise, kTableNeighbours);
}

Neighbourhood Ring::neighbourhood() const {
  if (!IsMember()) return {self_, false, {}, {}};
  return {self_, true, storing_successors_, storing_predecessors_};
}

std::pair<double, bool> Ring::SizeEstimate() const {
  const std::vector<Peer> after = FarSuccessors();
  const bool exact = after.size() < kTableNeighbours && !list_.is_open();
  if (exact || after.empty()) return {static_cast<double>(after.size() + 1), exact && IsMember()};
  double count = static_cast<double>(after.size());
  double share = DistanceShare(self_.point, after.back().point);
  if (!predecessors_.empty()) {
    count += static_cast<double>(predecessors_.size());
    share += DistanceShare(predecessors_.back().point, self_.point);
  }
  // Of N processes this share of the circle meets N (1 - (1 - share)^v), each of them counted once.
  const double met = 1 - std::pow(1 - std::min(share, 1.0), options_.virtual_nodes);
  return {count / std::max(met, 1e-12), false};
}

std::string Ring::MaintenancePrint() const {
  std::string print;
  const auto add = [&](const NodeId& point) { print.append(point.bytes.begin(), point.bytes.end()); };
  const bool due = stabilize_due_ <= now_;
  for (const int part :
       {static_cast<int>(state_), static_cast<int>(lane_.step), static_cast<int>(list_.is_open()), static_cast<int>(due),
        static_cast<int>(seeking_place_), static_cast<int>(exhausted_), static_cast<int>(list_.peers().size())}) {
    print.push_back(static_cast<char>(part));
  }
  for (const Peer& peer : list_.peers()) add(peer.point);
  if (predecessor_) add(predecessor_->point);
  print.push_back('|');
  if (lane_.step != Step::kIdle) add(lane_.asked.point);
  if (lane_.step == Step::kPingPredecessor) add(rectifying_.candidate.point);
  print.push_back('|');
  for (const RectifyRequest& notice : rectify_queue_) add(notice.candidate.point);
  print.push_back('|');
  if (found_between_) add(found_between_->point);
  for (const Suspect& suspect : suspects_) {
    if (IsSuspect(suspect.point, options_.call_timeout)) add(suspect.point);
  }
  return print;
}

// --- The lane ---

RingActions Ring::Finish() {
  RunLane();
  if (std::exchange(neighbourhood_changed_, false)) actions_.push_back(NeighbourhoodChanged{neighbourhood()});
  return std::exchange(actions_, {});
}

void Ring::RunLane() {
  while (IsMember() && lane_.step == Step::kIdle) {
    if (!rectify_queue_.empty()) {
      RectifyRequest notice = std::move(rectify_queue_.front());
      rectify_queue_.pop_front();
      Rectify(std::move(notice));
    } else if (found_between_) {
      const Peer candidate = *std::exchange(found_between_, std::nullopt);
      Ask(Step::kAskPredecessor, candidate, StateRequest{});
    } else if (now_ >= stabilize_due_) {
      Stabilize();
    } else {
      return;
    }
  }
}

CallId Ring::Send(const Peer& to, RingRequest request, Purpose purpose, uint64_t tag) {
  const CallId id = ++last_id_;
  calls_.emplace(id, OpenCall{purpose, to, now_, tag});
  actions_.push_back(Call{id, to, std::move(request), options_.call_timeout});
  return id;
}

void Ring::Ask(Step step, const Peer& to, RingRequest request) {
  lane_ = {step, Send(to, std::move(request), Purpose::kLane), to};
}

void Ring::OnLaneReply(absl::StatusOr<RingReply> reply) {
  const Lane asked = std::exchange(lane_, {});
  if (asked.step == Step::kPingPredecessor) {
    const HealthReply* health = reply.ok() ? std::get_if<HealthReply>(&*reply) : nullptr;
    if (health == nullptr || !health->serving) AdoptPredecessor(rectifying_);
    return;
  }
  const StateReply* state = reply.ok() ? std::get_if<StateReply>(&*reply) : nullptr;
  if (state != nullptr && state->pending && IsMember()) {
    if (RetryPending()) return;
    state = nullptr;  // in one step for longer than any step lasts: as good as dead
  }
  pending_since_ = absl::InfiniteFuture();
  OnStateReply(asked.step, asked.asked, state);
}

void Ring::OnStateReply(Step step, const Peer& asked, const StateReply* state) {
  if (state != nullptr && (state->member || state->pending)) DropSuspect(asked.point);
  switch (step) {
    case Step::kAskSuccessor:
      return OnSuccessorState(asked, state);
    case Step::kAskPredecessor:
      return OnCandidateState(asked, state);
    case Step::kAskAlone:
      return OnAloneState(asked, state);
    case Step::kAskForPlace:
      return OnPlaceState(asked, state);
    case Step::kAskNewcomer:
      return OnNewcomerState(asked, state);
    case Step::kIdle:
    case Step::kPingPredecessor:
    case Step::kWaitForRange:
      return;
  }
}

// --- Zave's steps ---

void Ring::Stabilize() {
  stabilize_due_ = absl::InfiniteFuture();
  if (!list_.empty()) {
    AskSuccessor();
  } else if (predecessor_) {
    Ask(Step::kAskAlone, *predecessor_, StateRequest{});
  }
}

void Ring::AskSuccessor() { Ask(Step::kAskSuccessor, list_.head(), StateRequest{}); }

void Ring::DropHead() {
  list_.DropHead(self_, options_.successor_count);
  Hasten();
  if (IsCutOff()) Detach();
}

// Nobody else is left in the list; other virtual nodes of this process are no others.
bool Ring::IsCutOff() const {
  const std::vector<Peer>& peers = list_.peers();
  return std::all_of(peers.begin(), peers.end(), [&](const Peer& peer) { return peer.SameProcess(self_); });
}

void Ring::OnSuccessorState(const Peer& successor, const StateReply* state) {
  if (state == nullptr || !state->member) {
    AddSuspect(successor.point);
    ForgetPointer(successor);
    DropHead();
    if (IsMember()) AskSuccessor();  // at once the next entry
    return;
  }
  successor_heard_ = now_;
  Adopt(successor, *state);
  if (!IsMember()) return;
  const std::optional<Peer>& between = state->predecessor;
  const bool ask =
      between && InOpen(between->point, self_.point, successor.point) && !IsSuspect(between->point, options_.call_timeout);
  if (ask) return Ask(Step::kAskPredecessor, *between, StateRequest{});
  Notify(successor);
  EndRound();
}

void Ring::OnCandidateState(const Peer& candidate, const StateReply* state) {
  if (list_.empty()) return EndRound();
  round_quiet_ = false;
  if (state == nullptr || !state->member) {
    AddSuspect(candidate.point);
  } else if (InOpen(candidate.point, self_.point, list_.head().point)) {
    Adopt(candidate, *state);
    if (!IsMember()) return;
    successor_heard_ = now_;
    round_again_ = true;
  }
  Notify(list_.head());
  EndRound();
}

// A member alone is its own successor in all but name; who rectified it may be the first to have joined.
void Ring::OnAloneState(const Peer& predecessor, const StateReply* state) {
  if (state == nullptr || !state->member) {
    predecessor_.reset();
    predecessors_.clear();
    storing_predecessors_.clear();
    neighbourhood_changed_ = true;
    return;
  }
  if (ContainsPoint(state->successors, self_.point)) {
    FillPlace(predecessor, *state);
    neighbourhood_changed_ = true;
    Notify(list_.head());
    round_again_ = true;
    return EndRound();
  }
  const bool it_comes_here = state->successors.empty() && self_.point < predecessor.point;
  if (!it_comes_here) return LeaveForOtherRing(predecessor);
  predecessor_.reset();
  Notify(predecessor);
}

void Ring::Adopt(const Peer& successor, const StateReply& state) {
  std::vector<Peer> rest = state.successors;
  const std::vector<Peer> before = list_.peers();
  list_.Assign(self_, successor, rest, state.open, options_.successor_count);
  if (IsCutOff()) return Detach();
  if (!SamePeers(before, list_.peers())) {
    round_quiet_ = false;
    HintAboutRemoved(before);
  }
  rest.insert(rest.end(), state.more_successors.begin(), state.more_successors.end());
  more_ = Chain(self_, successor, rest, Direction::kClockwise, kTableNeighbours);
  std::erase_if(more_, [&](const Peer& peer) { return list_.Contains(peer.point); });
  std::vector<Peer> storing =
      StoringRun(self_, successor, state.storing_successors, Direction::kClockwise, options_.storing_count);
  if (!SamePeers(storing, storing_successors_)) {
    neighbourhood_changed_ = true;
    storing_successors_ = std::move(storing);
  }
  fingers_.Trim(self_.point, list_.peers().back().point);
  learned_.Trim((more_.empty() ? list_.peers() : more_).back().point);
}

// An entry that vanished from the middle died. Those before us have it in their lists too: they look at once, one after another.
void Ring::HintAboutRemoved(const std::vector<Peer>& before) {
  if (!predecessor_ || list_.empty()) return;
  for (const Peer& peer : before) {
    if (list_.Contains(peer.point) || !InOpen(peer.point, self_.point, list_.peers().back().point)) continue;
    Send(*predecessor_, LeavingRequest{peer}, Purpose::kNotice);
    return;
  }
}

void Ring::OnNotice(const RectifyRequest& notice) {
  if (notice.candidate.point == self_.point || state_ == RingState::kLeft) return;
  if (!IsMember()) return OnKnock(notice);
  if (notice.seeking) return AddContact(notice.candidate);
  DropSuspect(notice.candidate.point);
  const auto same = std::find_if(rectify_queue_.begin(), rectify_queue_.end(),
                                 [&](const RectifyRequest& queued) { return queued.candidate.point == notice.candidate.point; });
  if (same != rectify_queue_.end()) {
    *same = notice;
  } else if (rectify_queue_.size() < kRectifyQueueMax) {
    rectify_queue_.push_back(notice);
  }
}

void Ring::Rectify(RectifyRequest notice) {
  const NodeId& candidate = notice.candidate.point;
  if (!predecessor_ || candidate == predecessor_->point || InOpen(candidate, predecessor_->point, self_.point)) {
    return AdoptPredecessor(notice);
  }
  rectifying_ = std::move(notice);
  Ask(Step::kPingPredecessor, *predecessor_, HealthRequest{});
}

void Ring::AdoptPredecessor(const RectifyRequest& notice) {
  const Peer& candidate = notice.candidate;
  const bool is_new = !predecessor_ || predecessor_->point != candidate.point;
  // Who takes us for its successor learns at once that somebody joined between.
  const bool joined = predecessor_ && InOpen(candidate.point, predecessor_->point, self_.point);
  if (joined) Send(*predecessor_, LeavingRequest{self_}, Purpose::kNotice);
  predecessor_ = candidate;
  predecessor_heard_ = now_;
  DropSuspect(candidate.point);
  predecessors_ = Chain(self_, candidate, notice.predecessors, Direction::kCounterClockwise, kTableNeighbours);
  std::vector<Peer> storing =
      StoringRun(self_, candidate, notice.storing_predecessors, Direction::kCounterClockwise, options_.storing_count);
  const bool storing_changed = !SamePeers(storing, storing_predecessors_);
  storing_predecessors_ = std::move(storing);
  neighbourhood_changed_ = neighbourhood_changed_ || storing_changed || is_new;
  if (is_new || storing_changed) ChangedNow();
  if (list_.empty()) stabilize_due_ = now_;
}

void Ring::Notify(const Peer& successor) {
  Send(successor, RectifyRequest{self_, predecessors_, storing_predecessors_, /*seeking=*/false}, Purpose::kNotice);
}

// --- Pace ---

void Ring::EndRound() {
  if (round_quiet_) {
    interval_ = std::min(interval_ * 2, options_.stabilize_max);
  } else {
    Hasten();
  }
  round_quiet_ = true;
  stabilize_due_ = std::exchange(round_again_, false) ? now_ : now_ + Jittered(interval_);
}

// Something happened outside a round: the next one comes soon, and counts as not quiet.
void Ring::ChangedNow() {
  Hasten();
  stabilize_due_ = std::min(stabilize_due_, now_ + Jittered(interval_));
}

// From here on rounds and signs of life are as frequent as they get.
void Ring::Hasten() {
  round_quiet_ = false;
  interval_ = options_.stabilize_min;
  check_due_ = std::min(check_due_, now_ + Jittered(options_.check_min));
}

// False if nothing but "pending" came for twice as long as a pass over a whole list of silent dead.
bool Ring::RetryPending() {
  if (pending_since_ == absl::InfiniteFuture()) pending_since_ = now_;
  if (now_ - pending_since_ > 2 * SuspicionSpan()) return false;
  stabilize_due_ = now_ + kPendingPauseMin + kPendingPauseSpan * rng_.Unit();
  return true;
}

void Ring::SetState(RingState state) {
  state_ = state;
  neighbourhood_changed_ = true;
  actions_.push_back(StateChanged{state});
}

// --- Signs of life ---

void Ring::CheckNeighbours() {
  const absl::Duration interval = Jittered(std::max(options_.check_min, interval_));
  check_due_ = now_ + interval;
  const auto check = [&](const Peer& peer, absl::Time& heard, Purpose purpose) {
    if (now_ - heard >= interval) {
      heard = now_;
      Send(peer, HealthRequest{}, purpose);
    }
    check_due_ = std::min(check_due_, heard + interval);
  };
  if (!list_.empty()) check(list_.head(), successor_heard_, Purpose::kPingSuccessor);
  if (predecessor_) check(*predecessor_, predecessor_heard_, Purpose::kPingPredecessor);
}

void Ring::OnPingReply(const OpenCall& call, bool alive) {
  if (alive) return DropSuspect(call.to.point);
  if (!IsMember()) return;
  OnPeerFailed(call.to);
  const bool is_predecessor = predecessor_ && predecessor_->point == call.to.point;
  if (call.purpose != Purpose::kPingPredecessor || !is_predecessor || predecessors_.size() < 2) return;
  Send(predecessors_[1], LeavingRequest{call.to}, Purpose::kNotice);
}

void Ring::OnLeaving(const NodeId& leaver) {
  if (!IsMember()) return;
  const bool listed = list_.Contains(leaver) || ContainsPoint(storing_successors_, leaver);
  if (listed) {
    ChangedNow();
    stabilize_due_ = std::min(stabilize_due_, now_ + kHintPause * rng_.Unit());
  }
  if (!predecessor_ || predecessor_->point != leaver) return;
  predecessor_heard_ = absl::InfinitePast();
  check_due_ = std::min(check_due_, now_ + kHintPause);
}

StateReply Ring::DescribeState() const {
  StateReply state;
  state.member = IsMember();
  state.detached = state_ == RingState::kDetached;
  if (!state.member) return state;
  if (lane_.step != Step::kIdle) {
    state.pending = true;
    return state;
  }
  state.predecessor = predecessor_;
  state.successors = list_.peers();
  state.open = list_.is_open();
  state.more_successors = more_;
  state.storing_successors = storing_successors_;
  state.predecessors = predecessors_;
  state.storing_predecessors = storing_predecessors_;
  return state;
}

}  // namespace overlay
