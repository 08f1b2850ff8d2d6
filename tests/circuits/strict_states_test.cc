// SPDX-License-Identifier: Apache-2.0
// Every state of a circuit, at the relay and at the client, against every cell that does not belong there: DESTROY, and nothing
// else (protocol.md 5 and 6). What each test shows is listed in docs/circuits.md, "Strict states".
#include <gtest/gtest.h>

#include <set>

#include "base/byte_writer.h"
#include "circuits/origin_circuit.h"
#include "circuits/relay.h"
#include "tests/support/onion_fixture.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;
using State = RelayCircuit::State;
using support::OnionFixture;

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);
constexpr State kAllStates[] = {State::kCreating, State::kOpen,         State::kVerifying,
                                State::kDialing,  State::kCreatingNext, State::kRelaying};

bool IsDestroy(const RelayCircuitActions& actions) {
  return actions.size() == 1 && std::holds_alternative<DestroyBoth>(actions[0]);
}

// One relay's circuit and the client's layer of it, walked into any state.
struct RelaySide {
  explicit RelaySide(uint64_t seed) : rng(seed) {
    const auto start = keys::ClientStart({}, own.public_key(), onion_key.public_key, rng);
    reply = keys::ServerReply({}, own.public_key(), {&onion_key, 1}, start->onion_skin, rng);
    layers.AddHop(*keys::ClientFinish({}, start->state, reply.value().reply));
  }
  Cell Say(RelayCommand command, base::ByteView payload, CellCommand outer) {
    Cell cell(1, outer);
    EncodeRelayCell(command, payload, rng, cell.body());
    layers.EncryptForward(0, outer, cell.body());
    return cell;
  }
  Cell Extend() {
    return Say(RelayCommand::kExtend, EncodeExtend(base::Bytes(keys::kOnionSkinSize), base::Bytes(100)),
               CellCommand::kRelayEarly);
  }
  RelayCircuitActions Forward(Cell cell) {
    RelayCircuitActions actions;
    passed_on = circuit.OnForward(cell, kStart, actions);
    return actions;
  }
  RelayCircuitActions Backward(Cell cell) {
    RelayCircuitActions actions;
    passed_on = circuit.OnBackward(cell, kStart, actions);
    return actions;
  }
  overlay::Descriptor Target(uint8_t key) {
    overlay::Descriptor target;
    target.node_key = keys::PublicKey{{key}};
    return target;
  }
  void Reach(State state) {
    if (state == State::kCreating) return;
    circuit.OnHandshake(reply);
    if (state == State::kOpen) return;
    Forward(Extend());
    if (state == State::kVerifying) return;
    circuit.OnTarget(Target(77));
    if (state == State::kDialing) return;
    circuit.OnDialed(true);
    if (state == State::kCreatingNext) return;
    Backward(Cell(1, CellCommand::kCreated));
  }

  support::SeededRng rng;
  keys::SigningKey own = keys::SigningKey::Generate(rng);
  keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(rng);
  absl::StatusOr<keys::ServerReplyResult> reply = absl::UnknownError("");
  OriginLayers layers;
  NodeRecords records{.table = [](uint8_t) { return base::Bytes(10, 1); },
                      .descriptor = [](const auto&) { return base::Bytes(); }};
  RelayCircuit circuit{{own.public_key(), keys::PublicKey{{9}}, /*answers_requests=*/true, &records}, rng};
  bool passed_on = false;
};

TEST(StrictStates, ARelayTakesFromTheClientsSideOnlyRelayCellsAndOnlyWhereItExpectsThem) {
  for (const State state : kAllStates) {
    for (int command = 0; command < 256; ++command) {
      RelaySide side(static_cast<uint64_t>(command));
      side.Reach(state);
      ASSERT_EQ(side.circuit.state(), state);
      Cell junk(1, static_cast<CellCommand>(command));
      side.rng.Fill(junk.body());
      const RelayCircuitActions actions = side.Forward(junk);
      const bool relayed = junk.command() == CellCommand::kRelay || junk.command() == CellCommand::kRelayEarly;
      if (state == State::kRelaying && relayed) {
        EXPECT_TRUE(side.passed_on) << "for a hop behind";
      } else {
        EXPECT_TRUE(!side.passed_on && IsDestroy(actions)) << static_cast<int>(state) << " " << command;
      }
    }
  }
}

