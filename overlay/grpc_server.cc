// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_server.h"

#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "overlay/grpc_call_log.h"
#include "overlay/grpc_channel.h"
#include "overlay/grpc_exchange.h"
#include "overlay/grpc_listen.h"
#include "overlay/grpc_tls.h"

namespace overlay {
namespace {

constexpr std::chrono::milliseconds kShutdownGrace{
    200};                                  // for calls under way; without a deadline an open stream holds it for ever
constexpr size_t kMemoryMax = 256u << 20;  // gRPC's own accounting, soft: about 2,000 connections

std::string ListenAddress(const std::string& address) {
  constexpr char kLocalhost[] =
      "localhost:";  // gRPC would be content with either of ::1 and 127.0.0.1, and silent about the other
  return absl::StartsWith(address, kLocalhost) ? absl::StrCat("127.0.0.1:", address.substr(sizeof kLocalhost - 1)) : address;
}

// What no exchange will log. The method's name is the stranger's own text, so it is not repeated.
void Refuse(GrpcServerCall& call, absl::StatusCode code) {
  const auto peer = call.caller().is_local ? std::nullopt : std::optional(call.caller().tls_key);
  LogAnswered({.method = "unknown", .peer = peer, .outcome = code});
  call.Reject(code);
}

bool ServedLocally(const std::string& method) {
  return absl::StartsWith(method, "/bulbil.v1.Overlay/") || absl::StartsWith(method, "/grpc.health.v1.Health/");
}

void SetBounds(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(kRpcMessageMax));
  builder.SetMaxSendMessageSize(static_cast<int>(kRpcMessageMax));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 4096);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kConcurrentStreamsMax);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // by default a second node on the same port starts, and steals calls
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  grpc::ResourceQuota quota;
  quota.Resize(kMemoryMax);
  builder.SetResourceQuota(quota);
}

// Links ping (grpc_channel.h); both ends have to agree on how often that is no abuse.
void SetKeepalive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveEveryMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveEveryMs / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
}

}  // namespace

GrpcServer::GrpcServer(GrpcEventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {
  CHECK(loop.builder() != nullptr);
  options_.address = ListenAddress(options_.address);
  loop.AddUser(this);
}

GrpcServer::~GrpcServer() {
  loop_.ShutDown();
  if (stopper_.joinable()) stopper_.join();
}

absl::StatusOr<int> GrpcServer::Listen() {
  grpc::ServerBuilder& builder = *loop_.builder();
  SetBounds(builder);
  SetKeepalive(builder);
  builder.RegisterAsyncGenericService(&service_);
  int tls_port = 0, socket_port = 0;
  if (!options_.address.empty()) builder.AddListeningPort(options_.address, TlsServerCredentials(options_.identity), &tls_port);
  if (!options_.socket_path.empty()) {
    if (absl::Status status = FreeSocketPath(options_.socket_path); !status.ok()) return PortBefore(status);
    builder.AddListeningPort(kLocalPrefix + options_.socket_path, grpc::InsecureServerCredentials(), &socket_port);
  }
  const mode_t mask = umask(0077);  // the socket is the user's from its first moment
  server_ = builder.BuildAndStart();
  umask(mask);
  if (!server_) return WhyNotStarted(tls_port);
  if (!options_.socket_path.empty()) chmod(options_.socket_path.c_str(), 0600);
  AcceptNext();
  return options_.address.empty() ? 0 : tls_port;
}

// A second node of the same port meets the first one's socket first; the user thinks of the port.
absl::Status GrpcServer::PortBefore(const absl::Status& status) const {
  if (!absl::IsAlreadyExists(status) || options_.address.empty()) return status;
  const absl::Status port = WhyNotBound(options_.address);
  return absl::IsAlreadyExists(port) ? port : status;
}

absl::Status GrpcServer::WhyNotStarted(int tls_port) const {
  if (!options_.address.empty() && tls_port <= 0) return WhyNotBound(options_.address);
  return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.socket_path));
}

void GrpcServer::Handle(std::string method, Access access, RpcHandler handler) {
  methods_[std::move(method)] = {.access = access, .unary = std::move(handler)};
}

void GrpcServer::HandleStream(std::string method, Access access, RpcStreamHandler handler) {
  methods_[std::move(method)] = {.access = access, .stream = std::move(handler)};
}

void GrpcServer::HandleRaw(std::string method, RawHandler handler) { methods_[std::move(method)] = {.raw = std::move(handler)}; }

void GrpcServer::AcceptNext() {
  std::make_shared<GrpcServerCall>(loop_)->Accept(service_, [this](const std::shared_ptr<GrpcServerCall>& call, bool ok) {
    if (!ok) return;
    if (stopping_) return call->Cancel();
    AcceptNext();
    Dispatch(call);
  });
}

void GrpcServer::Dispatch(const std::shared_ptr<GrpcServerCall>& call) {
  if (!call->IdentifyCaller()) return Refuse(*call, absl::StatusCode::kUnauthenticated);
  const Method* const method = Find(call->method(), call->caller().is_local);
  if (method == nullptr) return Refuse(*call, absl::StatusCode::kUnimplemented);
  if (method->raw) return method->raw(call);
  const CallSlots::Slot slot = TakeSlot(call, /*is_stream=*/method->stream != nullptr);
  if (slot == 0) return Refuse(*call, absl::StatusCode::kResourceExhausted);
  ExchangeHooks hooks;
  hooks.on_read = [this, slot] {
    unread_.erase(slot);
    slots_.OnRead(slot);
  };
  hooks.on_ended = [this, slot] {
    unread_.erase(slot);
    slots_.Release(slot);
  };
  if (method->unary) {
    ServeUnary(loop_, call, method->unary, std::move(hooks));
  } else {
    ServeStream(loop_, call, method->stream, std::move(hooks));
  }
}

// 0: no room. Another call may be broken off for this one.
CallSlots::Slot GrpcServer::TakeSlot(const std::shared_ptr<GrpcServerCall>& call, bool is_stream) {
  const Caller& caller = call->caller();
  const bool is_known = !caller.is_local && options_.is_known && options_.is_known(caller.tls_key);
  const CallSlots::From from = caller.is_local ? CallSlots::From::kLocal
                               : is_known      ? CallSlots::From::kKnown
                                               : CallSlots::From::kStranger;
  const CallSlots::Taken taken = slots_.Take(from, caller.tls_key, is_stream);
  if (taken.ousted) {
    const auto ousted = unread_.extract(*taken.ousted);
    if (!ousted.empty()) ousted.mapped()->Cancel();
  }
  if (taken.slot != 0) unread_.emplace(taken.slot, call);
  return taken.slot;
}

const GrpcServer::Method* GrpcServer::Find(const std::string& name, bool is_local) const {
  const auto found = methods_.find(name);
  if (found == methods_.end()) return nullptr;
  const Method& method = found->second;
  const bool may =
      is_local ? !method.raw && (method.access == Access::kControl || ServedLocally(name)) : method.access != Access::kControl;
  return may ? &method : nullptr;
}

// Shutdown blocks for the grace period; on a thread of its own it leaves the loop free to finish the calls under way.
void GrpcServer::OnShutdown() {
  stopping_ = true;
  if (!server_) return;
  stopper_ = std::thread([this] {
    server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    down_ = true;
    loop_.Wake();
  });
}

}  // namespace overlay
