// SPDX-License-Identifier: Apache-2.0
// Whole circuits drivers, nodes and clients, over links in memory under virtual time.
#include "tests/circuits/fake_network.h"

#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::NodeId;
using overlay::Role;

// It worked, at a responsible node, over three relays; five distinct processes with the asker's own.
void ExpectGood(FakeNetwork& net, size_t from, const NodeId& point, const FakeNetwork::Outcome& outcome) {
  ASSERT_OK(outcome.opened);
  ASSERT_OK(outcome.answer);
  EXPECT_EQ(*outcome.answer, (base::Bytes{3, 2, 1}));
  const OpenedOperation& opened = *outcome.opened;
  EXPECT_EQ(net.node_key(net.last_asked), opened.storage_node);
  ASSERT_EQ(opened.path.size(), kRelayHops);
  NodeKeys distinct(opened.path.begin(), opened.path.end());
  distinct.insert(opened.storage_node);
  distinct.insert(net.node_key(from));
  EXPECT_EQ(distinct.size(), 5u);
  const auto responsible = net.Responsible(point);
  EXPECT_NE(std::find(responsible.begin(), responsible.end(), opened.storage_node), responsible.end());
  EXPECT_EQ(opened.responsible, responsible);
}

TEST(Network, FourOthersAreEnoughFromEveryPositionOfTheRing) {
  FakeNetwork net(1);
  net.AddNodes(5);
  for (int round = 0; round < 6; ++round) {
    for (size_t from = 0; from < 5; ++from) {
      const NodeId point = NodeId::Random(net.rng());
      ExpectGood(net, from, point, net.Operate(from, point));
    }
  }
}

TEST(Network, FourOthersAreEnoughBesideReadyCircuits) {
  FakeNetwork net(2);
  for (int i = 0; i < 5; ++i) net.AddNode(Role::kStoring, /*ready_circuits=*/2);
  net.DrawTables();
  net.loop.RunFor(absl::Seconds(20));
  for (size_t from = 0; from < 5; ++from) {
    EXPECT_EQ(net.stats(from).ready, 2u);
    for (int round = 0; round < 5; ++round) {
      const NodeId point = NodeId::Random(net.rng());
      ExpectGood(net, from, point, net.Operate(from, point));
    }
  }
}

TEST(Network, AClientNeedsFourNodesAndNoMore) {
  FakeNetwork net(3);
  net.AddNodes(4);
  const size_t client = net.AddClient({0});
  for (int round = 0; round < 20; ++round) {
    const NodeId point = NodeId::Random(net.rng());
    ExpectGood(net, client, point, net.Operate(client, point));
  }
}

TEST(Network, OneStoringNodeBesideThreeRelaysIsEnough) {
  FakeNetwork net(4);
  for (int i = 0; i < 3; ++i) net.AddNode(Role::kRelay);
  net.AddNode(Role::kStoring);
  net.DrawTables();
  for (size_t bootstrap = 0; bootstrap < 4; ++bootstrap) {
    const size_t client = net.AddClient({bootstrap});
    const NodeId point = NodeId::Random(net.rng());
    ExpectGood(net, client, point, net.Operate(client, point));
    EXPECT_EQ(net.last_asked, 3u);
  }
}

TEST(Network, FewerThanFourOthersIsAnErrorThatSaysSo) {
  for (size_t nodes = 1; nodes <= 4; ++nodes) {
    FakeNetwork net(5);
    net.AddNodes(nodes);
    const auto of_node = net.Operate(0, NodeId::Random(net.rng()));
    EXPECT_STATUS(of_node.opened, kFailedPrecondition);
    EXPECT_EQ(of_node.opened.status().message(), "needs 4 other nodes, sees " + std::to_string(nodes - 1));
    if (nodes == 4) continue;
    const auto of_client = net.Operate(net.AddClient({0}), NodeId::Random(net.rng()));
    EXPECT_EQ(of_client.opened.status().message(), "needs 4 other nodes, sees " + std::to_string(nodes));
  }
}

TEST(Network, ANodeIsNeverItsOwnUsersStorageNode) {
  FakeNetwork net(6);
  net.AddNode(Role::kStoring);
  for (int i = 0; i < 5; ++i) net.AddNode(Role::kRelay);
  net.DrawTables();
  EXPECT_STATUS(net.Operate(0, NodeId::Random(net.rng())).opened, kFailedPrecondition);
  ASSERT_OK(net.Operate(1, NodeId::Random(net.rng())).answer);
}

