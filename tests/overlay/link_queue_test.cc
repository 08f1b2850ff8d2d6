// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "tests/support/seeded_rng.h"

namespace overlay {
namespace {

// A relay cell of a circuit, with a number in its body to tell it from others.
Cell Numbered(CircuitId circuit, uint8_t number, CellCommand command = CellCommand::kRelay) {
  Cell cell(circuit, command);
  cell.body()[0] = number;
  return cell;
}

Cell CellAt(const std::vector<uint8_t>& bytes, size_t i) {
  Cell cell;
  std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(i * kCellSize), kCellSize, cell.bytes.begin());
  return cell;
}

std::vector<CircuitId> PopCircuits(LinkQueue& queue, size_t cells) {
  std::vector<uint8_t> out(cells * kCellSize);
  std::vector<CircuitId> circuits;
  const size_t popped = queue.Pop(out);
  for (size_t i = 0; i < popped; ++i) {
    circuits.push_back(CellAt(out, i).circuit_id());
  }
  return circuits;
}

void PushMany(LinkQueue& queue, CircuitId circuit, int count) {
  for (int i = 0; i < count; ++i) ASSERT_EQ(queue.Push(Numbered(circuit, static_cast<uint8_t>(i))), PushResult::kQueued);
}

TEST(LinkQueue, KeepsTheBytesOfACell) {
  LinkQueue queue;
  support::SeededRng rng(1);
  Cell cell(7, CellCommand::kRelayEarly);
  rng.Fill(cell.body());
  ASSERT_EQ(queue.Push(cell), PushResult::kQueued);
  std::vector<uint8_t> out(kCellSize);
  EXPECT_EQ(queue.Pop(out), 1u);
  EXPECT_TRUE(std::equal(out.begin(), out.end(), cell.bytes.begin()));
  EXPECT_TRUE(queue.empty());
}

TEST(LinkQueue, TakesOneCellOfEachCircuitInTurn) {
  LinkQueue queue;
  PushMany(queue, 1, 3);
  PushMany(queue, 2, 3);
  PushMany(queue, 3, 1);
  EXPECT_EQ(PopCircuits(queue, 16), (std::vector<CircuitId>{1, 2, 3, 1, 2, 1, 2}));
}

TEST(LinkQueue, SendsALoneCellBeforeBulkThatWaitedLonger) {
  LinkQueue queue;
  PushMany(queue, 1, 100);
  PushMany(queue, 2, 100);
  EXPECT_EQ(PopCircuits(queue, 4).size(), 4u);
  PushMany(queue, 9, 1);
  EXPECT_EQ(PopCircuits(queue, 1), (std::vector<CircuitId>{9}));
}

TEST(LinkQueue, LetsABusyCircuitNotPassForQuietAgainAtOnce) {
  LinkQueue queue;
  PushMany(queue, 1, 100);
  EXPECT_EQ(PopCircuits(queue, 1), (std::vector<CircuitId>{1}));
  PushMany(queue, 2, 1);
  EXPECT_EQ(PopCircuits(queue, 1), (std::vector<CircuitId>{2}));
  PushMany(queue, 2, 1);  // its round is not over: behind circuit 1 now
  EXPECT_EQ(PopCircuits(queue, 2), (std::vector<CircuitId>{1, 2}));
}

TEST(LinkQueue, GivesOldCircuitsHalfOfAMessageHoweverManyNewOnesCome) {
  LinkQueue queue;
  PushMany(queue, 1, 200);
  EXPECT_EQ(PopCircuits(queue, 1).size(), 1u);  // busy from now on
  CircuitId fresh = 1000;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 32; ++i) ASSERT_EQ(queue.Push(Numbered(fresh++, 0)), PushResult::kQueued);
    const std::vector<CircuitId> sent = PopCircuits(queue, 16);
    EXPECT_EQ(sent.size(), 16u);
    EXPECT_GE(std::count(sent.begin(), sent.end(), 1u), 1);
  }
}

TEST(LinkQueue, NeverLetsCellsOfOneCircuitOvertakeEachOther) {
  support::SeededRng rng(42);
  LinkQueue queue;
  std::map<CircuitId, uint8_t> pushed, popped;
  size_t waiting = 0;
  for (int step = 0; step < 5000; ++step) {
    const auto circuit = static_cast<CircuitId>(1 + rng.Below(5));
    if (rng.Below(3) > 0 && queue.Push(Numbered(circuit, pushed[circuit])) == PushResult::kQueued) {
      ++pushed[circuit];
      ++waiting;
    }
    if (rng.Below(8) > 0) continue;
    std::vector<uint8_t> out(kCellSize * rng.Below(17));
    const size_t count = queue.Pop(out);
    EXPECT_EQ(count, std::min(waiting, out.size() / kCellSize));
    waiting -= count;
    for (size_t i = 0; i < count; ++i) {
      const Cell cell = CellAt(out, i);
      EXPECT_EQ(cell.body()[0], popped[cell.circuit_id()]++);
    }
    EXPECT_EQ(queue.size(), waiting);
  }
}

