// SPDX-License-Identifier: Apache-2.0
#include "overlay/ring_driver.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "overlay/introduce.h"
#include "overlay/ring_wire.h"
#include "tests/overlay/memory_rpc.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

// What the root builds of a node, as far as the ring goes.
struct TestNode {
  TestNode(MemoryNet& net, base::Rng& rng, int port, Network on, Role role = Role::kStoring, keys::OnionKeys onion_keys = {})
      : network(std::move(on)),
        key(keys::SigningKey::Generate(rng)),
        address(absl::StrCat("127.0.0.1:", port)),
        server(net, address, key.public_key()),
        client(net, key.public_key()),
        directory(network),
        ring({.network = network,
              .role = role,
              .address = address,
              .onion_keys = std::move(onion_keys),
              .keep_onion_keys = [this](const keys::OnionKeys& made) { kept.push_back(made); }},
             key, net.loop, server, client, directory, rng) {}

  const Network network;
  const keys::SigningKey key;
  const std::string address;
  MemoryServer server;
  MemoryClient client;
  Directory directory;
  std::vector<keys::OnionKeys> kept;  // each time there were new onion keys
  RingDriver ring;
};

class RingDriverTest : public testing::Test {
 protected:
  TestNode& Add(Role role = Role::kStoring) {
    nodes_.push_back(std::make_unique<TestNode>(net_, rng_, 10001 + static_cast<int>(nodes_.size()), network_, role));
    return *nodes_.back();
  }
  absl::Status JoinNow(TestNode& node, const std::string& bootstrap = "127.0.0.1:10001") {
    absl::Status result = absl::InternalError("never called");
    node.ring.Join({{bootstrap, std::nullopt}}, absl::Seconds(30), [&](absl::Status status) { result = std::move(status); });
    loop_.RunFor(absl::Seconds(31));
    return result;
  }
  void Grow(size_t count) {
    Add().ring.Create();
    while (nodes_.size() < count) ASSERT_OK(JoinNow(Add()));
  }
  absl::StatusOr<std::string> Ask(TestNode& asker, TestNode& asked, const std::string& method, const std::string& request) {
    absl::StatusOr<std::string> result = absl::InternalError("never answered");
    asker.client.Call({asked.address, asked.key.public_key()}, method, request, absl::Seconds(1),
                      [&](const absl::StatusOr<RpcAnswer>& answer) {
                        result = answer.ok() ? absl::StatusOr<std::string>(answer->message) : answer.status();
                      });
    loop_.RunFor(absl::Seconds(2));
    return result;
  }

  support::ManualLoop loop_;
  MemoryNet net_{loop_};
  support::SeededRng rng_{7};
  Network network_;
  std::vector<std::unique_ptr<TestNode>> nodes_;
};

TEST_F(RingDriverTest, NodesFormARingAndKnowEachOthersDescriptors) {
  Grow(5);
  for (const auto& node : nodes_) {
    EXPECT_EQ(node->ring.successors().size(), 4u);
    EXPECT_TRUE(node->ring.table().CoversRing());
    EXPECT_EQ(node->ring.SizeEstimate(), std::make_pair(5.0, true));
    ASSERT_OK(DecodeTable(network_, node->ring.table().encoded, loop_.WallNow()));
    for (const auto& other : nodes_) EXPECT_NE(node->directory.Find(other->key.public_key(), loop_.WallNow()), nullptr);
  }
}

TEST_F(RingDriverTest, TheRingRepairsItselfWhenANodeIsGone) {
  Grow(4);
  nodes_.erase(nodes_.begin() + 2);
  loop_.RunFor(absl::Seconds(4));
  for (const auto& node : nodes_) EXPECT_EQ(node->ring.successors().size(), 2u);
}

TEST_F(RingDriverTest, LookupsFindTheOwner) {
  Grow(4);
  std::optional<absl::StatusOr<LookupResult>> result;
  const NodeId point = nodes_[2]->ring.self().point;
  nodes_[0]->ring.Lookup(point, [&](absl::StatusOr<LookupResult> done) { result = std::move(done); });
  EXPECT_FALSE(result.has_value());  // never from inside the call
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(result.has_value());
  ASSERT_OK(*result);
  EXPECT_EQ((*result)->owner.point, point);
}

