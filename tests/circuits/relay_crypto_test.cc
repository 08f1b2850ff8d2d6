// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_crypto.h"

#include <chrono>

#include "keys/hash.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using Body = std::array<uint8_t, overlay::kCellBodySize>;
constexpr auto kRelay = overlay::CellCommand::kRelay;
constexpr auto kRelayEarly = overlay::CellCommand::kRelayEarly;

keys::HopKeys SomeKeys(base::Rng& rng) {
  keys::HopKeys hop_keys;
  rng.Fill(hop_keys.forward_key.mutable_view());
  rng.Fill(hop_keys.backward_key.mutable_view());
  hop_keys.forward_tweak = rng.Array<16>();
  hop_keys.backward_tweak = rng.Array<16>();
  return hop_keys;
}

struct Chain {
  explicit Chain(size_t hops, uint64_t seed = 5) : rng(seed) {
    for (size_t i = 0; i < hops; ++i) {
      const keys::HopKeys hop_keys = SomeKeys(rng);
      origin.AddHop(hop_keys);
      relays.emplace_back(hop_keys);
    }
  }
  // What arrives at that hop, after all hops before it took their layer off; false if it was recognised too early or not there.
  bool Forward(size_t hop, Body& body) {
    origin.EncryptForward(hop, kRelay, body);
    for (size_t i = 0; i <= hop; ++i) {
      if (relays[i].DecryptForward(kRelay, body)) return i == hop;
    }
    return false;
  }
  bool Backward(size_t hop, Body& body) {
    for (size_t i = hop + 1; i > 0; --i) relays[i - 1].EncryptBackward(kRelay, body);
    return origin.DecryptBackward(hop, kRelay, body);
  }
  Body Fresh() {
    Body body;
    EncodeRelayCell(RelayCommand::kRequest, base::Bytes(100, 3), rng, body);
    return body;
  }

  support::SeededRng rng;
  OriginLayers origin;
  std::vector<HopLayer> relays;
};

TEST(RelayCrypto, EveryHopReadsItsOwnCellsAndNoOthersThroughManyRekeys) {
  Chain chain(4);
  for (int i = 0; i < 2000; ++i) {
    const size_t hop = chain.rng.Below(4);
    const Body sent = chain.Fresh();
    Body body = sent;
    ASSERT_TRUE(i % 3 == 0 ? chain.Backward(hop, body) : chain.Forward(hop, body)) << "cell " << i;
    ASSERT_EQ(body, sent);
  }
}

TEST(RelayCrypto, OnlyTheHopThatMaySpeakIsHeard) {
  Chain chain(3);
  Body body = chain.Fresh();
  for (size_t i = 2; i > 0; --i) chain.relays[i - 1].EncryptBackward(kRelay, body);  // hop 1 speaks
  EXPECT_FALSE(chain.origin.DecryptBackward(2, kRelay, body));
}

// Built from its definition, beside the class: an independent reading of protocol.md 5.
TEST(RelayCrypto, TheLayerIsWhatTheProtocolSays) {
  support::SeededRng rng(9);
  const auto layer_key = rng.Array<32>();
  const auto start = rng.Array<16>();
  LayerState state(Direction::kForward, layer_key, start);
  std::array<uint8_t, 32> current_key = layer_key;
  std::array<uint8_t, 16> tail = start;
  for (uint64_t i = 0; i < 600; ++i) {
    Body plain, expected;
    rng.Fill(plain);
    expected = plain;
    std::array<uint8_t, 32> tweak{};
    tweak[0] = 1;
    tweak[1] = i % 2 == 0 ? 3 : 4;
    for (size_t k = 0; k < 8; ++k) tweak[8 + k] = static_cast<uint8_t>(i >> (8 * k));
    std::copy(tail.begin(), tail.end(), tweak.begin() + 16);
    keys::HPolyC(current_key).Encrypt(tweak, expected);
    std::copy(plain.end() - 16, plain.end(), tail.begin());
    if ((i + 1) % 256 == 0) current_key = keys::KeyedHash(current_key, "rekey", {});
    state.Encrypt(i % 2 == 0 ? kRelay : kRelayEarly, plain);
    ASSERT_EQ(plain, expected) << "cell " << i;
  }
}

// A flip, and all that follows in that direction: nothing is recognised any more, at no hop.
TEST(RelayCrypto, AFlippedBitGarblesTheCellAndAllAfterIt) {
  support::SeededRng rng(21);
  for (int trial = 0; trial < 300; ++trial) {
    Chain chain(4, 1000 + static_cast<uint64_t>(trial));
    const size_t wire = rng.Below(4), bit = rng.Below(overlay::kCellBodySize * 8);
    const bool forward = trial % 2 == 0;
    for (int cell = 0; cell < 4; ++cell) {
      Body body = chain.Fresh();
      bool heard = false;
      if (forward) {
        chain.origin.EncryptForward(3, kRelay, body);
        for (size_t i = 0; i < 4; ++i) {
          if (cell == 1 && i == wire) body[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
          heard = chain.relays[i].DecryptForward(kRelay, body) || heard;
        }
      } else {
        for (size_t i = 4; i > 0; --i) {
          chain.relays[i - 1].EncryptBackward(kRelay, body);
          if (cell == 1 && i - 1 == wire) body[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
        }
        heard = chain.origin.DecryptBackward(3, kRelay, body);
      }
      ASSERT_EQ(heard, cell == 0) << "trial " << trial << " cell " << cell;
    }
  }
}

TEST(RelayCrypto, ReplayReorderDropAndTheOtherDirectionAreGarbage) {
  enum Attack { kReplay, kReorder, kDrop, kCross, kCommand };
  for (Attack attack : {kReplay, kReorder, kDrop, kCross, kCommand}) {
    Chain chain(1);
    Body first = chain.Fresh(), second = chain.Fresh();
    chain.origin.EncryptForward(0, kRelay, first);
    chain.origin.EncryptForward(0, kRelay, second);
    Body replay = first;
    bool heard = true;
    if (attack == kReplay) {
      ASSERT_TRUE(chain.relays[0].DecryptForward(kRelay, first));
      heard = chain.relays[0].DecryptForward(kRelay, replay);
    } else if (attack == kReorder || attack == kDrop) {
      heard = chain.relays[0].DecryptForward(kRelay, second);
      if (attack == kReorder) heard = chain.relays[0].DecryptForward(kRelay, first) || heard;
    } else if (attack == kCross) {
      heard = chain.origin.DecryptBackward(0, kRelay, first);
    } else {
      heard = chain.relays[0].DecryptForward(kRelayEarly, first);
    }
    EXPECT_FALSE(heard) << attack;
  }
}

// A figure for the report; it fails only if a layer costs what no layer may cost.
TEST(RelayCrypto, CostOfALayer) {
  Chain chain(1);
  Body body = chain.Fresh();
  constexpr int kCells = 20000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCells; ++i) chain.relays[0].EncryptBackward(kRelay, body);
  const double micros = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kCells;
  RecordProperty("layer_us", std::to_string(micros));
  std::printf("one layer of one cell: %.2f us\n", micros);
  EXPECT_LT(micros, 200);
}

}  // namespace
}  // namespace circuits
