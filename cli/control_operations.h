// SPDX-License-Identifier: Apache-2.0
// cli/control_operations.h — storage operations of a client process through the circuits of the node beside it.
//
// Open and Run travel over the control socket (proto/control.proto); signing stays here, so no identity reaches the node. What
// nobody wants any more (OpenRequest::wanted) is given up at the node with the next Open, and all of it when this object goes, or
// its process: then it takes no tick from others.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/event_loop.h"
#include "circuits/operations.h"
#include "overlay/rpc.h"

namespace cli {

// Longer than the node's own limit for an answer (10 s), so that its reason arrives instead of our impatience. Open is ended by
// the node: after 30 s, what waits for the clock after an hour more (chat::kTurnMax).
inline constexpr absl::Duration kControlRunTimeout = absl::Seconds(15);
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
  struct Opening {
    std::function<bool()> wanted;
    std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done;
    std::string answer;
    std::unique_ptr<overlay::RpcSubscription> call;  // the last, since it calls back into the others
  };

  void OnEnded(uint64_t opening, const absl::Status& status);
  absl::StatusOr<circuits::OpenedOperation> OnOpened(const absl::Status& status, const std::string& answer);

  overlay::RpcClient& client_;
  const overlay::RpcTarget node_;
  const bool now_;
  uint64_t last_opening_ = 0, last_handle_ = 0;
  std::map<uint64_t, Opening> openings_;
  absl::flat_hash_map<uint64_t, std::string> handles_;  // ours -> the node's
};

}  // namespace cli