TEST_F(RingDriverTest, JoiningEndsAtTheDeadlineWhenNobodyAnswers) {
  EXPECT_STATUS(JoinNow(Add()), kDeadlineExceeded);
  EXPECT_EQ(nodes_[0]->ring.state(), RingState::kLeft);
}

TEST_F(RingDriverTest, JoiningWaitsForABootstrapThatStartsLater) {
  TestNode joiner(net_, rng_, 10002, network_);
  std::optional<absl::Status> result;
  joiner.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(30),
                   [&](absl::Status status) { result = std::move(status); });
  loop_.RunFor(absl::Seconds(10));
  EXPECT_FALSE(result.has_value());
  TestNode late(net_, rng_, 10001, network_);
  late.ring.Create();
  loop_.RunFor(absl::Seconds(5));
  ASSERT_TRUE(result.has_value());
  EXPECT_OK(*result);
}

// Its machine was offline when its place was over: it neither gives up nor founds a ring of its own.
TEST_F(RingDriverTest, WhoReturnsTriesUntilTheRingIsThere) {
  TestNode node(net_, rng_, 10002, network_);
  int returned = 0;
  node.ring.Return({{"127.0.0.1:10001", std::nullopt}, {"127.0.0.1:10003", std::nullopt}}, [&] { ++returned; });
  loop_.RunFor(absl::Hours(1));
  EXPECT_FALSE(node.ring.IsMember());
  EXPECT_EQ(returned, 0);
  Add().ring.Create();
  loop_.RunFor(absl::Seconds(10));
  EXPECT_EQ(returned, 1);
  EXPECT_EQ(node.ring.successors().size(), 1u);
}

// The others are gone for good; whoever comes to it now has a ring.
TEST_F(RingDriverTest, WhoReturnsToNobodyFoundsForANewcomer) {
  TestNode& node = Add();
  int returned = 0;
  node.ring.Return({{"127.0.0.1:20001", std::nullopt}}, [&] { ++returned; });
  loop_.RunFor(absl::Minutes(5));
  EXPECT_FALSE(node.ring.IsMember());
  EXPECT_OK(JoinNow(Add()));
  EXPECT_EQ(returned, 1);
  EXPECT_EQ(node.ring.successors().size(), 1u);
}

// The ring is there, and only not met yet: founding another for whoever knocks first would split it.
TEST_F(RingDriverTest, WhoReturnsFoundsNothingBeforeItHasMetTheOthers) {
  Grow(3);
  TestNode& node = Add();
  TestNode& newcomer = Add();
  int returned = 0;
  node.ring.Return({{"127.0.0.1:10001", std::nullopt}}, [&] { ++returned; });
  std::optional<absl::Status> joined;
  newcomer.ring.Join({{node.address, std::nullopt}}, absl::Seconds(30), [&](absl::Status status) { joined = std::move(status); });
  for (int i = 0; i < 3000 && !joined; ++i) {
    loop_.RunFor(absl::Milliseconds(10));
    if (node.ring.IsMember()) ASSERT_GE(node.ring.successors().size(), 3u) << "a ring of its own";
  }
  ASSERT_TRUE(joined.has_value());
  EXPECT_OK(*joined);
  EXPECT_EQ(returned, 1);
  EXPECT_GE(newcomer.ring.successors().size(), 4u);
}

TEST_F(RingDriverTest, NodesOfAnotherNetworkAreRefusedAtOnce) {
  Grow(1);
  network_.name = "elsewhere";
  TestNode& stranger = Add();
  absl::Status result;
  stranger.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(30),
                     [&](absl::Status status) { result = std::move(status); });
  loop_.RunFor(absl::Seconds(1));
  EXPECT_STATUS(result, kFailedPrecondition);
}

