// SPDX-License-Identifier: Apache-2.0
// dht/witness.h — for which points this replica may say that a record is absent.
//
// Whoever comes to hold a range has not seen what was acknowledged there before: it is in doubt about it until a holder that is
// not has given it all it had (range_sync.h). If all holders of a range died at once there is none left, and what they had
// acknowledged is lost. Then the doubt stays for as long as such a record may live, and a read there is "incomplete", never
// "absent": a lost mailbox does not look like an empty one. A node whose store is suspect doubts everything.
// Who creates a ring doubts nothing: there is nothing yet. A process that starts again doubts all until it has downloaded; so a
// whole network that is started again is believed by the word of its first node.
// Of what it does not hold at all a node can say nothing either: around a death two neighbours see two rings for a moment, and
// who is asked as a holder may be none by its own account.
// Doubts are arcs: the held range less what was confirmed. Usually there are none; at most kDoubtsMax, then all is doubted.
#pragma once

#include <map>
#include <vector>

#include "dht/record.h"
#include "dht/record_store.h"
#include "overlay/neighbourhood.h"

namespace dht {

inline constexpr size_t kDoubtsMax = 64;                            // arcs: several deaths around, each seen in steps
inline constexpr int kOthersWithoutSelf = 2;                        // R - W + 1
inline const absl::Duration kDoubtFor = kTtlMax + kClockTolerance;  // whatever was acknowledged before has expired

class Witness {
 public:
  explicit Witness(const RecordStore& store) : store_(store) {}

  // A download for this range begins: all of it is in doubt.
  void Expect(uint8_t index, const overlay::RingRange& range, absl::Time now);
  // As a member the virtual node holds this range: what of it is new is in doubt. `created`: it is the first of a ring.
  void Hold(uint8_t index, const overlay::RingRange& range, bool created, absl::Time now);
  // Who was in no doubt about this range, but for these parts of it, gave all it had of it.
  void Confirm(const overlay::RingRange& range, const std::vector<overlay::RingRange>& but = {});

  // May say of any point in the range (of this point) that a record is absent.
  bool Covers(const overlay::RingRange& range, absl::Time now) const;
  bool Covers(const overlay::NodeId& point, absl::Time now) const;
  // The parts of the range that are in doubt, or not held; all of it while the store is suspect. At most kDoubtsMax.
  std::vector<overlay::RingRange> DoubtsIn(const overlay::RingRange& range, absl::Time now) const;
  // How many other replicas have to answer before a record counts as absent: R - W + 1 in all, self among them if it may say so.
  int OthersNeeded(const overlay::NodeId& point, absl::Time now) const {
    return Covers(point, now) ? kOthersWithoutSelf - 1 : kOthersWithoutSelf;
  }
  size_t doubts() const { return doubts_.size(); }

 private:
  struct Arc {  // both ends included, not around zero
    overlay::NodeId first, last;
    absl::Time since;
  };
  static std::vector<Arc> ArcsOf(const overlay::RingRange& range, absl::Time since);
  static std::vector<Arc> Without(const std::vector<Arc>& arcs, const std::vector<Arc>& taken);
  static bool Overlaps(const Arc& arc, const std::vector<Arc>& others);
  std::vector<Arc> HeldArcs(absl::Time now) const;
  void Doubt(const std::vector<Arc>& arcs, absl::Time now);

  const RecordStore& store_;
  std::map<uint8_t, overlay::RingRange> held_;  // by virtual node
  std::vector<Arc> doubts_;
};

}  // namespace dht
