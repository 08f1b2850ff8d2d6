// SPDX-License-Identifier: Apache-2.0
// The circuit as a whole: an origin core and relay cores, handed cells by the test (tests/support/onion_fixture.h).
#include "tests/support/onion_fixture.h"

#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;
using support::OnionFixture;

TEST(Onion, FourHopsCarryARequestAndItsAnswer) {
  OnionFixture onion(4, 1);
  ASSERT_TRUE(onion.Build(4));
  EXPECT_EQ(onion.Echo({1, 2, 3}), (base::Bytes{3, 2, 1}));
  EXPECT_EQ(onion.delivered, (std::vector<base::Bytes>{{1, 2, 3}}));
  EXPECT_EQ(onion.Echo(base::Bytes(kRelayPayloadMax, 7)), base::Bytes(kRelayPayloadMax, 7));
}

TEST(Onion, BothEndsHoldTheSameChannelBinding) {
  OnionFixture onion(4, 2);
  ASSERT_TRUE(onion.Build(3));
  const auto added = onion.Run(ExtendStep{onion.descriptor(4), 3});
  ASSERT_TRUE(added.has_value());
  ASSERT_TRUE(onion.Echo({1}).has_value());
  EXPECT_EQ(std::get<HopAdded>(*added).channel_binding, onion.last_binding);
}

TEST(Onion, EveryHopShowsItsOwnTable) {
  OnionFixture onion(4, 3);
  ASSERT_TRUE(onion.Build(4));
  for (size_t hop = 0; hop < 4; ++hop) {
    const auto fetched = onion.Run(TableStep{hop, 0});
    ASSERT_TRUE(fetched.has_value());
    EXPECT_EQ(std::get<TableFetched>(*fetched).table, onion.table(hop + 1).encoded);
  }
  const auto none = onion.Run(TableStep{1, 9});
  ASSERT_TRUE(none.has_value());
  EXPECT_TRUE(std::get<TableFetched>(*none).table.empty());
}

TEST(Onion, DescriptorsComeInTheOrderAskedFor) {
  OnionFixture onion(4, 4);
  ASSERT_TRUE(onion.Build(2));
  const auto fetched =
      onion.Run(DescriptorsStep{1, {onion.descriptor(4).node_key, keys::PublicKey{{9}}, onion.descriptor(3).node_key}});
  ASSERT_TRUE(fetched.has_value());
  EXPECT_EQ(std::get<DescriptorsFetched>(*fetched).descriptors,
            (std::vector<base::Bytes>{onion.descriptor(4).encoded, {}, onion.descriptor(3).encoded}));
}

TEST(Onion, TheStorageNodeIsReplacedUpToSixTimes) {
  OnionFixture onion(6, 5);
  ASSERT_TRUE(onion.Build(3));
  for (int i = 0; i < 6; ++i) {
    const size_t storage = 4 + static_cast<size_t>(i) % 3;
    ASSERT_TRUE(onion.Run(ExtendStep{onion.descriptor(storage), 3}).has_value()) << i;
    ASSERT_TRUE(onion.Echo({static_cast<uint8_t>(i)}).has_value()) << i;
    for (size_t other = 4; other <= 6; ++other) EXPECT_EQ(onion.relay(other).circuit_count(), other == storage ? 1u : 0u);
  }
  EXPECT_FALSE(onion.origin().MayExtend());
  EXPECT_FALSE(onion.Run(ExtendStep{onion.descriptor(4), 3}).has_value());
}

TEST(Onion, LongConversationsPassRekeysAndWindows) {
  OnionFixture onion(4, 6);
  ASSERT_TRUE(onion.Build(4));
  for (int i = 0; i < 700; ++i) ASSERT_TRUE(onion.Echo({static_cast<uint8_t>(i)}).has_value()) << i;
  EXPECT_EQ(onion.delivered.size(), 700u);
}

TEST(Onion, ClosingLeavesNothingBehind) {
  OnionFixture onion(4, 7);
  ASSERT_TRUE(onion.Build(4));
  EXPECT_FALSE(onion.AllRelaysEmpty());
  onion.Inject(OnionFixture::kClient, 1, Cell(onion.origin_id(), CellCommand::kDestroy));
  EXPECT_TRUE(onion.AllRelaysEmpty());
}