TEST_F(RingDriverTest, MembershipWaitsForTheRangeAndAFailedDownloadIsTriedAgain) {
  Grow(2);
  TestNode& joiner = Add();
  std::vector<std::function<void(absl::Status)>> downloads;
  joiner.ring.on_join_prepared = [&](const Neighbourhood& future, std::function<void(absl::Status)> done) {
    EXPECT_TRUE(future.member);
    EXPECT_EQ(future.successors.size(), 2u);
    downloads.push_back(std::move(done));
  };
  std::optional<absl::Status> joined;
  joiner.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(60),
                   [&](absl::Status status) { joined = std::move(status); });
  loop_.RunFor(absl::Seconds(5));
  ASSERT_EQ(downloads.size(), 1u);
  EXPECT_FALSE(joiner.ring.IsMember());
  downloads[0](absl::UnavailableError("giver gone"));
  loop_.RunFor(absl::Seconds(5));
  ASSERT_EQ(downloads.size(), 2u);
  downloads[0](absl::OkStatus());  // of the first attempt: counts for nothing
  loop_.RunFor(absl::Seconds(1));
  EXPECT_FALSE(joiner.ring.IsMember());
  downloads[1](absl::OkStatus());
  loop_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(joiner.ring.IsMember());
  EXPECT_EQ(joined, absl::OkStatus());
}

TEST_F(RingDriverTest, NobodyCanRectifyInAnothersName) {
  Grow(3);
  RectifyRequest notice;
  notice.candidate = nodes_[2]->ring.self();
  const std::string forged = EncodeRequest(notice, 0);
  EXPECT_STATUS(Ask(*nodes_[1], *nodes_[0], kMethodRectify, forged), kUnauthenticated);
  EXPECT_OK(Ask(*nodes_[2], *nodes_[0], kMethodRectify, forged));
}

TEST_F(RingDriverTest, TheRingsOwnQuestionsAreForNodes) {
  Grow(2);
  MemoryClient stranger(net_, keys::PublicKey{{9}});
  std::map<std::string, absl::Status> answers;
  for (const char* method : {kMethodState, kMethodNextHop, kMethodLeaving, kMethodHealthCheck}) {
    stranger.Call({nodes_[0]->address, std::nullopt}, method, "", absl::Seconds(1),
                  [&answers, method](absl::StatusOr<RpcAnswer> answer) { answers[method] = answer.status(); });
  }
  loop_.RunFor(absl::Seconds(1));
  EXPECT_OK(answers.at(kMethodHealthCheck));
  EXPECT_STATUS(answers.at(kMethodState), kFailedPrecondition);
  for (const char* method : {kMethodNextHop, kMethodLeaving}) EXPECT_FALSE(answers.at(method).ok()) << method;
}

TEST_F(RingDriverTest, MalformedQuestionsAreRefused) {
  Grow(2);
  for (const char* method :
       {kMethodState, kMethodRectify, kMethodNextHop, kMethodLeaving, kMethodHealthCheck, kMethodDescribe, kMethodTable}) {
    EXPECT_STATUS(Ask(*nodes_[1], *nodes_[0], method, "\xff\xff not protobuf"), kInvalidArgument) << method;
  }
  EXPECT_STATUS(Ask(*nodes_[1], *nodes_[0], kMethodTable, EncodeTableQuestion(1)), kNotFound);
  EXPECT_STATUS(Ask(*nodes_[1], *nodes_[0], kMethodState, EncodeRequest(StateRequest{}, 1)), kInvalidArgument);
}

