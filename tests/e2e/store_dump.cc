// SPDX-License-Identifier: Apache-2.0
// store_dump FOLDER: what a stopped node stored, a line for each record: kind, point, id, expiry in seconds, body; in hex but for
// the numbers. What somebody sees who takes the disk.
#include <cstdio>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "dht/rocksdb_record_store.h"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const auto store = dht::RocksdbRecordStore::Open({.path = arguments[1]});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  std::vector<dht::RecordName> names;
  const absl::Status scanned = (*store)->Scan({}, std::nullopt, absl::InfinitePast(), [&](const dht::HeldName& held) {
    names.push_back(held.name);
    return true;
  });
  if (!scanned.ok()) return 1;
  for (const dht::RecordName& name : names) {
    const auto record = (*store)->Get(name, absl::InfinitePast());
    if (!record.ok()) return 1;
    std::printf("%d %s %s %lld %s\n", static_cast<int>(name.kind), name.point.ToHex().c_str(), base::ToHex(name.id).c_str(),
                static_cast<long long>(absl::ToUnixSeconds(record->expiry)), base::ToHex(record->body).c_str());
  }
  return 0;
}
