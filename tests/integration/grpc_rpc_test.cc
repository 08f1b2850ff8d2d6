// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "overlay/grpc_call.h"
#include "overlay/grpc_channel.h"
#include "overlay/grpc_listen.h"
#include "overlay/grpc_tls.h"
#include "tests/support/grpc_node.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

constexpr char kEcho[] = "/bulbil.v1.Overlay/Describe";
constexpr char kRingMethod[] = "/bulbil.v1.Ring/Rectify";
constexpr char kControlMethod[] = "/bulbil.v1.Control/Status";
constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";

void Echo(const Caller&, std::string request, const RpcResponder& respond) { respond(std::move(request)); }

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "bulbil-test-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class RpcTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* method : {kEcho, kRingMethod, kCheck}) node_.server->Handle(method, Access::kAnyone, Echo);
    node_.server->Handle(kControlMethod, Access::kControl, [](const Caller& caller, std::string, const RpcResponder& respond) {
      respond(caller.is_local && caller.tls_key == keys::PublicKey{} ? "local" : "not local");
    });
    ASSERT_OK(client_.Start());
  }
  RpcTarget Local() const { return {kLocalPrefix + socket_path_, std::nullopt}; }

  const TemporaryFolder folder_;
  const std::string socket_path_ = folder_.File("control.sock");
  support::SeededRng rng_{3};
  keys::PublicKey known_;
  support::GrpcNode node_{1, {.socket_path = socket_path_, .is_known = [this](const keys::PublicKey& key) { return key == known_; }}};
  support::GrpcNode client_{2};
};

