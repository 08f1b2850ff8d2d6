// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_link_stream.h — one stream of a link, opened by us or accepted: messages in and out, no meaning.
//
// The accepting side says that it took the stream by the initial metadata "bulbil-link"; only then is it up for the opener. One
// message is on its way out at a time; reading goes on always. A stream lives on until gRPC has let go of it, its owner may
// forget it at any time (Close), after which it hears nothing more of it.
#pragma once

#include <grpcpp/generic/generic_stub.h>

#include <memory>

#include "base/bytes.h"
#include "overlay/grpc_call.h"
#include "overlay/grpc_server_call.h"
#include "overlay/link.h"

namespace overlay {

inline constexpr char kLinkMethod[] = "/bulbil.v1.Overlay/Link";
inline constexpr char kLinkAcceptedKey[] = "bulbil-link";
inline constexpr char kLinkDescriptorKey[] = "bulbil-descriptor-bin";  // the opener's descriptor, if it is a node

class GrpcLinkStream : public GrpcCall {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnStreamUp(LinkId link) = 0;
    virtual void OnStreamMessage(LinkId link, const grpc::ByteBuffer& message) = 0;
    virtual void OnStreamWritten(LinkId link) = 0;
    virtual void OnStreamDown(LinkId link, absl::StatusCode code) = 0;  // the last word; not after Close
  };

  // Begins at once; the channel goes with the stream. The descriptor is empty for a client.
  static std::shared_ptr<GrpcLinkStream> Open(GrpcEventLoop& loop, Owner& owner, LinkId link,
                                              std::shared_ptr<grpc::Channel> channel, const base::Bytes& own_descriptor);
  static std::shared_ptr<GrpcLinkStream> Take(GrpcEventLoop& loop, Owner& owner, LinkId link,
                                              std::shared_ptr<GrpcServerCall> call);

  // Not while an earlier one is on its way (until OnStreamWritten), not before the stream is up.
  void Write(const grpc::ByteBuffer& message) { writer_->Write(message, Start(write_op_)); }
  void Close() {
    owner_ = nullptr;
    Cancel();
  }

 protected:
  using Reader = grpc::internal::AsyncReaderInterface<grpc::ByteBuffer>;
  using Writer = grpc::internal::AsyncWriterInterface<grpc::ByteBuffer>;

  GrpcLinkStream(GrpcEventLoop& loop, Owner& owner, LinkId link) : GrpcCall(loop), owner_(&owner), link_(link) {}
  void SetStream(Reader* reader, Writer* writer) {
    reader_ = reader;
    writer_ = writer;
  }
  void BecomeUp();
  void BecomeDown(absl::StatusCode code);
  bool closed() const { return owner_ == nullptr; }

  virtual void Cancel() = 0;
  virtual void OnReadEnded() = 0;  // nothing more comes in: find out why, then BecomeDown

 private:
  void HandleRead(bool ok);
  void HandleWritten(bool ok);

  Owner* owner_;
  const LinkId link_;
  Reader* reader_ = nullptr;
  Writer* writer_ = nullptr;
  grpc::ByteBuffer incoming_;
  GrpcOp<GrpcLinkStream> read_op_{this, &GrpcLinkStream::HandleRead};
  GrpcOp<GrpcLinkStream> write_op_{this, &GrpcLinkStream::HandleWritten};
};

}  // namespace overlay
