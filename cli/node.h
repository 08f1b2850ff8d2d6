// SPDX-License-Identifier: Apache-2.0
// cli/node.h — the composition root: one node with everything it is made of, until it is told to stop.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "chat/traffic_clock.h"
#include "cli/home.h"
#include "overlay/network.h"
#include "overlay/peer.h"
#include "overlay/rpc.h"

namespace cli {

struct NodeOptions {
  overlay::Role role = overlay::Role::kStoring;
  overlay::Network network;
  Home home{"/"};
  std::string listen = "127.0.0.1:10001";     // "IP:port"; port 0: a free one, printed
  std::string advertise;                      // "IP:port"; empty: what it listens on
  std::vector<overlay::RpcTarget> bootstrap;  // tried in turn; empty: create a ring
  absl::Duration join_timeout = absl::Seconds(30);
  std::optional<uint64_t> store_bytes_max;  // nothing: the store's own bound
  chat::Profile profile = chat::Profile::kNormal;  // of the clock of its user; a relay has none
  bool json = false;
};

// Runs until SIGTERM or SIGINT, then leaves the ring. Returns the exit code; errors are printed.
int RunNode(const NodeOptions& options);

}  // namespace cli