TEST(StrictStates, ARelayTakesFromBehindOnlyTheCreatedItWaitsForAndThenRelayCells) {
  for (const State state : kAllStates) {
    for (int command = 0; command < 256; ++command) {
      RelaySide side(static_cast<uint64_t>(command));
      side.Reach(state);
      Cell junk(1, static_cast<CellCommand>(command));
      side.rng.Fill(junk.body());
      const RelayCircuitActions actions = side.Backward(junk);
      const bool created = state == State::kCreatingNext && junk.command() == CellCommand::kCreated;
      const bool relayed = state == State::kRelaying && junk.command() == CellCommand::kRelay;
      EXPECT_EQ(side.passed_on, relayed);
      EXPECT_EQ(IsDestroy(actions), !created && !relayed) << static_cast<int>(state) << " " << command;
    }
  }
}

// What is sealed for this very hop, and well formed, but not due: by command, state, and outer command.
TEST(StrictStates, ARecognisedCellThatIsNotDueDestroysTheCircuit) {
  for (const State state : kAllStates) {
    for (int command = 0; command < 256; ++command) {
      for (const CellCommand outer : {CellCommand::kRelay, CellCommand::kRelayEarly}) {
        RelaySide side(static_cast<uint64_t>(command));
        side.Reach(state);
        const auto inner = static_cast<RelayCommand>(command);
        base::Bytes payload = {0};
        if (inner == RelayCommand::kExtend) payload = EncodeExtend(base::Bytes(keys::kOnionSkinSize), base::Bytes(100));
        if (inner == RelayCommand::kDescriptor) payload = base::Bytes(32);
        const RelayCircuitActions actions = side.Forward(side.Say(inner, payload, outer));
        const bool settled = state == State::kOpen || state == State::kRelaying;
        const bool asks = inner == RelayCommand::kTable || inner == RelayCommand::kDescriptor || inner == RelayCommand::kRequest;
        const bool due = settled && (outer == CellCommand::kRelayEarly ? inner == RelayCommand::kExtend : asks);
        EXPECT_EQ(IsDestroy(actions), !due) << "state " << static_cast<int>(state) << " command " << command << " outer "
                                            << static_cast<int>(outer);
      }
    }
  }
}

TEST(StrictStates, EventsThatAreNotDueDestroyTheCircuit) {
  for (const State state : kAllStates) {
    const auto destroys = [&](auto event) {
      RelaySide side(1);
      side.Reach(state);
      return IsDestroy(event(side));
    };
    EXPECT_EQ(destroys([](RelaySide& side) { return side.circuit.OnHandshake(side.reply); }), state != State::kCreating);
    EXPECT_EQ(destroys([](RelaySide& side) { return side.circuit.OnTarget(side.Target(77)); }), state != State::kVerifying);
    EXPECT_EQ(destroys([](RelaySide& side) { return side.circuit.OnDialed(true); }), state != State::kDialing);
    EXPECT_TRUE(destroys([](RelaySide& side) { return side.circuit.OnAnswer({1}, kStart); })) << "nothing was asked";
    EXPECT_TRUE(destroys([](RelaySide& side) { return side.circuit.OnHandshake(absl::UnauthenticatedError("")); }));
    EXPECT_TRUE(destroys([](RelaySide& side) { return side.circuit.OnTarget(absl::InvalidArgumentError("")); }));
    EXPECT_TRUE(destroys([](RelaySide& side) { return side.circuit.OnDialed(false); }));
  }
}

