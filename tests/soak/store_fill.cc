// SPDX-License-Identifier: Apache-2.0
// Puts records into the store of a node that does not run. usage: store_fill FOLDER COUNT BYTES
#include <cstdlib>
#include <iostream>

#include "dht/rocksdb_record_store.h"
#include "keys/system_rng.h"

int main(int count, char** words) {
  if (count != 4) return 2;
  const uint64_t records = std::strtoull(words[2], nullptr, 10), bytes = std::strtoull(words[3], nullptr, 10);
  const auto store = dht::RocksdbRecordStore::Open({.path = words[1]});
  if (!store.ok()) {
    std::cerr << store.status() << std::endl;
    return 1;
  }
  keys::SystemRng rng;
  for (uint64_t written = 0; written < records;) {
    dht::WriteBatch batch;
    for (; batch.puts.size() < 250 && written < records; ++written) {
      base::Bytes body(bytes);
      rng.Fill(body);
      batch.puts.push_back(dht::MakeBlob(body, absl::Now() + absl::Hours(24 * 13)));
    }
    if (!(*store)->Apply(batch).ok()) return 1;
  }
  std::cout << "records=" << (*store)->counts().records << std::endl;
  return 0;
}
