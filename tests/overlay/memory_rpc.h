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

  std::unique_ptr<RpcSubscription> Subscribe(const RpcTarget& to, std::string_view method, std::string request,
                                             std::function<void(const std::string&)> on_message,
                                             std::function<void(absl::Status)> on_end) override {
    auto subscription = std::make_unique<Subscription>();
    subscription->heard = std::make_shared<Heard>(Heard{std::move(on_message), std::move(on_end)});
    net_.loop.At(net_.loop.Now() + kMemoryDelay, [&net = net_, caller = key_, to, method = std::string(method), request,
                                                  heard = std::weak_ptr<Heard>(subscription->heard)] {
      const auto stream = std::make_shared<Stream>(net, heard);
      MemoryServer* server = net.Find(to.address);
      if (server == nullptr || (to.node_key && *to.node_key != server->key)) return;  // the stream ends with it
      const auto handler = server->stream_handlers.find(method);
      if (handler == server->stream_handlers.end()) return stream->Finish(absl::UnimplementedError(""));
      handler->second(Caller{false, caller}, request, stream);
    });
    return subscription;
  }

 private:
  struct Heard {
    std::function<void(const std::string&)> on_message;
    std::function<void(absl::Status)> on_end;
  };
  struct Subscription final : RpcSubscription {
    std::shared_ptr<Heard> heard;  // until the asker has enough
  };
  class Stream final : public RpcStream {
   public:
    Stream(MemoryNet& net, std::weak_ptr<Heard> heard) : net_(net), heard_(std::move(heard)) {}
    ~Stream() override { Finish(absl::UnavailableError("")); }
    bool Write(std::string message) override {
      if (ended_ || heard_.expired()) return false;
      net_.loop.At(net_.loop.Now() + kMemoryDelay, [heard = heard_, message = std::move(message)] {
        if (const auto alive = heard.lock()) alive->on_message(message);
      });
      return true;
    }
    void Finish(absl::Status status) override {
      if (std::exchange(ended_, true)) return;
      net_.loop.At(net_.loop.Now() + kMemoryDelay, [heard = heard_, status = absl::Status(status.code(), "")] {
        if (const auto alive = heard.lock()) alive->on_end(status);
      });
    }

   private:
    MemoryNet& net_;
    const std::weak_ptr<Heard> heard_;
    bool ended_ = false;
  };

  MemoryNet& net_;
  const keys::PublicKey key_;
};

}  // namespace overlay
