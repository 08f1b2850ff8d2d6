// SPDX-License-Identifier: Apache-2.0
#include "dht/record_store.h"

#include <tuple>

#include "base/status_macros.h"

namespace dht {

keys::Digest RecordPrint(const RecordName& name, absl::Time expiry) {
  return keys::Hasher("print").Add(EncodeRecordName(name)).AddU64(static_cast<uint64_t>(absl::ToUnixSeconds(expiry))).Finish();
}

void RangePrint::Add(const RecordName& name, absl::Time expiry) {
  const keys::Digest digest = RecordPrint(name, expiry);
  unsigned carry = 0;
  for (size_t i = sum.size(); i-- > 0;) {
    carry += sum[i] + digest[i];
    sum[i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  ++count;
}

namespace {

// Behind every record of this point, before those of any later one.
RecordName LastNameAt(const overlay::NodeId& point) {
  RecordName name{.kind = static_cast<Kind>(0xff), .point = point, .id = {}};
  name.id.fill(0xff);
  return name;
}

overlay::NodeId LastPoint() {
  overlay::NodeId point;
  point.bytes.fill(0xff);
  return point;
}

}  // namespace

std::vector<Stretch> StretchesOf(const overlay::RingRange& range, const std::optional<RecordName>& cursor) {
  const RecordName from = cursor.value_or(LastNameAt(range.after));
  const bool passes_zero = range.last <= range.after && (!cursor || cursor->point > range.after);
  if (!passes_zero) return {{.from = from, .last = range.last}};
  return {{.from = from, .last = LastPoint()}, {.from = RecordName{}, .inclusive = true, .last = range.last}};
}

bool ComesBefore(const RecordName& a, const RecordName& b) {
  return std::tie(a.point, a.kind, a.id) < std::tie(b.point, b.kind, b.id);
}

bool ComesBeforeIn(const overlay::RingRange& range, const RecordName& a, const RecordName& b) {
  const auto passed_zero = [&](const RecordName& name) { return name.point <= range.after; };
  return passed_zero(a) != passed_zero(b) ? passed_zero(b) : ComesBefore(a, b);
}

absl::StatusOr<RangePrint> RecordStore::Print(const overlay::RingRange& range, absl::Time wall_now) const {
  RangePrint print;
  RETURN_IF_ERROR(Scan(range, std::nullopt, wall_now, [&](const HeldName& held) {
    print.Add(held.name, held.expiry);
    return true;
  }));
  return print;
}

}  // namespace dht
