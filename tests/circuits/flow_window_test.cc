// SPDX-License-Identifier: Apache-2.0
// The window by itself, and over paths of a given rate and delay under virtual time.
#include "circuits/flow_window.h"

#include <deque>
#include <map>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

TEST(FlowWindow, StopsAfterItsCellsAndGoesOnWithTheRightAcknowledgement) {
  SendWindow send;
  ReceiveWindow receive;
  support::SeededRng rng(2);
  RelayTail acknowledged{};
  for (int i = 0; i < kWindowStart; ++i) {
    ASSERT_TRUE(send.CanSend());
    const RelayTail tail = rng.Array<16>();
    send.OnSent(tail, kStart);
    const auto due = receive.OnReceived(tail);
    ASSERT_EQ(due.has_value(), (i + 1) % kAcknowledgeEvery == 0);
    if (i + 1 == kAcknowledgeEvery) acknowledged = *due;
  }
  EXPECT_FALSE(send.CanSend());
  EXPECT_FALSE(send.OnSendme(rng.Array<16>(), kStart));
  EXPECT_FALSE(send.OnSendme(base::ByteView(acknowledged).first(15), kStart));
  EXPECT_TRUE(send.OnSendme(acknowledged, kStart));
  EXPECT_TRUE(send.CanSend());
  EXPECT_FALSE(send.OnSendme(acknowledged, kStart)) << "one acknowledgement counts once";
}

TEST(FlowWindow, NothingIsAcknowledgedInAdvance) {
  SendWindow send;
  EXPECT_FALSE(send.OnSendme(RelayTail{}, kStart));
}

// One sender that always has more, one queue before the narrowest place, one reader.
class Path {
 public:
  Path(double cells_per_second, absl::Duration one_way) : one_way_(one_way) { SetRate(cells_per_second); }

  void SetRate(double cells_per_second) { per_cell_ = absl::Seconds(1) / cells_per_second; }
  // How many cells arrived within that time.
  int RunFor(absl::Duration span) {
    const absl::Time end = now_ + span;
    int arrived = 0;
    longest_wait_ = absl::ZeroDuration();
    for (Send(); !events_.empty() && events_.begin()->first <= end; Send()) {
      const auto event = events_.extract(events_.begin());
      now_ = event.key();
      arrived += event.mapped().is_sendme ? 0 : 1;
      Handle(event.mapped());
    }
    now_ = end;
    return arrived;
  }

  int window() const { return window_.window(); }
  absl::Duration longest_wait() const { return longest_wait_; }

 private:
  struct Event {
    bool is_sendme;
    RelayTail tail;
  };

  void Send() {
    while (window_.CanSend()) {
      const RelayTail tail = rng_.Array<16>();
      window_.OnSent(tail, now_);
      free_ = std::max(free_, now_) + per_cell_;
      longest_wait_ = std::max(longest_wait_, free_ - now_);
      events_.emplace(free_ + one_way_, Event{false, tail});
    }
  }
  void Handle(const Event& event) {
    if (event.is_sendme) {
      ASSERT_TRUE(window_.OnSendme(event.tail, now_));
    } else if (const auto due = reader_.OnReceived(event.tail)) {
      events_.emplace(now_ + one_way_, Event{true, *due});
    }
  }

  const absl::Duration one_way_;
  absl::Duration per_cell_;
  absl::Time now_ = kStart, free_ = kStart;  // the queue is empty from then on
  absl::Duration longest_wait_;
  SendWindow window_;
  ReceiveWindow reader_;
  support::SeededRng rng_{1};
  std::multimap<absl::Time, Event> events_;
};

TEST(FlowWindow, FillsALongPathAndKeepsItsQueueShort) {
  for (const int rate : {500, 2000, 5000}) {  // 1, 4 and 10 MB/s
    Path path(rate, absl::Milliseconds(30));
    path.RunFor(absl::Seconds(10));
    EXPECT_GE(path.RunFor(absl::Seconds(10)), rate * 10 * 95 / 100) << rate;
    EXPECT_LE(path.longest_wait(), (kStandingMany + 2 * kAcknowledgeEvery) * absl::Seconds(1) / rate) << rate;
  }
}

TEST(FlowWindow, AFarPathWiderThanTheWindowGetsAllOfTheWindow) {
  Path path(50'000, absl::Milliseconds(50));
  path.RunFor(absl::Seconds(10));
  EXPECT_EQ(path.window(), kWindowMax);
}

TEST(FlowWindow, OnAFastPathAShortWaitDoesNotHoldItBack) {
  Path path(50'000, absl::Microseconds(200));
  path.RunFor(absl::Seconds(1));
  EXPECT_GE(path.RunFor(absl::Seconds(1)), 49'000);
  EXPECT_GT(path.window(), kStandingMany);
  EXPECT_LE(path.longest_wait(), 2 * kDelayShort);
}

TEST(FlowWindow, ASlowReaderBringsTheWindowBackDown) {
  Path path(5000, absl::Milliseconds(30));
  path.RunFor(absl::Seconds(10));
  ASSERT_GT(path.window(), 2 * kStandingMany);
  path.SetRate(100);
  path.RunFor(absl::Minutes(2));
  EXPECT_LE(path.window(), kStandingMany);
  path.SetRate(5000);
  path.RunFor(absl::Seconds(30));
  EXPECT_GE(path.RunFor(absl::Seconds(10)), 5000 * 10 * 95 / 100) << "and it comes back";
}

TEST(FlowWindow, ASenderThatDoesNotUseItUpLearnsNothing) {
  SendWindow send;
  ReceiveWindow receive;
  support::SeededRng rng(3);
  for (int i = 0; i < 10'000; ++i) {
    const RelayTail tail = rng.Array<16>();
    send.OnSent(tail, kStart);
    if (const auto due = receive.OnReceived(tail)) {
      ASSERT_TRUE(send.OnSendme(*due, kStart + absl::Milliseconds(1)));
    }
  }
  EXPECT_EQ(send.window(), kWindowStart);
}

}  // namespace
}  // namespace circuits
