// SPDX-License-Identifier: Apache-2.0
#include "cli/node_group.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace cli {
namespace {

constexpr absl::Duration kJoinMax = absl::Seconds(30);
constexpr std::chrono::milliseconds kLookEvery{50};

// Runs a task on the node's loop and waits for what it gives.
template <class T>
T On(LocalNode& node, std::function<void(std::promise<T>&)> task) {
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> result = promise->get_future();
  node.loop().Post([promise, task = std::move(task)] { task(*promise); });
  return result.get();
}

}  // namespace

NodeGroup::~NodeGroup() {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (alive(i)) Kill(i);
  }
}

absl::Status NodeGroup::Add(const LocalNodeOptions& options) {
  const std::vector<overlay::RpcTarget> bootstrap = Bootstrap();
  ASSIGN_OR_RETURN(std::unique_ptr<LocalNode> created, LocalNode::Create(options));
  LocalNode& node = *created;
  members_.push_back({std::move(created), std::async(std::launch::async, [&node] { node.Run(); })});
  auto promise = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> ready = promise->get_future();
  node.loop().Post([&node, bootstrap, promise] {
    if (bootstrap.empty()) {
      node.CreateRing();
      return promise->set_value(absl::OkStatus());
    }
    node.Join(bootstrap, kJoinMax, [promise](const absl::Status& status) { promise->set_value(status); });
  });
  while (ready.wait_for(kLookEvery) != std::future_status::ready) {
    if (interrupted()) return absl::CancelledError("interrupted");
  }
  return ready.get();
}

size_t NodeGroup::alive_count() const {
  return static_cast<size_t>(
      std::count_if(members_.begin(), members_.end(), [](const Member& m) { return m.running.valid(); }));
}

size_t NodeGroup::Find(const keys::PublicKey& node_key) const {
  size_t index = 0;
  while (index < size() && node(index).node_key() != node_key) ++index;
  return index;
}

std::vector<overlay::RpcTarget> NodeGroup::Bootstrap() const {
  std::vector<overlay::RpcTarget> targets;
  for (size_t i = 0; i < size(); ++i) {
    if (alive(i)) targets.push_back({node(i).advertised(), node(i).node_key()});
  }
  return targets;
}

bulbil::v1::StatusReply NodeGroup::Status(size_t index) {
  LocalNode& node = *members_[index].node;
  return On<bulbil::v1::StatusReply>(node, [&node](std::promise<bulbil::v1::StatusReply>& promise) {
    bulbil::v1::StatusReply status;
    node.FillStatus(status);
    promise.set_value(std::move(status));
  });
}

bool NodeGroup::IsOneRing() {
  std::map<std::string, bulbil::v1::StatusReply> by_point;
  for (size_t i = 0; i < size(); ++i) {
    if (!alive(i)) continue;
    bulbil::v1::StatusReply status = Status(i);
    const std::string point = status.ring().point();
    by_point[point] = std::move(status);
  }
  for (auto at = by_point.begin(); at != by_point.end(); ++at) {
    auto next = at;
    for (const std::string& successor : at->second.ring().successors()) {
      if (++next == by_point.end()) next = by_point.begin();
      if (successor != next->second.advertised()) return false;
    }
    const size_t expected = std::min<size_t>(by_point.size() - 1, 8);
    if (static_cast<size_t>(at->second.ring().successors_size()) < expected) return false;
  }
  return true;
}

bool NodeGroup::WaitForOneRing(absl::Duration at_most) {
  const absl::Time end = absl::Now() + at_most;
  while (!IsOneRing()) {
    if (absl::Now() > end || interrupted()) return false;
    absl::SleepFor(absl::FromChrono(kLookEvery));
  }
  return true;
}

void NodeGroup::Kill(size_t index) {
  members_[index].node->Stop();
  members_[index].running.get();
}

void NodeGroup::LeaveAll(absl::Duration at_most) {
  const absl::Time end = absl::Now() + at_most;
  for (size_t i = size(); i-- > 0;) {
    if (!alive(i)) continue;
    LocalNode& node = *members_[i].node;
    const absl::Duration share = std::max(absl::Milliseconds(100), (end - absl::Now()) / static_cast<int64_t>(i + 1));
    node.loop().Post([&node, share] { node.Leave(share); });
    while (members_[i].running.wait_for(kLookEvery) != std::future_status::ready) {
      if (interrupts_ > 1) node.Stop();
    }
    members_[i].running.get();
  }
}

}  // namespace cli
