// SPDX-License-Identifier: Apache-2.0
#include "dht/dht_wire.h"

#include <gtest/gtest.h>

#include "overlay/rpc.h"
#include "tests/dht/oracle_ring.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class DhtWireTest : public testing::Test {
 protected:
  // One of each message, with every field set.
  std::vector<DhtRequest> Requests() const {
    return {PutRequest{{record_, record_}},
            GetRequest{record_.name},
            ReplicateRequest{{record_, record_}},
            FetchRequest{{record_.name, record_.name}},
            DigestRequest{range_},
            NamesRequest{{record_.name.point, record_.name.point}, record_.name},
            ReconcileRequest{1, 2, rng_bytes_, 3, 4, {{5, 6}, {7, 8}}}};
  }
  // By method.
  std::vector<std::pair<size_t, DhtReply>> Replies() const {
    RangePrint print;
    print.Add(record_.name, record_.expiry);
    const Receipt receipt = SignReceipt("local", key_, record_.name, record_.expiry);
    const overlay::Peer peer = PeerOf(network_, key_);
    const CopiesReply copies{{{PutResult::kStored, receipt, 9}, {PutResult::kFull, std::nullopt, 3}}};
    return {{0, copies},
            {1, GetReply{record_, true, {peer}}},
            {2, copies},
            {3, FetchReply{{record_}}},
            {4, DigestReply{true, true, print}},
            {5, NamesReply{{{record_.name, record_.expiry}}, true}},
            {6, ReconcileReply{ReconcileState::kRecords, 1, 2, 3, {record_, record_}, 4}}};
  }

  support::SeededRng rng_{5};
  const overlay::Network network_ = overlay::Network::Local();
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
  const Record record_ = MakeBlob(base::AsBytes("hello"), kNow + kTtlDefault);
  const std::array<uint8_t, 16> rng_bytes_ = rng_.Array<16>();
  const overlay::RingRange range_{overlay::NodeId::Random(rng_), overlay::NodeId::Random(rng_)};
};

TEST_F(DhtWireTest, EveryRequestSurvivesTheWire) {
  for (const DhtRequest& request : Requests()) {
    const std::string bytes = EncodeDhtRequest(request);
    ASSERT_OK_AND_ASSIGN(const DhtRequest decoded, DecodeDhtRequest(request.index(), bytes));
    EXPECT_EQ(decoded.index(), request.index());
    EXPECT_EQ(EncodeDhtRequest(decoded), bytes);
  }
  ASSERT_OK_AND_ASSIGN(const DhtRequest put, DecodeDhtRequest(0, EncodeDhtRequest(PutRequest{{record_}})));
  EXPECT_EQ(std::get<PutRequest>(put).records, std::vector<Record>{record_});
}

TEST_F(DhtWireTest, EveryReplySurvivesTheWire) {
  for (const auto& [method, reply] : Replies()) {
    const std::string bytes = EncodeDhtReply(reply);
    ASSERT_OK_AND_ASSIGN(const DhtReply decoded, DecodeDhtReply(network_, method, bytes));
    EXPECT_EQ(decoded.index(), reply.index());
    EXPECT_EQ(EncodeDhtReply(decoded), bytes);
  }
  ASSERT_OK_AND_ASSIGN(const DhtReply absent, DecodeDhtReply(network_, 1, EncodeDhtReply(GetReply{})));
  EXPECT_FALSE(std::get<GetReply>(absent).record.has_value());
}

TEST_F(DhtWireTest, ChangedBytesAreRefusedOrDecodeToAnotherWellFormedMessage) {
  for (const DhtRequest& request : Requests()) {
    const std::string good = EncodeDhtRequest(request);
    for (int round = 0; round < 2000; ++round) {
      std::string bytes = good;
      bytes[rng_.Below(bytes.size())] ^= static_cast<char>(1 << rng_.Below(8));
      bytes.resize(bytes.size() - rng_.Below(2) * rng_.Below(bytes.size()));
      const absl::StatusOr<DhtRequest> decoded = DecodeDhtRequest(request.index(), bytes);
      if (!decoded.ok()) {
        EXPECT_STATUS(decoded, kInvalidArgument);
      } else {
        EXPECT_OK(DecodeDhtRequest(request.index(), EncodeDhtRequest(*decoded)));
      }
    }
  }
}

