// SPDX-License-Identifier: Apache-2.0
// overlay/learned_peers.h — peers that answered this virtual node lately, spread evenly over the logarithm of the distance:
// shortcuts beside the fingers.
//
// Source: Accordion (Li, Stribling, Morris, Kaashoek, NSDI 2005): neighbours with a density that falls as the distance grows,
// within a budget of bytes, used while they are probably alive; EpiChord (Leong, Liskov, Demaine, 2004): learned from the answers
// to lookups, and a lookup of its own where a slice of the circle has nobody. The circle is cut into slots: distances clockwise
// from us in [2^k (1 + j/8), 2^k (1 + (j+1)/8)), j = 0..7. One peer per slot: of those that answered, the one whose answer took
// the shortest (proximity neighbour selection; ToN 2003, V-F), until it is no longer trusted. A lookup that always goes on to the
// closest one before its point leaves about 1/16 of the distance at each hop, where fingers leave a third. Only hints for
// routing, like fingers: maintenance of the ring never reads them, and nobody is in here by hearsay. What callers look
// up must not put anybody in either: we name these peers to others, who would learn what was looked up here.
//
// How long a silent peer is trusted is found out by asking: each one that is asked after a silence tells whether it outlived it,
// so deaths over spans of silence are the rate of dying, and the span of trust is that in which 3 of 100 die. Evidence of deaths
// fades with each further one. (Accordion reckons from the age of the peer, which only the peer could tell.)
#pragma once

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "base/rng.h"
#include "overlay/peer.h"

namespace overlay {

inline constexpr size_t kSlotsPerOctave = 8;
// The span of trust before anything is known, and its bounds: beyond an hour it would say nothing about today.
inline constexpr absl::Duration kTrustMin = absl::Seconds(2), kTrustFirst = absl::Minutes(1), kTrustMax = absl::Hours(1);

class LearnedPeers {
 public:
  struct Slot {
    uint16_t number;                               // 8 k + j
    std::optional<Peer> peer;                      // nothing: nobody was found there
    absl::Time heard = absl::InfinitePast();       // when it answered
    absl::Time looked_for = absl::InfinitePast();  // when a lookup went out for the slot
    absl::Duration round_trip;                     // of that answer
  };

  // At most so many bytes: slots, with the longest addresses. 0: none, and no lookups for any.
  LearnedPeers(const NodeId& self, size_t bytes_max);

  // The peer answered a question sent that long ago. It is taken in if `learn` and nobody nearer is in its place; whoever is in
  // already is renewed either way.
  void Heard(const Peer& peer, bool learn, absl::Duration round_trip, absl::Time now);
  // It did not, or is no member any more.
  void Failed(const NodeId& point, absl::Time now);
  // Drops what is known better from the list of successors up to `last`.
  void Trim(const NodeId& last);
  void Clear() { slots_.clear(); }

  // To be looked up, so that the answers fill the slot: a random point in it, or the one after the peer in it, who is to be asked
  // first.
  struct Gap {
    NodeId point;
    std::optional<Peer> silent;
    bool is_new;  // never looked for before
  };
  // The next slot beyond `last` that has nobody, or nobody heard of for half the span of trust; nothing if there is none. A slot
  // in which nobody is found is named again only after that time.
  std::optional<Gap> NextGap(const NodeId& last, absl::Time now, base::Rng& rng);

  // How many slots beyond `last` nobody has looked for yet, of those there is room for.
  size_t Missing(const NodeId& last) const;

  // Slots, the nearest first.
  const std::vector<Slot>& slots() const { return slots_; }
  bool Trusts(const Slot& slot, absl::Time now) const { return slot.peer && now - slot.heard <= trust_; }
  absl::Duration trust() const { return trust_; }  // the span
  size_t bytes() const;

 private:
  // The first slot of at least that number.
  std::vector<Slot>::iterator At(uint16_t number);
  Slot* Make(uint16_t number);
  void Outlived(absl::Duration silence);
  void Reckon();

  NodeId self_;
  size_t slots_max_;
  std::vector<Slot> slots_;  // numbers rising
  double silence_s_, deaths_;
  absl::Duration trust_ = kTrustFirst;
  int cursor_ = -1;  // the slot that NextGap looks at next; below the nearest one: from the top again
};

}  // namespace overlay
