// SPDX-License-Identifier: Apache-2.0
// circuits/operations.h — ports: one request to a storing node that is responsible for a point, through a circuit.
//
// An operation is two cells out and two back (protocol.md 6): Open extends a circuit to the storing node, Run sends the request
// cell and gets the answer cell. Between the two the caller signs what has to be signed over the channel binding.
// Implemented by the node's own circuits (circuits_driver.h) and, in a client process beside a running node, over the control
// socket (cli/). Callbacks on the loop's thread, never from inside the call.
#pragma once

#include <array>
#include <functional>
#include <optional>
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

// Which of those that wait a clock takes first (chat/traffic_clock.h); circuits do not look at it.
enum class Purpose : uint8_t { kWrite = 0, kFocus = 1, kRead = 2, kListing = 3 };

struct OpenRequest {
  overlay::NodeId point;
  base::Bytes isolation;                 // operations of different values never share a circuit
  std::vector<keys::PublicKey> avoid{};  // storing nodes that failed this operation before
  Purpose purpose = Purpose::kRead;
  // Asked when its turn comes, where it waits for one (a clock): false, and it is dropped, `done` with it. Null: always wanted.
  std::function<bool()> wanted{};
};

class Operations {
 public:
  virtual ~Operations() = default;
  // FailedPrecondition "needs 4 other nodes, sees N"; Unavailable: no circuit or no replica within 30 s, worth another try.
  virtual void Open(OpenRequest request, std::function<void(absl::StatusOr<OpenedOperation>)> done) = 0;
  // `request` at most kEndpointPayloadMax bytes. DeadlineExceeded after 10 s, Unavailable if the circuit died: unknown whether
  // it was done, so every request of ours may be repeated.
  virtual void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) = 0;
};

// What a clock needs: operations over circuits that stand ready, each over one of its own, which is closed when the operation
// ends. Nothing is built for them and nothing looked up: two cells out, two back, and one that closes.
class ReadyOperations {
 public:
  enum class Start {
    kStarted,
    kUnknown,     // nothing was sent: who is responsible is not known, or not how to reach any of them; Learn may help
    kDoesNotFit,  // nothing was sent: all of them that may be asked stand on this circuit
  };

  virtual ~ReadyOperations() = default;
  // OK: operations are possible. FailedPrecondition as Operations::Open; Unavailable: nothing is known yet. Posted.
  virtual void Check(std::function<void(absl::Status)> done) = 0;
  // The ready circuit that ends soonest; good until the next turn of the loop.
  virtual std::optional<uint64_t> NextReady() = 0;
  // Like Operations::Open, over that circuit. `done` is called if kStarted only; Unavailable if it failed.
  virtual Start OpenOn(uint64_t circuit, const overlay::NodeId& point, const std::vector<keys::PublicKey>& avoid,
                       std::function<void(absl::StatusOr<OpenedOperation>)> done) = 0;
  virtual void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) = 0;
  // Finds out who is responsible for the point, over circuits of its own; nothing where that is known.
  virtual void Learn(const overlay::NodeId& point) = 0;
};

}  // namespace circuits