TEST_F(DhtWireTest, TooManyOfAnythingIsRefused) {
  const std::string names = EncodeDhtRequest(FetchRequest{std::vector<RecordName>(kFetchNamesMax + 1, record_.name)});
  EXPECT_STATUS(DecodeDhtRequest(3, names), kInvalidArgument);
  const std::string page = EncodeDhtReply(NamesReply{std::vector<HeldName>(kNamesPageMax + 1, {record_.name, record_.expiry})});
  EXPECT_STATUS(DecodeDhtReply(network_, 5, page), kInvalidArgument);
  const std::string copies = EncodeDhtReply(CopiesReply{std::vector<CopyReply>(kPutRecordsMax + 1)});
  const std::string puts = EncodeDhtRequest(PutRequest{std::vector<Record>(kPutRecordsMax + 1, record_)});
  for (const size_t method : {0, 2}) {
    EXPECT_STATUS(DecodeDhtReply(network_, method, copies), kInvalidArgument);
    EXPECT_STATUS(DecodeDhtRequest(method, puts), kInvalidArgument);
    EXPECT_STATUS(DecodeDhtRequest(method, EncodeDhtRequest(PutRequest{})), kInvalidArgument) << "no record";
  }
}

TEST_F(DhtWireTest, CopiesThatSayNonsenseAreRefused) {
  const std::string good =
      EncodeDhtReply(CopiesReply{{{PutResult::kStored, SignReceipt("local", key_, record_.name, record_.expiry)}}});
  ASSERT_OK(DecodeDhtReply(network_, 0, good));
  std::string cut = good;  // a receipt of 95 bytes
  cut.erase(cut.size() - 1);
  for (const size_t at : {1, 5}) --cut[at];
  EXPECT_STATUS(DecodeDhtReply(network_, 0, cut), kInvalidArgument);
  std::string unknown = good;
  unknown[3] = 6;  // a result that no version knows
  EXPECT_STATUS(DecodeDhtReply(network_, 0, unknown), kInvalidArgument);
}

TEST_F(DhtWireTest, EqualRangesCostFortyBytesBothWays) {
  const std::string request = EncodeDhtRequest(ReconcileRequest{.after = ~0ull, .last = ~0ull, .print = rng_bytes_});
  const std::string reply = EncodeDhtReply(ReconcileReply{.state = ReconcileState::kEqual});
  EXPECT_LE(request.size() + reply.size(), 40u);
}

TEST_F(DhtWireTest, HalfASymbolOrTooManyAreRefused) {
  const std::string full = EncodeDhtRequest(ReconcileRequest{.symbols = std::vector<CodedSymbol>(kSymbolsPageMax, {1, 2})});
  EXPECT_LT(full.size(), overlay::kRpcMessageMax);
  EXPECT_OK(DecodeDhtRequest(6, full));
  const std::string more = EncodeDhtRequest(ReconcileRequest{.symbols = std::vector<CodedSymbol>(kSymbolsPageMax + 1, {1, 2})});
  EXPECT_STATUS(DecodeDhtRequest(6, more), kInvalidArgument);
  const std::string half(
      "\x32\x0d"
      "0123456789abc",
      15);  // field 6, 13 bytes
  EXPECT_STATUS(DecodeDhtRequest(6, half), kInvalidArgument);
}

TEST_F(DhtWireTest, TheLargestAnswersFitAMessage) {
  const Record largest = MakeBlob(base::Bytes(kRecordBodyMax, 1), kNow + kTtlDefault);
  EXPECT_LT(EncodeDhtReply(FetchReply{{largest}}).size(), overlay::kRpcMessageMax);
  const Record small = MakeBlob(base::Bytes(kFetchBytesMax / kFetchNamesMax - kRecordHeaderSize, 2), kNow + kTtlDefault);
  EXPECT_LT(EncodeDhtReply(FetchReply{std::vector<Record>(kFetchNamesMax, small)}).size(), overlay::kRpcMessageMax);
  EXPECT_LT(EncodeDhtReply(NamesReply{std::vector<HeldName>(kNamesPageMax, {record_.name, record_.expiry})}).size(),
            overlay::kRpcMessageMax);
  EXPECT_LT(EncodeDhtRequest(FetchRequest{std::vector<RecordName>(kFetchNamesMax, record_.name)}).size(),
            overlay::kRpcMessageMax);
}

TEST_F(DhtWireTest, ACursorOutsideItsRangeIsRefused) {
  overlay::RingRange range{record_.name.point, record_.name.point.PlusOne()};
  EXPECT_STATUS(DecodeDhtRequest(5, EncodeDhtRequest(NamesRequest{range, record_.name})), kInvalidArgument);
}

}  // namespace
}  // namespace dht
