// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_exchange.h — serving one accepted call: read the request, give it to the handler, write what it answers.
#pragma once

#include <functional>
#include <memory>

#include "overlay/grpc_server_call.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr absl::Duration kServeMax = absl::Seconds(30);  // no deadline of ours is longer; then the call is broken off
inline constexpr size_t kStreamQueueMax = 64;  // messages that a slow reader of a stream may leave waiting; then it has gone

// One request, one answer. A handler that drops its responder unasked answers Internal; an answer beyond kRpcMessageMax becomes
// ResourceExhausted. `on_ended` hears of the end of the call, once.
void ServeUnary(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcHandler& handler,
                std::function<void()> on_ended);
// One request, any number of answers, without limit of time.
void ServeStream(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcStreamHandler& handler,
                 std::function<void()> on_ended);

}  // namespace overlay
