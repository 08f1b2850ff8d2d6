// SPDX-License-Identifier: Apache-2.0
// overlay/lookup.h — one iterative find_successor: whom to ask next, until the predecessor of the point has answered.
//
// Source: Stoica et al., "Chord", ToN 2003, section IV; the asker drives, so it sees, times and checks every step.
// An answer has to make progress: peers it names must lie between the answerer and the point, an owner at or after it. What does
// not is dropped. A peer that fails, or is no member, is passed over for the next best one known. If everybody known between the
// closest that answered and the point fails, that one's own list decides, which reaches beyond them; so a lookup fails only when
// nobody is left to ask. An answer that ends it, or would for want of anybody nearer, but leaves far more room between the
// answerer and the owner than nodes stand apart is doubted: others that were named are asked first whether they know somebody
// between the two, and who is found there decides. So one peer that claims a point far from it is caught if any of those knows
// better. Hostile answers can end it in a wrong place on the ring but not make it loop: every peer is asked once. Memory: at most
// kLookupCandidatesMax peers.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "overlay/ring_messages.h"

namespace overlay {

inline constexpr size_t kLookupCandidatesMax = 64;  // the closest are kept: several times what one answer brings
inline constexpr int kLookupAsksMax = 96;           // 30 hops reach any owner among 10^9 nodes; the rest is for dead peers
inline constexpr int kDoubtAsksMax = 3;             // asked about a doubted answer: nearly always only liars are doubted

struct LookupResult {
  Peer owner;                    // first at or after the point
  std::vector<Peer> successors;  // the owner and who follows it
  std::vector<Peer> storing;     // the first R + 1 storing processes at or after the point
  Peer predecessor;              // who said so
  int hops = 0;                  // answers that were needed; the step to the owner itself is not counted
};

class Lookup {
 public:
  // `asker` is never asked; it may be the point itself (a joiner looks for its own place).
  Lookup(const NodeId& point, const NodeId& asker) : point_(point), asker_(asker) {}

  // Doubt answers with more than that distance between answerer and owner. Without it none is doubted.
  void DoubtBeyond(const NodeId& distance) { doubt_beyond_ = distance; }
  void AddCandidates(const std::vector<Peer>& peers);
  // What the asker itself would answer: no hop, and never found.
  void Begin(const Peer& self, NextHopReply own);
  // The next to ask; nothing if the lookup is over (result() is set then).
  std::optional<Peer> Next();
  // What the peer that Next() gave answered, or why it did not.
  void OnAnswer(const Peer& from, absl::StatusOr<NextHopReply> answer);

  const NodeId& point() const { return point_; }
  // Unavailable: nobody left to ask. Worth another try after a pause, when the ring has repaired itself.
  const std::optional<absl::StatusOr<LookupResult>>& result() const { return result_; }

 private:
  void Add(const Peer& peer);
  bool IsDecided(const Peer* best);
  bool IsDoubtful(const NodeId& answerer, const NodeId& owner) const {
    return doubt_beyond_ && *doubt_beyond_ < Distance(answerer, owner);
  }
  void TakeOwners(const Peer& from, NextHopReply& answer);

  NodeId point_, asker_;
  std::vector<Peer> candidates_;  // not yet asked
  std::vector<NodeId> asked_;
  int hops_ = 0;
  std::optional<NodeId> doubt_beyond_;
  std::optional<LookupResult> doubted_;  // of the closest answer that is doubted
  int doubt_asks_ = 0;
  std::optional<LookupResult> beyond_;  // out of the list of the closest that answered
  std::optional<absl::StatusOr<LookupResult>> result_;
};

}  // namespace overlay
