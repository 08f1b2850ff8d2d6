// SPDX-License-Identifier: Apache-2.0
#include "chat/envelope.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

class EnvelopeTest : public testing::Test {
 protected:
  EnvelopeTest() { rng_.Fill(plain_); }

  base::Bytes Seal() {
    auto sealed = SealEnvelope(reader_.public_key(), "local", door_.blinded, plain_, rng_);
    return sealed.ok() ? *sealed : base::Bytes();
  }

  support::SeededRng rng_{5};
  const keys::SigningKey reader_ = keys::SigningKey::Generate(rng_);
  const Door door_ = *DoorOf(reader_.public_key(), "local", 20780);
  base::Bytes plain_ = base::Bytes(kPlainSize);
};

TEST_F(EnvelopeTest, OpensForItsReaderAlone) {
  const base::Bytes sealed = Seal();
  EXPECT_EQ(sealed.size(), kSealedSize);
  ASSERT_OK_AND_ASSIGN(const base::Bytes opened, OpenEnvelope(reader_, "local", door_.blinded, sealed));
  EXPECT_EQ(opened, plain_);
  EXPECT_STATUS(OpenEnvelope(keys::SigningKey::Generate(rng_), "local", door_.blinded, sealed), kUnauthenticated);
}

TEST_F(EnvelopeTest, BelongsToOneNetworkAndOneDay) {
  const base::Bytes sealed = Seal();
  ASSERT_OK_AND_ASSIGN(const Door tomorrow, DoorOf(reader_.public_key(), "local", 20781));
  EXPECT_STATUS(OpenEnvelope(reader_, "other", door_.blinded, sealed), kUnauthenticated);
  EXPECT_STATUS(OpenEnvelope(reader_, "local", tomorrow.blinded, sealed), kUnauthenticated);
}

TEST_F(EnvelopeTest, IsFreshEveryTime) { EXPECT_NE(Seal(), Seal()); }

TEST_F(EnvelopeTest, AnyFlippedBitSpoilsIt) {
  const base::Bytes sealed = Seal();
  for (size_t i = 0; i < 400; ++i) {
    base::Bytes spoiled = sealed;
    // The top bit of an X25519 key does not count (RFC 7748, 5), but it is hashed into the key here.
    spoiled[i < 66 ? i : rng_.Below(kSealedSize)] ^= static_cast<uint8_t>(1 << rng_.Below(8));
    EXPECT_STATUS(OpenEnvelope(reader_, "local", door_.blinded, spoiled), kUnauthenticated) << i;
  }
}

TEST_F(EnvelopeTest, WrongSizesDoNotOpen) {
  base::Bytes sealed = Seal();
  EXPECT_STATUS(OpenEnvelope(reader_, "local", door_.blinded, base::Bytes()), kUnauthenticated);
  sealed.push_back(0);
  EXPECT_STATUS(OpenEnvelope(reader_, "local", door_.blinded, sealed), kUnauthenticated);
  sealed.resize(40);
  EXPECT_STATUS(OpenEnvelope(reader_, "local", door_.blinded, sealed), kUnauthenticated);
}

TEST_F(EnvelopeTest, DegenerateEphemeralKeysDoNotOpen) {
  base::Bytes sealed = Seal();
  std::fill(sealed.begin() + 1, sealed.begin() + 33, uint8_t{0});
  EXPECT_STATUS(OpenEnvelope(reader_, "local", door_.blinded, sealed), kUnauthenticated);
}

TEST_F(EnvelopeTest, ARecordUnderAnotherNameOrExpiryIsRefused) {
  const dht::Record record = MakeEnvelopeRecord({door_, 1, 0, {}, Seal()});
  EXPECT_OK(ReadEnvelopeRecord(record));
  dht::Record wrong = record;
  wrong.name.point.bytes[0] ^= 1;
  EXPECT_STATUS(ReadEnvelopeRecord(wrong), kInvalidArgument);
  wrong = record;
  wrong.name.id[31] ^= 1;
  EXPECT_STATUS(ReadEnvelopeRecord(wrong), kInvalidArgument);
  wrong = record;
  wrong.expiry += absl::Seconds(1);
  EXPECT_STATUS(ReadEnvelopeRecord(wrong), kInvalidArgument);
  wrong = record;
  wrong.body[36] = kPlaceCount;
  EXPECT_STATUS(ReadEnvelopeRecord(wrong), kInvalidArgument);
  wrong = record;
  wrong.body.pop_back();
  EXPECT_STATUS(ReadEnvelopeRecord(wrong), kInvalidArgument);
}

TEST_F(EnvelopeTest, RanksByEffortThenByLot) {
  const dht::RecordId a = rng_.Array<32>(), b = rng_.Array<32>();
  EXPECT_TRUE(RankOf(1, 5, a) < RankOf(1, 4, b));
  EXPECT_FALSE(RankOf(1, 4, b) < RankOf(1, 5, a));
  EXPECT_NE(RankOf(1, 4, a) < RankOf(1, 4, b), RankOf(1, 4, b) < RankOf(1, 4, a));
  EXPECT_FALSE(RankOf(1, 4, a) < RankOf(1, 4, a));
}

}  // namespace
}  // namespace chat
