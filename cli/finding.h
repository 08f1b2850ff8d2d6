// SPDX-License-Identifier: Apache-2.0
// cli/finding.h — what `doctor` found: one line for each check, with the command that mends it.
//
//   ok    clock agrees with 5 neighbours within 2 s
//   warn  advertised address is loopback: other machines cannot join
//           fix: bulbil --advertise HOST:10001
//   fail  store: the disk is full
//           fix: free some space
//   5 ok · 1 warning · 1 failure
// With --json a line each: {"schema":1,"type":"check","name":"clock","level":"ok","text":"...","fix":"..."}, then a summary with
// the numbers. What is judged here is what was measured elsewhere (doctor.h). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/errors.h"
#include "overlay/routing_table.h"
#include "proto/control.pb.h"

namespace cli {

struct Finding {
  enum class Level { kOk, kWarn, kFail };
  Level level = Level::kOk;
  std::string name;  // home, keys, port, node, clock, ring, circuit, store, limits
  std::string text;
  std::string fix;
  Exit exit = Exit::kDone;  // of a failure

  bool operator==(const Finding&) const = default;
};

// A failure that a command would end with.
Finding FindingOf(const std::string& name, const absl::Status& failure);

// A node by what it says of itself: whether it is in a ring large enough, who can reach it, and its disk.
std::vector<Finding> JudgeNode(const bulbil::v1::StatusReply& status);

// A neighbour's table as it was fetched at `now` of this machine.
struct NeighbourSeen {
  overlay::RoutingTable table;
  absl::Time now;
};
// By how much this clock is at least ahead of the neighbour's (negative: behind): a table is renewed at half of its life.
absl::Duration ClockError(const NeighbourSeen& seen);
// The median, so that one liar changes nothing. A minute off is told, what neighbours refuse (an hour) is a failure.
// `refused`: neighbours whose tables were refused for their times.
Finding JudgeClock(const std::vector<NeighbourSeen>& neighbours, size_t refused);

// Open files and room on the disk of `path`.
Finding JudgeLimits(uint64_t files_max, uint64_t bytes_free);

std::string FindingsScreen(const std::vector<Finding>& findings);
std::string FindingsJson(const std::vector<Finding>& findings);
// OK without failures; else the worst of them: an error of its exit code, with its fix.
absl::Status OutcomeOf(const std::vector<Finding>& findings);

}  // namespace cli
