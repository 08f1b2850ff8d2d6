// SPDX-License-Identifier: Apache-2.0
#include "overlay/health_watch_driver.h"

#include "gtest/gtest.h"
#include "tests/support/manual_loop.h"
#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

class CountingClient : public RpcClient {
 public:
  void Call(const RpcTarget&, std::string_view, std::string, absl::Duration, std::function<void(absl::StatusOr<RpcAnswer>)>) override {}
  std::unique_ptr<RpcSubscription> Subscribe(const RpcTarget&, std::string_view, std::string, std::function<void(const std::string&)>,
                                             std::function<void(absl::Status)> on_end) override {
    ++subscribed;
    end_ = std::move(on_end);
    return std::make_unique<RpcSubscription>();
  }
  void End() {
    const auto end = end_;  // ending takes the stream away
    end(absl::UnavailableError("gone"));
  }
  int subscribed = 0;

 private:
  std::function<void(absl::Status)> end_;
};

// A neighbour that comes and goes is asked no more often than one that stays.
TEST(HealthWatchDriver, WhoComesBackWithinThePauseWaitsForItsEnd) {
  support::SeededRng rng(1);
  support::ManualLoop loop;
  CountingClient client;
  const Network network;
  HealthWatchDriver watches(network, client, loop, [](const keys::PublicKey&) {});
  const Peer peer = MakePeer(network, {rng.Array<32>()}, 0, Role::kStoring, "127.0.0.1:7");
  watches.Follow({peer});
  EXPECT_EQ(client.subscribed, 1);
  for (int i = 0; i < 5; ++i) {
    client.End();
    watches.Follow({});
    watches.Follow({peer});
    watches.Follow({peer});
    EXPECT_EQ(client.subscribed, i + 1);
    loop.RunFor(kWatchPause);
    EXPECT_EQ(client.subscribed, i + 2);
  }
  client.End();
  watches.Follow({});
  loop.RunFor(kWatchPause);
  EXPECT_EQ(client.subscribed, 6) << "nobody's neighbour";
  watches.Follow({peer});
  EXPECT_EQ(client.subscribed, 7);
}

}  // namespace
}  // namespace overlay
