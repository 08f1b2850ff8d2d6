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

// Over the control socket nobody proves a key.
std::optional<keys::PublicKey> PinnedKey(const RpcTarget& to) { return IsLocalAddress(to.address) ? std::nullopt : to.node_key; }

}  // namespace

// What both kinds share: from Begin to Close it is counted, and can be cancelled.
class GrpcClient::OpenCall : public GrpcCall {
 public:
  void Cancel() { context_.TryCancel(); }

 protected:
  OpenCall(GrpcClient& client, std::shared_ptr<Channel> channel, std::optional<keys::PublicKey> pinned)
      : GrpcCall(client.loop_), client_(client), channel_(std::move(channel)), pinned_(pinned) {}

  void Begin(std::string method, const std::string& request) {
    method_ = std::move(method);
    request_bytes_ = request.size();
    begun_ = loop_.Now();
    client_.calls_.insert(this);
    ++channel_->calls;
  }
  void Close() {
    client_.calls_.erase(this);
    --channel_->calls;
    channel_->last_used = loop_.Now();
  }
  std::optional<keys::PublicKey> ServerKey() const { return pinned_ ? pinned_ : PeerKey(context_.auth_context().get()); }
  void Log(size_t answer_bytes) const {
    LogAsked({method_, ServerKey(), request_bytes_, FromGrpc(status_).code(), answer_bytes, loop_.Now() - begun_});
  }

  GrpcClient& client_;
  const std::shared_ptr<Channel> channel_;
  const std::optional<keys::PublicKey> pinned_;
  std::string method_;
  size_t request_bytes_ = 0;
  absl::Time begun_;
  grpc::ClientContext context_;
  grpc::Status status_;
};

class GrpcClient::UnaryCall final : public OpenCall {
 public:
  using Done = std::function<void(absl::StatusOr<RpcAnswer>)>;

  UnaryCall(GrpcClient& client, std::shared_ptr<Channel> channel, std::optional<keys::PublicKey> pinned, Done done)
      : OpenCall(client, std::move(channel), pinned), done_(std::move(done)) {}

  void Begin(std::string method, const std::string& request, absl::Duration timeout) {
    OpenCall::Begin(std::move(method), request);
    context_.set_deadline(DeadlineIn(timeout));
    reader_ = grpc::GenericStub(channel_->channel).PrepareUnaryCall(&context_, method_, ToBuffer(request), loop_.queue());
    reader_->StartCall();
    reader_->Finish(&answer_, &status_, Start(finished_op_));
  }

 private:
  void HandleFinished(bool) {
    Close();
    const Done done = std::exchange(done_, nullptr);
    if (loop_.silent()) return;
    Log(answer_.Length());
    if (!status_.ok()) return done(FromGrpc(status_));
    done(RpcAnswer{ToText(answer_), ServerKey().value_or(keys::PublicKey{})});
  }

  Done done_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
  grpc::ByteBuffer answer_;
  GrpcOp<UnaryCall> finished_op_{this, &UnaryCall::HandleFinished};
};

// One message read at a time: what comes faster than it is taken waits at the sender.
class GrpcClient::StreamCall final : public OpenCall {
 public:
  using OnMessage = std::function<void(const std::string&)>;
  using OnEnd = std::function<void(absl::Status)>;

  StreamCall(GrpcClient& client, std::shared_ptr<Channel> channel, std::optional<keys::PublicKey> pinned, OnMessage on_message,
             OnEnd on_end)
      : OpenCall(client, std::move(channel), pinned), on_message_(std::move(on_message)), on_end_(std::move(on_end)) {}

  void Begin(std::string method, const std::string& request) {
    OpenCall::Begin(std::move(method), request);
    request_ = ToBuffer(request);
    stream_ = grpc::GenericStub(channel_->channel).PrepareCall(&context_, method_, loop_.queue());
    stream_->StartCall(Start(started_op_));
  }
  // The caller hears no more of it.
  void Drop() {
    dropped_ = true;
    Cancel();
  }

