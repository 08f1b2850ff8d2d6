// SPDX-License-Identifier: Apache-2.0
#include "dht/record.h"

#include <gtest/gtest.h>

#include "keys/hash.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

Record Sample() { return MakeBlob(base::AsBytes("the seed's own job"), kNow + kTtlDefault); }

TEST(Record, SurvivesItsEncoding) {
  const Record record = Sample();
  const base::Bytes encoded = EncodeRecord(record);
  EXPECT_EQ(encoded.size(), kRecordHeaderSize + record.body.size());
  ASSERT_OK_AND_ASSIGN(const Record decoded, DecodeRecord(encoded));
  EXPECT_EQ(decoded, record);
}

TEST(Record, NameSurvivesItsEncoding) {
  const base::Bytes encoded = EncodeRecordName(Sample().name);
  EXPECT_EQ(encoded.size(), kRecordNameSize);
  ASSERT_OK_AND_ASSIGN(const RecordName decoded, DecodeRecordName(encoded));
  EXPECT_EQ(decoded, Sample().name);
}

TEST(Record, EveryTruncationAndAnyExtraByteIsRefused) {
  base::Bytes encoded = EncodeRecord(Sample());
  for (size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_STATUS(DecodeRecord(base::ByteView(encoded).first(size)), kInvalidArgument) << size;
  }
  encoded.push_back(0);
  EXPECT_STATUS(DecodeRecord(encoded), kInvalidArgument);
}

TEST(Record, UnknownKindsAndEndlessLivesAreRefused) {
  base::Bytes encoded = EncodeRecord(Sample());
  for (const uint8_t kind : std::initializer_list<uint8_t>{0, 6, 255}) {
    encoded[0] = kind;
    EXPECT_STATUS(DecodeRecord(encoded), kInvalidArgument);
    EXPECT_STATUS(DecodeRecordName(base::ByteView(encoded).first(kRecordNameSize)), kInvalidArgument);
  }
  encoded[0] = 1;
  std::fill_n(encoded.begin() + 65, 8, uint8_t{0xff});
  EXPECT_STATUS(DecodeRecord(encoded), kInvalidArgument);
}

TEST(Record, BodyOf64KiBIsTheLargest) {
  const RecordKinds kinds;
  const Record largest = MakeBlob(base::Bytes(kRecordBodyMax, 7), kNow + kTtlDefault);
  EXPECT_OK(DecodeRecord(EncodeRecord(largest)));
  EXPECT_OK(kinds.Check(largest, Source::kClient, kNow));
  const Record larger = MakeBlob(base::Bytes(kRecordBodyMax + 1, 7), kNow + kTtlDefault);
  EXPECT_STATUS(DecodeRecord(EncodeRecord(larger)), kInvalidArgument);
  EXPECT_STATUS(kinds.Check(larger, Source::kReplica, kNow), kInvalidArgument);
}

TEST(Blob, IsNamedByTheHashOfItsBody) {
  const Record record = Sample();
  EXPECT_EQ(record.name.id, keys::Hash("blob", {record.body}));
  EXPECT_EQ(record.name.point.bytes, record.name.id);
}

TEST(Blob, IsRefusedUnderAnyOtherName) {
  const RecordKinds kinds;
  EXPECT_OK(kinds.Check(Sample(), Source::kClient, kNow));
  Record wrong_id = Sample();
  wrong_id.name.id[5] ^= 1;
  EXPECT_STATUS(kinds.Check(wrong_id, Source::kClient, kNow), kInvalidArgument);
  Record wrong_point = Sample();
  wrong_point.name.point.bytes[31] ^= 1;
  EXPECT_STATUS(kinds.Check(wrong_point, Source::kReplica, kNow), kInvalidArgument);
  Record wrong_body = Sample();
  wrong_body.body.back() ^= 1;
  EXPECT_STATUS(kinds.Check(wrong_body, Source::kReplica, kNow), kInvalidArgument);
}

TEST(Blob, LivesThirtyDaysAndAnHourOfClockErrorAtMost) {
  const RecordKinds kinds;
  const auto with_expiry = [](absl::Time expiry) { return MakeBlob(base::AsBytes("x"), expiry); };
  EXPECT_OK(kinds.Check(with_expiry(kNow + kTtlMax + kClockTolerance), Source::kClient, kNow));
  EXPECT_STATUS(kinds.Check(with_expiry(kNow + kTtlMax + kClockTolerance + absl::Seconds(1)), Source::kClient, kNow),
                kInvalidArgument);
  EXPECT_OK(kinds.Check(with_expiry(kNow + absl::Seconds(1)), Source::kClient, kNow));
  EXPECT_STATUS(kinds.Check(with_expiry(kNow), Source::kClient, kNow), kInvalidArgument);
}

TEST(RecordKinds, RefuseWhatIsNotRegistered) {
  const RecordKinds kinds;
  Record record = Sample();
  record.name.kind = Kind::kEnvelope;
  EXPECT_STATUS(kinds.Check(record, Source::kClient, kNow), kInvalidArgument);
  EXPECT_EQ(kinds.Find(Kind::kBox), nullptr);
}

// A place of blobs, given as a list.
class ListPlace : public PlaceView {
 public:
  explicit ListPlace(std::vector<Record> held) : held_(std::move(held)) {}
  void ForEach(Kind kind, const std::function<void(const Record&)>& visit) const override {
    for (const Record& record : held_) {
      if (record.name.kind == kind) visit(record);
    }
  }
  bool Holds(const RecordName& name) const override {
    return std::any_of(held_.begin(), held_.end(), [&](const Record& record) { return record.name == name; });
  }

 private:
  std::vector<Record> held_;
};

Admission::Verdict AdmitBlob(const Record& record, std::vector<Record> held) {
  return RecordKinds().Find(Kind::kBlob)->Admit(record, Source::kClient, ListPlace(std::move(held))).verdict;
}

TEST(Blob, TheLaterExpiryStays) {
  const Record shorter = MakeBlob(base::AsBytes("x"), kNow + absl::Hours(1));
  const Record longer = MakeBlob(base::AsBytes("x"), kNow + absl::Hours(2));
  EXPECT_EQ(AdmitBlob(longer, {shorter}), Admission::Verdict::kStore);
  EXPECT_EQ(AdmitBlob(shorter, {longer}), Admission::Verdict::kAlready);
  EXPECT_EQ(AdmitBlob(longer, {longer}), Admission::Verdict::kAlready);
}

TEST(Blob, APlaceHoldsABoundedNumber) {
  std::vector<Record> held;
  for (size_t i = 0; i < kBlobsPerPoint; ++i) held.push_back(MakeBlob(base::Bytes(i + 1, 1), kNow + absl::Hours(1)));
  EXPECT_EQ(AdmitBlob(Sample(), held), Admission::Verdict::kFull);
  EXPECT_EQ(AdmitBlob(held[3], held), Admission::Verdict::kAlready);
  held.pop_back();
  EXPECT_EQ(AdmitBlob(Sample(), held), Admission::Verdict::kStore);
}

}  // namespace
}  // namespace dht
