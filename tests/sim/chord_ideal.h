// SPDX-License-Identifier: Apache-2.0
// tests/sim/chord_ideal.h — an ideal ring on paper, that answers like one: how thousands of real Ring cores are put into the
// ideal state without waiting for it.
//
// Each core joins and fills its fingers and slots by its own code, alone, while every question it asks is answered at once as its
// true neighbours would in the ideal state. Nothing of the core is bypassed; only the others' waiting is.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "overlay/ring.h"
#include "tests/sim/delay_models.h"

namespace sim {

class IdealRing {
 public:
  // `count` storing nodes at random points. `delays` between them, by their place in the ring; null: answers take no time.
  IdealRing(size_t count, overlay::Ring::Options options, base::Rng& rng, const Delays* delays = nullptr);

  // In ring order.
  const std::vector<overlay::Peer>& peers() const { return peers_; }
  size_t size() const { return peers_.size(); }
  const overlay::Ring::Options& options() const { return options_; }
  size_t IndexOf(const overlay::NodeId& point) const;  // of the node at that very point
  size_t OwnerOf(const overlay::NodeId& point) const;  // the first at or after it
  size_t Before(size_t index) const { return (index + size() - 1) % size(); }
  size_t After(size_t index) const { return (index + 1) % size(); }

  // That node's core, a member with all its pointers right. `*until` becomes the last instant it was told of, if later.
  std::unique_ptr<overlay::Ring> Settle(size_t index, base::Rng& rng, absl::Time now, absl::Time* until);

 private:
  overlay::RingReply Answer(const overlay::Peer& asked, const overlay::RingRequest& request) const;
  overlay::StateReply State(size_t index) const;
  overlay::NextHopReply NextHop(size_t index, const overlay::NodeId& point) const;
  size_t Skip(size_t index, bool forward) const;  // past the one that has not joined yet
  std::vector<overlay::Peer> Walk(size_t from, bool forward, size_t count) const;
  void Pump(overlay::Ring& ring, overlay::RingActions actions, absl::Time& now);
  size_t FingersOf(const overlay::Ring& ring) const;

  std::vector<overlay::Peer> peers_;
  overlay::Ring::Options options_;
  const Delays* const delays_;
  std::optional<size_t> outside_;
};

}  // namespace sim