TEST(Onion, ARelayRefusesItselfAndTheHopBefore) {
  OnionFixture onion(4, 8);
  ASSERT_TRUE(onion.Build(2));
  EXPECT_FALSE(onion.Run(ExtendStep{onion.descriptor(2), 2}).has_value());
  ASSERT_TRUE(onion.Build(2));
  EXPECT_FALSE(onion.Run(ExtendStep{onion.descriptor(1), 2}).has_value());
  EXPECT_TRUE(onion.AllRelaysEmpty());
}

TEST(Onion, ADescriptorThatDoesNotVerifyIsNotDialled) {
  OnionFixture onion(4, 9);
  ASSERT_TRUE(onion.Build(2));
  overlay::Descriptor forged = onion.descriptor(3);
  forged.encoded.back() ^= 1;
  EXPECT_FALSE(onion.Run(ExtendStep{forged, 2}).has_value());
  EXPECT_EQ(onion.relay(3).circuit_count(), 0u);
}

TEST(Onion, ARelayWithoutEndpointDestroysOnARequest) {
  OnionFixture onion(4, 10);
  onion.answers = false;
  ASSERT_TRUE(onion.Build(4));
  EXPECT_FALSE(onion.Echo({1}).has_value());
  EXPECT_TRUE(onion.delivered.empty());
  EXPECT_TRUE(onion.AllRelaysEmpty());
}

TEST(Onion, TheWrongHalfOfTheIdsOrAnIdInUseClosesTheLink) {
  for (int kind = 0; kind < 3; ++kind) {
    OnionFixture onion(2, 11);
    ASSERT_TRUE(onion.Build(2));
    const overlay::CircuitId id = kind == 0 ? 0 : kind == 1 ? onion.origin_id() : onion.origin_id() ^ overlay::kCircuitIdTopBit;
    onion.Inject(OnionFixture::kClient, 1, Cell(id, CellCommand::kCreate));
    EXPECT_TRUE(onion.AllRelaysEmpty()) << kind;
    EXPECT_TRUE(onion.origin().closed()) << kind;
  }
}

TEST(Onion, CellsOfUnknownCircuitsAreCountedAndDropped) {
  OnionFixture onion(2, 12);
  ASSERT_TRUE(onion.Build(2));
  for (CellCommand command : {CellCommand::kRelay, CellCommand::kRelayEarly, CellCommand::kCreated, CellCommand::kDestroy}) {
    onion.Inject(OnionFixture::kClient, 1, Cell(onion.origin_id() ^ 1, command));
  }
  EXPECT_EQ(onion.relay(1).stats().cells_unknown, 4u);
  EXPECT_TRUE(onion.Echo({5}).has_value());
}

TEST(Onion, NoRelayEarlyComesInwards) {
  OnionFixture onion(3, 13);
  ASSERT_TRUE(onion.Build(3));
  onion.tamper = [&](size_t from, size_t to, const Cell& cell) {
    Cell changed = cell;
    if (from == 2 && to == 1 && cell.command() == CellCommand::kRelay) changed.SetCommand(CellCommand::kRelayEarly);
    return std::vector{changed};
  };
  EXPECT_FALSE(onion.Echo({1}).has_value());
  EXPECT_TRUE(onion.AllRelaysEmpty());
}

// protocol.md 5: eight, counted by each relay for itself; and EXTEND in a RELAY cell is none.
TEST(Onion, ARelayCountsEarlyCellsItself) {
  OnionFixture onion(3, 14);
  ASSERT_TRUE(onion.Build(3));
  onion.tamper = [&](size_t from, size_t, const Cell& cell) {
    Cell changed = cell;
    if (from == OnionFixture::kClient && cell.command() == CellCommand::kRelay) changed.SetCommand(CellCommand::kRelayEarly);
    return std::vector{changed};
  };
  EXPECT_FALSE(onion.Echo({1}).has_value()) << "the command is part of the tweak";
  EXPECT_TRUE(onion.delivered.empty());
}

struct Attack {
  const char* name;
  // What arrives instead of the n-th RELAY cell of its wire; `last` is the one before it.
  std::vector<Cell> (*arrive)(const Cell& last, const Cell& cell);
};

