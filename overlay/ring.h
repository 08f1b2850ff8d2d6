// SPDX-License-Identifier: Apache-2.0
// overlay/ring.h — membership of one virtual node in the Chord ring.
//
// Source: Zave, arXiv 1502.06461 (2017 revision), not the original Chord: StabilizeFromSuccessor, StabilizeFromPredecessor,
// Rectify and Join with the predecessor's whole list, each a step that reads one other node and writes this one.
//  - One maintenance lane: a step is under way or it is not. While it waits, State is answered "pending", liveness at once.
//  - No pointer is adopted before its owner answered. A head that does not answer is dropped (the list is then open, see
//    successor_list.h) and the next one asked in the same step. A node that answers but is no member counts as dead.
//  - Never self as successor because others died. If the whole list is dead the node is *detached*: no member, answers for no
//    key, looks for a way in through predecessor, fingers, remembered peers and contacts, and joins again like a newcomer. So is
//    who comes back at another place (Return), from the start.
//  - A ring of at most r others runs in bootstrap mode: lists are cut where their owner would appear. A node that created the
//    ring, or founded it anew, is a member alone, with an empty list, until somebody joined.
// Outside the proof, in this file's care:
//  - Founding anew. A detached node that tried every way in and found no member becomes a member alone when one that is alive and
//    itself no member asks it for a way in (a Rectify to a non-member). Of two detached nodes only the one with the smaller point
//    does so, the other asks; a newcomer never founds.
//  - Reunion. A member asks now and then one remembered peer outside its list for the owner of the point after its own. An owner
//    that lies before its successor belongs to another ring (or is news): it is adopted by StabilizeFromPredecessor; one that
//    lies behind it is rectified. Both preserve the invariant for any live member. A member alone that meets another ring joins
//    it. So rings that know of each other merge.
//  - Several virtual nodes of one process: a list in which only they are left is as dead as an empty one, and none of them is a
//    way in for another, so that a process cut off from all others does not take the circle for itself.
//  - Fingers, learned peers, the longer lists and the storing lists: hints for routing and what dht/ is told; maintenance never
//    reads them.
// Hostile peers can lie in an answer or delay it; they cannot claim a point they hold no key for, nor make a list grow.
// Every Call must be answered by exactly one OnReply; Call::timeout is the driver's to keep. Not thread-safe: one event loop.
#pragma once

#include <deque>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "base/rng.h"
#include "overlay/finger_table.h"
#include "overlay/learned_peers.h"
#include "overlay/lookup.h"
#include "overlay/neighbourhood.h"
#include "overlay/ring_messages.h"
#include "overlay/successor_list.h"