TEST_F(RpcTest, CarriesARequestAndItsAnswer) {
  ASSERT_OK(node_.Start());
  const std::string large(100'000, 'x');
  ASSERT_OK_AND_ASSIGN(const RpcAnswer answer, client_.Call(node_.target(), kEcho, large));
  EXPECT_EQ(answer.message, large);
  ASSERT_OK_AND_ASSIGN(const RpcAnswer empty, client_.Call(node_.target(), kEcho, ""));
  EXPECT_EQ(empty.message, "");
}

TEST_F(RpcTest, KnowsOnlyItsOwnMethods) {
  ASSERT_OK(node_.Start());
  EXPECT_STATUS(client_.Call(node_.target(), "/bulbil.v1.Overlay/Nothing", ""), kUnimplemented);
  EXPECT_STATUS(client_.Call(Local(), "/bulbil.v1.Overlay/Nothing", ""), kUnimplemented);
}

TEST_F(RpcTest, AnswersControlMethodsOverTheSocketOnly) {
  ASSERT_OK(node_.Start());
  EXPECT_STATUS(client_.Call(node_.target(), kControlMethod, ""), kUnimplemented);
  ASSERT_OK_AND_ASSIGN(const RpcAnswer answer, client_.Call(Local(), kControlMethod, ""));
  EXPECT_EQ(answer.message, "local");
  EXPECT_EQ(answer.server_key, keys::PublicKey{});
}

TEST_F(RpcTest, OffersOverTheSocketOnlyWhatNeedsNoKey) {
  ASSERT_OK(node_.Start());
  EXPECT_OK(client_.Call(Local(), kEcho, ""));
  EXPECT_OK(client_.Call(Local(), kCheck, ""));
  EXPECT_STATUS(client_.Call(Local(), kRingMethod, ""), kUnimplemented);
  EXPECT_STATUS(client_.Call(Local(), kLinkMethod, ""), kUnimplemented);
  EXPECT_OK(client_.Call(node_.target(), kRingMethod, ""));
}

TEST_F(RpcTest, SendsTheCodeOfAnErrorAndNothingElse) {
  node_.server->Handle(kEcho, Access::kAnyone, [](const Caller&, std::string, const RpcResponder& respond) {
    respond(absl::NotFoundError("a text that says too much"));
  });
  ASSERT_OK(node_.Start());
  const absl::Status status = client_.Call(node_.target(), kEcho, "").status();
  EXPECT_STATUS(status, kNotFound);
  EXPECT_EQ(status.message(), "");
}

// The program's log, into a text, as long as this lives.
class TraceCapture {
 public:
  TraceCapture() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  ~TraceCapture() { spdlog::set_default_logger(before_); }
  std::string text() const { return lines_.str(); }

 private:
  const std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
};

TEST_F(RpcTest, TracesEveryCallOnceASideWithoutAddressOrWords) {
  const TraceCapture trace;
  ASSERT_OK(node_.Start());
  ASSERT_OK(client_.Call(node_.target(), kEcho, "a secret of 21 bytes."));
  EXPECT_STATUS(client_.Call(node_.target(), "/bulbil.v1.Overlay/\x1b[2J", ""), kUnimplemented);
  ASSERT_OK(client_.Call(Local(), kControlMethod, ""));
  client_.Stop();
  node_.Stop();
  const std::string text = trace.text();
  for (const char* part : {"rpc: → Describe ", " 21 B: OK 21 B in ", "rpc: ← Describe ", "rpc: ← unknown ", "UNIMPLEMENTED", "rpc: ← Status local "}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("127.0.0.1"), std::string::npos) << text;
  EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  EXPECT_EQ(text.find(folder_.File("")), std::string::npos) << text;
}

TEST_F(RpcTest, AnswersForAHandlerThatForgets) {
  node_.server->Handle(kEcho, Access::kAnyone, [](const Caller&, std::string, RpcResponder) {});
  ASSERT_OK(node_.Start());
  EXPECT_STATUS(client_.Call(node_.target(), kEcho, ""), kInternal);
}

TEST_F(RpcTest, TakesTheFirstOfSeveralAnswers) {
  node_.server->Handle(kEcho, Access::kAnyone, [](const Caller&, std::string, const RpcResponder& respond) {
    respond("first");
    respond("second");
  });
  ASSERT_OK(node_.Start());
  EXPECT_EQ(client_.Call(node_.target(), kEcho, "")->message, "first");
}

TEST_F(RpcTest, EndsACallAtItsDeadlineAndIgnoresTheLateAnswer) {
  std::vector<RpcResponder> kept;  // on the node's loop
  node_.server->Handle(kRingMethod, Access::kAnyone,
                       [&](const Caller&, std::string, RpcResponder respond) { kept.push_back(std::move(respond)); });
  ASSERT_OK(node_.Start());
  EXPECT_STATUS(client_.Call(node_.target(), kRingMethod, "", absl::Milliseconds(100)), kDeadlineExceeded);
  node_.On([&] {
    for (const RpcResponder& respond : kept) respond("late");
    kept.clear();
  });
  EXPECT_OK(client_.Call(node_.target(), kEcho, ""));
}

TEST_F(RpcTest, FailsAtOnceWhereNobodyListens) {
  ASSERT_OK(node_.Start());
  const RpcTarget target = node_.target();
  node_.Stop();
  EXPECT_STATUS(client_.Call(target, kEcho, ""), kUnavailable);
}

TEST_F(RpcTest, RefusesMessagesThatAreTooLargeInBothDirections) {
  bool reached = false;
  node_.server->Handle(kRingMethod, Access::kAnyone, [&](const Caller&, std::string, const RpcResponder& respond) {
    reached = true;
    respond(std::string(kRpcMessageMax + 1, 'x'));
  });
  ASSERT_OK(node_.Start());
  EXPECT_STATUS(client_.Call(node_.target(), kRingMethod, std::string(kRpcMessageMax + 1, 'x')), kResourceExhausted);
  EXPECT_FALSE(reached);
  EXPECT_STATUS(client_.Call(node_.target(), kRingMethod, ""), kResourceExhausted);
  EXPECT_TRUE(reached);
}

// A channel without our client's bounds, for calls that it would not make. Blocking.
class RawCaller {
 public:
  explicit RawCaller(const support::GrpcNode& to, const keys::TlsIdentity& own) {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(keys::kCertificateName);
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(to.address(), TlsChannelCredentials(own, std::nullopt), arguments);
  }
  ~RawCaller() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) continue;
  }
  grpc::StatusCode Call(const std::string& method, const std::string& request) {
    grpc::ClientContext context;
    grpc::GenericStub stub(channel_);
    const auto call = stub.PrepareUnaryCall(&context, method, ToBuffer(request), &queue_);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    Next();
    return status.error_code();
  }
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> Open(grpc::ClientContext& context, const std::string& method) {
    grpc::GenericStub stub(channel_);
    auto call = stub.PrepareCall(&context, method, &queue_);
    call->StartCall(nullptr);
    Next();
    return call;
  }
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  grpc::CompletionQueue queue_;
};

