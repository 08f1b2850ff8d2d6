// SPDX-License-Identifier: Apache-2.0
// circuits/operations.h — port: one request to a storing node that is responsible for a point, through a circuit.
//
// An operation is two cells out and two back (protocol.md 6): Open extends a circuit to the storing node, Run sends the request
// cell and gets the answer cell. Between the two the caller signs what has to be signed over the channel binding.
// Implemented by the node's own circuits (circuits_driver.h) and, in a client process beside a running node, over the control
// socket (cli/). Callbacks on the loop's thread, never from inside the call.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "keys/identity.h"
#include "overlay/node_id.h"

namespace circuits {

struct OpenedOperation {
  uint64_t handle = 0;                        // good for one Run, within 10 s
  std::array<uint8_t, 32> channel_binding{};  // KH of the hop to the storing node
  keys::PublicKey storage_node;
  std::vector<keys::PublicKey> path;         // guard, middle, last; empty where the caller must not know (control socket)
  std::vector<keys::PublicKey> responsible;  // who holds the point, by verified tables: receipts of others do not count
};

class Operations {
 public:
  virtual ~Operations() = default;
  // `isolation`: operations of different values never share a circuit. `avoid`: storing nodes that failed this operation before.
  // FailedPrecondition "needs 4 other nodes, sees N"; Unavailable: no circuit or no replica within 30 s, worth another try.
  virtual void Open(const overlay::NodeId& point, base::Bytes isolation, std::vector<keys::PublicKey> avoid,
                    std::function<void(absl::StatusOr<OpenedOperation>)> done) = 0;
  // `request` at most kEndpointPayloadMax bytes. DeadlineExceeded after 10 s, Unavailable if the circuit died: unknown whether
  // it was done, so every request of ours may be repeated.
  virtual void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) = 0;
};

}  // namespace circuits