namespace overlay {

enum class RingState { kIdle, kJoining, kMember, kDetached, kLeft };
const char* Name(RingState state);  // "idle", "joining", "member", "detached", "left"

using CallId = uint64_t;    // never 0, never used twice by one Ring
using LookupId = uint64_t;  // the caller's

// What the driver has to do.
struct Call {
  CallId id;
  Peer to;
  RingRequest request;
  absl::Duration timeout;
};
struct LookupDone {
  LookupId id;
  absl::StatusOr<LookupResult> result;
};
struct NeighbourhoodChanged {
  Neighbourhood neighbourhood;
};
// About to become a member with this neighbourhood: fetch what falls to us, then OnRangeReady.
struct JoinPrepared {
  Neighbourhood neighbourhood;
};
struct StateChanged {
  RingState state;
};
// No way in is known, or a look around is due: AddContacts with whoever answers at a bootstrap address.
struct ContactsWanted {};
using RingAction = std::variant<Call, LookupDone, NeighbourhoodChanged, JoinPrepared, StateChanged, ContactsWanted>;
using RingActions = std::vector<RingAction>;

inline constexpr size_t kRememberedMax = 32;      // peers that answered, roughly the latest first: ways back in
inline constexpr size_t kContactsMax = 16;        // bootstrap peers and who asked us for a way in
inline constexpr size_t kWaysInMax = 64;          // asked in one sweep
inline constexpr size_t kSweepParallel = 8;       // so that silent ones cost one timeout for eight
inline constexpr size_t kRectifyQueueMax = 16;    // distinct candidates; they come again every round
inline constexpr size_t kPendingLookupsMax = 64;  // of callers; beyond it ResourceExhausted
inline constexpr size_t kCloserMax =
    16;                                 // alternatives in one NextHop answer: with half of them dead, 1 in 65,536 has none alive
inline constexpr int kLookupTries = 6;  // of a caller's lookup; the pauses between them double, 8 s together in `local`:
                                        // longer than it takes to notice a silent death
inline constexpr double kDoubtGaps = 32;  // an owner that many mean gaps behind who names it is doubted: one in 10^5 of true
                                          // ones, for the mean is out of sixteen
inline constexpr size_t kSuspectsMax = 64;  // peers whose last call failed

class Ring {
 public:
  struct Options {
    int successor_count = 8;   // r
    size_t storing_count = 4;  // R + 1
    absl::Duration stabilize_min = absl::Milliseconds(250);
    absl::Duration stabilize_max = absl::Seconds(5);
    absl::Duration call_timeout = absl::Seconds(2);
    // Successor and predecessor are asked for a sign of life as often as the ring is stabilised, but no more often than this.
    absl::Duration check_min = absl::Seconds(1);
    absl::Duration reunion_every = absl::Seconds(30);  // reached by doubling from a second after joining
    size_t learned_bytes = 24 * 1024;                  // of LearnedPeers: about a hundred, all slots of a ring of 100,000
    bool prepares = true;                              // false: nothing to download (relay-only), join at once
    bool founds = true;                                // false: not the first virtual node of its process: never founds a ring
    int virtual_nodes = 1;                             // of each process

    static Options Of(const Network& network, Role role);
  };

  Ring(Peer self, Options options, base::Rng& rng);

  // A ring of its own. Only from kIdle.
  RingActions Create(absl::Time now);
  // Joins through any of the contacts, trying for ever; the driver gives up (Leave) when it wants to. Only from kIdle.
  RingActions Join(std::vector<Peer> contacts, absl::Time now);
  // The same for who was a member a moment ago, at another place: detached, not a newcomer. Contacts come by AddContacts; until all
  // have come that will (ContactsMet) nothing is founded for anybody: the ring is there, and only not known yet.
  RingActions Return(absl::Time now);
  RingActions AddContacts(const std::vector<Peer>& contacts, absl::Time now);
  RingActions ContactsMet(absl::Time now);
  // What JoinPrepared named is here. Looks once more and becomes a member, or prepares again if neighbours changed.
  RingActions OnRangeReady(absl::Time now);
  RingActions OnRangeFailed(absl::Time now);  // it could not be fetched: looks for the place again after a pause
  // Tells the neighbours to look; from now on no member.
  RingActions Leave(absl::Time now);
  // LookupDone follows, also at once. Unavailable: no member, or nobody answers.
  RingActions StartLookup(LookupId id, const NodeId& point, absl::Time now);

  RingActions OnReply(CallId id, absl::StatusOr<RingReply> reply, absl::Time now);
  struct Answered {
    RingReply reply;
    RingActions actions;
  };
  // The driver has checked that RectifyRequest::candidate is the caller.
  Answered OnRequest(const RingRequest& request, absl::Time now);
  // Something outside the core says that this peer may be gone, as a Watch that ended. As good as a LeavingRequest: nothing is
  // believed, but whoever has it for a neighbour looks at once.
  RingActions OnDoubt(const NodeId& point, absl::Time now);
  RingActions OnTick(absl::Time now);  // does what is due; calling it early or late is harmless
  absl::Time NextTick() const;         // when OnTick next has work; InfiniteFuture if never

  const Peer& self() const { return self_; }
  RingState state() const { return state_; }
  bool IsMember() const { return state_ == RingState::kMember; }
  const std::vector<Peer>& successors() const { return list_.peers(); }
  bool HasOpenList() const { return list_.is_open(); }
  const std::optional<Peer>& predecessor() const { return predecessor_; }
  const FingerTable& fingers() const { return fingers_; }
  const LearnedPeers& learned() const { return learned_; }
  // At most kTableNeighbours, nearest first, for the signed table.
  std::vector<Peer> FarSuccessors() const;
  const std::vector<Peer>& FarPredecessors() const { return predecessors_; }
  // Empty lists unless a member.
  Neighbourhood neighbourhood() const;
  // All that decides the next maintenance steps, apart from the time: two nodes of equal prints go on alike. For searches of
  // tests/sim.
  std::string MaintenancePrint() const;
  // Members of the ring, self included: exact (second true) if the lists close around it, else from their density.
  std::pair<double, bool> SizeEstimate() const;