// A client that asks a moment after others joined needs just those.
TEST_F(RingDriverTest, WhoAsksForASmallTableThatIsBehindWaitsForTheNext) {
  Grow(2);
  RingDriver& asked = nodes_[0]->ring;
  for (int i = 0; i < 3; ++i) Add().ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(30), [](const absl::Status&) {});
  const auto all = [&] { return asked.virtual_node(0).FarSuccessors().size() == 4; };
  for (int i = 0; i < 3000 && !all(); ++i) {
    loop_.RunFor(absl::Milliseconds(10));
    asked.signed_table();
  }
  ASSERT_TRUE(all());
  ASSERT_LT(asked.signed_table()->Members().size(), 5u);  // signed within the second before
  EXPECT_EQ(asked.table().Members().size(), 5u) << "for itself it does not wait";
  EXPECT_LT(asked.signed_table()->Members().size(), 5u);
  std::optional<absl::StatusOr<RoutingTable>> shown;
  const absl::Time begin = loop_.Now();
  nodes_[1]->client.Call({nodes_[0]->address, nodes_[0]->key.public_key()}, kMethodTable, EncodeTableQuestion(0), absl::Seconds(2),
                         [&](const absl::StatusOr<RpcAnswer>& answer) {
                           ASSERT_OK(answer);
                           const absl::StatusOr<base::Bytes> encoded = DecodeTableReply(answer->message);
                           ASSERT_OK(encoded);
                           shown = DecodeTable(network_, *encoded, loop_.WallNow());
                         });
  while (!shown && loop_.Now() < begin + absl::Seconds(2)) loop_.RunFor(absl::Milliseconds(10));
  ASSERT_TRUE(shown.has_value());
  ASSERT_OK(*shown);
  EXPECT_EQ((*shown)->Members().size(), 5u);
}

TEST_F(RingDriverTest, TableAndDescriptorsAreServedToAnybody) {
  Grow(3);
  MemoryClient anonymous(net_, keys::PublicKey{{9}});
  std::optional<absl::StatusOr<Introduction>> met;
  Introduce(network_, anonymous, {nodes_[1]->address, std::nullopt}, {}, loop_, [&](auto result) { met = std::move(result); });
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(met.has_value());
  ASSERT_OK(*met);
  EXPECT_EQ((*met)->descriptor.node_key, nodes_[1]->key.public_key());
  EXPECT_EQ((*met)->table.Members().size(), 3u);

}

// A table says whom a node knows anyway. Of whom else it holds a descriptor is its user's business.
TEST_F(RingDriverTest, NobodyIsToldAnothersDescriptor) {
  Grow(3);
  const std::string field_of_before = std::string("\x12\x20") + base::ToString(nodes_[2]->key.public_key().view());
  ASSERT_OK_AND_ASSIGN(const std::string reply, Ask(*nodes_[0], *nodes_[1], kMethodDescribe, EncodeDescribe({}) + field_of_before));
  ASSERT_OK_AND_ASSIGN(const base::Bytes encoded, DecodeDescribeReply(reply));
  EXPECT_EQ(encoded, nodes_[1]->ring.descriptor().encoded);
}

TEST_F(RingDriverTest, AnImpostorIsNotBelieved) {
  Grow(1);
  // Another key answers at an address with somebody else's descriptor.
  MemoryServer impostor(net_, "127.0.0.1:20000", keys::PublicKey{{3}});
  impostor.Handle(kMethodDescribe, Access::kAnyone, [&](const Caller&, const std::string&, const RpcResponder& respond) {
    respond(EncodeDescribeReply(nodes_[0]->ring.descriptor().encoded));
  });
  std::optional<absl::StatusOr<Descriptor>> met;
  Meet(network_, nodes_[0]->client, {"127.0.0.1:20000", std::nullopt}, {}, loop_, [&](auto result) { met = std::move(result); });
  loop_.RunFor(absl::Seconds(1));
  EXPECT_STATUS(*met, kUnauthenticated);
}

TEST_F(RingDriverTest, HealthIsServingExactlyWhileAMember) {
  TestNode& node = Add();
  std::vector<std::string> seen;
  struct Stream : RpcStream {
    explicit Stream(std::vector<std::string>& to) : out(to) {}
    bool Write(std::string message) override {
      out.push_back(std::move(message));
      return true;
    }
    void Finish(absl::Status) override {}
    std::vector<std::string>& out;
  };
  node.server.stream_handlers[kMethodHealthWatch](Caller{}, "", std::make_shared<Stream>(seen));
  node.ring.Create();
  node.ring.Leave([] {});
  const std::string serving = EncodeReply(HealthReply{true}, node.ring.self()),
                    not_serving = EncodeReply(HealthReply{false}, node.ring.self());
  EXPECT_EQ(seen, (std::vector<std::string>{not_serving, serving, not_serving}));
}

