// SPDX-License-Identifier: Apache-2.0
// The relay core by itself: caps, times, links that go, and any order of events at all.
#include "circuits/relay.h"

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;
using overlay::LinkInfo;

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

struct Bench {
  explicit Bench(uint64_t seed, overlay::Network network = overlay::Network::Local())
      : rng(seed),
        relay({.network = network,
               .own_key = node_key.public_key(),
               .answers_requests = true,
               .records = {.table = [](uint8_t) { return base::Bytes(5000, 1); },
                           .descriptor = [](const keys::PublicKey&) { return base::Bytes(); }}},
              table, rng) {}
  LinkInfo Up(overlay::LinkId id, bool is_node) {
    const LinkInfo link{.id = id, .peer_key = keys::PublicKey{{static_cast<uint8_t>(id)}}, .is_node = is_node, .high_ids = true};
    relay.OnLinkUp(link, kStart);
    return link;
  }
  template <class A>
  static size_t Count(const RelayActions& actions) {
    return static_cast<size_t>(
        std::count_if(actions.begin(), actions.end(), [](const RelayAction& a) { return std::holds_alternative<A>(a); }));
  }
  // The client's side of a circuit that this relay has answered.
  uint64_t Create(overlay::LinkId link, overlay::CircuitId id) {
    const auto start = keys::ClientStart({}, node_key.public_key(), onion_key.public_key, rng);
    Cell cell(id, CellCommand::kCreate);
    std::copy(start->onion_skin.begin(), start->onion_skin.end(), cell.body().begin());
    const RelayActions actions = OnCell(link, cell, kStart);
    const auto& reply = std::get<ReplyToSkin>(actions.at(0));
    auto result = keys::ServerReply({}, node_key.public_key(), {&onion_key, 1}, reply.onion_skin, rng);
    hop_keys = *keys::ClientFinish({}, start->state, result->reply);
    relay.OnHandshake(reply.circuit, result, kStart);
    return reply.circuit;
  }
  // Ends a circuit's handshake well, with keys that nobody else has.
  void Answer(uint64_t circuit) {
    relay.OnHandshake(circuit, keys::ServerReplyResult{hop_keys, base::Bytes(keys::kOnionReplySize)}, kStart);
  }
  // A CREATE whose handshake is never looked at; no two are alike.
  Cell AnyCreate(overlay::CircuitId id) {
    Cell cell(id, CellCommand::kCreate);
    rng.Fill(cell.body());
    return cell;
  }
  size_t CreateMany(overlay::LinkId link, overlay::CircuitId first, size_t count) {
    size_t taken = 0;
    for (size_t i = 0; i < count; ++i) {
      taken += Count<ReplyToSkin>(OnCell(link, AnyCreate(first + static_cast<overlay::CircuitId>(i)), kStart));
    }
    return taken;
  }
  RelayActions OnCell(overlay::LinkId link, Cell cell, absl::Time now) {
    RelayActions actions;
    const std::optional<overlay::LinkId> onward = relay.OnCell(link, cell, now, actions);
    if (onward.has_value()) actions.push_back(SendCell{*onward, cell});
    return actions;
  }
  Cell Say(OriginLayers& layers, overlay::CircuitId id, RelayCommand command, base::ByteView payload) {
    const CellCommand outer = command == RelayCommand::kExtend ? CellCommand::kRelayEarly : CellCommand::kRelay;
    Cell cell(id, outer);
    EncodeRelayCell(command, payload, rng, cell.body());
    layers.EncryptForward(0, outer, cell.body());
    return cell;
  }

  support::SeededRng rng;
  keys::SigningKey node_key = keys::SigningKey::Generate(rng);
  keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(rng);
  keys::HopKeys hop_keys;
  CircuitTable table;
  Relay relay;
};

TEST(Relay, AHandshakeThatNeverComesBackIsGivenUp) {
  Bench bench(1);
  bench.Up(1, false);
  bench.OnCell(1, bench.AnyCreate(5), kStart);
  EXPECT_EQ(bench.relay.circuit_count(), 1u);
  EXPECT_EQ(bench.relay.NextTick(), kStart + kSettleMax);
  EXPECT_TRUE(bench.relay.OnTick(kStart + kSettleMax - absl::Seconds(1)).empty());
  const RelayActions actions = bench.relay.OnTick(kStart + kSettleMax);
  ASSERT_EQ(Bench::Count<SendCell>(actions), 1u);
  EXPECT_EQ(std::get<SendCell>(actions[0]).cell.command(), CellCommand::kDestroy);
  EXPECT_EQ(bench.relay.circuit_count(), 0u);
  EXPECT_EQ(bench.table.CountOn(1), 0u);
}

