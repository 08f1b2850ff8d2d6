// SPDX-License-Identifier: Apache-2.0
// overlay/rpc.h — port for questions with one answer, or one after another: what drivers of ring, store and control ask of each other by method name.
//
// grpc_server.h and grpc_client.h implement it over mutual TLS (and the UNIX control socket); tests have one in memory.
// Methods are full gRPC names ("/bulbil.v1.Ring/State"), requests and answers are serialized messages.
// All calls and callbacks on the loop's thread; a callback is never made from inside the call that asked.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keys/identity.h"

namespace overlay {

struct Caller {
  bool is_local = false;       // came over the UNIX control socket
  keys::PublicKey tls_key;     // zero when local; what TLS proved otherwise: a node's key, or a client's fresh one
};

enum class Access {
  kAnyone,   // nodes and clients over TLS (and local)
  kControl,  // the UNIX socket only; to anyone else the method does not exist (UNIMPLEMENTED)
};

using RpcResponder = std::function<void(absl::StatusOr<std::string>)>;  // exactly once; only the code of an error travels
using RpcHandler = std::function<void(const Caller& caller, std::string request, RpcResponder respond)>;
// A call that answers many times: `write` returns false once the caller is gone; destroying the responder ends it.
class RpcStream {
 public:
  virtual ~RpcStream() = default;
  virtual bool Write(std::string message) = 0;
  virtual void Finish(absl::Status status) = 0;
};
using RpcStreamHandler = std::function<void(const Caller& caller, std::string request, std::shared_ptr<RpcStream> stream)>;

class RpcServer {
 public:
  virtual ~RpcServer() = default;
  virtual void Handle(std::string method, Access access, RpcHandler handler) = 0;
  virtual void HandleStream(std::string method, Access access, RpcStreamHandler handler) = 0;
};

struct RpcTarget {
  std::string address;                      // "host:port"
  std::optional<keys::PublicKey> node_key;  // pinned; nothing = whoever answers (bootstrap), the key comes back in RpcAnswer
};
struct RpcAnswer {
  std::string message;
  keys::PublicKey server_key;
};

// A question whose answers go on coming. Destroying it ends it, and nothing is called back any more; also from inside a callback.
class RpcSubscription {
 public:
  virtual ~RpcSubscription() = default;
};

class RpcClient {
 public:
  virtual ~RpcClient() = default;
  virtual void Call(const RpcTarget& to, std::string_view method, std::string request, absl::Duration timeout,
                    std::function<void(absl::StatusOr<RpcAnswer>)> done) = 0;
  // `on_message` for each answer, then `on_end` once: what the server said, or why it is not heard any more. Without limit of time.
  virtual std::unique_ptr<RpcSubscription> Subscribe(const RpcTarget& to, std::string_view method, std::string request,
                                                     std::function<void(const std::string& message)> on_message,
                                                     std::function<void(absl::Status)> on_end) = 0;
};

inline constexpr size_t kRpcMessageMax = 128 * 1024;  // either way; larger is refused before it is parsed

}  // namespace overlay