 private:
  enum class Step {
    kIdle,
    kAskSuccessor,
    kAskPredecessor,
    kAskAlone,
    kPingPredecessor,
    kAskForPlace,
    kWaitForRange,
    kAskNewcomer
  };
  struct Lane {
    Step step = Step::kIdle;
    CallId call = 0;
    Peer asked;
  };
  enum class Purpose { kLane, kPingSuccessor, kPingPredecessor, kSweep, kLookup, kNotice };
  struct OpenCall {
    Purpose purpose;
    Peer to;
    absl::Time sent;
    uint64_t tag = 0;  // kSweep: which sweep; kLookup: which lookup
  };
  enum class LookupFor { kCaller, kFinger, kLearn, kPlace, kReunion };
  struct OpenLookup {
    Lookup lookup;
    LookupFor purpose;
    LookupId caller_id = 0;
    int exponent = 0;  // kFinger
    int tries = 1;
    absl::Time retry_at = absl::InfiniteFuture();
  };
  struct Suspect {
    NodeId point;
    absl::Time since;
  };

  // ring.cc: the lane and Zave's steps.
  RingActions Finish();
  void RunLane();
  CallId Send(const Peer& to, RingRequest request, Purpose purpose, uint64_t tag = 0);
  void Ask(Step step, const Peer& to, RingRequest request);
  void OnLaneReply(absl::StatusOr<RingReply> reply);
  void OnStateReply(Step step, const Peer& asked, const StateReply* state);
  void Stabilize();
  void AskSuccessor();
  void DropHead();
  bool IsCutOff() const;
  void OnSuccessorState(const Peer& successor, const StateReply* state);
  void OnCandidateState(const Peer& candidate, const StateReply* state);
  void OnAloneState(const Peer& predecessor, const StateReply* state);
  void Adopt(const Peer& successor, const StateReply& state);
  void OnNotice(const RectifyRequest& notice);
  void Rectify(RectifyRequest notice);
  void AdoptPredecessor(const RectifyRequest& notice);
  void Notify(const Peer& successor);
  void HintAboutRemoved(const std::vector<Peer>& before);
  void EndRound();
  void ChangedNow();
  void Hasten();
  bool RetryPending();
  void Detach();
  void SetState(RingState state);
  void CheckNeighbours();
  void OnPingReply(const OpenCall& call, bool alive);
  void OnLeaving(const NodeId& leaver);
  StateReply DescribeState() const;

  // ring_join.cc: ways in.
  std::vector<Peer> WaysIn() const;
  void StartSweep();
  void PumpSweep();
  void OnSweepReply(const OpenCall& call, const absl::StatusOr<NextHopReply>& reply);
  void SeekLater(bool soon);
  void SeekPlace(const Peer& member);
  void OnPlaceState(const Peer& predecessor, const StateReply* state);
  bool CanTakePlace(const Peer& predecessor, const StateReply& state) const;
  void FillPlace(const Peer& predecessor, const StateReply& state);
  std::vector<Peer> SeenFromHere(const std::vector<Peer>& chain, bool open, const Peer& predecessor) const;
  void BecomeMember();
  void Found(const Peer& newcomer);
  void LeaveForOtherRing(const Peer& member);
  void Knock(const Peer& stranger);
  void OnKnock(const RectifyRequest& notice);
  void OnNewcomerState(const Peer& newcomer, const StateReply* state);
  void AddContact(const Peer& peer);

