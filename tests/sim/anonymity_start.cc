// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/anonymity_start.h"

#include <algorithm>
#include <cstdio>

#include "tests/circuits/fake_network.h"

namespace sim {
namespace {

using circuits::FakeNetwork;

constexpr size_t kNodes = 100;
constexpr int kClients = 20, kWarmOperations = 40, kRestarts = 10;
constexpr absl::Duration kLinkDelay = absl::Milliseconds(50), kPoolMax = absl::Hours(2), kBetween = absl::Minutes(3);
constexpr absl::Duration kAfterRestart = absl::Minutes(1);

struct Times {
  std::vector<double> seconds;
  int failed = 0;

  void Add(const FakeNetwork::Outcome& outcome, absl::Time begun) {
    if (outcome.answer.ok()) {
      seconds.push_back(absl::ToDoubleSeconds(outcome.when - begun));
    } else {
      ++failed;
    }
  }
  double At(double share) {
    std::sort(seconds.begin(), seconds.end());
    return seconds.empty() ? -1 : seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))];
  }
};

Times ColdStarts(FakeNetwork& net) {
  Times times;
  for (int i = 0; i < kClients; ++i) {
    const size_t client = net.AddClient({net.rng().Below(kNodes)});
    const absl::Time begun = net.loop.Now();
    times.Add(net.Operate(client, overlay::NodeId::Random(net.rng())), begun);
    net.Kill(client);
  }
  return times;
}

Times WarmOperations(FakeNetwork& net, size_t user) {
  for (absl::Time end = net.loop.Now() + kPoolMax; net.stats(user).pooled_relays < circuits::kPoolUsable && net.loop.Now() < end;) {
    net.loop.RunFor(absl::Seconds(10));
  }
  Times times;
  for (int i = 0; i < kWarmOperations; ++i) {
    if (i % 4 == 0) net.DescribeAnew();
    net.loop.RunFor(kBetween);
    const absl::Time begun = net.loop.Now();
    times.Add(net.Operate(user, overlay::NodeId::Random(net.rng())), begun);
  }
  return times;
}

Times Restarts(FakeNetwork& net, size_t user) {
  Times times;
  for (int i = 0; i < kRestarts; ++i) {
    net.Kill(user);
    net.Restart(user);
    net.DescribeAnew();
    net.loop.RunFor(kAfterRestart);
    const absl::Time begun = net.loop.Now();
    times.Add(net.Operate(user, overlay::NodeId::Random(net.rng())), begun);
  }
  return times;
}

}  // namespace

int PrintStartTimes(uint64_t seed) {
  FakeNetwork net(seed);
  const size_t user = net.AddNode(overlay::Role::kStoring, /*ready_circuits=*/2, /*keeps_relays=*/true);
  net.AddNodes(kNodes - 1);
  net.link_delay = kLinkDelay;
  net.loop.RunFor(absl::Minutes(1));
  Times cold = ColdStarts(net), warm = WarmOperations(net, user), restarted = Restarts(net, user);
  std::printf("{\"cold_start_s\": %.3g, \"cold_start_most_s\": %.3g, \"cold_start_failed\": %d, \"warm_start_s\": %.3g, "
              "\"warm_start_most_s\": %.3g, \"warm_start_failed\": %d, \"restarted_s\": %.3g, \"restarted_most_s\": %.3g, "
              "\"restarted_failed\": %d}\n",
              cold.At(0.5), cold.At(1), cold.failed, warm.At(0.5), warm.At(1), warm.failed, restarted.At(0.5), restarted.At(1),
              restarted.failed);
  return 0;
}

}  // namespace sim
