// SPDX-License-Identifier: Apache-2.0
// tests/overlay/memory_rpc.h — RPC between nodes of one process under virtual time: the ports of overlay/rpc.h without sockets.
//
// What TLS proves is simply true here. A call to nobody, or to another key than the pinned one, is Unavailable.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "overlay/rpc.h"
#include "tests/support/manual_loop.h"

namespace overlay {

inline constexpr absl::Duration kMemoryDelay = absl::Milliseconds(2);  // one way

class MemoryNet;

class MemoryServer final : public RpcServer {
 public:
  MemoryServer(MemoryNet& net, std::string address, keys::PublicKey key);
  ~MemoryServer() override;
  void Handle(std::string method, Access, RpcHandler handler) override { handlers[std::move(method)] = std::move(handler); }
  void HandleStream(std::string method, Access, RpcStreamHandler handler) override {
    stream_handlers[std::move(method)] = std::move(handler);
  }

  const keys::PublicKey key;
  std::map<std::string, RpcHandler> handlers;
  std::map<std::string, RpcStreamHandler> stream_handlers;

 private:
  MemoryNet& net_;
  const std::string address_;
};

class MemoryNet {
 public:
  explicit MemoryNet(support::ManualLoop& manual) : loop(manual) {}

  MemoryServer* Find(const std::string& address) {
    const auto found = servers.find(address);
    return found == servers.end() ? nullptr : found->second;
  }

  support::ManualLoop& loop;
  std::map<std::string, MemoryServer*> servers;
  std::set<std::pair<std::string, std::string>> calls;  // (address, method) of everything that was ever asked
};

inline MemoryServer::MemoryServer(MemoryNet& net, std::string address, keys::PublicKey public_key)
    : key(public_key), net_(net), address_(std::move(address)) {
  net_.servers[address_] = this;
}
inline MemoryServer::~MemoryServer() { net_.servers.erase(address_); }

class MemoryClient final : public RpcClient {
 public:
  MemoryClient(MemoryNet& net, keys::PublicKey key) : net_(net), key_(key) {}

  void Call(const RpcTarget& to, std::string_view method, std::string request, absl::Duration timeout,
            std::function<void(absl::StatusOr<RpcAnswer>)> done) override {
    net_.calls.emplace(to.address, method);
    // Answered once: by the handler or by the deadline, whichever comes first.
    auto once = std::make_shared<std::function<void(absl::StatusOr<RpcAnswer>)>>(std::move(done));
    const auto finish = [once](absl::StatusOr<RpcAnswer> answer) {
      if (*once) std::exchange(*once, nullptr)(std::move(answer));
    };
    net_.loop.At(net_.loop.Now() + timeout, [finish] { finish(absl::DeadlineExceededError("late")); });
    net_.loop.At(net_.loop.Now() + kMemoryDelay, [&net = net_, caller = key_, to, method = std::string(method), request, finish] {
      MemoryServer* server = net.Find(to.address);
      if (server == nullptr || (to.node_key && *to.node_key != server->key)) return finish(absl::UnavailableError("nobody"));
      const auto handler = server->handlers.find(method);
      if (handler == server->handlers.end()) return finish(absl::UnimplementedError(""));
      const auto respond = [&net, finish, key = server->key](absl::StatusOr<std::string> reply) {
        net.loop.At(net.loop.Now() + kMemoryDelay, [finish, key, reply = std::move(reply)] {
          if (!reply.ok()) return finish(absl::Status(reply.status().code(), ""));
          finish(RpcAnswer{*reply, key});
        });
      };
      handler->second(Caller{false, caller}, request, respond);
    });
  }

 private:
  MemoryNet& net_;
  const keys::PublicKey key_;
};

}  // namespace overlay
