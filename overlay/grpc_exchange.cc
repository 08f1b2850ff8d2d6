// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_exchange.h"

#include <deque>
#include <optional>
#include <utility>

#include "overlay/grpc_call_log.h"

namespace overlay {
namespace {

// What both kinds share: the request is read within kReadMax and answered within kServeMax, and the call's end lets go of the exchange. It is held by the
// call (through SetOnEnded) and holds the call in turn until then.
class Exchange : public GrpcCall {
 public:
  Exchange(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call)
      : GrpcCall(loop), call_(std::move(call)), timer_(loop, [this] { call_->Cancel(); }) {}

  void Begin(ExchangeHooks hooks) {
    on_read_ = std::move(hooks.on_read);
    call_->SetOnEnded([self = shared_from_this(), this, on_ended = std::move(hooks.on_ended)] {
      timer_.Stop();
      Log();
      OnEnded();
      on_ended();
    });
    begun_ = loop_.Now();
    timer_.Reset(begun_ + kReadMax);
    call_->stream().Read(&buffer_, Start(read_op_));
  }

 protected:
  virtual void OnRequest(std::string request) = 0;
  virtual void OnEnded() {}

  void StopTimer() { timer_.Stop(); }
  void Reject(absl::StatusCode code) {
    outcome_ = code;
    call_->Reject(code);
  }
  const std::shared_ptr<GrpcServerCall> call_;
  absl::StatusCode outcome_ = absl::StatusCode::kCancelled;  // what the caller hears; this, if it hears nothing
  size_t answer_bytes_ = 0;

 private:
  void HandleRead(bool ok) {
    if (call_->ended()) return;
    if (!ok) return Reject(absl::StatusCode::kInvalidArgument);  // no message, or one that was too large
    request_bytes_ = buffer_.Length();
    timer_.Reset(loop_.Now() + kServeMax);
    on_read_();
    OnRequest(ToText(buffer_));
  }
  void Log() const {
    const Caller& caller = call_->caller();
    const auto peer = caller.is_local ? std::nullopt : std::optional(caller.tls_key);
    LogAnswered({call_->method(), peer, request_bytes_, outcome_, answer_bytes_, loop_.Now() - begun_});
  }

  absl::Time begun_;
  std::function<void()> on_read_;
  size_t request_bytes_ = 0;
  grpc::ByteBuffer buffer_;
  base::Timer timer_;
  GrpcOp<Exchange> read_op_{this, &Exchange::HandleRead};
};

class UnaryExchange final : public Exchange {
 public:
  UnaryExchange(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, RpcHandler handler)
      : Exchange(loop, std::move(call)), handler_(std::move(handler)) {}

  void Respond(const absl::StatusOr<std::string>& answer) {
    if (std::exchange(responded_, true) || call_->ended()) return;
    if (!answer.ok()) return Reject(answer.status().code());
    if (answer->size() > kRpcMessageMax) return Reject(absl::StatusCode::kResourceExhausted);
    outcome_ = absl::StatusCode::kOk;
    answer_bytes_ = answer->size();
    call_->stream().WriteAndFinish(ToBuffer(*answer), grpc::WriteOptions(), grpc::Status::OK, Start(finish_op_));
  }

 private:
  // What the copies of a responder share: the last one to go answers if none did.
  struct Reply {
    explicit Reply(std::weak_ptr<UnaryExchange> to) : exchange(std::move(to)) {}
    ~Reply() { Send(absl::InternalError("")); }
    void Send(const absl::StatusOr<std::string>& answer) {
      if (const auto alive = exchange.lock()) alive->Respond(answer);
    }
    std::weak_ptr<UnaryExchange> exchange;
  };

  void OnRequest(std::string request) override {
    auto reply = std::make_shared<Reply>(std::static_pointer_cast<UnaryExchange>(shared_from_this()));
    std::exchange(handler_, nullptr)(call_->caller(), std::move(request),
                                     [reply = std::move(reply)](absl::StatusOr<std::string> answer) { reply->Send(answer); });
  }
  void HandleFinished(bool) {}

  RpcHandler handler_;
  bool responded_ = false;
  GrpcOp<UnaryExchange> finish_op_{this, &UnaryExchange::HandleFinished};
};

class StreamExchange final : public Exchange {
 public:
  StreamExchange(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, RpcStreamHandler handler)
      : Exchange(loop, std::move(call)), handler_(std::move(handler)) {}

  bool Write(const std::string& message) {
    if (finish_ || call_->ended() || message.size() > kRpcMessageMax || waiting_.size() >= kStreamQueueMax) return false;
    waiting_.push_back(ToBuffer(message));
    answer_bytes_ += message.size();
    Proceed();
    return true;
  }
  void Finish(absl::Status status) {
    if (finish_) return;
    finish_ = std::move(status);
    Proceed();
  }

 private:
  class Handle final : public RpcStream {
   public:
    explicit Handle(std::weak_ptr<StreamExchange> exchange) : exchange_(std::move(exchange)) {}
    ~Handle() override { Finish(absl::UnavailableError("")); }
    bool Write(std::string message) override {
      const auto alive = exchange_.lock();
      return alive != nullptr && alive->Write(message);
    }
    void Finish(absl::Status status) override {
      if (const auto alive = exchange_.lock()) alive->Finish(std::move(status));
    }

   private:
    const std::weak_ptr<StreamExchange> exchange_;
  };

  void OnRequest(std::string request) override {
    StopTimer();
    auto handle = std::make_shared<Handle>(std::static_pointer_cast<StreamExchange>(shared_from_this()));
    std::exchange(handler_, nullptr)(call_->caller(), std::move(request), std::move(handle));
  }
  void OnEnded() override { waiting_.clear(); }

  // One message on its way at a time, and the status after the last.
  void Proceed() {
    if (writing_ || call_->ended()) return;
    if (!waiting_.empty()) {
      writing_ = true;
      call_->stream().Write(waiting_.front(), Start(write_op_));
      waiting_.pop_front();
    } else if (finish_ && !std::exchange(finished_, true)) {
      Reject(finish_->code());
    }
  }
  void HandleWritten(bool) {
    writing_ = false;
    Proceed();
  }

  RpcStreamHandler handler_;
  std::deque<grpc::ByteBuffer> waiting_;
  std::optional<absl::Status> finish_;
  bool writing_ = false, finished_ = false;
  GrpcOp<StreamExchange> write_op_{this, &StreamExchange::HandleWritten};
};

}  // namespace

void ServeUnary(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcHandler& handler, ExchangeHooks hooks) {
  std::make_shared<UnaryExchange>(loop, std::move(call), handler)->Begin(std::move(hooks));
}

void ServeStream(GrpcEventLoop& loop, std::shared_ptr<GrpcServerCall> call, const RpcStreamHandler& handler, ExchangeHooks hooks) {
  std::make_shared<StreamExchange>(loop, std::move(call), handler)->Begin(std::move(hooks));
}

}  // namespace overlay
