// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_server.h — the listeners of a node: the TLS port for nodes and clients, the UNIX socket for its own user.
//
// One asynchronous generic service on the loop's queue; calls are dispatched by method name. What a caller cannot have does not
// exist for it (UNIMPLEMENTED): unknown methods; control methods and those of the socket's list over TLS, the rest over the
// socket (there: kControl, /bulbil.v1.Overlay/ but for Link, and /grpc.health.v1.Health/). Of an error only its code travels.
// Hostile callers: every size, count (call_slots.h) and time (grpc_exchange.h) is bounded; what gRPC 1.51 itself spends on HTTP/2 frames that make no call
// is not: one connection that resets streams quickly can take gigabytes, so a memory limit of the service manager belongs behind
// it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "keys/certificate.h"
#include "overlay/call_slots.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_server_call.h"
#include "overlay/rpc.h"

namespace overlay {

// Streams of one connection that gRPC lets in at all: as many calls as one caller may have, so that neither bound hides the
// other.
inline constexpr int kConcurrentStreamsMax = kServedCallsPerKnownMax;

class GrpcServer final : public RpcServer, public GrpcLoopUser {
 public:
  struct Options {
    std::string address;      // "IP:port" or "localhost:port" (then 127.0.0.1); port 0 takes a free one; empty: no TLS listener
    std::string socket_path;  // of the control socket, made 0600; empty: none
    keys::TlsIdentity identity;  // shown on the TLS port
    std::function<bool(const keys::PublicKey&)> is_known;  // for call_slots.h; without it everybody is a stranger
  };
  // A method whose calls are taken over raw (links); only over TLS, and outside the bounds above: the handler has its own.
  using RawHandler = std::function<void(std::shared_ptr<GrpcServerCall> call)>;

  // The loop must have been made to serve; one server per loop.
  GrpcServer(GrpcEventLoop& loop, Options options);
  ~GrpcServer() override;

  // Before Run, once, also if it fails. The bound TLS port, 0 if there is no such listener. AlreadyExists: somebody else has the
  // port, or answers on the socket; PermissionDenied, InvalidArgument, FailedPrecondition: as in grpc_listen.h.
  absl::StatusOr<int> Listen();

  void Handle(std::string method, Access access, RpcHandler handler) override;
  void HandleStream(std::string method, Access access, RpcStreamHandler handler) override;
  void HandleRaw(std::string method, RawHandler handler);

  void OnShutdown() override;
  bool Idle() const override { return !server_ || down_; }

 private:
  struct Method {
    Access access = Access::kAnyone;
    RpcHandler unary;
    RpcStreamHandler stream;
    RawHandler raw;
  };

  void AcceptNext();
  void Dispatch(const std::shared_ptr<GrpcServerCall>& call);
  const Method* Find(const std::string& name, bool is_local) const;
  CallSlots::Slot TakeSlot(const std::shared_ptr<GrpcServerCall>& call, bool is_stream);
  absl::Status PortBefore(const absl::Status& status) const;
  absl::Status WhyNotStarted(int tls_port) const;

  GrpcEventLoop& loop_;
  Options options_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::Server> server_;
  absl::flat_hash_map<std::string, Method> methods_;
  CallSlots slots_;
  absl::flat_hash_map<CallSlots::Slot, std::shared_ptr<GrpcServerCall>> unread_;  // whose request has not come yet
  bool stopping_ = false;
  std::atomic<bool> down_ = false;
  std::thread stopper_;
};

}  // namespace overlay