TEST(Network, ARingThatNoTableCoversIsLookedUpThroughCircuits) {
  FakeNetwork net(7, /*neighbours=*/5);
  net.AddNodes(64);
  net.loop.RunFor(absl::Seconds(30));  // descriptors of the neighbours
  const size_t client = net.AddClient({9});
  for (int round = 0; round < 8; ++round) {
    for (size_t from : {client, size_t{5}}) {
      const NodeId point = NodeId::Random(net.rng());
      ExpectGood(net, from, point, net.Operate(from, point));
    }
  }
}

TEST(Network, AvoidedReplicasAreNotAskedAgain) {
  FakeNetwork net(8);
  net.AddNodes(9);
  const size_t client = net.AddClient({0});
  const NodeId point = NodeId::Random(net.rng());
  std::vector<keys::PublicKey> avoid;
  for (int i = 0; i < 3; ++i) {
    const auto outcome = net.Operate(client, point, avoid);
    ExpectGood(net, client, point, outcome);
    EXPECT_EQ(std::find(avoid.begin(), avoid.end(), outcome.opened->storage_node), avoid.end());
    avoid.push_back(outcome.opened->storage_node);
  }
  EXPECT_STATUS(net.Operate(client, point, avoid).opened, kUnavailable);
}

// Nobody's table knows yet: the dead are found out by trying, within seconds.
TEST(Network, DeadNodesInAllTablesAreGoneAround) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    FakeNetwork net(20 + seed);
    net.AddNodes(8);
    const size_t client = net.AddClient({0});
    const NodeId point = NodeId::Random(net.rng());
    ASSERT_OK(net.Operate(client, point).answer);
    const size_t owner = net.IndexOf(net.Responsible(point)[0]);
    if (owner == 0) continue;
    net.Kill(owner);
    const absl::Time start = net.loop.Now();
    for (size_t from : {client, owner == 1 ? size_t{2} : size_t{1}}) {
      const auto outcome = net.Operate(from, point);
      ASSERT_OK(outcome.answer);
      EXPECT_NE(net.last_asked, owner);
    }
    EXPECT_LT(net.loop.Now() - start, absl::Seconds(10));
    net.DrawTables();
    net.loop.RunFor(absl::Seconds(4));
    ExpectGood(net, client, point, net.Operate(client, point));
  }
}

// Else whoever fills the links of a node has it draw guards until it meets one that has a link with it already: the attacker's.
TEST(Network, ANodeWithoutRoomForALinkBlamesNoGuard) {
  FakeNetwork net(31);
  net.AddNodes(12);
  const size_t client = net.AddClient({0});
  const NodeId point = NodeId::Random(net.rng());
  const auto before = net.Operate(client, point);
  ASSERT_OK(before.answer);
  net.BreakLinks(100);
  net.FillLinks(client, true);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(net.Operate(client, point).opened.ok());
  net.FillLinks(client, false);
  const auto after = net.Operate(client, point);
  ASSERT_OK(after.answer);
  EXPECT_EQ(after.opened->path[0], before.opened->path[0]);
}

TEST(Network, ADeadGuardIsReplaced) {
  FakeNetwork net(9);
  net.AddNodes(8);
  const size_t client = net.AddClient({0, 1, 2, 3, 4, 5, 6, 7});
  for (int round = 0; round < 3; ++round) {
    const NodeId point = NodeId::Random(net.rng());
    const auto outcome = net.Operate(client, point);
    ASSERT_OK(outcome.answer);
    net.Kill(net.IndexOf(outcome.opened->path[0]));
    const auto again = net.Operate(client, point);
    ASSERT_OK(again.answer);
    EXPECT_NE(again.opened->path[0], outcome.opened->path[0]);
    net.DrawTables();
  }
}

TEST(Network, ANodeStartedAnewWithANewOnionKeyIsReachedAgain) {
  FakeNetwork net(10);
  net.AddNodes(5);
  const size_t client = net.AddClient({0});
  for (int i = 0; i < 5; ++i) ASSERT_OK(net.Operate(client, NodeId::Random(net.rng())).answer);
  net.Kill(4);
  net.Restart(4);
  net.DrawTables();
  for (int round = 0; round < 10; ++round) {
    const NodeId point = NodeId::Random(net.rng());
    ExpectGood(net, client, point, net.Operate(client, point));
    ExpectGood(net, 1, point, net.Operate(1, point));
  }
}

TEST(Network, ADeadBootstrapNodeIsPassedOver) {
  FakeNetwork net(11);
  net.AddNodes(6);
  net.Kill(0);
  net.DrawTables();
  const size_t client = net.AddClient({0, 3});
  const NodeId point = NodeId::Random(net.rng());
  ExpectGood(net, client, point, net.Operate(client, point));
  const size_t stranded = net.AddClient({0});
  const absl::Time start = net.loop.Now();
  EXPECT_STATUS(net.Operate(stranded, point).opened, kUnavailable);
  EXPECT_LE(net.loop.Now() - start, kOpenMax + absl::Seconds(1));
}