 private:
  void HandleStarted(bool ok) {
    if (!ok) return Finish();
    stream_->WriteLast(request_, grpc::WriteOptions(), Start(written_op_));
    Read();
  }
  void HandleWritten(bool) {}
  void Read() { stream_->Read(&answer_, Start(read_op_)); }
  void HandleRead(bool ok) {
    if (!ok) return Finish();
    answer_bytes_ += answer_.Length();
    if (!dropped_ && !loop_.silent()) on_message_(ToText(answer_));
    Read();
  }
  void Finish() { stream_->Finish(&status_, Start(finished_op_)); }
  void HandleFinished(bool) {
    Close();
    if (loop_.silent()) return;
    Log(answer_bytes_);
    if (!std::exchange(dropped_, true)) on_end_(FromGrpc(status_));
  }

  const OnMessage on_message_;
  const OnEnd on_end_;
  bool dropped_ = false;
  size_t answer_bytes_ = 0;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer request_, answer_;
  GrpcOp<StreamCall> started_op_{this, &StreamCall::HandleStarted}, written_op_{this, &StreamCall::HandleWritten},
      read_op_{this, &StreamCall::HandleRead}, finished_op_{this, &StreamCall::HandleFinished};
};

GrpcClient::GrpcClient(GrpcEventLoop& loop, base::Rng& rng, Options options)
    : loop_(loop), rng_(rng), options_(std::move(options)), idle_timer_(loop, [this] { DropIdle(); }) {
  loop.AddUser(this);
}

GrpcClient::~GrpcClient() { loop_.ShutDown(); }

void GrpcClient::Call(const RpcTarget& to, std::string_view method, std::string request, absl::Duration timeout,
                      std::function<void(absl::StatusOr<RpcAnswer>)> done) {
  absl::StatusOr<std::shared_ptr<Channel>> channel = ChannelFor(to, request);
  if (!channel.ok()) {
    loop_.Post([done = std::move(done), status = channel.status()] { done(status); });
    return;
  }
  std::make_shared<UnaryCall>(*this, *std::move(channel), PinnedKey(to), std::move(done))
      ->Begin(std::string(method), request, timeout);
}

std::unique_ptr<RpcSubscription> GrpcClient::Subscribe(const RpcTarget& to, std::string_view method, std::string request,
                                                       std::function<void(const std::string&)> on_message,
                                                       std::function<void(absl::Status)> on_end) {
  struct Handle final : RpcSubscription {
    explicit Handle(std::shared_ptr<StreamCall> of) : call(std::move(of)) {}
    ~Handle() override { call->Drop(); }
    const std::shared_ptr<StreamCall> call;
  };
  struct Refused final : RpcSubscription {
    std::shared_ptr<char> wanted = std::make_shared<char>();
  };
  absl::StatusOr<std::shared_ptr<Channel>> channel = ChannelFor(to, request);
  if (!channel.ok()) {
    auto refused = std::make_unique<Refused>();
    loop_.Post([on_end = std::move(on_end), status = channel.status(), wanted = std::weak_ptr<char>(refused->wanted)] {
      if (wanted.lock()) on_end(status);
    });
    return refused;
  }
  auto call = std::make_shared<StreamCall>(*this, *std::move(channel), PinnedKey(to), std::move(on_message), std::move(on_end));
  call->Begin(std::string(method), request);
  return std::make_unique<Handle>(std::move(call));
}

absl::StatusOr<std::shared_ptr<GrpcClient::Channel>> GrpcClient::ChannelFor(const RpcTarget& to, const std::string& request) {
  if (absl::Status status = CheckCall(request); !status.ok()) return status;
  std::shared_ptr<Channel> channel = ChannelTo(to);
  if (channel == nullptr) return absl::ResourceExhaustedError("all channels are busy");
  return channel;
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
  for (OpenCall* call : calls_) call->Cancel();
}

}  // namespace overlay
