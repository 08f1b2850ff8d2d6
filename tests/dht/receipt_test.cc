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

TEST_F(ReceiptTest, OnlyValidOnesOfDistinctResponsibleNodesCount) {
  const overlay::Network network = overlay::Network::Local();
  const keys::SigningKey stranger = keys::SigningKey::Generate(rng_);
  const keys::SigningKey second = keys::SigningKey::Generate(rng_);
  const std::vector<overlay::Peer> responsible = {PeerOf(network, key_), PeerOf(network, second)};
  Receipt forged = receipt_;
  forged.node_key = second.public_key();
  const std::vector<Receipt> receipts = {receipt_, receipt_, SignReceipt("local", stranger, record_.name, record_.expiry),
                                         forged};
  const std::vector<Receipt> counted = CountableReceipts("local", receipts, record_.name, record_.expiry, responsible);
  ASSERT_EQ(counted.size(), 1u);
  EXPECT_EQ(counted.front().node_key, key_.public_key());
}

}  // namespace
}  // namespace dht
