// SPDX-License-Identifier: Apache-2.0
// cli/node_group.h — several whole nodes in this process, each with its own loop on a thread of its own.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "cli/local_node.h"
#include "proto/control.pb.h"

namespace cli {

class NodeGroup {
 public:
  NodeGroup() = default;
  ~NodeGroup();  // ends all nodes at once

  // Creates a node and waits until it is ready: the first founds the ring, the others join through it. Errors of LocalNode.
  // Cancelled: Interrupt; the node is there, and leaves with the others.
  absl::Status Add(const LocalNodeOptions& options);

  size_t size() const { return members_.size(); }
  bool alive(size_t index) const { return members_[index].running.valid(); }
  size_t alive_count() const;
  const LocalNode& node(size_t index) const { return *members_[index].node; }
  // The index of the node with that key; size() if there is none.
  size_t Find(const keys::PublicKey& node_key) const;
  // Where clients get in: the addresses of the nodes that live.
  std::vector<overlay::RpcTarget> Bootstrap() const;

  bulbil::v1::StatusReply Status(size_t index);
  // True once all living nodes name each other: each one's successors are the next ones in ring order.
  bool IsOneRing();
  // Polls IsOneRing; false also after Interrupt.
  bool WaitForOneRing(absl::Duration at_most);

  void Kill(size_t index);                // as if its machine had gone
  void LeaveAll(absl::Duration at_most);  // in order, one after the other

  // From any thread. The first one ends what waits for nodes to join, the second what waits for them to leave.
  void Interrupt() { ++interrupts_; }
  bool interrupted() const { return interrupts_ > 0; }

 private:
  struct Member {
    std::unique_ptr<LocalNode> node;
    std::future<void> running;  // its loop on a thread of its own; valid while it lives
  };

  std::vector<Member> members_;
  std::atomic<int> interrupts_ = 0;
};

}  // namespace cli
