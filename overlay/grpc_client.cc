// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_client.h"

#include <grpcpp/generic/generic_stub.h>

#include <utility>

#include "overlay/grpc_call.h"
#include "overlay/grpc_call_log.h"
#include "overlay/grpc_channel.h"
#include "overlay/grpc_tls.h"

namespace overlay {
namespace {

gpr_timespec DeadlineIn(absl::Duration timeout) {
  const gpr_timespec span = gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout), GPR_TIMESPAN);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span);
}

}  // namespace

class GrpcClient::UnaryCall final : public GrpcCall {
 public:
  using Done = std::function<void(absl::StatusOr<RpcAnswer>)>;

  UnaryCall(GrpcClient& client, std::shared_ptr<Channel> channel, std::optional<keys::PublicKey> pinned, Done done)
      : GrpcCall(client.loop_), client_(client), channel_(std::move(channel)), pinned_(pinned), done_(std::move(done)) {}

  void Begin(std::string method, const std::string& request, absl::Duration timeout) {
    method_ = std::move(method);
    request_bytes_ = request.size();
    begun_ = loop_.Now();
    context_.set_deadline(DeadlineIn(timeout));
    reader_ = grpc::GenericStub(channel_->channel).PrepareUnaryCall(&context_, method_, ToBuffer(request), loop_.queue());
    client_.calls_.insert(this);
    ++channel_->calls;
    reader_->StartCall();
    reader_->Finish(&answer_, &status_, Start(finished_op_));
  }
  void Cancel() { context_.TryCancel(); }

 private:
  void HandleFinished(bool) {
    client_.calls_.erase(this);
    --channel_->calls;
    channel_->last_used = loop_.Now();
    const Done done = std::exchange(done_, nullptr);
    if (loop_.silent()) return;
    const std::optional<keys::PublicKey> key = pinned_ ? pinned_ : PeerKey(context_.auth_context().get());
    LogAsked({method_, key, request_bytes_, FromGrpc(status_).code(), answer_.Length(), loop_.Now() - begun_});
    if (!status_.ok()) return done(FromGrpc(status_));
    done(RpcAnswer{ToText(answer_), key.value_or(keys::PublicKey{})});
  }

  GrpcClient& client_;
  const std::shared_ptr<Channel> channel_;
  const std::optional<keys::PublicKey> pinned_;
  Done done_;
  std::string method_;
  size_t request_bytes_ = 0;
  absl::Time begun_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
  grpc::ByteBuffer answer_;
  grpc::Status status_;
  GrpcOp<UnaryCall> finished_op_{this, &UnaryCall::HandleFinished};
};

GrpcClient::GrpcClient(GrpcEventLoop& loop, base::Rng& rng, Options options)
    : loop_(loop), rng_(rng), options_(std::move(options)), idle_timer_(loop, [this] { DropIdle(); }) {
  loop.AddUser(this);
}

GrpcClient::~GrpcClient() { loop_.ShutDown(); }

void GrpcClient::Call(const RpcTarget& to, std::string_view method, std::string request, absl::Duration timeout,
                      std::function<void(absl::StatusOr<RpcAnswer>)> done) {
  absl::Status status = CheckCall(request);
  std::shared_ptr<Channel> channel;
  if (status.ok()) channel = ChannelTo(to);
  if (status.ok() && channel == nullptr) status = absl::ResourceExhaustedError("all channels are busy");
  if (!status.ok()) {
    loop_.Post([done = std::move(done), status] { done(status); });
    return;
  }
  const std::optional<keys::PublicKey> pinned = IsLocalAddress(to.address) ? std::nullopt : to.node_key;
  std::make_shared<UnaryCall>(*this, std::move(channel), pinned, std::move(done))->Begin(std::string(method), request, timeout);
}

absl::Status GrpcClient::CheckCall(const std::string& request) const {
  if (stopping_) return absl::UnavailableError("shutting down");
  if (calls_.size() >= kClientCallsMax) return absl::ResourceExhaustedError("too many calls under way");
  if (request.size() > kRpcMessageMax) return absl::ResourceExhaustedError("request too large");
  return absl::OkStatus();
}

std::shared_ptr<GrpcClient::Channel> GrpcClient::ChannelTo(const RpcTarget& to) {
  const ChannelKey key{to.address, to.node_key};
  auto found = channels_.find(key);
  if (found == channels_.end()) {
    if (channels_.size() >= kChannelsMax && !MakeRoom()) return nullptr;
    auto channel = std::make_shared<Channel>();
    if (IsLocalAddress(to.address)) {
      channel->channel = MakeLocalChannel(to.address);
    } else {
      const keys::TlsIdentity own =
          options_.identity ? *options_.identity : keys::MakeTlsIdentity(keys::SigningKey::Generate(rng_), rng_);
      channel->channel = MakeTlsChannel(to.address, own, to.node_key, ChannelUse::kCalls);
    }
    if (channels_.empty()) idle_timer_.Reset(loop_.Now() + kChannelIdle);
    found = channels_.emplace(key, std::move(channel)).first;
  }
  found->second->last_used = loop_.Now();
  return found->second;
}

// Drops the unused channel that was used longest ago; false if all have calls under way.
bool GrpcClient::MakeRoom() {
  auto oldest = channels_.end();
  for (auto it = channels_.begin(); it != channels_.end(); ++it) {
    if (it->second->calls > 0) continue;
    if (oldest == channels_.end() || it->second->last_used < oldest->second->last_used) oldest = it;
  }
  if (oldest == channels_.end()) return false;
  channels_.erase(oldest);
  return true;
}

void GrpcClient::DropIdle() {
  const absl::Time before = loop_.Now() - kChannelIdle;
  std::erase_if(channels_, [&](const auto& entry) { return entry.second->calls == 0 && entry.second->last_used <= before; });
  if (!channels_.empty()) idle_timer_.Reset(loop_.Now() + kChannelIdle / 4);
}

void GrpcClient::OnShutdown() {
  stopping_ = true;
  idle_timer_.Stop();
  for (UnaryCall* call : calls_) call->Cancel();
}

}  // namespace overlay
