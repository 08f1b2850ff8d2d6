// SPDX-License-Identifier: Apache-2.0
#include "cli/control_operations.h"

#include <gtest/gtest.h>

#include <deque>

#include "cli/control_client.h"
#include "proto/control.pb.h"
#include "tests/support/manual_loop.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

using bulbil::v1::OpenOperationReply;
using bulbil::v1::OpenOperationRequest;
using bulbil::v1::RunOperationReply;
using bulbil::v1::RunOperationRequest;

// Answers what the test laid down, in order.
class ScriptedNode : public overlay::RpcClient {
 public:
  explicit ScriptedNode(base::EventLoop& loop) : loop_(loop) {}
  void Call(const overlay::RpcTarget& to, std::string_view method, std::string request, absl::Duration,
            std::function<void(absl::StatusOr<overlay::RpcAnswer>)> done) override {
    addresses.push_back(to.address);
    methods.emplace_back(method);
    requests.push_back(std::move(request));
    absl::StatusOr<std::string> answer = absl::InternalError("no answer was laid down");
    if (!answers.empty()) answer = answers.front(), answers.pop_front();
    loop_.Post([answer, done = std::move(done)] {
      if (!answer.ok()) return done(answer.status());
      done(overlay::RpcAnswer{.message = *answer});
    });
  }

  // The messages of `waits` first; without an answer laid down it goes on waiting.
  std::unique_ptr<overlay::RpcSubscription> Subscribe(const overlay::RpcTarget& to, std::string_view method, std::string request,
                                                      std::function<void(const std::string&)> on_message,
                                                      std::function<void(absl::Status)> on_end) override {
    struct Handle : overlay::RpcSubscription {
      explicit Handle(int& count) : open(count) { ++open; }
      ~Handle() override { --open; }
      int& open;
      std::shared_ptr<char> alive = std::make_shared<char>();
    };
    addresses.push_back(to.address);
    methods.emplace_back(method);
    requests.push_back(std::move(request));
    auto handle = std::make_unique<Handle>(open_calls);
    if (answers.empty()) return handle;
    const absl::StatusOr<std::string> answer = answers.front();
    answers.pop_front();
    loop_.Post([this, answer, on_message = std::move(on_message), on_end = std::move(on_end),
                alive = std::weak_ptr<char>(handle->alive)] {
      for (const std::string& one : waits) {
        if (!alive.expired()) on_message(one);
      }
      if (answer.ok() && !alive.expired()) on_message(*answer);
      if (!alive.expired()) on_end(answer.status());
    });
    return handle;
  }

  std::deque<absl::StatusOr<std::string>> answers;
  std::vector<std::string> addresses, methods, requests, waits;
  int open_calls = 0;  // subscriptions

 private:
  base::EventLoop& loop_;
};

class ControlOperationsTest : public testing::Test {
 protected:
  absl::StatusOr<circuits::OpenedOperation> Open() {
    absl::StatusOr<circuits::OpenedOperation> result = absl::UnknownError("not called back");
    operations_.Open({.point = point_, .isolation = {1, 2}, .avoid = {avoided_}, .purpose = circuits::Purpose::kWrite},
                     [&](absl::StatusOr<circuits::OpenedOperation> opened) { result = std::move(opened); });
    loop_.RunReady();
    return result;
  }
  absl::StatusOr<base::Bytes> Run(uint64_t handle) {
    absl::StatusOr<base::Bytes> result = absl::UnknownError("not called back");
    operations_.Run(handle, {7, 8}, [&](absl::StatusOr<base::Bytes> answer) { result = std::move(answer); });
    loop_.RunReady();
    return result;
  }
  OpenOperationReply GoodReply() {
    OpenOperationReply reply;
    reply.set_known_nodes(8);
    reply.set_handle("node handle");
    reply.set_channel_binding(std::string(32, 'k'));
    reply.set_storage_node(std::string(32, 's'));
    reply.add_responsible(std::string(32, 's'));
    reply.add_responsible(std::string(32, 't'));
    return reply;
  }

  support::SeededRng rng_{3};
  support::ManualLoop loop_;
  ScriptedNode node_{loop_};
  overlay::NodeId point_ = overlay::NodeId::Random(rng_);
  keys::PublicKey avoided_{rng_.Array<32>()};
  ControlOperations operations_{node_, "/run/10001.sock", /*now=*/true};
};

