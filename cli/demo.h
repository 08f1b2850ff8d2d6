// SPDX-License-Identifier: Apache-2.0
// cli/demo.h — several nodes in one process: the newcomer's story, and a local network to play with.
#pragma once

#include <cstdint>

#include "chat/traffic_clock.h"
#include "cli/home.h"

namespace cli {

inline constexpr int kDemoNodesMin = 5, kDemoNodesMax = 64;  // a message needs 4 others; each node has a store and a thread

struct DemoOptions {
  int nodes = 8;
  int kill = 1;  // mailbox nodes stopped in the last act
  bool json = false;
};
// Returns 0 only if bob read the text, also after the failure. A stop signal removes the demo's folder and ends the process.
int RunDemo(const DemoOptions& options);

struct UpOptions {
  int nodes = 8;
  uint16_t first_port = 10001;  // the next ones follow
  Home home{"/"};
  chat::Profile profile = chat::Profile::kOff;  // of every node's clock
  bool json = false;
};
// Keeps the nodes, of the network "local", running until SIGTERM or SIGINT.
int RunUp(const UpOptions& options);

}  // namespace cli