TEST(StrictStates, EightExtendsAndNotOneMore) {
  RelaySide side(1);
  side.Reach(State::kOpen);
  for (int extend = 1; extend <= kRelayEarlyMax; ++extend) {
    EXPECT_FALSE(IsDestroy(side.Forward(side.Extend()))) << extend;
    side.circuit.OnTarget(side.Target(77));
    side.circuit.OnDialed(true);
    side.Backward(Cell(1, CellCommand::kCreated));
    ASSERT_EQ(side.circuit.state(), State::kRelaying);
  }
  EXPECT_TRUE(IsDestroy(side.Forward(side.Extend())));
}

// Those for hops behind count as well: a relay cannot see what is in them.
TEST(StrictStates, EarlyCellsForHopsBehindCountToo) {
  RelaySide side(2);
  side.Reach(State::kRelaying);  // one
  for (int early = 2; early <= kRelayEarlyMax; ++early) {
    Cell cell(1, CellCommand::kRelayEarly);
    side.rng.Fill(cell.body());
    side.Forward(cell);
    EXPECT_TRUE(side.passed_on) << early;
  }
  Cell ninth(1, CellCommand::kRelayEarly);
  side.rng.Fill(ninth.body());
  EXPECT_TRUE(IsDestroy(side.Forward(ninth)));
}

TEST(StrictStates, NoExtendToItselfOrTheHopBefore) {
  for (const bool itself : {true, false}) {
    RelaySide side(3);
    side.Reach(State::kVerifying);
    overlay::Descriptor target;
    target.node_key = itself ? side.own.public_key() : keys::PublicKey{{9}};
    EXPECT_TRUE(IsDestroy(side.circuit.OnTarget(target)));
  }
}

// A descriptor with a good signature and an address that is not allowed never becomes a Dial: no SYN to any of these.
TEST(StrictStates, AnAddressThatIsNoPublicLiteralIsNeverDialled) {
  overlay::Network open;
  open.private_addresses = false;
  support::SeededRng rng(4);
  for (const std::string& address : std::initializer_list<std::string>{"127.0.0.1:80",
                                                                       "127.1.2.3:80",
                                                                       "127.1:80",
                                                                       "0:80",
                                                                       "0.0.0.0:80",
                                                                       "2130706433:80",
                                                                       "0x7f000001:80",
                                                                       "0177.0.0.1:80",
                                                                       "10.0.0.1:80",
                                                                       "10.255.255.255:80",
                                                                       "172.16.0.1:80",
                                                                       "172.31.255.255:80",
                                                                       "192.168.0.1:80",
                                                                       "169.254.169.254:80",
                                                                       "100.64.0.1:80",
                                                                       "100.127.255.255:80",
                                                                       "192.0.0.1:80",
                                                                       "192.0.2.1:80",
                                                                       "198.18.0.1:80",
                                                                       "198.51.100.1:80",
                                                                       "203.0.113.1:80",
                                                                       "224.0.0.1:80",
                                                                       "240.0.0.1:80",
                                                                       "255.255.255.255:80",
                                                                       "[::]:80",
                                                                       "[::1]:80",
                                                                       "[fc00::1]:80",
                                                                       "[fdff::1]:80",
                                                                       "[fe80::1]:80",
                                                                       "[fe80::1%25lo]:80",
                                                                       "[fec0::1]:80",
                                                                       "[ff02::1]:80",
                                                                       "[::ffff:127.0.0.1]:80",
                                                                       "[::ffff:10.0.0.1]:80",
                                                                       "[::ffff:7f00:1]:80",
                                                                       "[::127.0.0.1]:80",
                                                                       "[64:ff9b::127.0.0.1]:80",
                                                                       "[2002:7f00:1::]:80",
                                                                       "[2002:a00:1::]:80",
                                                                       "[2001:db8::1]:80",
                                                                       "localhost:80",
                                                                       "example.org:80",
                                                                       "unix:/run/x",
                                                                       "unix-abstract:x",
                                                                       "dns:///127.0.0.1:80",
                                                                       "ipv4:127.0.0.1:80",
                                                                       "vsock:1:1",
                                                                       "",
                                                                       ":80",
                                                                       "8.8.8.8",
                                                                       "8.8.8.8:0",
                                                                       "8.8.8.8:65536"}) {
    keys::SigningKey key = keys::SigningKey::Generate(rng);
    const overlay::Descriptor signed_by_its_key = overlay::SignDescriptor(
        open, key, keys::X25519KeyPair::Generate(rng).public_key, overlay::Role::kStoring, address, {}, kStart);
    const absl::StatusOr<overlay::Descriptor> target = overlay::DecodeDescriptor(open, signed_by_its_key.encoded, kStart);
    EXPECT_FALSE(target.ok()) << address;
    RelaySide side(5);
    side.Reach(State::kVerifying);
    EXPECT_TRUE(IsDestroy(side.circuit.OnTarget(target))) << address;
  }
}

