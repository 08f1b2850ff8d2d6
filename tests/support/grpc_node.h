// SPDX-License-Identifier: Apache-2.0
// tests/support/grpc_node.h — a node's gRPC shells on a thread of their own, real sockets on free loopback ports.
//
// Include it only in programs that link bulbil_overlay. Register handlers, Start(), talk, Stop() (the destructor does it, too).
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "overlay/descriptor.h"
#include "overlay/directory.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_link.h"
#include "overlay/grpc_server.h"
#include "tests/support/seeded_rng.h"

namespace support {

inline constexpr std::chrono::seconds kPatience{20};  // for what must happen; reached only by a failing test

// Everything a link told its listener, for a test's thread to wait on.
class LinkRecorder : public overlay::LinkListener {
 public:
  void OnLinkUp(const overlay::LinkInfo& link) override {
    Record([&] { ups_.push_back(link); });
  }
  void OnCell(overlay::LinkId, overlay::Cell& cell) override {
    Record([&] { cells_.push_back(cell); });
  }
  void OnLinkDown(overlay::LinkId link) override {
    Record([&] { downs_.push_back(link); });
  }
  void OnEvicted(overlay::LinkId, overlay::CircuitId circuit) override {
    Record([&] { evicted_.push_back(circuit); });
  }

  std::vector<overlay::LinkInfo> WaitForUps(size_t count) { return WaitFor(ups_, count); }
  std::vector<overlay::Cell> WaitForCells(size_t count) { return WaitFor(cells_, count); }
  std::vector<overlay::LinkId> WaitForDowns(size_t count) { return WaitFor(downs_, count); }
  std::vector<overlay::CircuitId> WaitForEvicted(size_t count) { return WaitFor(evicted_, count); }
  size_t downs() { return WaitFor(downs_, 0).size(); }
  size_t ups() { return WaitFor(ups_, 0).size(); }

 private:
  template <typename F>
  void Record(F&& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  // At least `count` of them, or what there is when patience ends.
  template <typename T>
  std::vector<T> WaitFor(std::vector<T>& list, size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return list.size() >= count; });
    return list;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<overlay::LinkInfo> ups_;
  std::vector<overlay::Cell> cells_;
  std::vector<overlay::LinkId> downs_;
  std::vector<overlay::CircuitId> evicted_;
};

class GrpcNode {
 public:
  struct Options {
    bool serves = true;  // false: a client, which shows a fresh key to each target
    std::string address = "127.0.0.1:0";
    std::string socket_path;
    std::function<bool(const keys::PublicKey&)> is_known{};
  };
  explicit GrpcNode(uint64_t seed) : GrpcNode(seed, Options()) {}
  GrpcNode(uint64_t seed, Options options)
      : rng(seed),
        key(keys::SigningKey::Generate(rng)),
        identity(keys::MakeTlsIdentity(key, rng)),
        directory(network),
        loop({.serves = options.serves}),
        client(loop, rng, {.identity = OwnIdentity(options)}),
        links(loop, rng, &directory, LinkOptions(options)) {
    links.SetListener(&recorder);
    if (!options.serves) return;
    server = std::make_unique<overlay::GrpcServer>(
        loop,
        overlay::GrpcServer::Options{
            .address = options.address, .socket_path = options.socket_path, .identity = identity, .is_known = options.is_known});
    links.ServeOn(*server);
  }
  ~GrpcNode() { Stop(); }

  // Listens and runs the loop; what Listen said.
  absl::Status Start() {
    if (server) {
      const absl::StatusOr<int> bound = server->Listen();
      if (!bound.ok()) return bound.status();
      port = *bound;
    }
    thread_ = std::thread([this] { loop.Run(); });
    return absl::OkStatus();
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop.Stop();
    thread_.join();
  }

  // Runs `f` on the loop's thread and returns its result.
  template <typename F>
  auto On(F f) -> decltype(f()) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    loop.Post([&task] { task(); });
    return result.get();
  }
  absl::StatusOr<overlay::RpcAnswer> Call(const overlay::RpcTarget& to, std::string method, std::string request,
                                          absl::Duration timeout = absl::Seconds(10)) {
    std::promise<absl::StatusOr<overlay::RpcAnswer>> answer;
    loop.Post([&] {
      client.Call(to, method, request, timeout,
                  [&](absl::StatusOr<overlay::RpcAnswer> got) { answer.set_value(std::move(got)); });
    });
    return answer.get_future().get();
  }
  overlay::LinkId Connect(const overlay::Descriptor& to, overlay::LinkFor whom = overlay::LinkFor::kRelayed) {
    return On([&] { return links.Connect(to, whom); });
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port); }
  overlay::RpcTarget target() const { return {address(), key.public_key()}; }
  overlay::Descriptor descriptor() const {
    return overlay::SignDescriptor(network, key, keys::X25519Public{}, overlay::Role::kStoring,
                                   absl::StrCat("127.0.0.1:", Port()), {}, absl::Now());
  }

  const overlay::Network network = overlay::Network::Local();
  SeededRng rng;
  const keys::SigningKey key;
  const keys::TlsIdentity identity;
  int port = 0;
  LinkRecorder recorder;
  overlay::Directory directory;
  overlay::GrpcEventLoop loop;
  overlay::GrpcClient client;
  overlay::GrpcLinks links;
  std::unique_ptr<overlay::GrpcServer> server;

 private:
  int Port() const { return port == 0 ? 1 : port; }  // a descriptor needs one; nobody dials a client's
  std::optional<keys::TlsIdentity> OwnIdentity(const Options& options) const {
    return options.serves ? std::optional(identity) : std::nullopt;
  }
  overlay::GrpcLinks::Options LinkOptions(const Options& options) {
    overlay::GrpcLinks::Options made;
    if (options.serves) made.node = {identity, [this] { return descriptor().encoded; }};
    return made;
  }

  std::thread thread_;
};

}  // namespace support