TEST_F(RingDriverTest, HealthIsNotServingWhileJoiningDetachedAndAfterLeaving) {
  Grow(2);
  TestNode& joiner = Add();
  std::function<void(absl::Status)> downloaded;
  joiner.ring.on_join_prepared = [&](const Neighbourhood&, std::function<void(absl::Status)> done) {
    downloaded = std::move(done);
  };
  joiner.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(60), [](const absl::Status&) {});
  loop_.RunFor(absl::Seconds(5));
  const std::string serving = EncodeReply(HealthReply{true}, joiner.ring.self());
  const std::string not_serving = EncodeReply(HealthReply{false}, joiner.ring.self());
  const std::string check = EncodeRequest(HealthRequest{}, 0);
  EXPECT_EQ(joiner.ring.state(), RingState::kJoining);
  EXPECT_EQ(Ask(*nodes_[0], joiner, kMethodHealthCheck, check).value_or(""), not_serving);
  downloaded(absl::OkStatus());
  loop_.RunFor(absl::Seconds(5));
  EXPECT_EQ(Ask(*nodes_[0], joiner, kMethodHealthCheck, check).value_or(""), serving);
  nodes_.erase(nodes_.begin(), nodes_.begin() + 2);
  loop_.RunFor(absl::Seconds(30));
  EXPECT_EQ(joiner.ring.state(), RingState::kDetached);
  EXPECT_EQ(Ask(joiner, joiner, kMethodHealthCheck, check).value_or(""), not_serving);
  joiner.ring.Leave([] {});
  EXPECT_EQ(Ask(joiner, joiner, kMethodHealthCheck, check).value_or(""), not_serving);
}

// Says what the test wants, to whoever watches that node.
class ScriptedHealth {
 public:
  explicit ScriptedHealth(TestNode& node) : self_(node.ring.self()) {
    node.server.stream_handlers[kMethodHealthWatch] = [this](const Caller&, const std::string&,
                                                             std::shared_ptr<RpcStream> stream) {
      ++opened;
      if (refuses) return stream->Finish(absl::ResourceExhaustedError(""));
      streams.push_back(std::move(stream));
      Say(true);
    };
  }
  bool Say(bool serving) {
    bool heard = false;
    for (const auto& stream : streams) heard = stream->Write(EncodeReply(HealthReply{serving}, self_)) || heard;
    return heard;
  }

  bool refuses = false;
  int opened = 0;
  std::vector<std::shared_ptr<RpcStream>> streams;

 private:
  const Peer self_;
};

TEST_F(RingDriverTest, ANeighbourThatDiesIsReplacedAtOnce) {
  Grow(5);
  loop_.RunFor(absl::Minutes(1));  // quiet: five seconds from one question to the next
  const NodeId dead = nodes_[2]->ring.self().point;
  nodes_.erase(nodes_.begin() + 2);
  loop_.RunFor(absl::Milliseconds(300));
  for (const auto& node : nodes_) {
    EXPECT_NE(node->ring.successors().front().point, dead);
    EXPECT_NE(node->ring.predecessor()->point, dead);
  }
}

TEST_F(RingDriverTest, ANeighbourThatSaysItIsNoMemberIsAskedAtOnceAndNotBelieved) {
  Grow(1);
  ScriptedHealth health(*nodes_[0]);
  ASSERT_OK(JoinNow(Add()));
  loop_.RunFor(absl::Minutes(1));
  int asked = 0;
  auto& state = nodes_[0]->server.handlers[kMethodState];
  state = [&asked, serve = state](const Caller& caller, std::string request, RpcResponder respond) {
    ++asked;
    serve(caller, std::move(request), std::move(respond));
  };
  health.Say(false);
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_GE(asked, 1);
  EXPECT_EQ(nodes_[1]->ring.successors().size(), 1u);
}

