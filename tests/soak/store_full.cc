// SPDX-License-Identifier: Apache-2.0
// A disk that fills up and gets space again, under an open store. usage: store_full FOLDER, on a file system of 64 MiB. (The
// store wants 32 MiB free before it writes again.)
//
// A ballast file takes most of the space. Records are put until the store refuses; then everything acknowledged is read, the
// ballast goes, and puts go on; in the end the store is opened again, and all of it must be there. Several rounds, with values of
// several sizes, so that logs, flushes and compactions meet the end of the space. Prints "acknowledged=N refusals=N lost=N
// untyped=N unresumed=N".
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "dht/rocksdb_record_store.h"
#include "keys/system_rng.h"

namespace {

struct Totals {
  uint64_t acknowledged = 0, refusals = 0, lost = 0, untyped = 0, unresumed = 0;
};

class FullDisk {
 public:
  explicit FullDisk(const std::string& folder) : ballast_(folder + "/ballast"), path_(folder + "/store") {
    store_ = *dht::RocksdbRecordStore::Open({.path = path_});
  }

  Totals Run() {
    for (const size_t body_size : {200, 3000, 60000, 1000}) {
      FillDisk();
      while (Put(body_size)) continue;
      CheckRefusal(body_size);
      std::filesystem::remove(ballast_);
      totals_.unresumed += Resumes(body_size) ? 0 : 1;
      RemoveMost();
    }
    CheckAll();
    store_.reset();
    store_ = *dht::RocksdbRecordStore::Open({.path = path_});
    totals_.lost += store_->suspect() ? 1 : 0;
    CheckAll();
    return totals_;
  }

 private:
  void FillDisk() {
    std::ofstream out(ballast_, std::ios::binary);
    const std::string block(64 << 10, 'x');
    const auto room = std::filesystem::space(std::filesystem::path(ballast_).parent_path()).available;
    for (uint64_t left = room > (2 << 20) ? room - (2 << 20) : 0; left > block.size() && out; left -= block.size()) out << block;
  }
  bool Put(size_t body_size) {
    base::Bytes body(body_size);
    rng_.Fill(body);
    const dht::Record record = dht::MakeBlob(body, expiry_);
    const absl::Status status = store_->Apply({.puts = {record}});
    if (status.ok()) {
      ++totals_.acknowledged;
      held_.push_back(record);
      return true;
    }
    ++totals_.refusals;
    totals_.untyped += absl::IsResourceExhausted(status) ? 0 : 1;
    return false;
  }
  // Full: says so, refuses again, and everything acknowledged is read.
  void CheckRefusal(size_t body_size) {
    totals_.untyped += store_->state() == dht::StoreState::kOk ? 1 : 0;
    Put(body_size);
    CheckAll();
  }
  void CheckAll() {
    for (const dht::Record& record : held_) {
      const auto found = store_->Get(record.name, absl::Now());
      totals_.lost += found.ok() && *found == record ? 0 : 1;
    }
  }
  bool Resumes(size_t body_size) {
    for (int tries = 0; tries < 30; ++tries) {
      if (Put(body_size)) return store_->state() == dht::StoreState::kOk;
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
    return false;
  }
  void RemoveMost() {
    dht::WriteBatch batch;
    for (; held_.size() > 50; held_.pop_back()) batch.removes.push_back(held_.back().name);
    totals_.untyped += store_->Apply(batch).ok() ? 0 : 1;
  }

  const std::string ballast_, path_;
  const absl::Time expiry_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 24 * 3600);
  keys::SystemRng rng_;
  std::unique_ptr<dht::RocksdbRecordStore> store_;
  std::vector<dht::Record> held_;
  Totals totals_;
};

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  const Totals totals = FullDisk(words[1]).Run();
  std::cout << "acknowledged=" << totals.acknowledged << " refusals=" << totals.refusals << " lost=" << totals.lost
            << " untyped=" << totals.untyped << " unresumed=" << totals.unresumed << std::endl;
  return totals.refusals > 0 && totals.lost + totals.untyped + totals.unresumed == 0 ? 0 : 1;
}
