// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_server_call.h"

#include <utility>

#include "absl/strings/match.h"
#include "overlay/grpc_channel.h"
#include "overlay/grpc_tls.h"

namespace overlay {

void GrpcServerCall::Accept(grpc::AsyncGenericService& service, OnAccepted on_accepted) {
  on_accepted_ = std::move(on_accepted);
  context_.AsyncNotifyWhenDone(static_cast<GrpcTag*>(&ended_op_));  // comes back only if a call does: counted then
  service.RequestCall(&context_, &stream_, loop_.queue(), loop_.server_queue(), Start(accepted_op_));
}

void GrpcServerCall::HandleAccepted(bool ok) {
  if (ok) Start(ended_op_);
  const OnAccepted on_accepted = std::exchange(on_accepted_, nullptr);
  on_accepted(std::static_pointer_cast<GrpcServerCall>(shared_from_this()), ok);
}

void GrpcServerCall::HandleEnded(bool) {
  ended_ = true;
  if (const auto on_ended = std::exchange(on_ended_, nullptr)) on_ended();
}

void GrpcServerCall::Reject(absl::StatusCode code) { stream_.Finish(ToGrpc(absl::Status(code, "")), Start(finished_op_)); }

bool GrpcServerCall::IdentifyCaller() {
  caller_.is_local = absl::StartsWith(context_.peer(), kLocalPrefix);
  if (caller_.is_local) return true;
  const std::optional<keys::PublicKey> key = PeerKey(context_.auth_context().get());
  if (key) caller_.tls_key = *key;
  return key.has_value();
}

}  // namespace overlay
