// SPDX-License-Identifier: Apache-2.0
// Lookups, fingers, reunion and what a virtual node remembers of others: all outside the proof, and never read by maintenance.
#include <algorithm>
#include <cmath>
#include <utility>

#include "overlay/ring.h"
#include "overlay/routing_table.h"

namespace overlay {
namespace {

constexpr absl::Duration kTrustUseful = absl::Seconds(20);  // below it few learned peers stay fresh: fingers go first

}  // namespace

// --- Answers ---

NextHopReply Ring::NextHop(const NodeId& point) const {
  NextHopReply reply;
  reply.member = IsMember();
  if (!reply.member) return reply;
  if (list_.empty()) {
    reply.found = true;
    reply.owners = {self_};
    reply.storing = WithSelfIfFew({});
    return reply;
  }
  std::vector<Peer> owners = UnsuspectedSuccessors();
  if (!owners.empty() && InHalfOpen(point, self_.point, owners.front().point)) {
    reply.found = true;
    reply.owners = std::move(owners);
    reply.storing = WithSelfIfFew(Distinct(storing_successors_));
    return reply;
  }
  reply.closer = CloserTo(point);
  ListBeyond(point, owners, reply);
  return reply;
}

// Should everybody between us and the point be dead, this is who comes after it.
void Ring::ListBeyond(const NodeId& point, const std::vector<Peer>& near, NextHopReply& reply) const {
  std::vector<Peer> storing;
  for (const Peer& peer : near) {
    if (InOpen(peer.point, self_.point, point)) continue;
    reply.owners.push_back(peer);
    if (peer.role == Role::kStoring) storing.push_back(peer);
  }
  reply.storing = Distinct(storing);
}

std::vector<Peer> Ring::UnsuspectedSuccessors() const {
  std::vector<Peer> peers = list_.peers();
  peers.insert(peers.end(), more_.begin(), more_.end());
  std::erase_if(peers, [&](const Peer& peer) { return IsSuspect(peer.point); });
  return peers;
}

// A list shorter than R + 1 names all other storing processes of the ring; we are the last one after the point.
std::vector<Peer> Ring::WithSelfIfFew(std::vector<Peer> storing) const {
  const bool has_us = std::any_of(storing.begin(), storing.end(), [&](const Peer& peer) { return peer.SameProcess(self_); });
  if (storing.size() < options_.storing_count && !has_us && self_.role == Role::kStoring) storing.push_back(self_);
  return storing;
}

// The first R + 1 processes of a run, each where it stands first.
std::vector<Peer> Ring::Distinct(const std::vector<Peer>& run) const {
  std::vector<Peer> distinct;
  for (const Peer& peer : run) {
    if (distinct.size() == options_.storing_count) break;
    const bool seen = std::any_of(distinct.begin(), distinct.end(), [&](const Peer& other) { return other.SameProcess(peer); });
    if (!seen) distinct.push_back(peer);
  }
  return distinct;
}

std::vector<Peer> Ring::CloserTo(const NodeId& point) const {
  std::vector<const Peer*> between;
  const auto add = [&](const Peer& peer) {
    if (InOpen(peer.point, self_.point, point) && !IsSuspect(peer.point)) between.push_back(&peer);
  };
  for (const Peer& peer : list_.peers()) add(peer);
  for (const Peer& peer : more_) add(peer);
  for (const Finger& finger : fingers_.entries()) add(finger.peer);
  for (const LearnedPeers::Slot& slot : learned_.slots()) {
    if (learned_.Trusts(slot, now_)) add(*slot.peer);
  }
  if (predecessor_) add(*predecessor_);
  std::sort(between.begin(), between.end(), [&](const Peer* a, const Peer* b) { return InOpen(a->point, b->point, point); });
  std::vector<Peer> closer;
  for (const Peer* peer : between) {
    if (closer.size() == kCloserMax) break;
    if (closer.empty() || closer.back().point != peer->point) closer.push_back(*peer);
  }
  return closer;
}

std::optional<LookupResult> Ring::LocalResult(const NodeId& point) const {
  LookupResult result;
  if (predecessor_ && InHalfOpen(point, predecessor_->point, self_.point)) {
    result.owner = self_;
    result.successors = UnsuspectedSuccessors();
    result.successors.insert(result.successors.begin(), self_);
    std::vector<Peer> run = storing_successors_;
    if (self_.role == Role::kStoring) run.insert(run.begin(), self_);
    result.storing = Distinct(run);
    result.predecessor = *predecessor_;
    return result;
  }
  NextHopReply reply = NextHop(point);
  if (!reply.found) return std::nullopt;
  result.owner = reply.owners.front();
  result.successors = std::move(reply.owners);
  result.storing = std::move(reply.storing);
  result.predecessor = self_;
  return result;
}

// --- Lookups ---

RingActions Ring::StartLookup(LookupId id, const NodeId& point, absl::Time now) {
  now_ = now;
  const auto callers = std::count_if(lookups_.begin(), lookups_.end(),
                                     [](const auto& entry) { return entry.second.purpose == LookupFor::kCaller; });
  if (!IsMember()) {
    actions_.push_back(LookupDone{id, absl::UnavailableError("not a member of the ring")});
  } else if (callers >= static_cast<std::ptrdiff_t>(kPendingLookupsMax)) {
    actions_.push_back(LookupDone{id, absl::ResourceExhaustedError("too many lookups")});
  } else {
    uint64_t tag = 0;
    NewLookup(point, LookupFor::kCaller, tag).caller_id = id;
    BeginLookup(tag);
  }
  return Finish();
}

// Out of how far our own list reaches. Nothing where it names everybody, or so few are left that a gap may be any part of the
// circle.
std::optional<NodeId> Ring::DoubtedDistance() const {
  if (!IsMember() || more_.empty() || list_.IsClosed(self_, options_.successor_count)) return std::nullopt;
  const auto count = static_cast<double>(list_.peers().size() + more_.size());
  const double share = kDoubtGaps * DistanceShare(self_.point, more_.back().point) / count;
  if (share >= 0.5) return std::nullopt;
  NodeId distance;
  distance.SetWord(0, static_cast<uint64_t>(std::ldexp(share, 64)));
  return distance;
}

Lookup Ring::FreshLookup(const NodeId& point) const {
  Lookup lookup(point, self_.point);
  if (const std::optional<NodeId> distance = DoubtedDistance()) lookup.DoubtBeyond(*distance);
  return lookup;
}

Ring::OpenLookup& Ring::NewLookup(const NodeId& point, LookupFor purpose, uint64_t& tag) {
  tag = ++last_id_;
  return lookups_.emplace(tag, OpenLookup{FreshLookup(point), purpose}).first->second;
}

// From our own pointers, which may know the owner already.
void Ring::BeginLookup(uint64_t tag) {
  OpenLookup& open = lookups_.at(tag);
  if (!IsMember()) return EndLookup(tag, absl::UnavailableError("not a member of the ring"));
  if (std::optional<LookupResult> known = LocalResult(open.lookup.point())) return EndLookup(tag, *std::move(known));
  open.lookup.Begin(self_, NextHop(open.lookup.point()));
  PumpLookup(tag);
}

void Ring::PumpLookup(uint64_t tag) {
  Lookup& lookup = lookups_.at(tag).lookup;
  if (const std::optional<Peer> next = lookup.Next()) {
    Send(*next, NextHopRequest{lookup.point()}, Purpose::kLookup, tag);
  } else {
    EndLookup(tag, *lookup.result());
  }
}

void Ring::OnLookupReply(const OpenCall& call, absl::StatusOr<RingReply> reply) {
  NextHopReply* hop = reply.ok() ? std::get_if<NextHopReply>(&*reply) : nullptr;
  if (hop == nullptr) {
    OnPeerFailed(call.to);
  } else if (!hop->member) {
    ForgetPointer(call.to);
  } else {
    DropSuspect(call.to.point);
  }
  const auto open = lookups_.find(call.tag);
  const bool is_ours =
      open != lookups_.end() && (open->second.purpose == LookupFor::kFinger || open->second.purpose == LookupFor::kLearn);
  if (hop != nullptr && hop->member && IsMember()) learned_.Heard(call.to, /*learn=*/is_ours, now_ - call.sent, now_);
  if (open == lookups_.end()) return;
  if (hop != nullptr) open->second.lookup.OnAnswer(call.to, std::move(*hop));
  PumpLookup(call.tag);
}

void Ring::EndLookup(uint64_t tag, absl::StatusOr<LookupResult> result) {
  OpenLookup& open = lookups_.at(tag);
  if (open.purpose == LookupFor::kCaller && !result.ok() && IsMember() && open.tries < kLookupTries) {
    open.retry_at = now_ + Jittered(std::min(options_.stabilize_min * (1 << (open.tries - 1)), options_.stabilize_max));
    ++open.tries;
    return;
  }
  const LookupFor purpose = open.purpose;
  const LookupId caller_id = open.caller_id;
  const int exponent = open.exponent;
  lookups_.erase(tag);
  switch (purpose) {
    case LookupFor::kCaller:
      actions_.push_back(LookupDone{caller_id, std::move(result)});
      return;
    case LookupFor::kFinger:
      return OnFingerResult(exponent, result);
    case LookupFor::kLearn:
      refreshing_ = false;
      return;
    case LookupFor::kPlace:
      if (IsMember() || !seeking_place_) return;
      if (!result.ok()) return SeekLater(/*soon=*/false);
      return Ask(Step::kAskForPlace, result->predecessor, StateRequest{});
    case LookupFor::kReunion:
      if (result.ok() && IsMember()) OnReunionResult(*result);
      return;
  }
}

void Ring::RetryLookups() {
  std::vector<uint64_t> due;
  for (const auto& [tag, open] : lookups_) {
    if (open.retry_at <= now_) due.push_back(tag);
  }
  std::sort(due.begin(), due.end());
  for (const uint64_t tag : due) {
    OpenLookup& open = lookups_.at(tag);
    open.retry_at = absl::InfiniteFuture();
    open.lookup = FreshLookup(open.lookup.point());
    BeginLookup(tag);
  }
}

// --- Fingers ---

void Ring::RefreshFinger() {
  finger_due_ = now_ + Jittered(finger_interval_);
  if (refreshing_) return;
  if (list_.IsClosed(self_, options_.successor_count)) {
    learned_.Clear();
    return fingers_.Clear();
  }
  turn_ = (turn_ + 1) % (learned_.trust() < kTrustUseful ? 4 : 2);
  if (turn_ == 0 && FillGap()) return;
  const std::optional<int> exponent = fingers_.NextExponent(self_.point, list_.peers().back().point);
  if (fingers_.TakeRoundDone()) {
    const bool changed = std::exchange(fingers_changed_, false);
    finger_interval_ = changed ? options_.stabilize_min : std::min(finger_interval_ * 2, options_.stabilize_max);
  }
  if (!exponent) return;
  refreshing_ = true;
  uint64_t tag = 0;
  NewLookup(self_.point.PlusPowerOfTwo(*exponent), LookupFor::kFinger, tag).exponent = *exponent;
  BeginLookup(tag);
}

// The answers to a lookup of a point in the gap put somebody there. While there is none, those to a lookup of any point bring
// peers that may be nearer than the ones known; most of them where most lookups go.
bool Ring::FillGap() {
  if (options_.learned_bytes == 0) return false;
  const auto gap = learned_.NextGap((more_.empty() ? list_.peers() : more_).back().point, now_, rng_);
  if (gap && gap->is_new) fingers_changed_ = true;
  refreshing_ = true;
  uint64_t tag = 0;
  OpenLookup& open = NewLookup(gap ? gap->point : NodeId::Random(rng_), LookupFor::kLearn, tag);
  if (gap && gap->silent) open.lookup.AddCandidates({*gap->silent});
  BeginLookup(tag);
  return true;
}

void Ring::OnFingerResult(int exponent, const absl::StatusOr<LookupResult>& result) {
  refreshing_ = false;
  if (result.ok() && fingers_.Set(exponent, self_, result->owner)) fingers_changed_ = true;
}

// --- Reunion ---

void Ring::StartReunion() {
  reunion_interval_ = std::min(reunion_interval_ * 2, options_.reunion_every);
  reunion_due_ = now_ + Jittered(reunion_interval_);
  actions_.push_back(ContactsWanted{});
  std::vector<const Peer*> others;
  const auto add = [&](const Peer& peer) {
    if (!list_.Contains(peer.point) && !(predecessor_ && predecessor_->point == peer.point)) others.push_back(&peer);
  };
  for (const Peer& peer : contacts_) add(peer);
  for (const Peer& peer : remembered_) add(peer);
  if (others.empty()) return;
  const Peer other = *others[rng_.Below(others.size())];
  uint64_t tag = 0;
  NewLookup(self_.point.PlusOne(), LookupFor::kReunion, tag).lookup.AddCandidates({other});
  PumpLookup(tag);
}

void Ring::OnReunionResult(const LookupResult& result) {
  const Peer& owner = result.owner;
  if (owner.point == self_.point || (!list_.empty() && owner.point == list_.head().point)) return;
  const bool other_is_alone = owner.point == result.predecessor.point;
  if (other_is_alone && (!list_.empty() || self_.point < owner.point)) {
    Notify(owner);  // it sees us, and joins
  } else if (list_.empty()) {
    LeaveForOtherRing(owner);
  } else if (InOpen(owner.point, self_.point, list_.head().point)) {
    found_between_ = owner;
  } else {
    Notify(owner);  // we are between it and who it takes for its predecessor
  }
}

// --- What is known of others ---

void Ring::Remember(const Peer& peer) {
  if (peer.SameProcess(self_)) return;
  const auto known = std::find_if(remembered_.begin(), remembered_.end(), [&](const Peer& p) { return p.point == peer.point; });
  if (known - remembered_.begin() < static_cast<std::ptrdiff_t>(kRememberedMax / 2) && known != remembered_.end()) {
    known->address = peer.address;
    return;
  }
  if (known != remembered_.end()) {
    std::rotate(remembered_.begin(), known, known + 1);
    remembered_.front().address = peer.address;
    return;
  }
  if (remembered_.size() == kRememberedMax) remembered_.pop_back();
  remembered_.insert(remembered_.begin(), peer);
}

// A call failed. If its head is concerned the lane asks again, at once: between that call and now it may have come back, and only
// an unanswered step may drop it.
void Ring::OnPeerFailed(const Peer& peer) {
  AddSuspect(peer.point);
  ForgetPointer(peer);
  if (!IsMember() || list_.empty() || list_.head().point != peer.point) return;
  ChangedNow();
  stabilize_due_ = now_;
}

void Ring::ForgetPointer(const Peer& peer) {
  if (fingers_.Remove(peer.point)) {
    finger_interval_ = options_.stabilize_min;
    finger_due_ = std::min(finger_due_, now_ + finger_interval_);
  }
  learned_.Failed(peer.point, now_);
  std::erase_if(more_, [&](const Peer& known) { return known.point == peer.point; });
}

// As long as a whole pass over a list of silent dead may last.
absl::Duration Ring::SuspicionSpan() const { return options_.call_timeout * (options_.successor_count + 2); }

bool Ring::IsSuspect(const NodeId& point, absl::Duration within) const {
  return std::any_of(suspects_.begin(), suspects_.end(),
                     [&](const Suspect& suspect) { return suspect.point == point && now_ - suspect.since <= within; });
}

void Ring::AddSuspect(const NodeId& point) {
  DropSuspect(point);
  std::erase_if(suspects_, [&](const Suspect& suspect) { return now_ - suspect.since > SuspicionSpan(); });
  if (suspects_.size() == kSuspectsMax) suspects_.erase(suspects_.begin());
  suspects_.push_back({point, now_});
}

void Ring::DropSuspect(const NodeId& point) {
  std::erase_if(suspects_, [&](const Suspect& suspect) { return suspect.point == point; });
}

absl::Duration Ring::Jittered(absl::Duration span) { return span * (0.85 + 0.3 * rng_.Unit()); }

}  // namespace overlay
