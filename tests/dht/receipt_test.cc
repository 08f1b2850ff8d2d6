// SPDX-License-Identifier: Apache-2.0
#include "dht/receipt.h"

#include <gtest/gtest.h>

#include "tests/dht/oracle_ring.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class ReceiptTest : public testing::Test {
 protected:
  support::SeededRng rng_{1};
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
  const Record record_ = MakeBlob(base::AsBytes("x"), kNow + kTtlDefault);
  const Receipt receipt_ = SignReceipt("local", key_, record_.name, record_.expiry);
};

TEST_F(ReceiptTest, IsValidForExactlyWhatWasHeld) {
  EXPECT_TRUE(VerifyReceipt("local", receipt_, record_.name, record_.expiry));
  EXPECT_FALSE(VerifyReceipt("other", receipt_, record_.name, record_.expiry));
  EXPECT_FALSE(VerifyReceipt("local", receipt_, record_.name, record_.expiry + absl::Seconds(1)));
  RecordName elsewhere = record_.name;
  elsewhere.point.bytes[0] ^= 1;
  EXPECT_FALSE(VerifyReceipt("local", receipt_, elsewhere, record_.expiry));
  RecordName another = record_.name;
  another.id[0] ^= 1;
  EXPECT_FALSE(VerifyReceipt("local", receipt_, another, record_.expiry));
}

TEST_F(ReceiptTest, SurvivesItsEncodingAndNoOtherLength) {
  base::Bytes encoded = EncodeReceipt(receipt_);
  EXPECT_EQ(encoded.size(), kReceiptSize);
  ASSERT_OK_AND_ASSIGN(const Receipt decoded, DecodeReceipt(encoded));
  EXPECT_EQ(decoded, receipt_);
  encoded.push_back(0);
  EXPECT_STATUS(DecodeReceipt(encoded), kInvalidArgument);
  encoded.resize(kReceiptSize - 1);
  EXPECT_STATUS(DecodeReceipt(encoded), kInvalidArgument);
}

TEST_F(ReceiptTest, NamesItsSigner) {
  Receipt claimed = receipt_;
  claimed.node_key = keys::SigningKey::Generate(rng_).public_key();
  EXPECT_FALSE(VerifyReceipt("local", claimed, record_.name, record_.expiry));
}

}  // namespace
}  // namespace dht
