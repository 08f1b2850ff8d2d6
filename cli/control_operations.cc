// SPDX-License-Identifier: Apache-2.0
#include "cli/control_operations.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/control_client.h"
#include "proto/control.pb.h"

namespace cli {
namespace {

using bulbil::v1::OpenOperationReply;

absl::Status Malformed() { return absl::InternalError("the node's answer makes no sense"); }

template <size_t N>
bool ReadArray(const std::string& bytes, std::array<uint8_t, N>& out) {
  if (bytes.size() != N) return false;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return true;
}

bool ReadKeys(const google::protobuf::RepeatedPtrField<std::string>& list, std::vector<keys::PublicKey>& out) {
  for (const std::string& bytes : list) {
    if (!ReadArray(bytes, out.emplace_back().bytes)) return false;
  }
  return true;
}

// `path` is whole keys of 32 bytes one after the other; only the demo's node fills it.
bool ReadPath(const std::string& path, std::vector<keys::PublicKey>& out) {
  for (size_t at = 0; at < path.size(); at += 32) {
    if (!ReadArray(path.substr(at, 32), out.emplace_back().bytes)) return false;
  }
  return true;
}

absl::StatusOr<circuits::OpenedOperation> Decode(const OpenOperationReply& reply) {
  circuits::OpenedOperation opened;
  const bool fits = ReadArray(reply.channel_binding(), opened.channel_binding) &&
                    ReadArray(reply.storage_node(), opened.storage_node.bytes) && ReadPath(reply.path(), opened.path) &&
                    ReadKeys(reply.responsible(), opened.responsible);
  if (!fits) return Malformed();
  return opened;
}

}  // namespace

ControlOperations::ControlOperations(overlay::RpcClient& client, std::string socket, bool now)
    : client_(client), node_(ControlTarget(socket)), now_(now) {}

void ControlOperations::Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) {
  bulbil::v1::OpenOperationRequest message;
  message.set_point(base::ToString(request.point.view()));
  message.set_isolation(base::ToString(request.isolation));
  for (const keys::PublicKey& node : request.avoid) message.add_avoid(base::ToString(node.view()));
  message.set_purpose(static_cast<uint32_t>(request.purpose));
  message.set_now(now_);
  std::erase_if(openings_, [](const auto& one) { return one.second.wanted && !one.second.wanted(); });
  const uint64_t number = ++last_opening_;
  Opening& opening = openings_[number];
  opening.wanted = std::move(request.wanted);
  opening.done = std::move(done);
  opening.call = client_.Subscribe(
      node_, ControlMethod("OpenOperation"), message.SerializeAsString(),
      [&opening](const std::string& answer) { opening.answer = answer; },  // the last one counts: it waits no more
      [this, number](const absl::Status& status) { OnEnded(number, status); });
}

void ControlOperations::OnEnded(uint64_t opening, const absl::Status& status) {
  const auto ended = openings_.extract(opening);
  ended.mapped().done(OnOpened(status, ended.mapped().answer));
}

absl::StatusOr<circuits::OpenedOperation> ControlOperations::OnOpened(const absl::Status& status, const std::string& answer) {
  if (absl::IsPermissionDenied(status) || absl::IsUnimplemented(status)) return absl::FailedPreconditionError(kNodeRefuses);
  if (!status.ok()) return status;
  OpenOperationReply reply;
  if (!reply.ParseFromString(answer) || reply.waits()) return Malformed();
  if (reply.handle().empty()) {
    return absl::FailedPreconditionError(absl::StrCat("needs 4 other nodes, sees ", reply.known_nodes()));
  }
  ASSIGN_OR_RETURN(circuits::OpenedOperation opened, Decode(reply));
  opened.handle = ++last_handle_;
  if (handles_.size() >= kOpenHandlesMax) handles_.clear();
  handles_[opened.handle] = reply.handle();
  return opened;
}

void ControlOperations::Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) {
  bulbil::v1::RunOperationRequest message;
  const auto it = handles_.find(handle);  // one that is unknown here is empty there, and refused
  if (it != handles_.end()) {
    message.set_handle(it->second);
    handles_.erase(it);
  }
  message.set_request(base::ToString(request));
  client_.Call(node_, ControlMethod("RunOperation"), message.SerializeAsString(), kControlRunTimeout,
               [done = std::move(done)](absl::StatusOr<overlay::RpcAnswer> answer) {
                 bulbil::v1::RunOperationReply reply;
                 if (!answer.ok()) return done(answer.status());
                 if (!reply.ParseFromString(answer->message)) return done(Malformed());
                 done(base::ToBytes(base::AsBytes(reply.answer())));
               });
}

}  // namespace cli
