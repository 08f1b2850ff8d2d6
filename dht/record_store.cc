// SPDX-License-Identifier: Apache-2.0
#include "dht/record_store.h"

#include <tuple>

#include "base/status_macros.h"
#include "keys/hash.h"

namespace dht {

void RangePrint::Add(const RecordName& name, absl::Time expiry) {
  const keys::Digest digest =
      keys::Hasher("print").Add(EncodeRecordName(name)).AddU64(static_cast<uint64_t>(absl::ToUnixSeconds(expiry))).Finish();
  unsigned carry = 0;
  for (size_t i = sum.size(); i-- > 0;) {
    carry += sum[i] + digest[i];
    sum[i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  ++count;
}

bool ComesBefore(const RecordName& a, const RecordName& b) {
  return std::tie(a.point, a.kind, a.id) < std::tie(b.point, b.kind, b.id);
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