TEST(Onion, ReplayDropAndSpliceDeliverNothingAndKillTheCircuit) {
  const Attack attacks[] = {
      {"drop", [](const Cell&, const Cell&) { return std::vector<Cell>{}; }},
      {"replay before",
       [](const Cell& last, const Cell& cell) {
         return std::vector{last, cell};
       }},
      {"replay instead", [](const Cell& last, const Cell&) { return std::vector{last}; }},
      {"splice",
       [](const Cell& last, const Cell& cell) {
         Cell spliced = cell;
         std::copy(last.bytes.begin() + 1024, last.bytes.end(), spliced.bytes.begin() + 1024);
         return std::vector{spliced};
       }},
  };
  for (const Attack& attack : attacks) {
    for (size_t wire = 0; wire < 4; ++wire) {
      for (bool forward : {true, false}) {
        OnionFixture onion(4, 20 + wire);
        ASSERT_TRUE(onion.Build(4));
        const size_t a = forward ? wire : wire + 1, b = forward ? wire + 1 : wire;
        Cell last;
        int seen = 0;
        onion.tamper = [&](size_t from, size_t to, const Cell& cell) {
          if (from != a || to != b || cell.command() != CellCommand::kRelay) return std::vector{cell};
          const Cell before = std::exchange(last, cell);
          return ++seen == 2 ? attack.arrive(before, cell) : std::vector{cell};
        };
        ASSERT_TRUE(onion.Echo({1}).has_value());
        const size_t before = onion.delivered.size();
        const auto second = onion.Echo({2});
        EXPECT_FALSE(second.has_value()) << attack.name << " wire " << wire << " forward " << forward;
        EXPECT_TRUE(onion.origin().closed()) << attack.name;
        EXPECT_TRUE(onion.AllRelaysEmpty()) << attack.name;
        if (forward) {
          EXPECT_EQ(onion.delivered.size(), before) << attack.name;
        }
      }
    }
  }
}

TEST(Onion, CellsOfOneDirectionAreGarbageInTheOther) {
  OnionFixture onion(4, 30);
  ASSERT_TRUE(onion.Build(4));
  ASSERT_TRUE(onion.Echo({1}).has_value());
  Cell answer;
  onion.tamper = [&](size_t from, size_t to, const Cell& cell) {
    if (from == 1 && to == OnionFixture::kClient) answer = cell;
    return std::vector{cell};
  };
  ASSERT_TRUE(onion.Echo({2}).has_value());
  onion.tamper = nullptr;
  onion.Inject(OnionFixture::kClient, 1, answer);
  EXPECT_EQ(onion.delivered.size(), 2u);
  EXPECT_TRUE(onion.AllRelaysEmpty());
}

// Any cell of any command at any moment and on any wire: no crash, nothing delivered that was not sent, the circuit goes.
TEST(Onion, RandomCellsDestroyCircuitsAndNothingElse) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    OnionFixture onion(4, 100 + seed);
    ASSERT_TRUE(onion.Build(1 + seed % 4));
    const size_t to = seed % (1 + seed % 4);
    const size_t from = to + 1;
    Cell junk(0, static_cast<CellCommand>(seed % 7));
    onion.rng().Fill(junk.body());
    overlay::CircuitId on_wire = onion.origin_id();
    if (to > 0) {  // learn the id of that wire
      onion.tamper = [&](size_t f, size_t t, const Cell& cell) {
        if (f == to && t == from) on_wire = cell.circuit_id();
        return std::vector{cell};
      };
      ASSERT_TRUE(onion.Run(TableStep{to, 0}).has_value());
      onion.tamper = nullptr;
    }
    junk.SetCircuitId(on_wire);
    const bool forward = seed % 2 == 0;
    onion.Inject(forward ? to : from, forward ? from : to, junk);
    EXPECT_TRUE(onion.delivered.empty());
    if (forward && junk.command() == CellCommand::kDestroy) {  // whoever is before it destroyed it: only what is behind goes
      EXPECT_EQ(onion.relay(from).circuit_count(), 0u) << seed;
    } else {
      EXPECT_EQ(onion.origin().closed(), junk.command() != CellCommand::kPadding) << seed;
    }
  }
}

}  // namespace
}  // namespace circuits