TEST_F(RpcTest, RefusesAnOversizeMessageOfAStrangersProgram) {
  bool reached = false;
  node_.server->Handle(kRingMethod, Access::kAnyone, [&](const Caller&, std::string, const RpcResponder& respond) {
    reached = true;
    respond("");
  });
  ASSERT_OK(node_.Start());
  RawCaller caller(node_, client_.identity);
  EXPECT_EQ(caller.Call(kRingMethod, std::string(kRpcMessageMax + 1, 'x')), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(reached);
  EXPECT_EQ(caller.Call(kRingMethod, std::string(kRpcMessageMax, 'x')), grpc::StatusCode::OK);
}

// Of a stranger's calls that come at once, the server refuses those beyond kUnreadPerStrangerMax whose requests are still under way.
void CallUntilServed(support::GrpcNode& caller, const RpcTarget& target, const std::function<void(const absl::StatusOr<RpcAnswer>&)>& done) {
  caller.client.Call(target, kRingMethod, "", absl::Seconds(30), [&caller, target, done](const absl::StatusOr<RpcAnswer>& answer) {
    if (absl::IsResourceExhausted(answer.status())) return CallUntilServed(caller, target, done);
    done(answer);
  });
}

TEST_F(RpcTest, ServesNoMoreCallsOfOneKeyAtOnceThanItsBound) {
  std::vector<RpcResponder> kept;
  std::promise<void> full;
  node_.server->Handle(kRingMethod, Access::kAnyone, [&](const Caller&, std::string, RpcResponder respond) {
    kept.push_back(std::move(respond));
    if (kept.size() == kServedCallsPerStrangerMax) full.set_value();
  });
  ASSERT_OK(node_.Start());
  std::promise<void> answered;
  size_t answers = 0;
  client_.loop.Post([&] {
    for (size_t i = 0; i < kServedCallsPerStrangerMax; ++i) {
      CallUntilServed(client_, node_.target(), [&](const absl::StatusOr<RpcAnswer>& answer) {
        EXPECT_OK(answer);
        if (++answers == kServedCallsPerStrangerMax) answered.set_value();
      });
    }
  });
  ASSERT_EQ(full.get_future().wait_for(support::kPatience), std::future_status::ready);
  const RpcTarget other_connection{node_.address(), std::nullopt};
  EXPECT_STATUS(client_.Call(other_connection, kEcho, ""), kResourceExhausted);
  EXPECT_OK(client_.Call(Local(), kEcho, ""));  // the user's own calls have room of their own
  node_.On([&] {
    for (const RpcResponder& respond : kept) respond("");
    kept.clear();
  });
  answered.get_future().wait();
  EXPECT_OK(client_.Call(other_connection, kEcho, ""));
}

// Calls of fresh keys that send their headers and then nothing, on a thread's worth of connections.
class SilentStrangers {
 public:
  SilentStrangers(const support::GrpcNode& to, base::Rng& rng, size_t strangers, size_t calls_of_each, const std::string& method) {
    for (size_t i = 0; i < strangers; ++i) {
      const keys::TlsIdentity own = keys::MakeTlsIdentity(keys::SigningKey::Generate(rng), rng);
      callers_.push_back(std::make_unique<RawCaller>(to, own));
      for (size_t call = 0; call < calls_of_each; ++call) {
        contexts_.push_back(std::make_unique<grpc::ClientContext>());
        calls_.push_back({callers_.back().get(), callers_.back()->Open(*contexts_.back(), method)});
      }
    }
  }
  ~SilentStrangers() {
    for (const auto& context : contexts_) context->TryCancel();
    while (!calls_.empty()) End(calls_.size() - 1);
  }
  // Waits for the end of that call, in the order in which they began.
  grpc::StatusCode End(size_t index) {
    grpc::Status status;
    calls_[index].stream->Finish(&status, nullptr);
    calls_[index].caller->Next();
    calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(index));
    return status.error_code();
  }

 private:
  struct Open {
    RawCaller* caller;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
  };
  std::vector<std::unique_ptr<RawCaller>> callers_;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts_;
  std::vector<Open> calls_;
};

