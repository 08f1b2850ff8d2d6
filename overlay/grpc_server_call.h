// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_server_call.h — one call that came in: its context, its stream, who asks, and the news of its end.
//
// GrpcServer accepts them; an exchange (grpc_exchange.h) or a link stream (grpc_link_stream.h) then reads and writes on them.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <functional>
#include <string>

#include "overlay/grpc_call.h"
#include "overlay/rpc.h"

namespace overlay {

class GrpcServerCall final : public GrpcCall {
 public:
  using OnAccepted = std::function<void(std::shared_ptr<GrpcServerCall> call, bool ok)>;

  explicit GrpcServerCall(GrpcEventLoop& loop) : GrpcCall(loop) {}

  // Waits for a call; `ok` is false when the server has shut down.
  void Accept(grpc::AsyncGenericService& service, OnAccepted on_accepted);
  // Answers with a code and nothing else, before anything was written.
  void Reject(absl::StatusCode code);
  // Breaks the call off: what is outstanding fails, the caller sees CANCELLED.
  void Cancel() {
    if (!ended_) context_.TryCancel();
  }
  // Called once when the call has ended, finished or broken off; replaces what was set before.
  void SetOnEnded(std::function<void()> on_ended) { on_ended_ = std::move(on_ended); }

  // False if TLS showed no usable key; local calls have none.
  bool IdentifyCaller();

  const Caller& caller() const { return caller_; }
  const std::string& method() const { return context_.method(); }
  bool ended() const { return ended_; }
  grpc::GenericServerContext& context() { return context_; }
  grpc::GenericServerAsyncReaderWriter& stream() { return stream_; }

 private:
  void HandleAccepted(bool ok);
  void HandleFinished(bool) {}
  void HandleEnded(bool);

  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  OnAccepted on_accepted_;
  std::function<void()> on_ended_;
  Caller caller_;
  bool ended_ = false;
  GrpcOp<GrpcServerCall> accepted_op_{this, &GrpcServerCall::HandleAccepted};
  GrpcOp<GrpcServerCall> finished_op_{this, &GrpcServerCall::HandleFinished};
  GrpcOp<GrpcServerCall> ended_op_{this, &GrpcServerCall::HandleEnded};
};

}  // namespace overlay