TEST(Network, AnEndpointThatDoesNotAnswerIsGivenUp) {
  FakeNetwork net(12);
  net.AddNodes(6);
  net.endpoints_answer = false;
  const auto outcome = net.Operate(0, NodeId::Random(net.rng()));
  ASSERT_OK(outcome.opened);
  EXPECT_STATUS(outcome.answer, kDeadlineExceeded);
  net.endpoints_answer = true;
  ASSERT_OK(net.Operate(0, NodeId::Random(net.rng())).answer);
}

TEST(Network, APollsWorthOfOperationsAtOnceAllArrive) {
  FakeNetwork net(13);
  net.AddNodes(10);
  const size_t client = net.AddClient({0});
  std::vector<std::shared_ptr<FakeNetwork::Outcome>> outcomes;
  for (uint8_t i = 0; i < 51; ++i) outcomes.push_back(net.Start(client, NodeId::Random(net.rng()), {i}));
  net.loop.RunFor(absl::Seconds(20));
  for (const auto& outcome : outcomes) ASSERT_OK(outcome->answer);
  EXPECT_EQ(net.stats(client).built, 51u) << "one circuit for each isolation key";
}

TEST(Network, OneIsolationKeyReusesItsCircuitForSixStorageNodes) {
  FakeNetwork net(14);
  net.AddNodes(10);
  const size_t client = net.AddClient({0});
  const NodeId point = NodeId::Random(net.rng());
  for (int i = 0; i < 6; ++i) ASSERT_OK(net.Operate(client, point).answer);
  EXPECT_EQ(net.stats(client).built, 1u);
  ASSERT_OK(net.Operate(client, point).answer);
  EXPECT_EQ(net.stats(client).built, 2u);
}

TEST(Network, AHandleIsGoodForOneRun) {
  FakeNetwork net(15);
  net.AddNodes(6);
  const auto outcome = net.Operate(0, NodeId::Random(net.rng()));
  ASSERT_OK(outcome.answer);
  absl::Status second = absl::UnknownError("");
  net.operations(0).Run(outcome.opened->handle, {1}, [&](absl::StatusOr<base::Bytes> answer) { second = answer.status(); });
  EXPECT_TRUE(absl::IsUnknown(second)) << "never from inside the call";
  net.loop.RunReady();
  EXPECT_STATUS(second, kUnavailable);
}

// Carried circuits that nobody stands behind any more, once the client is gone too.
size_t LeftWithout(FakeNetwork& network, size_t client) {
  network.Kill(client);
  network.loop.RunFor(absl::Seconds(1));
  size_t left = 0;
  for (size_t i = 0; i < network.size(); ++i) {
    if (i != client) left += network.stats(i).carried;
  }
  return left;
}

TEST(Network, ARelayThatForwardsNothingIsGoneAroundAndNothingIsLeftAMinuteAfter) {
  FakeNetwork network(61);
  network.AddNodes(8);
  network.Mute(3);
  const size_t client = network.AddClient({0});
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    const auto outcome = network.Operate(client, NodeId::Random(network.rng()));
    answered += outcome.answer.ok() ? 1 : 0;
  }
  EXPECT_GE(answered, 16);
  network.loop.RunFor(absl::Minutes(1));
  EXPECT_EQ(LeftWithout(network, client), 0u);
}

TEST(Network, OperationsGoOnWhileAThirdOfTheLinksBreaksEverySecond) {
  FakeNetwork network(62);
  network.AddNodes(10);
  const size_t client = network.AddClient({0, 1});
  int answered = 0;
  for (int i = 0; i < 40; ++i) {
    network.BreakLinks(30);
    const auto outcome = network.Start(client, NodeId::Random(network.rng()), {static_cast<uint8_t>(i)});
    network.loop.RunFor(absl::Seconds(1));
    answered += outcome->answer.ok() ? 1 : 0;
  }
  EXPECT_GE(answered, 32);
  network.loop.RunFor(absl::Minutes(1));
  EXPECT_EQ(LeftWithout(network, client), 0u);
}

TEST(Network, NodesForgetCircuitsWhoseClientsAreGone) {
  FakeNetwork net(16);
  net.AddNodes(6);
  const size_t client = net.AddClient({0});
  for (int i = 0; i < 5; ++i) ASSERT_OK(net.Operate(client, NodeId::Random(net.rng())).answer);
  net.Kill(client);
  net.loop.RunReady();
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(net.stats(i).carried, 0u);
}

}  // namespace
}  // namespace circuits
