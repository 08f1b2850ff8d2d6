// SPDX-License-Identifier: Apache-2.0
// One flipped bit at any hop, offset, direction and moment: what protocol.md 5 says a flip must do. 10,000 flips over all shards.
// And one cell at any of these places dropped, replayed, swapped with the next one, or spliced with another.
#include "tests/support/onion_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;
using support::OnionFixture;

constexpr int kShards = 10;
// The soak asks for more by BULBIL_FLIPS, over all shards.
int FlipsPerShard() {
  static const char* const asked = std::getenv("BULBIL_FLIPS");
  return asked == nullptr ? 1000 : std::max(10, std::atoi(asked) / kShards);
}
constexpr size_t kEchoes = 3;

bool IsRelayCell(const Cell& cell) { return cell.command() == CellCommand::kRelay || cell.command() == CellCommand::kRelayEarly; }

// Builds a circuit of four hops, fetches a table and echoes: a run of about 100 relay cells on all wires.
struct Conversation {
  std::vector<base::Bytes> asked, answered;
  bool broken = false;
};
Conversation Converse(OnionFixture& onion) {
  Conversation run;
  run.broken =
      !onion.Build(3) || !onion.Run(TableStep{2, 0}).has_value() || !onion.Run(ExtendStep{onion.descriptor(4), 3}).has_value();
  for (size_t i = 0; i < kEchoes && !run.broken; ++i) {
    run.asked.push_back({static_cast<uint8_t>(i), 1, 2});
    const auto answer = onion.Echo(run.asked.back());
    run.broken = !answer.has_value();
    if (answer.has_value()) run.answered.push_back(*answer);
  }
  return run;
}

// Nothing wrong was delivered, and nothing twice, on either side.
void ExpectNothingWrong(const OnionFixture& onion, const Conversation& run) {
  ASSERT_LE(onion.delivered.size(), run.asked.size());
  for (size_t i = 0; i < onion.delivered.size(); ++i) ASSERT_EQ(onion.delivered[i], run.asked[i]);
  for (size_t i = 0; i < run.answered.size(); ++i) {
    ASSERT_EQ(run.answered[i], base::Bytes(run.asked[i].rbegin(), run.asked[i].rend()));
  }
}

class Flip : public testing::TestWithParam<int> {};

TEST_P(Flip, DeliversNothingAndKillsTheCircuit) {
  OnionFixture onion(4, static_cast<uint64_t>(GetParam()));
  size_t relay_cells = 0;
  onion.tamper = [&](size_t, size_t, const Cell& cell) {
    relay_cells += IsRelayCell(cell);
    return std::vector{cell};
  };
  ASSERT_FALSE(Converse(onion).broken);
  support::SeededRng rng(5000 + static_cast<uint64_t>(GetParam()));
  const size_t cells_per_run = relay_cells;
  int body_flips = 0;
  for (int flip = 0; flip < FlipsPerShard(); ++flip) {
    const size_t target = rng.Below(cells_per_run);
    const size_t bit = flip % 8 == 0 ? rng.Below(overlay::kCellHeaderSize * 8) : rng.Below(overlay::kCellSize * 8);
    const bool in_body = bit / 8 >= overlay::kCellHeaderSize;
    size_t seen = 0;
    bool flipped = false;
    onion.timed_out = false;
    onion.tamper = [&](size_t, size_t, const Cell& cell) {
      Cell arriving = cell;
      if (IsRelayCell(cell) && seen++ == target) {
        arriving.bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
        flipped = true;
      }
      return std::vector{arriving};
    };
    const Conversation run = Converse(onion);
    ASSERT_TRUE(flipped);
    ASSERT_TRUE(run.broken) << "flip " << flip << " cell " << target << " bit " << bit;
    ASSERT_TRUE(onion.origin().closed());
    ASSERT_TRUE(onion.AllRelaysEmpty()) << "flip " << flip << " cell " << target << " bit " << bit;
    ExpectNothingWrong(onion, run);
    if (in_body) {
      ++body_flips;
      ASSERT_FALSE(onion.timed_out) << "a flip in the body ends the circuit with that cell, not with time; cell " << target;
    }
  }
  EXPECT_GT(body_flips, FlipsPerShard() / 2);
  RecordProperty("flips", FlipsPerShard());  // counted by the soak
}

class Tamper : public testing::TestWithParam<int> {};

TEST_P(Tamper, DeliversNothingAndKillsTheCircuit) {
  enum Kind { kDrop, kReplayBefore, kReplayInstead, kSwap, kSplice, kKinds };
  OnionFixture onion(4, static_cast<uint64_t>(GetParam()));
  support::SeededRng rng(9000 + static_cast<uint64_t>(GetParam()));
  size_t relay_cells = 0;
  onion.tamper = [&](size_t, size_t, const Cell& cell) {
    relay_cells += IsRelayCell(cell);
    return std::vector{cell};
  };
  ASSERT_FALSE(Converse(onion).broken);
  const size_t cells_per_run = relay_cells;
  int tampered = 0;
  for (int attack = 0; attack < FlipsPerShard(); ++attack) {
    const size_t target = rng.Below(cells_per_run);
    const auto kind = static_cast<Kind>(attack % kKinds);
    const size_t cut = 1 + rng.Below(overlay::kCellBodySize - 1);
    size_t seen = 0;
    bool done = false;
    std::map<std::pair<size_t, size_t>, Cell> last;  // of every wire and direction
    std::optional<Cell> held;                        // waits to be overtaken
    std::pair<size_t, size_t> held_on;
    onion.tamper = [&](size_t from, size_t to, const Cell& cell) {
      if (!IsRelayCell(cell)) return std::vector{cell};
      const std::pair<size_t, size_t> wire{from, to};
      if (held.has_value() && wire == held_on) return std::vector{cell, *std::exchange(held, std::nullopt)};
      const auto before = last.find(wire);
      const std::optional<Cell> earlier = before == last.end() ? std::nullopt : std::optional<Cell>(before->second);
      last[wire] = cell;
      if (seen++ != target) return std::vector{cell};
      done = true;
      if (kind == kSwap) {
        held = cell;
        held_on = wire;
        return std::vector<Cell>{};
      }
      if (kind == kDrop || !earlier.has_value()) return std::vector<Cell>{};
      if (kind == kReplayBefore) return std::vector{*earlier, cell};
      if (kind == kReplayInstead) return std::vector{*earlier};
      Cell spliced = cell;
      std::copy(earlier->body().begin() + static_cast<ptrdiff_t>(cut), earlier->body().end(),
                spliced.body().begin() + static_cast<ptrdiff_t>(cut));
      return std::vector{spliced};
    };
    const Conversation run = Converse(onion);
    ASSERT_TRUE(done);
    ASSERT_TRUE(run.broken) << "attack " << attack << " cell " << target;
    ASSERT_TRUE(onion.origin().closed());
    ASSERT_TRUE(onion.AllRelaysEmpty()) << "attack " << attack << " cell " << target;
    ExpectNothingWrong(onion, run);
    ++tampered;
  }
  RecordProperty("flips", tampered);  // counted by the soak
}

INSTANTIATE_TEST_SUITE_P(Shards, Tamper, testing::Range(0, kShards));
INSTANTIATE_TEST_SUITE_P(Shards, Flip, testing::Range(0, kShards));

}  // namespace
}  // namespace circuits
