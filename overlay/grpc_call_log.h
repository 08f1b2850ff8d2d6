// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_call_log.h — one trace line for every call, asked (→) or answered (←), under the component "rpc": what -vvv shows.
//
//   rpc: → State 41d0… 88 B: OK 141 B in 1.8 ms
// Method, four digits of the peer's key (or "local", the control socket), size of the request, outcome, size of the answer, time
// until the call was over. Never an address, never a byte of what was asked or answered. Costs one comparison unless somebody
// listens at trace.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "keys/identity.h"

namespace overlay {

// What is logged of one call.
struct CallLine {
  std::string_view method;              // the full name; a stranger's own words are replaced by "unknown" before they come here
  std::optional<keys::PublicKey> peer;  // nothing: the control socket, or nobody was reached
  size_t request_bytes = 0;
  absl::StatusCode outcome = absl::StatusCode::kOk;
  size_t answer_bytes = 0;  // of a stream: all its messages
  absl::Duration took;
};

void LogAsked(const CallLine& line);
void LogAnswered(const CallLine& line);

}  // namespace overlay
