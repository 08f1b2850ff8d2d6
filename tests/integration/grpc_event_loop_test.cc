// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_event_loop.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "overlay/grpc_client.h"
#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

// Ends the loop when the last of `count` calls of it has come.
class Countdown {
 public:
  Countdown(GrpcEventLoop& loop, int count) : loop_(loop), left_(count) {}
  void operator()() {
    if (--left_ == 0) loop_.Stop();
  }

 private:
  GrpcEventLoop& loop_;
  int left_;
};

TEST(GrpcEventLoop, RunsTasksOfAnyThreadOnItsOwnInOrder) {
  GrpcEventLoop loop({});
  Countdown done(loop, 400);
  std::vector<int> seen[4];
  const std::thread::id own = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        loop.Post([&, t, i] {
          EXPECT_EQ(std::this_thread::get_id(), own);
          seen[t].push_back(i);
          done();
        });
      }
    });
  }
  loop.Run();
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<int>& list : seen) {
    ASSERT_EQ(list.size(), 100u);
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  }
}

TEST(GrpcEventLoop, FiresTimersInOrderAndNotTheCancelledOnes) {
  GrpcEventLoop loop({});
  std::vector<int> fired;
  loop.Post([&] {
    const absl::Time now = loop.Now();
    loop.At(now + absl::Milliseconds(20), [&, now] {
      EXPECT_GE(loop.Now(), now + absl::Milliseconds(20));
      fired.push_back(2);
      loop.Stop();
    });
    const auto cancelled = loop.At(now + absl::Milliseconds(5), [&] { fired.push_back(0); });
    loop.At(now + absl::Milliseconds(10), [&] { fired.push_back(1); });
    loop.At(absl::InfiniteFuture(), [&] { fired.push_back(9); });
    loop.Cancel(cancelled);
    loop.Cancel(cancelled);
  });
  loop.Run();
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
}

TEST(GrpcEventLoop, RunsASelfPostingTaskWithoutStarvingTimers) {
  GrpcEventLoop loop({});
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop.Post(again);
  };
  loop.Post(again);
  loop.At(loop.Now() + absl::Milliseconds(5), [&] { loop.Stop(); });
  loop.Run();
  EXPECT_GT(rounds, 1);
}

TEST(GrpcEventLoop, DoesSlowWorkElsewhereAndReportsAtHome) {
  GrpcEventLoop loop({.workers = 2});
  const std::thread::id own = std::this_thread::get_id();
  Countdown done(loop, 50);
  std::vector<int> results(50);
  loop.Post([&] {
    for (int i = 0; i < 50; ++i) {
      loop.RunSlow(
          [&, i] {
            EXPECT_NE(std::this_thread::get_id(), own);
            results[static_cast<size_t>(i)] = i;
          },
          [&] {
            EXPECT_EQ(std::this_thread::get_id(), own);
            done();
          });
    }
  });
  loop.Run();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(results[static_cast<size_t>(i)], i);
}

TEST(GrpcEventLoop, DoesAFewBriefJobsItselfAndHandsTheOthersOver) {
  GrpcEventLoop loop({.workers = 2});
  const std::thread::id own = std::this_thread::get_id();
  constexpr size_t kJobs = 50;
  Countdown done(loop, static_cast<int>(kJobs));
  std::atomic<size_t> here = 0, elsewhere = 0;
  loop.Post([&] {
    for (size_t i = 0; i < kJobs; ++i) {
      loop.RunBrief([&] { ++(std::this_thread::get_id() == own ? here : elsewhere); },
                    [&] {
                      EXPECT_EQ(std::this_thread::get_id(), own);
                      done();
                    });
    }
  });
  loop.Run();
  EXPECT_EQ(here, kBriefPerTurn);
  EXPECT_EQ(elsewhere, kJobs - kBriefPerTurn);
}

TEST(GrpcEventLoop, DoesNotWaitWithABriefJobThatFollowsFromAnother) {
  GrpcEventLoop loop({});
  int rounds = 0;
  std::function<void()> again = [&] { ++rounds < 100 ? loop.RunBrief([] {}, again) : loop.Stop(); };
  loop.Post(again);
  loop.Run();
  EXPECT_EQ(rounds, 100);
}

TEST(GrpcEventLoop, LosesNoSlowWorkWhenTheWorkersAreBusy) {
  GrpcEventLoop loop({.workers = 1});
  constexpr int kJobs = static_cast<int>(kJobsMax) + 500;
  Countdown done(loop, kJobs);
  std::atomic<int> worked = 0;
  loop.Post([&] {
    for (int i = 0; i < kJobs; ++i) loop.RunSlow([&] { ++worked; }, [&] { done(); });
  });
  loop.Run();
  EXPECT_EQ(worked, kJobs);
}

TEST(GrpcEventLoop, EndsAtOnceWhenStoppedBeforeItRuns) {
  GrpcEventLoop loop({});
  loop.Stop();
  loop.Run();
}

TEST(GrpcEventLoop, ForgetsTasksAfterItsEnd) {
  GrpcEventLoop loop({});
  loop.Stop();
  loop.Run();
  loop.Post([] { FAIL(); });
  loop.RunSlow([] { FAIL(); }, [] { FAIL(); });
}

TEST(GrpcEventLoop, EndsSilentlyWithACallOutstandingIfItNeverRan) {
  support::SeededRng rng(1);
  GrpcEventLoop loop({});
  GrpcClient client(loop, rng, {});
  client.Call({"127.0.0.1:1", std::nullopt}, "/bulbil.v1.Overlay/Describe", "", absl::Seconds(30), [](auto) { FAIL(); });
}

}  // namespace
}  // namespace overlay