  // ring_routing.cc: lookups, fingers, what is remembered.
  NextHopReply NextHop(const NodeId& point) const;
  void ListBeyond(const NodeId& point, const std::vector<Peer>& near, NextHopReply& reply) const;
  std::vector<Peer> CloserTo(const NodeId& point) const;
  std::vector<Peer> UnsuspectedSuccessors() const;
  std::optional<LookupResult> LocalResult(const NodeId& point) const;
  std::optional<NodeId> DoubtedDistance() const;
  Lookup FreshLookup(const NodeId& point) const;
  OpenLookup& NewLookup(const NodeId& point, LookupFor purpose, uint64_t& tag);
  void BeginLookup(uint64_t tag);
  void PumpLookup(uint64_t tag);
  void EndLookup(uint64_t tag, absl::StatusOr<LookupResult> result);
  void OnLookupReply(const OpenCall& call, absl::StatusOr<RingReply> reply);
  void RetryLookups();
  void OnFingerResult(int exponent, const absl::StatusOr<LookupResult>& result);
  void OnReunionResult(const LookupResult& result);
  void ForgetPointer(const Peer& peer);
  void RefreshFinger();
  bool FillGap();
  void StartReunion();
  void Remember(const Peer& peer);
  void OnPeerFailed(const Peer& peer);
  bool IsSuspect(const NodeId& point, absl::Duration within) const;
  bool IsSuspect(const NodeId& point) const { return IsSuspect(point, SuspicionSpan()); }
  absl::Duration SuspicionSpan() const;
  void AddSuspect(const NodeId& point);
  void DropSuspect(const NodeId& point);
  std::vector<Peer> WithSelfIfFew(std::vector<Peer> storing) const;
  std::vector<Peer> Distinct(const std::vector<Peer>& run) const;
  absl::Duration Jittered(absl::Duration span);

  const Peer self_;
  const Options options_;
  base::Rng& rng_;
  absl::Time now_ = absl::InfinitePast();
  RingActions actions_;

  RingState state_ = RingState::kIdle;
  SuccessorList list_;
  std::optional<Peer> predecessor_;
  std::vector<Peer> more_;  // what follows the list, up to kTableNeighbours together
  std::vector<Peer> storing_successors_, predecessors_, storing_predecessors_;
  FingerTable fingers_;
  LearnedPeers learned_;
  bool neighbourhood_changed_ = false;

  Lane lane_;
  RectifyRequest rectifying_;  // kPingPredecessor: who takes the place if nobody answers
  std::deque<RectifyRequest> rectify_queue_;
  std::optional<Peer> found_between_;  // by a reunion: a member before our successor, to be asked
  absl::Time pending_since_ = absl::InfiniteFuture();
  bool round_quiet_ = true;   // nothing changed or failed since the round began
  bool round_again_ = false;  // a nearer successor was adopted: there may be more
  absl::Duration interval_;
  absl::Time stabilize_due_ = absl::InfiniteFuture();
  absl::Time check_due_ = absl::InfiniteFuture();
  absl::Time successor_heard_ = absl::InfinitePast(), predecessor_heard_ = absl::InfinitePast();

  std::vector<Peer> contacts_, remembered_;
  std::vector<Suspect> suspects_;
  absl::Time seek_due_ = absl::InfiniteFuture();
  absl::Duration seek_pause_;
  uint64_t sweep_ = 0;  // number of the latest
  std::deque<Peer> sweep_queue_;
  std::vector<Peer> sweep_strangers_;  // alive, but no members
  size_t sweep_open_ = 0;
  bool seeking_place_ = false;             // a sweep found a member; its lookup or the lane goes on
  bool awaits_contacts_ = false;           // of Return
  bool exhausted_ = false;                 // the last sweep found no member
  std::optional<Neighbourhood> prepared_;  // what the range was fetched for

  absl::flat_hash_map<CallId, OpenCall> calls_;
  absl::flat_hash_map<uint64_t, OpenLookup> lookups_;
  uint64_t last_id_ = 0;
  bool refreshing_ = false;
  absl::Time finger_due_ = absl::InfiniteFuture();
  absl::Duration finger_interval_;
  bool fingers_changed_ = false;
  int turn_ = 0;  // fingers and gaps take turns
  absl::Time reunion_due_ = absl::InfiniteFuture();
  absl::Duration reunion_interval_;
};

}  // namespace overlay