TEST_F(RpcTest, SilentFreshKeysKeepNobodyOut) {
  ASSERT_OK(node_.Start());
  constexpr size_t kStrangers = kServedCallsOfStrangersMax / kUnreadPerStrangerMax;
  SilentStrangers flood(node_, rng_, kStrangers, kUnreadPerStrangerMax, kEcho);
  for (int i = 0; i < 3; ++i) EXPECT_OK(client_.Call({node_.address(), std::nullopt}, kEcho, "still answered"));
  EXPECT_OK(client_.Call(Local(), kEcho, ""));
}

TEST_F(RpcTest, BreaksOffACallWhoseRequestNeverComes) {
  ASSERT_OK(node_.Start());
  SilentStrangers silent(node_, rng_, 1, 1, kEcho);
  EXPECT_EQ(silent.End(0), grpc::StatusCode::CANCELLED);
}

TEST_F(RpcTest, StrangersWhoseCallsAreServedLeaveRoomForAKnownCaller) {
  support::GrpcNode neighbour(7);
  known_ = neighbour.key.public_key();
  std::vector<RpcResponder> kept;
  std::promise<void> full;
  node_.server->Handle(kRingMethod, Access::kAnyone, [&](const Caller&, std::string, RpcResponder respond) {
    kept.push_back(std::move(respond));
    if (kept.size() == kServedCallsOfStrangersMax) full.set_value();
  });
  ASSERT_OK(node_.Start());
  ASSERT_OK(neighbour.Start());
  std::vector<std::unique_ptr<support::GrpcNode>> strangers;
  for (size_t i = 0; i < kServedCallsOfStrangersMax / kServedCallsPerStrangerMax; ++i) {
    strangers.push_back(std::make_unique<support::GrpcNode>(20 + i));
    ASSERT_OK(strangers.back()->Start());
  }
  for (const auto& stranger : strangers) {
    stranger->On([&] {
      for (size_t call = 0; call < kServedCallsPerStrangerMax; ++call) CallUntilServed(*stranger, node_.target(), [](const auto&) {});
    });
  }
  ASSERT_EQ(full.get_future().wait_for(support::kPatience), std::future_status::ready);
  EXPECT_STATUS(client_.Call(node_.target(), kEcho, ""), kResourceExhausted);
  EXPECT_OK(neighbour.Call(node_.target(), kEcho, ""));
  node_.On([&] { kept.clear(); });
  strangers.clear();
}

