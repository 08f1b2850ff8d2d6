// SPDX-License-Identifier: Apache-2.0
#include "keys/blinded_key.h"

#include <set>

#include "tests/keys/scripted_rng.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

TEST(BlindedKey, AgreesWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("blinded_keys.json")) {
    const SigningKey identity{Secret<32>(vector.Hex("seed"))};
    const base::Bytes message = vector.Hex("message");
    support::ScriptedRng rng(vector.Hex("random"));
    ASSERT_EQ(identity.public_key().bytes, vector.Array<32>("public_key"));
    ASSERT_OK_AND_ASSIGN(const PublicKey blinded,
                         BlindPublicKey(identity.public_key(), vector.Text("network"), vector.Number("day")));
    EXPECT_EQ(blinded.bytes, vector.Array<32>("blinded_key"));
    ASSERT_OK_AND_ASSIGN(const Signature signature,
                         SignBlinded(identity, vector.Text("network"), vector.Number("day"), message, rng));
    EXPECT_EQ(signature, vector.Array<64>("signature"));
  }
}

TEST(BlindedKey, EveryDayAndNetworkHasItsOwn) {
  support::SeededRng rng(1);
  const SigningKey identity = SigningKey::Generate(rng);
  std::set<PublicKey> seen = {identity.public_key()};
  for (uint64_t day = 0; day < 30; ++day) {
    for (const char* network : {"local", "other"}) {
      ASSERT_OK_AND_ASSIGN(const PublicKey blinded, BlindPublicKey(identity.public_key(), network, day));
      EXPECT_TRUE(seen.insert(blinded).second) << network << " " << day;
    }
  }
}

TEST(BlindedKey, ASignatureHoldsOnItsDayOnly) {
  support::SeededRng rng(1);
  const SigningKey identity = SigningKey::Generate(rng);
  const base::ByteView message = base::AsBytes("list");
  ASSERT_OK_AND_ASSIGN(const Signature signature, SignBlinded(identity, "local", 100, message, rng));
  for (uint64_t day = 98; day <= 102; ++day) {
    ASSERT_OK_AND_ASSIGN(const PublicKey blinded, BlindPublicKey(identity.public_key(), "local", day));
    EXPECT_EQ(Verify(blinded, message, signature), day == 100) << day;
  }
  ASSERT_OK_AND_ASSIGN(const PublicKey other_network, BlindPublicKey(identity.public_key(), "other", 100));
  EXPECT_FALSE(Verify(other_network, message, signature));
  EXPECT_FALSE(Verify(identity.public_key(), message, signature));
}

// The nonce hangs on message, day and randomness together: no two signatures share their first half.
TEST(BlindedKey, NoncesNeverRepeat) {
  const SigningKey identity{Secret<32>(base::Bytes(32, 7))};
  std::set<base::Bytes> seen;
  for (uint64_t day = 0; day < 3; ++day) {
    for (const char* message : {"a", "b"}) {
      for (uint8_t chance = 0; chance < 3; ++chance) {
        support::ScriptedRng rng(base::Bytes(32, chance));
        ASSERT_OK_AND_ASSIGN(const Signature signature, SignBlinded(identity, "local", day, base::AsBytes(message), rng));
        EXPECT_TRUE(seen.insert(base::Bytes(signature.begin(), signature.begin() + 32)).second);
      }
    }
  }
}

TEST(BlindedKey, WhatIsNoPointIsRefused) {
  PublicKey neutral, off_curve, torsion;
  neutral.bytes[0] = 1;
  off_curve.bytes[0] = 2;
  const base::Bytes order_eight = base::FromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").value();
  std::copy(order_eight.begin(), order_eight.end(), torsion.bytes.begin());
  for (const PublicKey& key : {PublicKey{}, neutral, off_curve, torsion}) {
    EXPECT_STATUS(BlindPublicKey(key, "local", 1), kInvalidArgument);
  }
}

}  // namespace
}  // namespace keys
