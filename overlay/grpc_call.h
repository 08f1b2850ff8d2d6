// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_call.h — calls and streams on the loop's queue: each lives until its last operation has come back.
//
//   class Ping : public GrpcCall {
//     void Go() { reader_->Finish(&answer_, &status_, Start(finished_)); }
//     void OnFinished(bool ok);
//     GrpcOp<Ping> finished_{this, &Ping::OnFinished};
//   };
// Made by std::make_shared. gRPC may not see its context or buffers go while an operation is outstanding, so the object holds
// itself as long as one is; others may hold it longer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "overlay/grpc_event_loop.h"

namespace overlay {

class GrpcCall : public std::enable_shared_from_this<GrpcCall> {
 public:
  virtual ~GrpcCall() = default;
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

 protected:
  explicit GrpcCall(GrpcEventLoop& loop) : loop_(loop) {}

  // The tag for an operation that starts now.
  void* Start(GrpcTag& op) {
    if (pending_++ == 0) self_ = shared_from_this();
    return loop_.Start(op);
  }
  GrpcEventLoop& loop_;

 private:
  template <class Owner>
  friend class GrpcOp;

  std::shared_ptr<GrpcCall> End() { return --pending_ == 0 ? std::move(self_) : shared_from_this(); }

  int pending_ = 0;
  std::shared_ptr<GrpcCall> self_;
};

// One kind of operation of an Owner (a GrpcCall), and the member that hears of its completion.
template <class Owner>
class GrpcOp final : public GrpcTag {
 public:
  using Handler = void (Owner::*)(bool ok);
  GrpcOp(Owner* owner, Handler handler) : owner_(owner), handler_(handler) {}

  void OnCompletion(bool ok) override {
    const std::shared_ptr<GrpcCall> keep = static_cast<GrpcCall*>(owner_)->End();
    (owner_->*handler_)(ok);
  }

 private:
  Owner* const owner_;
  const Handler handler_;
};

inline grpc::ByteBuffer ToBuffer(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToText(const grpc::ByteBuffer& buffer);

// Only the code of a status travels, in either direction: texts are for our own log (style.md 6).
inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), "");
}
inline absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), "");
}

}  // namespace overlay
