// SPDX-License-Identifier: Apache-2.0
// overlay/network.h — a network: a name and the parameters that all its nodes share (protocol.md 1).
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace overlay {

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr int kVirtualNodesMax = 32;  // v of any network (design.md 2)

struct Network {
  std::string name = "local";
  std::vector<std::string> bootstrap = {"localhost:10001"};
  int virtual_nodes = 1;    // v, the same for every process
  int successor_count = 8;  // r, distinct processes
  int replica_count = 3;    // R, storing processes
  int write_quorum = 2;     // W
  absl::Duration stabilize_min = absl::Milliseconds(250);  // while anything changed
  absl::Duration stabilize_max = absl::Seconds(5);         // doubling up to this while quiet
  absl::Duration call_timeout = absl::Seconds(2);          // of a maintenance call, then the peer counts as dead
  absl::Duration descriptor_lifetime = absl::Hours(2);     // renewed at half of it
  absl::Duration table_lifetime = absl::Minutes(10);       // renewed at half of it; short: what a table says soon stops being so
  absl::Duration onion_key_lifetime = absl::Hours(24);     // current and previous are kept
  bool private_addresses = true;   // loopback and private addresses allowed
  bool distinct_prefixes = false;  // relays of a path in distinct /16 (v6: /32)
  uint32_t admission_effort = 0;   // tries of half a millisecond that a place costs; 0: admission is empty, anything else is refused
  absl::Duration admission_epoch = absl::Hours(7 * 24);  // then each place has to be worked for anew (admission.h)
  absl::Duration admission_overlap = absl::Hours(1);     // to either side of its end
  uint32_t door_effort = 0;
  int circuits_per_link = 65536;

  static Network Local() { return {}; }
};

}  // namespace overlay
