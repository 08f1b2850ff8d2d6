// SPDX-License-Identifier: Apache-2.0
// A client on its clock in a whole network under virtual time: what its guard sees, with work and without.
#include <gtest/gtest.h>

#include "chat/clocked_operations_driver.h"
#include "chat/mailbox_messages.h"
#include "tests/circuits/fake_network.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using circuits::OpenedOperation;
using circuits::Purpose;
using overlay::CellCommand;
using overlay::NodeId;

constexpr size_t kNodes = 8;

struct World {
  struct Seen {
    absl::Time when;
    bool out;
    CellCommand command;
  };

  World() {
    network_.AddNodes(kNodes);
    network_.on_cell = [this](size_t from, size_t to, const overlay::Cell& cell) {
      if (from == client_ || to == client_) seen_.push_back({network_.loop.Now(), from == client_, cell.command()});
    };
    network_.on_request = [this](size_t, circuits::EndpointRequest request) {
      requests_.push_back(request.payload);
      request.answer(base::Bytes(kMailboxMessageSize, 1));
    };
    network_.build_mean = RatesOf(Profile::kFast).build_mean;
    client_ = network_.AddClient({0, 1}, RatesOf(Profile::kFast).ready);
    clock_.emplace(Profile::kFast, network_.ready_operations(client_), network_.loop, clock_rng_, network_.rng());
  }
  ~World() {
    clock_.reset();
    network_.on_cell = nullptr;
  }

  // Opens, and runs what was opened if `runs`; counts how both ended.
  void Operate(const NodeId& point, Purpose purpose, bool runs = true) {
    clock_->Open({.point = point, .isolation = {1}, .purpose = purpose}, [this, runs](absl::StatusOr<OpenedOperation> opened) {
      opened.ok() ? ++opened_ : ++failed_;
      if (!opened.ok() || !runs) return;
      clock_->Run(opened->handle, base::Bytes(kMailboxMessageSize, 2),
                  [this](absl::StatusOr<base::Bytes> answer) { answered_ += answer.ok() ? 1 : 0; });
    });
  }
  int Count(bool out, CellCommand command) const {
    return static_cast<int>(
        std::count_if(seen_.begin(), seen_.end(), [&](const Seen& one) { return one.out == out && one.command == command; }));
  }

  circuits::FakeNetwork network_{77};
  support::SeededRng clock_rng_{5};
  size_t client_ = SIZE_MAX;
  std::optional<ClockedOperations> clock_;
  std::vector<Seen> seen_;
  std::vector<base::Bytes> requests_;
  int opened_ = 0, failed_ = 0, answered_ = 0;
};

class ClockedOperationsTest : public testing::Test, protected World {};

TEST_F(ClockedOperationsTest, EveryOperationIsOfOneShapeWhateverItIsFor) {
  network_.loop.RunFor(absl::Seconds(30));
  for (int i = 0; i < 30; ++i) Operate(NodeId::Random(network_.rng()), static_cast<Purpose>(i % 4), /*runs=*/i % 5 != 0);
  network_.loop.RunFor(absl::Seconds(60));
  EXPECT_EQ(opened_, 30);
  EXPECT_EQ(answered_, 24);
  const ClockStats stats = clock_->stats();
  EXPECT_EQ(stats.real, 30u);
  EXPECT_EQ(stats.waiting, 0u);
  EXPECT_GT(stats.cover, 60u);
  clock_.reset();
  network_.loop.RunFor(absl::Seconds(15));
  // Two cells out and two back, whether real, cover, or left alone by who had asked for it; then the circuit goes. CREATE and two
  // EXTENDs of each circuit are part of the price. The last few had no time to ask.
  constexpr int kLast = 6, kDescriptors = 16;  // what the first circuits ask for in a ring whose members they do not know yet
  const int operations = static_cast<int>(stats.real + stats.cover), requests = static_cast<int>(requests_.size());
  EXPECT_EQ(Count(true, CellCommand::kDestroy), operations);
  EXPECT_LE(requests, operations);
  EXPECT_GE(requests, operations - kLast);
  EXPECT_GE(Count(true, CellCommand::kRelay), requests);
  EXPECT_LE(Count(true, CellCommand::kRelay), requests + kDescriptors);
  const int built = Count(true, CellCommand::kCreate);
  EXPECT_GE(built, operations);
  EXPECT_LE(built, operations + static_cast<int>(RatesOf(Profile::kFast).ready) + 1);
  for (const base::Bytes& request : requests_) {
    EXPECT_EQ(request.size(), kMailboxMessageSize);
    EXPECT_EQ(request[0] & kHoldAnswer, kHoldAnswer);
  }
}