TEST(StrictStates, DestroyGivesNoReasonAndAllAreAlike) {
  std::set<base::Bytes> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    OnionFixture onion(3, seed);
    ASSERT_TRUE(onion.Build(3));
    onion.tamper = [&](size_t, size_t, const Cell& cell) {
      if (cell.command() == CellCommand::kDestroy) {
        const auto body = cell.body();
        seen.insert(base::Bytes(body.begin(), body.end()));
      }
      return std::vector{cell};
    };
    Cell junk(onion.origin_id(), seed % 2 == 0 ? CellCommand::kRelay : CellCommand::kCreated);
    onion.rng().Fill(junk.body());
    onion.Inject(OnionFixture::kClient, 1, junk);
    EXPECT_TRUE(onion.AllRelaysEmpty());
  }
  EXPECT_EQ(seen, std::set<base::Bytes>{base::Bytes(overlay::kCellBodySize)});
}

// The client's side: relays whose keys the test holds, so that they can say whatever they like.
struct ClientSide {
  explicit ClientSide(uint64_t seed, size_t hops = 3) : rng(seed) {
    for (size_t i = 0; i < hops; ++i) AddHop();
  }
  void AddHop() {
    const keys::SigningKey key = keys::SigningKey::Generate(rng);
    const keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(rng);
    overlay::Descriptor target;
    target.node_key = key.public_key();
    target.onion_key = onion_key.public_key;
    target.encoded = base::Bytes(100);
    const OriginActions asked = origin.Run(ExtendStep{target, hops_.size()}, kStart);
    auto start = keys::ClientStart({}, target.node_key, target.onion_key, rng);
    const base::Bytes skin = start->onion_skin;
    const OriginActions sent = origin.OnStarted(std::move(start), kStart);
    if (!hops_.empty()) Read(std::get<SendToGuard>(sent.at(0)).cell);
    const auto reply = keys::ServerReply({}, target.node_key, {&onion_key, 1}, skin, rng);
    Cell created(1, CellCommand::kCreated);
    std::copy(reply->reply.begin(), reply->reply.end(), created.body().begin());
    Cell answer = hops_.empty() ? created : Say(hops_.size() - 1, RelayCommand::kExtended, reply->reply);
    OriginActions got = origin.OnCell(answer, kStart);
    auto& finish = std::get<FinishHandshake>(got.at(0));
    got = origin.OnFinished(keys::ClientFinish({}, finish.state, finish.reply));
    ASSERT_TRUE(std::holds_alternative<StepDone>(got.at(0)));
    hops_.emplace_back(reply->keys);
  }
  // The relays take their layers off what the client sent.
  void Read(Cell cell) {
    for (HopLayer& hop : hops_) {
      if (hop.DecryptForward(cell.command(), cell.body())) return;
    }
  }
  Cell Say(size_t hop, RelayCommand command, base::ByteView payload) {
    Cell cell(1, CellCommand::kRelay);
    EncodeRelayCell(command, payload, rng, cell.body());
    for (size_t i = hop + 1; i-- > 0;) hops_[i].EncryptBackward(CellCommand::kRelay, cell.body());
    return cell;
  }
  bool ClosesOn(Cell cell) {
    origin.OnCell(cell, kStart);
    return origin.closed();
  }

