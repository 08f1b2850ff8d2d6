// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_exchange.h — serving one accepted call: read the request, give it to the handler, write what it answers.
#pragma once

#include <functional>
#include <memory>

#include "overlay/grpc_server_call.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr absl::Duration kReadMax = absl::Seconds(5);    // from the headers to the whole request; then it is broken off
inline constexpr absl::Duration kServeMax = absl::Seconds(30);  // and from there to the answer: no deadline of ours is longer
inline constexpr size_t kStreamQueueMax = 64;  // messages that a slow reader of a stream may leave waiting; then it has gone

// One request, one answer. A handler that drops its responder unasked answers Internal; an answer beyond kRpcMessageMax becomes
// ResourceExhausted.
struct ExchangeHooks {
  std::function<void()> on_read;   // the request is here; not called if it never comes
  std::function<void()> on_ended;  // of the call, once
};
void ServeUnary(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcHandler& handler, ExchangeHooks hooks);
// One request, any number of answers, without limit of time.
void ServeStream(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcStreamHandler& handler, ExchangeHooks hooks);

}  // namespace overlay
