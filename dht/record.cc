// SPDX-License-Identifier: Apache-2.0
#include "dht/record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "keys/hash.h"

namespace dht {
namespace {

constexpr uint64_t kExpirySecondsMax = 1ull << 40;  // year 36,812: beyond it a conversion to absl::Time could saturate

bool IsKnownKind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(Kind::kBlob) && kind <= static_cast<uint8_t>(Kind::kTombstone);
}

void WriteName(const RecordName& name, base::ByteWriter& writer) {
  writer.U8(static_cast<uint8_t>(name.kind)).Append(name.point.bytes).Append(name.id);
}

RecordName ReadName(uint8_t kind, base::ByteReader& reader) {
  RecordName name{.kind = static_cast<Kind>(kind)};
  name.point.bytes = reader.Array<32>();
  name.id = reader.Array<32>();
  return name;
}

// The seed's own kind: content-addressed, anyone may put and get it.
class BlobKind : public RecordKind {
 public:
  absl::Status Acceptable(const Record& record, Source, absl::Time wall_now) const override {
    if (record.name.point.bytes != record.name.id || record.name.id != keys::Hash("blob", {record.body})) {
      return absl::InvalidArgumentError("blob under another name than its hash");
    }
    if (record.expiry <= wall_now) return absl::InvalidArgumentError("blob has expired");
    if (record.expiry > wall_now + kTtlMax + kClockTolerance) return absl::InvalidArgumentError("blob wants to live too long");
    return absl::OkStatus();
  }
  bool AnswersGet() const override { return true; }
};

}  // namespace

base::Bytes EncodeRecordName(const RecordName& name) {
  base::ByteWriter writer;
  WriteName(name, writer);
  return writer.Take();
}

absl::StatusOr<RecordName> DecodeRecordName(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  const uint8_t kind = reader.U8();
  const RecordName name = ReadName(kind, reader);
  if (!reader.Done() || !IsKnownKind(kind)) return absl::InvalidArgumentError("malformed record name");
  return name;
}

base::Bytes EncodeRecord(const Record& record) {
  base::ByteWriter writer;
  WriteName(record.name, writer);
  writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(record.expiry)));
  writer.U32(static_cast<uint32_t>(record.body.size())).Append(record.body);
  return writer.Take();
}

absl::StatusOr<Record> DecodeRecord(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  const uint8_t kind = reader.U8();
  Record record{.name = ReadName(kind, reader)};
  const uint64_t expiry = reader.U64();
  const uint32_t size = reader.U32();
  if (!reader.ok() || size > kRecordBodyMax)
    return absl::InvalidArgumentError(absl::StrCat("record of ", bytes.size(), " bytes"));
  record.body = base::ToBytes(reader.Take(size));
  if (!reader.Done()) return absl::InvalidArgumentError("record and its length differ");
  if (!IsKnownKind(kind)) return absl::InvalidArgumentError(absl::StrCat("record of kind ", kind));
  if (expiry > kExpirySecondsMax) return absl::InvalidArgumentError("record expires beyond any clock");
  record.expiry = absl::FromUnixSeconds(static_cast<int64_t>(expiry));
  return record;
}

Admission RecordKind::Admit(const Record& record, Source, const PlaceView& place) const {
  size_t others = 0;
  bool held_as_long = false;
  place.ForEach(record.name.kind, [&](const Record& held) {
    if (held.name != record.name) {
      ++others;
    } else if (held.expiry >= record.expiry) {
      held_as_long = true;
    }
  });
  if (held_as_long) return {.verdict = Admission::Verdict::kAlready};
  if (others >= kBlobsPerPoint) return {.verdict = Admission::Verdict::kFull};
  return {.verdict = Admission::Verdict::kStore};
}

RecordKinds::RecordKinds() { Register(Kind::kBlob, std::make_unique<BlobKind>()); }

void RecordKinds::Register(Kind kind, std::unique_ptr<RecordKind> rules) { kinds_[kind] = std::move(rules); }

const RecordKind* RecordKinds::Find(Kind kind) const {
  const auto found = kinds_.find(kind);
  return found == kinds_.end() ? nullptr : found->second.get();
}

absl::Status RecordKinds::Check(const Record& record, Source source, absl::Time wall_now) const {
  const RecordKind* kind = Find(record.name.kind);
  if (kind == nullptr) return absl::InvalidArgumentError("kind of record that this node does not keep");
  if (record.body.size() > kRecordBodyMax) return absl::InvalidArgumentError("record body too large");
  return kind->Acceptable(record, source, wall_now);
}

bool RecordKinds::IsSlow(const Record& record) const {
  const RecordKind* kind = Find(record.name.kind);
  return kind != nullptr && record.body.size() <= kRecordBodyMax && kind->IsSlow(record);
}

Record MakeBlob(base::ByteView body, absl::Time expiry) {
  const keys::Digest hash = keys::Hash("blob", {body});
  return {.name = {.kind = Kind::kBlob, .point = {hash}, .id = hash}, .expiry = expiry, .body = base::ToBytes(body)};
}

}  // namespace dht