TEST(Relay, ALinkThatNeverComesUpIsGivenUp) {
  Bench bench(2);
  bench.Up(1, false);
  const uint64_t circuit = bench.Create(1, 5);
  OriginLayers layers;
  layers.AddHop(bench.hop_keys);
  const base::Bytes extend = EncodeExtend(base::Bytes(keys::kOnionSkinSize), base::Bytes(100));
  EXPECT_EQ(Bench::Count<CheckTarget>(bench.OnCell(1, bench.Say(layers, 5, RelayCommand::kExtend, extend), kStart)), 1u);
  overlay::Descriptor target;
  target.node_key = keys::PublicKey{{77}};
  EXPECT_EQ(Bench::Count<Dial>(bench.relay.OnTarget(circuit, target, kStart)), 1u);
  EXPECT_TRUE(bench.relay.OnDialing(circuit, 9, kStart).empty());
  EXPECT_EQ(Bench::Count<SendCell>(bench.relay.OnTick(kStart + kSettleMax)), 1u);
  EXPECT_EQ(bench.relay.circuit_count(), 0u);
  EXPECT_TRUE(bench.relay.OnLinkUp({.id = 9, .peer_key = target.node_key, .is_node = true}, kStart + kSettleMax).empty());
}

TEST(Relay, AClientFillsItsOwnCapAndNoOther) {
  Bench bench(3);
  bench.Up(1, false), bench.Up(2, false);
  EXPECT_EQ(bench.CreateMany(1, 1, kUnsettledPerClientLink), kUnsettledPerClientLink);
  const RelayActions refused = bench.OnCell(1, bench.AnyCreate(9999), kStart);
  ASSERT_EQ(Bench::Count<SendCell>(refused), 1u);
  EXPECT_EQ(std::get<SendCell>(refused[0]).cell.command(), CellCommand::kDestroy);
  EXPECT_EQ(bench.CreateMany(2, 1, 1), 1u);
}

TEST(Relay, CircuitsPerClientLinkAreBounded) {
  Bench bench(4);
  bench.Up(1, false);
  for (size_t i = 0; i < kClientCircuitsMax; ++i) bench.Create(1, static_cast<overlay::CircuitId>(1 + i));
  EXPECT_EQ(bench.CreateMany(1, 9999, 1), 0u);
  EXPECT_EQ(bench.relay.circuit_count(), kClientCircuitsMax);
}

// The same of extends, for which circuits need not be new.
TEST(Relay, ExtendsLeaveRoomForOthers) {
  Bench bench(11);
  bench.Up(20, true);
  bench.Create(20, 1);  // its keys are those of all that follow
  const base::Bytes extend = EncodeExtend(base::Bytes(keys::kOnionSkinSize), base::Bytes(100));
  size_t extending = 0;
  for (overlay::LinkId link = 1; link <= 10; ++link) {
    bench.Up(link, true);
    for (overlay::CircuitId id = 1; id <= 600; ++id) {
      bench.Answer(std::get<ReplyToSkin>(bench.OnCell(link, bench.AnyCreate(id), kStart).at(0)).circuit);
    }
  }
  for (overlay::LinkId link = 1; link <= 10; ++link) {
    for (overlay::CircuitId id = 1; id <= 600; ++id) {
      OriginLayers layers;
      layers.AddHop(bench.hop_keys);
      extending += Bench::Count<CheckTarget>(bench.OnCell(link, bench.Say(layers, id, RelayCommand::kExtend, extend), kStart));
    }
  }
  EXPECT_GT(extending, kUnsettledMax / 2);
  EXPECT_LT(extending, kUnsettledMax);
  bench.Up(11, false);
  EXPECT_GE(bench.CreateMany(11, 1, 1), 1u);
}