  support::SeededRng rng;
  OriginCircuit origin{rng};
  std::vector<HopLayer> hops_;
};

TEST(StrictStates, AClientThatAsksNothingIsToldNothing) {
  for (int command = 0; command < 256; ++command) {
    ClientSide side(static_cast<uint64_t>(command));
    Cell junk(1, static_cast<CellCommand>(command));
    side.rng.Fill(junk.body());
    EXPECT_EQ(side.ClosesOn(junk), junk.command() != CellCommand::kPadding) << command;
  }
  for (int command = 0; command < 256; ++command) {  // well sealed by a hop that it knows
    ClientSide side(static_cast<uint64_t>(command));
    EXPECT_TRUE(side.ClosesOn(side.Say(static_cast<size_t>(command) % 3, static_cast<RelayCommand>(command), {}))) << command;
  }
}

TEST(StrictStates, AClientHearsOnlyTheHopItAskedAndOnlyTheAnswerToItsQuestion) {
  for (size_t asked = 0; asked < 3; ++asked) {
    for (size_t speaker = 0; speaker < 3; ++speaker) {
      for (int command = 0; command < 256; ++command) {
        ClientSide side(static_cast<uint64_t>(command));
        side.origin.Run(TableStep{asked, 0}, kStart);
        const auto inner = static_cast<RelayCommand>(command);
        const bool due = speaker == asked && inner == RelayCommand::kTablePart;
        const base::Bytes payload = due ? SplitTable({})[0] : base::Bytes{1};
        EXPECT_EQ(side.ClosesOn(side.Say(speaker, inner, payload)), !due) << asked << " " << speaker << " " << command;
      }
    }
  }
}

TEST(StrictStates, AClientTakesCreatedOnceAndFromItsGuardOnly) {
  ClientSide built(1);
  built.origin.Run(TableStep{2, 0}, kStart);
  EXPECT_TRUE(built.ClosesOn(Cell(1, CellCommand::kCreated)));

  ClientSide side(2, 0);
  overlay::Descriptor target;
  const keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(side.rng);
  target.onion_key = onion_key.public_key;
  side.origin.Run(ExtendStep{target, 0}, kStart);
  side.origin.OnStarted(keys::ClientStart({}, target.node_key, target.onion_key, side.rng), kStart);
  Cell created(1, CellCommand::kCreated);
  side.origin.OnCell(created, kStart);
  EXPECT_FALSE(side.origin.closed()) << "its handshake is being looked at";
  EXPECT_TRUE(side.ClosesOn(Cell(1, CellCommand::kCreated))) << "a second one";
}

TEST(StrictStates, AClientGivesAStepTenSecondsAndExtendsEightTimes) {
  ClientSide side(3);
  side.origin.Run(TableStep{2, 0}, kStart);
  EXPECT_TRUE(side.origin.OnTick(kStart + kStepMax - absl::Seconds(1)).empty());
  side.origin.OnTick(kStart + kStepMax);
  EXPECT_TRUE(side.origin.closed());

  ClientSide extended(4, 1);
  for (int extend = 1; extend <= kRelayEarlyMax; ++extend) {  // hop 2, again and again
    ASSERT_TRUE(extended.origin.MayExtend()) << extend;
    extended.hops_.erase(extended.hops_.begin() + 1, extended.hops_.end());
    extended.AddHop();
  }
  EXPECT_FALSE(extended.origin.MayExtend());
  extended.origin.Run(ExtendStep{{}, 1}, kStart);
  EXPECT_TRUE(extended.origin.closed());
}

}  // namespace
}  // namespace circuits
