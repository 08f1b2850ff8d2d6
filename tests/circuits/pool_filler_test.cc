// SPDX-License-Identifier: Apache-2.0
// The secret pool in whole drivers: filled through circuits in a ring that no table covers, used, kept over a restart.
#include "gtest/gtest.h"
#include "tests/circuits/fake_network.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

bool RunUntilPooled(FakeNetwork& net, size_t node, size_t relays, absl::Duration limit) {
  const absl::Time end = net.loop.Now() + limit;
  while (net.stats(node).pooled_relays < relays && net.loop.Now() < end) net.loop.RunFor(absl::Seconds(5));
  return net.stats(node).pooled_relays >= relays;
}

TEST(PoolFiller, FillsThePoolAndCircuitsComeOutOfIt) {
  FakeNetwork net(31);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(47);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  net.loop.RunFor(kKeepRelaysEvery);
  for (int i = 0; i < 5; ++i) {
    const FakeNetwork::Outcome outcome = net.Operate(user, overlay::NodeId::Random(net.rng()));
    ASSERT_OK(outcome.opened);
    ASSERT_OK(outcome.answer);
    NodeKeys distinct(outcome.opened->path.begin(), outcome.opened->path.end());
    distinct.insert(outcome.opened->storage_node);
    distinct.insert(net.node_key(user));
    EXPECT_EQ(distinct.size(), 5u);
  }
  const size_t before = net.stats(user).pooled_relays;
  net.loop.RunFor(kKeepRelaysEvery);
  net.Kill(user);
  net.Restart(user);
  EXPECT_GE(net.stats(user).pooled_relays + 2, before) << "kept over the restart";
}

TEST(PoolFiller, RenewsDescriptorsSoThatTheyDoNotRunOut) {
  FakeNetwork net(32);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(47);
  ASSERT_TRUE(RunUntilPooled(net, user, kPoolUsable, absl::Minutes(60)));
  for (int i = 0; i < 15; ++i) {  // two and a half hours: descriptors live two
    net.DescribeAnew();
    net.loop.RunFor(absl::Minutes(10));
  }
  EXPECT_GE(net.stats(user).pooled_relays, kPoolUsable);
}

TEST(PoolFiller, HasNothingToDoWhereATableCoversTheRing) {
  FakeNetwork net(33);
  const size_t user = net.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true);
  net.AddNodes(9);
  net.loop.RunFor(absl::Minutes(5));
  EXPECT_EQ(net.stats(user).pooled_relays, 0u);
  EXPECT_EQ(net.stats(user).built, 0u);
  ASSERT_OK(net.Operate(user, overlay::NodeId::Random(net.rng())).answer);
}

}  // namespace
}  // namespace circuits