TEST_F(RingDriverTest, WhoCannotBeWatchedIsAskedNowAndThenWhetherItCan) {
  Grow(1);
  ScriptedHealth health(*nodes_[0]);
  health.refuses = true;
  ASSERT_OK(JoinNow(Add()));
  EXPECT_GE(health.opened, 2);
  EXPECT_LE(health.opened, 4);
  health.refuses = false;
  loop_.RunFor(kWatchPause);
  EXPECT_EQ(health.streams.size(), 1u) << "one stream, though it is successor and predecessor";
  const int opened = health.opened;
  loop_.RunFor(absl::Minutes(5));
  EXPECT_EQ(health.opened, opened);
  nodes_[1]->ring.Leave([] {});
  loop_.RunFor(absl::Seconds(1));
  EXPECT_FALSE(health.Say(true)) << "no member, no watch";
}

TEST_F(RingDriverTest, AStreamThatTalksTooMuchIsEnded) {
  Grow(1);
  ScriptedHealth health(*nodes_[0]);
  ASSERT_OK(JoinNow(Add()));
  ASSERT_EQ(health.opened, 1);
  int heard = 0;
  for (int i = 0; i < 1000; ++i) {
    heard += health.Say(i % 2 == 0) ? 1 : 0;
    loop_.RunFor(absl::Milliseconds(5));
  }
  EXPECT_LE(heard, kWatchMessagesMax);
  loop_.RunFor(kWatchPause);
  EXPECT_EQ(health.opened, 2);
  EXPECT_EQ(nodes_[1]->ring.successors().size(), 1u);
}

TEST_F(RingDriverTest, HealthIsNotServingWhileJoiningAndWhenDetached) {
  Grow(2);
  TestNode& joiner = Add();
  std::vector<std::string> seen;
  MemoryClient anybody(net_, keys::PublicKey{{9}});
  const auto watch = anybody.Subscribe(
      {joiner.address, std::nullopt}, kMethodHealthWatch, "", [&](const std::string& message) { seen.push_back(message); },
      [](const absl::Status&) {});
  std::function<void(absl::Status)> prepared;
  joiner.ring.on_join_prepared = [&](const Neighbourhood&, std::function<void(absl::Status)> done) {
    prepared = std::move(done);
  };
  joiner.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Minutes(5), [](const absl::Status&) {});
  loop_.RunFor(absl::Seconds(5));
  ASSERT_TRUE(prepared);
  const std::string serving = EncodeReply(HealthReply{true}, joiner.ring.self());
  const std::string not_serving = EncodeReply(HealthReply{false}, joiner.ring.self());
  EXPECT_EQ(seen, (std::vector<std::string>{not_serving, not_serving})) << "idle, joining";
  prepared(absl::OkStatus());
  loop_.RunFor(absl::Seconds(5));
  EXPECT_EQ(seen.back(), serving);
  nodes_.erase(nodes_.begin(), nodes_.begin() + 2);
  loop_.RunFor(absl::Seconds(30));
  EXPECT_EQ(joiner.ring.state(), RingState::kDetached);
  EXPECT_EQ(seen.back(), not_serving);
}

TEST_F(RingDriverTest, DescriptorAndTableAreRenewedAtHalfTheirLifeAndOnionKeysRotate) {
  Grow(2);
  RingDriver& ring = nodes_[0]->ring;
  const base::Bytes first = ring.descriptor().encoded, first_table = ring.table().encoded;
  const keys::X25519Public first_key = ring.onion_keys().front().public_key;
  loop_.RunFor(absl::Minutes(61));
  EXPECT_NE(ring.descriptor().encoded, first);
  EXPECT_NE(ring.table().encoded, first_table);
  EXPECT_EQ(ring.descriptor().onion_key, first_key);
  loop_.RunFor(absl::Hours(24));
  EXPECT_NE(ring.descriptor().onion_key, first_key);
  ASSERT_EQ(ring.onion_keys().size(), 2u);
  EXPECT_EQ(ring.onion_keys()[1].public_key, first_key);
  // The other one keeps up with it.
  const Descriptor* held = nodes_[1]->directory.Find(nodes_[0]->key.public_key(), loop_.WallNow());
  ASSERT_NE(held, nullptr);
  EXPECT_GT(held->expires, loop_.WallNow() + network_.descriptor_lifetime / 3);
}

