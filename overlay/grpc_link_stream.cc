// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_link_stream.h"

#include <utility>

namespace overlay {

void GrpcLinkStream::BecomeUp() {
  if (closed()) return;
  reader_->Read(&incoming_, Start(read_op_));
  owner_->OnStreamUp(link_);
}

void GrpcLinkStream::BecomeDown(absl::StatusCode code) {
  if (Owner* const owner = std::exchange(owner_, nullptr)) owner->OnStreamDown(link_, code);
}

// The message first: what follows from it leaves before gRPC tells the peer how much more it may send.
void GrpcLinkStream::HandleRead(bool ok) {
  if (closed()) return;
  if (!ok) return OnReadEnded();
  grpc::ByteBuffer message;
  message.Swap(&incoming_);
  owner_->OnStreamMessage(link_, message);
  if (!closed()) reader_->Read(&incoming_, Start(read_op_));
}

// A failed write says nothing of its own: the read under way fails, too.
void GrpcLinkStream::HandleWritten(bool ok) {
  if (ok && !closed()) owner_->OnStreamWritten(link_);
}

namespace {

class OpenedStream final : public GrpcLinkStream {
 public:
  OpenedStream(GrpcEventLoop& loop, Owner& owner, LinkId link, std::shared_ptr<grpc::Channel> channel)
      : GrpcLinkStream(loop, owner, link), channel_(std::move(channel)) {}

  void Begin(const base::Bytes& own_descriptor) {
    if (!own_descriptor.empty()) context_.AddMetadata(kLinkDescriptorKey, base::ToString(own_descriptor));
    grpc::GenericStub stub(channel_);
    stream_ = stub.PrepareCall(&context_, kLinkMethod, loop_.queue());
    SetStream(stream_.get(), stream_.get());
    stream_->StartCall(Start(start_op_));
  }

 private:
  void Cancel() override { context_.TryCancel(); }
  void OnReadEnded() override { Finish(); }

  void HandleStarted(bool ok) {
    if (closed()) return;
    if (!ok) return Finish();
    stream_->ReadInitialMetadata(Start(metadata_op_));
  }
  void HandleMetadata(bool ok) {
    if (closed()) return;
    if (!ok || context_.GetServerInitialMetadata().count(kLinkAcceptedKey) == 0) return Finish();
    BecomeUp();
  }
  void Finish() {
    if (std::exchange(finishing_, true)) return;
    stream_->Finish(&status_, Start(finish_op_));
  }
  void HandleFinished(bool) { BecomeDown(static_cast<absl::StatusCode>(status_.error_code())); }

  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::Status status_;
  bool finishing_ = false;
  GrpcOp<OpenedStream> start_op_{this, &OpenedStream::HandleStarted};
  GrpcOp<OpenedStream> metadata_op_{this, &OpenedStream::HandleMetadata};
  GrpcOp<OpenedStream> finish_op_{this, &OpenedStream::HandleFinished};
};

class TakenStream final : public GrpcLinkStream {
 public:
  TakenStream(GrpcEventLoop& loop, Owner& owner, LinkId link, std::shared_ptr<GrpcServerCall> call)
      : GrpcLinkStream(loop, owner, link), call_(std::move(call)) {}

  void Begin() {
    SetStream(&call_->stream(), &call_->stream());
    call_->context().AddInitialMetadata(kLinkAcceptedKey, "1");
    call_->stream().SendInitialMetadata(Start(metadata_op_));
  }

 private:
  void Cancel() override { call_->Cancel(); }
  void OnReadEnded() override {
    call_->Cancel();
    BecomeDown(absl::StatusCode::kUnavailable);
  }
  void HandleMetadata(bool ok) {
    if (closed()) return;
    ok ? BecomeUp() : OnReadEnded();
  }

  const std::shared_ptr<GrpcServerCall> call_;
  GrpcOp<TakenStream> metadata_op_{this, &TakenStream::HandleMetadata};
};

}  // namespace

std::shared_ptr<GrpcLinkStream> GrpcLinkStream::Open(GrpcEventLoop& loop, Owner& owner, LinkId link,
                                                     std::shared_ptr<grpc::Channel> channel, const base::Bytes& own_descriptor) {
  auto stream = std::make_shared<OpenedStream>(loop, owner, link, std::move(channel));
  stream->Begin(own_descriptor);
  return stream;
}

std::shared_ptr<GrpcLinkStream> GrpcLinkStream::Take(GrpcEventLoop& loop, Owner& owner, LinkId link,
                                                     std::shared_ptr<GrpcServerCall> call) {
  auto stream = std::make_shared<TakenStream>(loop, owner, link, std::move(call));
  stream->Begin();
  return stream;
}

}  // namespace overlay
