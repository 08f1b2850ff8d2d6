// SPDX-License-Identifier: Apache-2.0
// cli/run_options.h — from flags, environment and configuration to what a node is started with: the seed's rules.
//
//   invocation                      listen            bootstrap
//   (nothing), --port 10001         localhost:10001   none: creates a ring
//   --port P                        localhost:P       localhost:10001
//   --port P --bootstrap H:Q ...    localhost:P       these, each tried
//   --bootstrap none                as above          none: creates a ring
//   --port 0                        a free port       localhost:10001
// A bootstrap address that is the node's own is dropped, so the first node may be told the same list as all others.
#pragma once

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/demo.h"
#include "cli/grammar.h"
#include "cli/node.h"

namespace cli {

inline constexpr uint16_t kDefaultPort = 10001;

// kUsage for every value that does not fit, and for a public address in the network "local" (protocol.md 1).
absl::StatusOr<NodeOptions> ResolveNode(const Invocation& invocation, const Context& context);
absl::StatusOr<DemoOptions> ResolveDemo(const Invocation& invocation);
absl::StatusOr<UpOptions> ResolveUp(const Invocation& invocation, const Context& context);

// Where a client without a node joins: --bootstrap, then BULBIL_BOOTSTRAP, the configuration, localhost:10001.
absl::StatusOr<std::vector<overlay::RpcTarget>> ClientBootstrap(const Invocation& invocation, const Context& context);
// --profile, then [chat] profile, then `fallback`.
absl::StatusOr<chat::Profile> ResolveProfile(const Invocation& invocation, const Context& context, chat::Profile fallback);
absl::StatusOr<overlay::Network> ResolveNetwork(const Invocation& invocation, const Context& context);

}  // namespace cli
