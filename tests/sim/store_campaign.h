// SPDX-License-Identifier: Apache-2.0
// tests/sim/store_campaign.h — acknowledged records through what happens to a ring: three stories, each decided by its seed.
//
//   churn     sessions of exponential length; who ends crashes and comes back with its disk, with an empty one, not at all, or
//             leaves properly; partitions of 10 s to 10 min, a third of them one-way; puts and reads all along
//   slowly    half of the nodes die with their disks, one after another, repair between
//   at once   half of the nodes die with their disks in one instant
// In the end the faults are over, and every acknowledged record is read again. A record that is gone must be missed by whoever
// reads it: "absent" is what an empty place says.
#pragma once

#include <string>

#include "tests/sim/ack_book.h"
#include "tests/sim/store_ring.h"

namespace sim {

struct StoreStory {
  enum class Kind { kChurn, kSlowly, kAtOnce };
  Kind kind = Kind::kChurn;
  uint64_t seed = 1;
  size_t nodes = 64;
  size_t records = 1000;
  absl::Duration length = absl::Minutes(10);     // of churn
  absl::Duration half_life = absl::Minutes(10);  // of a session
  int partitions = 2;
};

struct StoreFigures {
  size_t acknowledged = 0, not_acknowledged = 0;
  size_t lost = 0, broken = 0;  // AckBook
  size_t deaths = 0, returns = 0, leaves = 0, partitions = 0;
  // Reads of acknowledged records while faults went on. "Absent" is what a side of a partition says of what the other side took
  // meanwhile; of a record that was acknowledged a repair round before the partition began it is wrong, and counted apart.
  size_t reads = 0, found = 0, unsure = 0, absent = 0, absent_wrongly = 0;
  // Reads in the end: of what is there, and of what is lost.
  size_t missing = 0;         // there, but not found
  size_t lost_as_absent = 0;  // lost, and told as if it had never been
  size_t copies = 0;          // of records that are there, on running members
  double lost_expected = 0;   // kAtOnce: records all of whose holders were killed
  uint64_t events = 0;
  std::string wrong;  // the first thing that must not be
};

StoreFigures Tell(const StoreStory& story);
std::string ReplayCommand(const StoreStory& story);

}  // namespace sim