TEST(LinkQueue, RefusesACircuitThatHasAWindowWaitingButNotItsDestroy) {
  LinkQueue queue;
  PushMany(queue, 1, static_cast<int>(kCircuitQueueMax));
  EXPECT_EQ(queue.Push(Numbered(1, 0)), PushResult::kCircuitFull);
  EXPECT_EQ(queue.Push(Numbered(2, 0)), PushResult::kQueued);
  EXPECT_EQ(queue.Push(Numbered(1, 0, CellCommand::kDestroy)), PushResult::kQueued);
  EXPECT_EQ(queue.size(), 1u) << "what waited before it is of no use to anybody";
  EXPECT_EQ(queue.due(), 2u);
  EXPECT_EQ(PopCircuits(queue, 16), (std::vector<CircuitId>{1, 2}));
  EXPECT_TRUE(queue.empty());
}

TEST(LinkQueue, RefusesCellsBeyondFourMebibytesButNoDestroy) {
  LinkQueue queue;
  for (size_t i = 0; i < kLinkQueueMax; ++i) {
    ASSERT_EQ(queue.Push(Numbered(static_cast<CircuitId>(i + 1), 0)), PushResult::kQueued);
  }
  EXPECT_EQ(queue.Push(Numbered(1, 0)), PushResult::kLinkFull);
  for (size_t i = 0; i < kDestroysMax; ++i) {
    ASSERT_EQ(queue.Push(Cell(static_cast<CircuitId>(9000 + i), CellCommand::kDestroy)), PushResult::kQueued);
  }
  EXPECT_EQ(queue.size(), kLinkQueueMax) << "they take no room from cells";
  EXPECT_EQ(queue.Push(Cell(500'000, CellCommand::kDestroy)), PushResult::kLinkFull);
}

TEST(LinkQueue, SendsEveryDestroyAndCellsOfOthersBetweenThem) {
  LinkQueue queue;
  for (CircuitId circuit = 1000; circuit < 11'000; ++circuit) {
    ASSERT_EQ(queue.Push(Cell(circuit, CellCommand::kDestroy)), PushResult::kQueued);
  }
  PushMany(queue, 1, 20);
  const std::vector<CircuitId> first = PopCircuits(queue, 16);
  EXPECT_EQ(std::count(first.begin(), first.end(), 1u), 12);
  const std::vector<CircuitId> rest = PopCircuits(queue, 20'000);
  EXPECT_EQ(first.size() + rest.size(), 10'020u);
  EXPECT_TRUE(queue.empty());
}

TEST(LinkQueue, TellsTheOldestCellOfEveryCircuitAndThrowsOneAway) {
  LinkQueue queue;
  for (uint64_t order = 1; order <= 9; ++order) {
    ASSERT_EQ(queue.Push(Numbered(static_cast<CircuitId>(1 + order % 3), 0), order), PushResult::kQueued);
  }
  ASSERT_EQ(queue.Push(Cell(7, CellCommand::kDestroy), 10), PushResult::kQueued);
  std::map<CircuitId, uint64_t> heads;
  for (const LinkQueue::Oldest& head : queue.Heads()) heads[head.circuit] = head.order;
  EXPECT_EQ(heads, (std::map<CircuitId, uint64_t>{{2, 1}, {3, 2}, {1, 3}})) << "a DESTROY is nobody's to evict";
  queue.Discard(2);
  EXPECT_EQ(queue.due(), 7u);
  EXPECT_EQ(queue.Heads().size(), 2u);
  queue.Discard(77);
  const std::vector<CircuitId> left = PopCircuits(queue, 16);
  EXPECT_EQ(left.size(), 7u);
  EXPECT_EQ(std::count(left.begin(), left.end(), 2u), 0);
  EXPECT_TRUE(queue.empty());
}

TEST(LinkQueue, DoesNotRememberEveryCircuitThatEverHadOneCell) {
  LinkQueue queue;
  for (CircuitId circuit = 1; circuit <= 10'000; ++circuit) {
    ASSERT_EQ(queue.Push(Numbered(circuit, 0)), PushResult::kQueued);
    ASSERT_EQ(PopCircuits(queue, 16), std::vector<CircuitId>{circuit});
  }
  EXPECT_LE(queue.circuits(), kDrainedMax);
}

}  // namespace
}  // namespace overlay