TEST_F(ClockedOperationsTest, TalkingAndSilentClientsSendTheSameCellsAtTheSameTimes) {
  const auto run = [](bool talks) {
    World world;
    support::SeededRng rng(3);
    for (int second = 0; second < 120; ++second) {
      for (uint64_t n = talks ? rng.Below(3) : 0; n > 0; --n) {
        world.Operate(NodeId::Random(rng), static_cast<Purpose>(rng.Below(4)), rng.Below(4) != 0);
      }
      world.network_.loop.RunFor(absl::Seconds(1));
    }
    return std::pair(world.clock_->stats(), world.seen_);
  };
  const auto [silent, silent_cells] = run(false);
  const auto [talking, talking_cells] = run(true);
  EXPECT_EQ(silent.real, 0u);
  EXPECT_GT(talking.real, 60u);
  EXPECT_EQ(talking.ticks, silent.ticks) << "the clock's own random numbers are the same";
  // The circuits' are not: which tick finds no ready circuit differs a little.
  const auto count = [](const ClockStats& stats) { return static_cast<double>(stats.real + stats.cover); };
  EXPECT_NEAR(count(talking), count(silent), 15);
  EXPECT_NEAR(static_cast<double>(talking_cells.size()), static_cast<double>(silent_cells.size()), 15 * 11 + 30);
}

TEST_F(ClockedOperationsTest, NothingLeavesBetweenTicksAndNothingIsBuiltForWhatWaits) {
  network_.loop.RunFor(absl::Seconds(30));
  const uint64_t built = network_.stats(client_).built, ticks = clock_->stats().ticks;
  for (int i = 0; i < 100; ++i) Operate(NodeId::Random(network_.rng()), Purpose::kWrite);
  network_.loop.RunFor(absl::Seconds(20));
  const ClockStats stats = clock_->stats();
  EXPECT_LE(stats.real, stats.ticks - ticks);
  EXPECT_LE(network_.stats(client_).built - built, stats.ticks - ticks + RatesOf(Profile::kFast).ready);
  EXPECT_GT(stats.waiting, 40u);
}

TEST_F(ClockedOperationsTest, WhatNobodyWantsTakesNoTickAndChangesNothingOnTheLink) {
  const auto run = [](bool abandons) {
    World world;
    world.network_.loop.RunFor(absl::Seconds(30));
    for (int i = 0; abandons && i < 40; ++i) {
      world.clock_->Open({.point = NodeId{}, .isolation = {}, .wanted = [] { return false; }},
                         [](const absl::StatusOr<OpenedOperation>&) { ADD_FAILURE() << "called back"; });
    }
    world.Operate(NodeId{}, Purpose::kRead);
    EXPECT_EQ(world.clock_->stats().waiting, abandons ? 41u : 1u);
    world.network_.loop.RunFor(absl::Seconds(20));
    EXPECT_EQ(world.opened_, 1);
    EXPECT_EQ(world.answered_, 1);
    EXPECT_EQ(world.clock_->stats().waiting, 0u);
    return std::pair(world.clock_->stats(), world.seen_.size());
  };
  const auto [without, without_cells] = run(false);
  const auto [with, with_cells] = run(true);
  EXPECT_EQ(with.real, 1u);
  EXPECT_EQ(without.real, 1u);
  EXPECT_NEAR(static_cast<double>(with_cells), static_cast<double>(without_cells), 10 * 11);
}

TEST_F(ClockedOperationsTest, WhatIsNotRunInTimeIsClosed) {
  network_.loop.RunFor(absl::Seconds(30));
  std::optional<uint64_t> handle;
  clock_->Open({.point = NodeId::Random(network_.rng()), .isolation = {}}, [&](absl::StatusOr<OpenedOperation> opened) {
    ASSERT_OK(opened);
    handle = opened->handle;
  });
  network_.loop.RunFor(absl::Seconds(20));
  ASSERT_TRUE(handle.has_value());
  absl::Status late;
  clock_->Run(*handle, base::Bytes(kMailboxMessageSize, 0), [&](absl::StatusOr<base::Bytes> answer) { late = answer.status(); });
  network_.loop.RunFor(absl::Seconds(1));
  EXPECT_STATUS(late, kUnavailable);
}

TEST_F(ClockedOperationsTest, TooFewNodesAreToldAtOnceAndWhatHasNoTurnInTheEnd) {
  for (size_t i = 3; i < kNodes; ++i) network_.Kill(i);
  network_.DrawTables();
  network_.loop.RunFor(absl::Minutes(2));
  Operate(NodeId::Random(network_.rng()), Purpose::kWrite);
  network_.loop.RunFor(absl::Seconds(5));
  EXPECT_EQ(failed_, 1);
  for (size_t i = 0; i < 3; ++i) network_.Kill(i);
  Operate(NodeId::Random(network_.rng()), Purpose::kWrite);
  network_.loop.RunFor(kTurnMax + absl::Seconds(10));
  EXPECT_EQ(failed_, 2);
}

}  // namespace
}  // namespace chat