TEST_F(RpcTest, StreamsManyAnswersUntilTheHandlerEndsIt) {
  node_.server->HandleStream(kWatch, Access::kAnyone,
                             [](const Caller&, const std::string& request, std::shared_ptr<RpcStream> stream) {
                               for (int i = 0; i < 5; ++i) EXPECT_TRUE(stream->Write(request + std::to_string(i)));
                               stream->Finish(absl::OkStatus());
                               EXPECT_FALSE(stream->Write("after the end"));
                             });
  ASSERT_OK(node_.Start());
  RawCaller caller(node_, client_.identity);
  grpc::ClientContext context;
  const auto call = caller.Open(context, kWatch);
  call->WriteLast(ToBuffer("n"), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(caller.Next());
  std::vector<std::string> answers;
  grpc::ByteBuffer answer;
  for (call->Read(&answer, nullptr); caller.Next(); call->Read(&answer, nullptr)) answers.push_back(ToText(answer));
  grpc::Status status;
  call->Finish(&status, nullptr);
  caller.Next();
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(answers, (std::vector<std::string>{"n0", "n1", "n2", "n3", "n4"}));
}

TEST_F(RpcTest, TellsAStreamsHandlerThatTheCallerHasGone) {
  std::shared_ptr<RpcStream> kept;
  node_.server->HandleStream(kWatch, Access::kAnyone, [&](const Caller&, const std::string&, std::shared_ptr<RpcStream> stream) {
    kept = std::move(stream);
    kept->Write("hello");
  });
  ASSERT_OK(node_.Start());
  RawCaller caller(node_, client_.identity);
  grpc::ClientContext context;
  const auto call = caller.Open(context, kWatch);
  call->WriteLast(ToBuffer(""), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(caller.Next());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(caller.Next());
  EXPECT_TRUE(node_.On([&] { return kept->Write("still there"); }));
  context.TryCancel();
  bool gone = false;
  for (const absl::Time start = absl::Now(); !gone && absl::Now() < start + absl::Seconds(10);) {
    gone = !node_.On([&] { return kept->Write("and now?"); });
  }
  EXPECT_TRUE(gone);
  node_.On([&] { kept = nullptr; });
}

TEST_F(RpcTest, EndsAStreamWhoseHandlerDropsIt) {
  node_.server->HandleStream(kWatch, Access::kAnyone,
                             [](const Caller&, const std::string&, const std::shared_ptr<RpcStream>&) {});
  ASSERT_OK(node_.Start());
  EXPECT_EQ(RawCaller(node_, client_.identity).Call(kWatch, ""), grpc::StatusCode::UNAVAILABLE);
}

// What a subscription heard, for the test's thread to wait on.
struct Heard {
  std::promise<std::string> first;
  std::promise<absl::Status> end;
  std::unique_ptr<RpcSubscription> subscription;

  void Subscribe(support::GrpcNode& asker, const RpcTarget& to) {
    asker.On([&] {
      subscription = asker.client.Subscribe(
          to, kWatch, "n", [this](const std::string& message) { first.set_value(message); },
          [this](const absl::Status& status) { end.set_value(status); });
    });
  }
  absl::Status End() {
    auto status = end.get_future();
    if (status.wait_for(support::kPatience) != std::future_status::ready) return absl::DeadlineExceededError("no end");
    return status.get();
  }
};

TEST_F(RpcTest, SubscribersHearEveryAnswerAndTheEndOfTheServer) {
  std::vector<std::shared_ptr<RpcStream>> kept;
  node_.server->HandleStream(kWatch, Access::kAnyone, [&](const Caller&, const std::string& request, std::shared_ptr<RpcStream> stream) {
    stream->Write(request + " is up");
    kept.push_back(std::move(stream));
  });
  ASSERT_OK(node_.Start());
  Heard heard;
  heard.Subscribe(client_, node_.target());
  EXPECT_EQ(heard.first.get_future().get(), "n is up");
  node_.Stop();
  EXPECT_STATUS(heard.End(), kUnavailable);
  client_.On([&] { heard.subscription = nullptr; });
}

TEST_F(RpcTest, SubscribersHearWhyTheyAreRefused) {
  node_.server->HandleStream(kWatch, Access::kAnyone, [](const Caller&, const std::string&, const std::shared_ptr<RpcStream>& stream) {
    stream->Finish(absl::ResourceExhaustedError(""));
  });
  ASSERT_OK(node_.Start());
  Heard refused, nobody, other_key;
  refused.Subscribe(client_, node_.target());
  nobody.Subscribe(client_, {"127.0.0.1:1", node_.key.public_key()});
  other_key.Subscribe(client_, {node_.address(), client_.key.public_key()});
  EXPECT_STATUS(refused.End(), kResourceExhausted);
  EXPECT_STATUS(nobody.End(), kUnavailable);
  EXPECT_STATUS(other_key.End(), kUnavailable);
  client_.On([&] {
    for (Heard* heard : {&refused, &nobody, &other_key}) heard->subscription = nullptr;
  });
}

TEST_F(RpcTest, ASubscriptionMayBeDroppedFromInsideItsCallback) {
  std::shared_ptr<RpcStream> kept;
  node_.server->HandleStream(kWatch, Access::kAnyone, [&](const Caller&, const std::string&, std::shared_ptr<RpcStream> stream) {
    kept = std::move(stream);
    for (int i = 0; i < 10; ++i) kept->Write("again");
  });
  ASSERT_OK(node_.Start());
  std::unique_ptr<RpcSubscription> subscription;
  std::promise<void> dropped;
  client_.On([&] {
    subscription = client_.client.Subscribe(
        node_.target(), kWatch, "",
        [&](const std::string&) {
          subscription = nullptr;
          dropped.set_value();  // throws if it is called twice
        },
        [](const absl::Status&) { ADD_FAILURE() << "it was dropped"; });
  });
  ASSERT_EQ(dropped.get_future().wait_for(support::kPatience), std::future_status::ready);
  bool gone = false;
  for (const absl::Time start = absl::Now(); !gone && absl::Now() < start + absl::Seconds(10);) {
    gone = !node_.On([&] { return kept->Write("still there?"); });
  }
  EXPECT_TRUE(gone);
  node_.On([&] { kept = nullptr; });
}

TEST_F(RpcTest, RefusesAPortThatSomebodyHas) {
  ASSERT_OK(node_.Start());
  support::GrpcNode second(3, {.address = node_.address()});
  EXPECT_STATUS(second.Start(), kAlreadyExists);
  EXPECT_OK(client_.Call(node_.target(), kEcho, ""));
}

TEST_F(RpcTest, NamesThePortOfASecondNodeThatMeetsTheSocketFirst) {
  ASSERT_OK(node_.Start());
  support::GrpcNode second(3, {.address = node_.address(), .socket_path = socket_path_});
  const absl::Status status = second.Start();
  EXPECT_STATUS(status, kAlreadyExists);
  EXPECT_NE(std::string(status.message()).find(node_.address()), std::string::npos) << status;
}

TEST_F(RpcTest, RefusesAnAddressThatIsNone) {
  support::GrpcNode lost(3, {.address = "192.0.2.1:0"});
  EXPECT_STATUS(lost.Start(), kInvalidArgument);
}

TEST_F(RpcTest, MakesASocketForItsUserOnlyAndRemovesItAtTheEnd) {
  ASSERT_OK(node_.Start());
  struct stat info {};
  ASSERT_EQ(lstat(socket_path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  node_.Stop();
  node_.server = nullptr;
  EXPECT_FALSE(std::filesystem::exists(socket_path_));
}

TEST_F(RpcTest, LeavesARunningNodesSocketAlone) {
  ASSERT_OK(node_.Start());
  support::GrpcNode second(3, {.socket_path = socket_path_});
  EXPECT_STATUS(second.Start(), kAlreadyExists);
  EXPECT_OK(client_.Call(Local(), kControlMethod, ""));
}

TEST_F(RpcTest, ReplacesTheSocketOfANodeThatDied) {
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path_.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  close(dead);
  ASSERT_TRUE(std::filesystem::exists(socket_path_));
  ASSERT_OK(node_.Start());
  EXPECT_OK(client_.Call(Local(), kControlMethod, ""));
}

TEST_F(RpcTest, TouchesNoFileThatIsNoSocket) {
  std::ofstream(socket_path_) << "precious";
  EXPECT_STATUS(node_.Start(), kFailedPrecondition);
  EXPECT_EQ(std::filesystem::file_size(socket_path_), 8u);
  EXPECT_STATUS(FreeSocketPath(folder_.File(std::string(120, 'x'))), kInvalidArgument);
}

TEST_F(RpcTest, StopsWithCallsUnansweredOnBothSides) {
  std::vector<RpcResponder> kept;
  std::promise<void> arrived;
  node_.server->Handle(kRingMethod, Access::kAnyone, [&](const Caller&, std::string, RpcResponder respond) {
    kept.push_back(std::move(respond));
    arrived.set_value();
  });
  ASSERT_OK(node_.Start());
  std::promise<absl::Status> answer;
  client_.loop.Post([&] {
    client_.client.Call(node_.target(), kRingMethod, "", absl::Seconds(60),
                        [&](const absl::StatusOr<RpcAnswer>& got) { answer.set_value(got.status()); });
  });
  arrived.get_future().wait();
  node_.Stop();
  EXPECT_STATUS(answer.get_future().get(), kUnavailable);
}

TEST(GrpcTarget, ChoosesTheSchemeItself) {
  EXPECT_EQ(GrpcTarget("127.0.0.1:10001"), "ipv4:127.0.0.1:10001");
  EXPECT_EQ(GrpcTarget("[::1]:10001"), "ipv6:[::1]:10001");
  EXPECT_EQ(GrpcTarget("node.example:1"), "dns:///node.example:1");
  EXPECT_EQ(GrpcTarget("xds:///somewhere:1"), "dns:///xds:///somewhere:1");
  EXPECT_EQ(GrpcTarget(""), "dns:///");
}

}  // namespace
}  // namespace overlay