// Every greedy link leaves as much free as it took, so the ninth neighbour still finds room.
TEST(Relay, GreedyNeighboursLeaveRoomForOthers) {
  Bench bench(10);
  std::vector<size_t> taken;
  for (overlay::LinkId link = 1; link <= 8; ++link) {
    bench.Up(link, true);
    taken.push_back(bench.CreateMany(link, 1, 10'000));
  }
  EXPECT_EQ(taken[0], kUnsettledPerNodeLink);
  EXPECT_TRUE(std::is_sorted(taken.rbegin(), taken.rend()));
  EXPECT_LT(bench.relay.circuit_count(), kUnsettledMax);
  bench.Up(9, true), bench.Up(10, false);
  EXPECT_GT(bench.CreateMany(9, 1, 20), 10u);
  EXPECT_GE(bench.CreateMany(10, 1, 1), 1u);
  bench.relay.OnTick(kStart + kSettleMax);
  EXPECT_EQ(bench.relay.circuit_count(), 0u) << "none of them had a handshake that came back";
}

TEST(Relay, OneNeighbourFillsHalfOfTheNodeAtMost) {
  Bench bench(11);
  bench.Up(1, true), bench.Up(2, true);
  size_t taken = 0;
  for (overlay::CircuitId id = 1; id <= kCarriedMax; ++id) {
    const RelayActions actions = bench.OnCell(1, bench.AnyCreate(id), kStart);
    if (Bench::Count<ReplyToSkin>(actions) == 0) continue;
    ++taken;
    bench.Answer(std::get<ReplyToSkin>(actions[0]).circuit);
  }
  EXPECT_EQ(taken, kCarriedMax / 2);
  EXPECT_EQ(bench.CreateMany(2, 1, 100), 100u);
}

TEST(Relay, AReplayedOnionSkinCostsNoHandshake) {
  Bench bench(12);
  bench.Up(1, false), bench.Up(2, true);
  Cell create = bench.AnyCreate(5);
  EXPECT_EQ(Bench::Count<ReplyToSkin>(bench.OnCell(1, create, kStart)), 1u);
  for (overlay::LinkId link = 1; link <= 2; ++link) {
    create.SetCircuitId(6 + static_cast<overlay::CircuitId>(link));
    const RelayActions actions = bench.OnCell(link, create, kStart + absl::Minutes(4));
    EXPECT_EQ(Bench::Count<ReplyToSkin>(actions), 0u);
    ASSERT_EQ(Bench::Count<SendCell>(actions), 1u);
    EXPECT_EQ(std::get<SendCell>(actions[0]).cell.command(), CellCommand::kDestroy);
  }
  EXPECT_EQ(bench.relay.stats().replayed, 2u);
  create.body()[40] ^= 1;  // another onion key
  EXPECT_EQ(Bench::Count<ReplyToSkin>(bench.OnCell(1, create, kStart)), 1u);
}

// Clients that ask for tables and never acknowledge one: together they get kWaitingMax cells, and who has been stuck longest
// goes.
TEST(Relay, WhatNobodyAcknowledgesIsBoundedForTheWholeNode) {
  Bench bench(13);
  const base::Bytes index = {0};
  std::vector<uint64_t> circuits;
  std::vector<OriginLayers> layers;
  absl::Time now = kStart;
  for (size_t i = 0; i < 60; ++i) {
    const overlay::LinkId link = 1 + i;
    bench.Up(link, false);
    circuits.push_back(bench.Create(link, 5));
    layers.emplace_back().AddHop(bench.hop_keys);
    now += absl::Seconds(1);
    for (int asked = 0; asked < 190; ++asked) bench.OnCell(link, bench.Say(layers.back(), 5, RelayCommand::kTable, index), now);
  }
  EXPECT_GT(bench.relay.stats().stuck, 0u);
  EXPECT_EQ(bench.relay.circuit_count(), 60 - bench.relay.stats().stuck);
  EXPECT_EQ(bench.table.CountOn(1), 0u) << "the one that was stuck first";
  EXPECT_EQ(bench.table.CountOn(60), 1u);
}

TEST(Relay, OutsideTheLocalNetworkCreatesHaveARate) {
  overlay::Network network;
  network.private_addresses = false;
  Bench bench(5, network);
  bench.Up(1, false);
  size_t taken = 0;
  for (overlay::CircuitId id = 1; id < 200; ++id) {
    const RelayActions actions = bench.OnCell(1, bench.AnyCreate(id), kStart);
    if (Bench::Count<ReplyToSkin>(actions) == 0) continue;
    ++taken;
    bench.relay.OnHandshake(std::get<ReplyToSkin>(actions[0]).circuit, absl::UnauthenticatedError(""), kStart);
  }
  EXPECT_EQ(taken, 64u);
}

TEST(Relay, AClientOnlyProcessCarriesNothing) {
  Bench bench(6);
  CircuitTable table;
  Relay relay({.network = {}, .enabled = false, .own_key = {}, .answers_requests = false, .records = {}}, table, bench.rng);
  relay.OnLinkUp({.id = 1, .peer_key = {}, .is_node = true, .high_ids = true}, kStart);
  RelayActions actions;
  Cell create(5, CellCommand::kCreate);
  relay.OnCell(1, create, kStart, actions);
  EXPECT_EQ(Bench::Count<ReplyToSkin>(actions), 0u);
  EXPECT_EQ(relay.circuit_count(), 0u);
}

TEST(Relay, AnIdleCircuitGoesInTheEnd) {
  Bench bench(7);
  bench.Up(1, false);
  bench.Create(1, 5);
  EXPECT_TRUE(bench.relay.OnTick(kStart + kIdleMax - absl::Seconds(1)).empty());
  bench.relay.OnTick(kStart + kIdleMax);
  EXPECT_EQ(bench.relay.circuit_count(), 0u);
}

TEST(Relay, OneRequestAtATime) {
  Bench bench(8);
  bench.Up(1, false);
  const uint64_t circuit = bench.Create(1, 5);
  OriginLayers layers;
  layers.AddHop(bench.hop_keys);
  const base::Bytes payload = {1};
  EXPECT_EQ(Bench::Count<AskEndpoint>(bench.OnCell(1, bench.Say(layers, 5, RelayCommand::kRequest, payload), kStart)), 1u);
  EXPECT_EQ(Bench::Count<AskEndpoint>(bench.OnCell(1, bench.Say(layers, 5, RelayCommand::kRequest, payload), kStart)), 0u);
  EXPECT_EQ(bench.relay.circuit_count(), 0u);
  EXPECT_TRUE(bench.relay.OnAnswer(circuit, {2}, kStart).empty()) << "after the circuit died an answer does nothing";
}

TEST(Relay, WhoeverDoesNotAcknowledgeIsCutOff) {
  Bench bench(9);
  bench.Up(1, false);
  bench.Create(1, 5);
  OriginLayers layers;
  layers.AddHop(bench.hop_keys);
  const base::Bytes index = {0};
  size_t sent = 0;
  int asked = 0;
  for (; asked < 1000 && bench.relay.circuit_count() == 1; ++asked) {
    sent += Bench::Count<SendCell>(bench.OnCell(1, bench.Say(layers, 5, RelayCommand::kTable, index), kStart));
  }
  EXPECT_LT(asked, 1000);
  EXPECT_LE(sent, static_cast<size_t>(kWindowStart) + static_cast<size_t>(asked) / kAcknowledgeEvery + 1);
}

// Every event in any order, with cells that are junk or nearly right: no crash, and nothing is left once all links are gone.
TEST(Relay, AnyOrderOfEventsLeavesNothingBehind) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Bench bench(100 + seed);
    support::SeededRng& rng = bench.rng;
    absl::Time now = kStart;
    std::vector<std::pair<overlay::LinkId, overlay::CircuitId>> ids;
    uint64_t circuits = 0;
    for (int step = 0; step < 2000; ++step) {
      const overlay::LinkId link = 1 + rng.Below(6);
      const uint64_t circuit = 1 + rng.Below(circuits + 1);
      RelayActions actions;
      switch (rng.Below(10)) {
        case 0:
          if (rng.Below(8) == 0) actions = bench.relay.OnLinkDown(link, bench.table.TakeLink(link));
          break;
        case 1:
          bench.Up(link, link > 3);
          break;
        case 2: {
          overlay::Descriptor target;
          target.node_key = keys::PublicKey{{static_cast<uint8_t>(rng.Below(9))}};
          actions = bench.relay.OnTarget(circuit,
                                         rng.Below(4) == 0 ? absl::StatusOr<overlay::Descriptor>(absl::UnknownError(""))
                                                           : absl::StatusOr<overlay::Descriptor>(target),
                                         now);
          break;
        }
        case 3:
          actions = bench.relay.OnDialing(circuit, link, now);
          break;
        case 4:
          actions = bench.relay.OnAnswer(circuit, base::Bytes(rng.Below(2100)), now);
          break;
        case 5:
          actions = bench.relay.OnTick(now += absl::Seconds(rng.Below(4)));
          break;
        case 6:
          actions = bench.relay.OnHandshake(circuit, absl::UnauthenticatedError(""), now);
          break;
        default: {
          Cell cell(static_cast<overlay::CircuitId>(rng.Below(40)), static_cast<CellCommand>(rng.Below(6)));
          if (!ids.empty() && rng.Below(2) == 0) cell.SetCircuitId(ids[rng.Below(ids.size())].second);
          rng.Fill(cell.body());
          actions = bench.OnCell(link, cell, now);
        }
      }
      for (const RelayAction& action : actions) {
        if (const auto* reply = std::get_if<ReplyToSkin>(&action)) circuits = std::max(circuits, reply->circuit);
        if (const auto* send = std::get_if<SendCell>(&action)) ids.emplace_back(send->link, send->cell.circuit_id());
      }
    }
    for (overlay::LinkId link = 1; link <= 6; ++link) bench.relay.OnLinkDown(link, bench.table.TakeLink(link));
    EXPECT_EQ(bench.relay.circuit_count(), 0u);
    EXPECT_EQ(bench.relay.NextTick(), absl::InfiniteFuture());
  }
}

}  // namespace
}  // namespace circuits
