// SPDX-License-Identifier: Apache-2.0
// cli/control_client.h — questions to one's own node over its control socket.
//
// Which node: --node or BULBIL_NODE (a port or a socket's path), else the one that runs; of several the lowest port.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "cli/context.h"
#include "overlay/rpc.h"

namespace cli {

// The socket of the node that was chosen or runs; nullopt if none was chosen and none runs. kNetwork if the chosen one does not
// run, kUsage if it is neither a port nor a path.
absl::StatusOr<std::optional<std::string>> FindNode(const Context& context);
// The same where a node is needed: kNetwork, "no node is running for this user", if there is none.
absl::StatusOr<std::string> RequireNode(const Context& context);

// What a failed call means to the user; only codes travel, so the words are made here.
absl::Status ExplainCall(const absl::Status& status);

// One question over the socket, on an event loop of its own; blocks. `method` is a name of the service Control ("Status") or a
// full one with a slash.
absl::StatusOr<std::string> CallNode(const std::string& socket, std::string_view method, std::string request,
                                     absl::Duration timeout);

// "/bulbil.v1.Control/" and the name; a full name as it is.
std::string ControlMethod(std::string_view method);
// "unix:" and the path, as overlay::GrpcClient takes it.
overlay::RpcTarget ControlTarget(const std::string& socket);

}  // namespace cli
