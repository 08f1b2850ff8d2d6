// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/demo.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/node_group.h"
#include "cli/stop_signals.h"
#include "cli/terminal.h"

namespace cli {
namespace {

constexpr absl::Duration kRingMax = absl::Seconds(30), kLeaveMax = absl::Seconds(20);

// Every stop signal interrupts the nodes: the first ends joining or what `up` waits for, the second ends at once.
class Stop {
 public:
  explicit Stop(NodeGroup& nodes) : nodes_(nodes) {}
  void Wait() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return stopped_; });
  }

 private:
  void OnSignal() {
    nodes_.Interrupt();
    std::lock_guard lock(mutex_);
    stopped_ = true;
    came_.notify_all();
  }

  NodeGroup& nodes_;
  std::mutex mutex_;
  std::condition_variable came_;
  bool stopped_ = false;
  StopSignals signals_{[this](int) { OnSignal(); }};
};

absl::Status PortTaken(uint16_t port) {
  return Fail({.exit = Exit::kLocal,
               .what = absl::StrCat("port ", port, " is already in use"),
               .fix = {absl::StrCat("start elsewhere:  bulbil up --port ", port < 60000 ? port + 100 : 10001)}});
}

absl::Status AddNode(const UpOptions& options, uint16_t port, NodeGroup& nodes) {
  LocalNodeOptions node;
  node.listen = absl::StrCat("127.0.0.1:", port);
  node.directory = options.home.NodeDirectory(port);
  node.workers = 1;
  node.profile = options.profile;
  ASSIGN_OR_RETURN(node.socket_path, options.home.SocketPath(port));
  if (SocketAnswers(node.socket_path)) return PortTaken(port);  // before its store says that it is locked
  RETURN_IF_ERROR(EnsurePrivateDirectory(node.directory));
  RETURN_IF_ERROR(EnsurePrivateDirectory(options.home.RuntimeDirectory()));
  const absl::Status added = nodes.Add(node);
  return absl::IsAlreadyExists(added) ? PortTaken(port) : added;
}

// All of them in one ring; Cancelled after a stop signal.
absl::Status AddAll(const UpOptions& options, NodeGroup& nodes) {
  for (int i = 0; i < options.nodes; ++i) {
    if (nodes.interrupted()) return absl::CancelledError("interrupted");
    RETURN_IF_ERROR(AddNode(options, static_cast<uint16_t>(options.first_port + i), nodes));
    spdlog::info("up: node {} of {} joined", i + 1, options.nodes);
  }
  if (nodes.WaitForOneRing(kRingMax)) return absl::OkStatus();
  if (nodes.interrupted()) return absl::CancelledError("interrupted");
  return absl::InternalError("the nodes did not form one ring");
}

void SayReady(const UpOptions& options) {
  const uint16_t last = static_cast<uint16_t>(options.first_port + options.nodes - 1);
  if (options.json) {
    WriteStderr(JsonObject()
                    .Add("schema", 1)
                    .Add("type", "ready")
                    .Add("nodes", options.nodes)
                    .Add("first_port", options.first_port)
                    .Line());
  } else {
    WriteStderr(absl::StrCat("ready: ", options.nodes, " nodes on localhost:", options.first_port, " to ", last,
                             ". In another terminal: bulbil keys new, send, poll. Stop with Ctrl-C.\n"));
  }
}

absl::Status Up(const UpOptions& options) {
  NodeGroup nodes;
  Stop stop(nodes);
  const absl::Status added = AddAll(options, nodes);
  if (!added.ok() && !absl::IsCancelled(added)) return added;
  if (added.ok()) SayReady(options);
  stop.Wait();
  spdlog::info("up: leaving; a second signal ends at once");
  nodes.LeaveAll(kLeaveMax);
  return absl::OkStatus();
}

}  // namespace

int RunUp(const UpOptions& options) {
  BlockStopSignals();
  return Report(Up(options), options.json);
}

}  // namespace cli
