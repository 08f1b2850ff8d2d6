// SPDX-License-Identifier: Apache-2.0
// cli/control_operations.h — storage operations of a client process through the circuits of the node beside it.
//
// Open and Run travel over the control socket (proto/control.proto); signing stays here, so no identity reaches the node.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "base/event_loop.h"
#include "circuits/operations.h"
#include "overlay/rpc.h"

namespace cli {

// Longer than the node's own limits for a circuit (30 s) and an answer (10 s), so that its reason arrives instead of our
// impatience. What waits for the clock has an hour more (chat::kTurnMax).
inline constexpr absl::Duration kControlOpenTimeout = absl::Seconds(35), kControlRunTimeout = absl::Seconds(15);
inline constexpr size_t kOpenHandlesMax = 256;  // opened and never run; the node forgets them after 10 s anyway

// What Open says of a node that serves no client commands: a relay, or an older program. FailedPrecondition: asking again is no
// use.
inline constexpr char kNodeRefuses[] = "the node serves no client commands";

class ControlOperations : public circuits::Operations {
 public:
  // `now`: at once; else at the ticks of the node's clock, if it has one.
  ControlOperations(overlay::RpcClient& client, std::string socket, bool now);

  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override;
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override;

 private:
  absl::StatusOr<circuits::OpenedOperation> OnOpened(absl::StatusOr<overlay::RpcAnswer> answer);

  overlay::RpcClient& client_;
  const overlay::RpcTarget node_;
  const bool now_;
  uint64_t last_handle_ = 0;
  absl::flat_hash_map<uint64_t, std::string> handles_;  // ours -> the node's
};

}  // namespace cli