TEST_F(ControlOperationsTest, OpensAndRunsOverTheSocket) {
  RunOperationReply answer;
  answer.set_answer("done");
  node_.answers = {GoodReply().SerializeAsString(), answer.SerializeAsString()};
  ASSERT_OK_AND_ASSIGN(const circuits::OpenedOperation opened, Open());
  EXPECT_EQ(base::ToString(opened.channel_binding), std::string(32, 'k'));
  EXPECT_EQ(base::ToString(opened.storage_node.view()), std::string(32, 's'));
  EXPECT_EQ(opened.responsible.size(), 2u);
  EXPECT_TRUE(opened.path.empty());
  ASSERT_OK_AND_ASSIGN(const base::Bytes done, Run(opened.handle));
  EXPECT_EQ(base::ToString(done), "done");

  EXPECT_EQ(node_.methods, (std::vector<std::string>{"/bulbil.v1.Control/OpenOperation", "/bulbil.v1.Control/RunOperation"}));
  EXPECT_EQ(node_.addresses[0], "unix:/run/10001.sock");
  OpenOperationRequest open;
  ASSERT_TRUE(open.ParseFromString(node_.requests[0]));
  EXPECT_EQ(open.point(), base::ToString(point_.view()));
  EXPECT_EQ(open.isolation(), "\x01\x02");
  EXPECT_EQ(open.purpose(), static_cast<uint32_t>(circuits::Purpose::kWrite));
  EXPECT_TRUE(open.now());
  ASSERT_EQ(open.avoid_size(), 1);
  EXPECT_EQ(open.avoid(0), base::ToString(avoided_.view()));
  RunOperationRequest run;
  ASSERT_TRUE(run.ParseFromString(node_.requests[1]));
  EXPECT_EQ(run.handle(), "node handle");
  EXPECT_EQ(run.request(), "\x07\x08");
}

TEST_F(ControlOperationsTest, AHandleIsGoodForOneRun) {
  node_.answers = {GoodReply().SerializeAsString(), RunOperationReply().SerializeAsString(), absl::NotFoundError("")};
  ASSERT_OK_AND_ASSIGN(const circuits::OpenedOperation opened, Open());
  EXPECT_OK(Run(opened.handle));
  EXPECT_STATUS(Run(opened.handle), kNotFound);
  RunOperationRequest second;
  ASSERT_TRUE(second.ParseFromString(node_.requests[2]));
  EXPECT_EQ(second.handle(), "") << "the node's handle is not used twice";
}

TEST_F(ControlOperationsTest, TooFewNodesAreAReasonOfTheirOwn) {
  OpenOperationReply reply;
  reply.set_known_nodes(2);
  node_.answers = {reply.SerializeAsString()};
  const auto opened = Open();
  EXPECT_STATUS(opened, kFailedPrecondition);
  EXPECT_EQ(opened.status().message(), "needs 4 other nodes, sees 2");
}

TEST_F(ControlOperationsTest, FailuresKeepTheirCode) {
  node_.answers = {absl::UnavailableError("")};
  EXPECT_STATUS(Open(), kUnavailable);
  node_.answers = {GoodReply().SerializeAsString(), absl::DeadlineExceededError("")};
  ASSERT_OK_AND_ASSIGN(const circuits::OpenedOperation opened, Open());
  EXPECT_STATUS(Run(opened.handle), kDeadlineExceeded);
}

TEST_F(ControlOperationsTest, AnAnswerThatMakesNoSenseIsRefused) {
  OpenOperationReply short_key = GoodReply(), short_binding = GoodReply(), odd_path = GoodReply();
  short_key.add_responsible("x");
  short_binding.set_channel_binding("x");
  odd_path.set_path(std::string(33, 'p'));
  for (const std::string& bytes : {short_key.SerializeAsString(), short_binding.SerializeAsString(), odd_path.SerializeAsString(),
                                   std::string("\xff\xff\xff")}) {
    node_.answers = {bytes};
    EXPECT_STATUS(Open(), kInternal);
  }
}

TEST_F(ControlOperationsTest, ItsTurnIsAwaitedHoweverOftenTheNodeAsksWhetherAnybodyIsThere) {
  OpenOperationReply waits;
  waits.set_waits(true);
  node_.waits = {waits.SerializeAsString(), waits.SerializeAsString()};
  node_.answers = {GoodReply().SerializeAsString()};
  EXPECT_OK(Open());
  EXPECT_EQ(node_.open_calls, 0);
  node_.answers = {waits.SerializeAsString()};  // and then the end, with nothing else
  EXPECT_STATUS(Open(), kInternal);
}

TEST_F(ControlOperationsTest, WhatNobodyWantsIsGivenUpAtTheNode) {
  bool wanted = true;
  const auto never = [](const absl::StatusOr<circuits::OpenedOperation>&) { ADD_FAILURE() << "called back"; };
  for (int i = 0; i < 3; ++i) operations_.Open({.point = point_, .wanted = [&] { return wanted; }}, never);
  operations_.Open({.point = point_}, never);
  loop_.RunReady();
  EXPECT_EQ(node_.open_calls, 4);
  node_.answers = {GoodReply().SerializeAsString()};
  EXPECT_OK(Open());
  EXPECT_EQ(node_.open_calls, 4) << "all wait";
  wanted = false;
  node_.answers = {GoodReply().SerializeAsString()};
  EXPECT_OK(Open());
  EXPECT_EQ(node_.open_calls, 1) << "the one that is always wanted";
}

TEST(ControlCalls, ExplainWhatTheCodesMean) {
  EXPECT_EQ(ControlMethod("Status"), "/bulbil.v1.Control/Status");
  EXPECT_EQ(ControlMethod("/grpc.health.v1.Health/Check"), "/grpc.health.v1.Health/Check");
}

}  // namespace
}  // namespace cli