TEST_F(RingDriverTest, ADescriptorOfAMemberIsAskedForEveryMinuteAndNoMoreOften) {
  Grow(5);
  loop_.RunFor(absl::Minutes(1));
  size_t asked = 0;
  nodes_[3]->server.handlers[kMethodDescribe] = [&asked, serve = nodes_[3]->server.handlers[kMethodDescribe]](
                                                    const Caller& caller, std::string request, RpcResponder respond) {
    ++asked;
    serve(caller, std::move(request), std::move(respond));
  };
  loop_.RunFor(absl::Minutes(10));
  EXPECT_GE(asked, 4u * 9);
  EXPECT_LE(asked, 4u * 10);
}

TEST_F(RingDriverTest, OnionKeysOfAnEarlierRunLiveOutTheirDay) {
  const absl::Time now = loop_.WallNow();
  const auto run = [&](absl::Duration age, size_t pairs) {
    keys::OnionKeys before{.pairs = {}, .made = now - age};
    for (size_t i = 0; i < pairs; ++i) before.pairs.push_back(keys::X25519KeyPair::Generate(rng_));
    const TestNode node(net_, rng_, 20001 + static_cast<int>(nodes_.size()), network_, Role::kStoring, before);
    std::string seen;
    for (const keys::X25519KeyPair& pair : node.ring.onion_keys()) {
      const auto same = std::find_if(before.pairs.begin(), before.pairs.end(),
                                     [&](const keys::X25519KeyPair& old) { return old.public_key == pair.public_key; });
      seen += same == before.pairs.end() ? "new " : same == before.pairs.begin() ? "current " : "previous ";
    }
    EXPECT_EQ(node.ring.descriptor().onion_key, node.ring.onion_keys().front().public_key);
    EXPECT_EQ(node.kept.size(), seen.rfind("new", 0) == 0 ? 1u : 0u) << "told exactly when there is something to keep";
    return seen;
  };
  EXPECT_EQ(run(absl::ZeroDuration(), 0), "new ");
  EXPECT_EQ(run(absl::Hours(1), 1), "current ");
  EXPECT_EQ(run(absl::Hours(23), 2), "current previous ");
  EXPECT_EQ(run(absl::Hours(25), 2), "new current ");
  EXPECT_EQ(run(absl::Hours(49), 2), "new ") << "nobody holds a descriptor with it any more";
  EXPECT_EQ(run(-absl::Hours(1), 2), "new ") << "made by a clock that was wrong";
}

TEST_F(RingDriverTest, ALeaverIsMissedAtOnceAndStillAnswersAsNoMember) {
  Grow(4);
  loop_.RunFor(absl::Minutes(1));
  bool left = false;
  nodes_[1]->ring.Leave([&] { left = true; });
  loop_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(left);
  EXPECT_FALSE(nodes_[1]->ring.IsMember());
  loop_.RunFor(absl::Seconds(2));
  for (const size_t i : {0u, 2u, 3u}) EXPECT_EQ(nodes_[i]->ring.successors().size(), 2u);
}

TEST_F(RingDriverTest, TheRingFindsABootstrapThatFoundedAnewByItself) {
  Grow(4);
  nodes_[0].reset();
  loop_.RunFor(absl::Seconds(10));
  nodes_[0] = std::make_unique<TestNode>(net_, rng_, 10001, network_);  // another key: to the ring a stranger at a known address
  nodes_[0]->ring.Create();
  loop_.RunFor(absl::Minutes(3));
  for (const auto& node : nodes_) EXPECT_EQ(node->ring.successors().size(), 3u);
}

TEST_F(RingDriverTest, ARelayJoinsWithoutADownload) {
  Grow(2);
  TestNode& relay = Add(Role::kRelay);
  relay.ring.on_join_prepared = [](const Neighbourhood&, std::function<void(absl::Status)>) { FAIL(); };
  EXPECT_OK(JoinNow(relay));
  EXPECT_EQ(nodes_[0]->ring.virtual_node(0).neighbourhood().successors.size(), 1u);
}

}  // namespace
}  // namespace overlay
