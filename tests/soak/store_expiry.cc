// SPDX-License-Identifier: Apache-2.0
// Simulated hours in which most of what is stored expires. usage: store_expiry SECONDS SEED ring|disk. Prints "name=number ...".
//   ring  five nodes over memory stores, with clocks up to an hour off (tests/dht/expiry_trial.h)
//   disk  one node over RocksDB: how much its folder and its memory grow beyond what is alive, and what it answers
#include <stdlib.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>

#include "dht/rocksdb_record_store.h"
#include "keys/system_rng.h"
#include "tests/dht/expiry_trial.h"

namespace dht {
namespace {

constexpr uint64_t kPutsPerSecond = 4;

struct DiskTotals {
  uint64_t puts = 0, refused = 0, gone = 0, served = 0;
  uint64_t alive_bytes_max = 0, held_bytes_max = 0, folder_bytes_max = 0;
  uint64_t rss_half = 0, rss_end = 0;  // bytes
};

uint64_t Rss() {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t SizeOf(const std::string& folder) {
  uint64_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) size += entry.is_regular_file() ? entry.file_size() : 0;
  return size;
}

// The only node of a ring: its core over RocksDB, writes made in place.
class DiskLife {
 public:
  explicit DiskLife(uint64_t seed) : rng_(seed), key_(keys::SigningKey::Generate(rng_)), self_(PeerOf(network_, key_)) {
    std::string name = (std::filesystem::temp_directory_path() / "bulbil-expiry-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    store_ = *RocksdbRecordStore::Open({.path = folder_ + "/store", .clock = [this] { return now_; }});
    core_ = std::make_unique<Replicator>(ReplicatorOptions{.network = network_}, key_, kinds_, *store_, rng_);
    OracleRing ring;
    ring.Add(self_);
    Do(core_->OnNeighbourhood(ring.Around(self_, /*member=*/true), At()));
  }
  ~DiskLife() {
    core_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  DiskTotals Run(uint64_t seconds) {
    for (uint64_t second = 1; second <= seconds; ++second) {
      now_ += absl::Seconds(1);
      for (uint64_t i = 0; i < kPutsPerSecond; ++i) Put();
      while (core_->NextTick() <= now_) Do(core_->OnTick(At()));
      if (second % 600 == 0) Check();
      if (second == seconds / 2) totals_.rss_half = Rss();
    }
    totals_.rss_end = Rss();
    return totals_;
  }

 private:
  struct Entry {
    RecordName name;
    absl::Time expiry;
    size_t size;
  };
  Moment At() const { return {now_, now_}; }

  void Do(DhtActions actions) {
    for (DhtAction& action : actions) {
      if (auto* write = std::get_if<Write>(&action)) {
        const absl::Status status = store_->Apply(write->batch);
        Do(core_->OnApplied(write->id, status, At()));
      } else if (auto* respond = std::get_if<Respond>(&action)) {
        answer_ = respond->reply;
      }
    }
  }
  void Put() {
    base::Bytes body(200 + rng_.Below(1800));
    rng_.Fill(body);
    const auto ttl = static_cast<int64_t>(600 + rng_.Below(6600));
    const Record record = MakeBlob(body, now_ + absl::Seconds(ttl));
    Do(core_->OnPut(1, record, /*pass_on=*/false, At()));
    const auto* reply = AnswerAs<PutReply>(answer_);
    ++totals_.puts;
    if (reply == nullptr || reply->receipts.size() != 1) {
      ++totals_.refused;
      return;
    }
    book_.push_back({record.name, record.expiry, body.size() + kRecordHeaderSize});
  }
  // Everything in the book; what expired two hours ago leaves it.
  void Check() {
    uint64_t alive = 0;
    for (const Entry& entry : book_) {
      Do(core_->OnGet(1, entry.name, /*pass_on=*/false, At()));
      const auto* reply = AnswerAs<GetReply>(answer_);
      const bool found = reply != nullptr && reply->record.has_value();
      const bool is_alive = entry.expiry > now_;
      alive += is_alive ? entry.size : 0;
      totals_.gone += is_alive && !found ? 1 : 0;
      totals_.served += !is_alive && found ? 1 : 0;
    }
    std::erase_if(book_, [&](const Entry& entry) { return entry.expiry < now_ - absl::Hours(2); });
    totals_.alive_bytes_max = std::max(totals_.alive_bytes_max, alive);
    totals_.held_bytes_max = std::max(totals_.held_bytes_max, store_->counts().bytes);
    totals_.folder_bytes_max = std::max(totals_.folder_bytes_max, SizeOf(folder_ + "/store"));
  }

  support::SeededRng rng_;
  const overlay::Network network_ = overlay::Network::Local();
  const keys::SigningKey key_;
  const overlay::Peer self_;
  const RecordKinds kinds_;
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  std::string folder_;
  std::unique_ptr<RocksdbRecordStore> store_;
  std::unique_ptr<Replicator> core_;
  absl::StatusOr<DhtReply> answer_ = absl::UnknownError("");
  std::deque<Entry> book_;
  DiskTotals totals_;
};

}  // namespace
}  // namespace dht

int main(int count, char** words) {
  if (count != 4) return 2;
  keys::InitCrypto();
  const uint64_t seconds = std::strtoull(words[1], nullptr, 10), seed = std::strtoull(words[2], nullptr, 10);
  if (std::string_view(words[3]) == "ring") {
    const dht::ExpiryTotals t = dht::ExpiryTrial(seed).Run(absl::Seconds(static_cast<int64_t>(seconds)));
    std::cout << "acknowledged=" << t.acknowledged << " alive=" << t.checked_alive << " expired=" << t.checked_expired
              << " gone=" << t.gone << " served=" << t.served << " far=" << t.far_future_taken
              << " held_percent=" << static_cast<uint64_t>(100 * t.held_over_alive_max) << std::endl;
    return t.gone + t.served + t.far_future_taken == 0 ? 0 : 1;
  }
  const dht::DiskTotals t = dht::DiskLife(seed).Run(seconds);
  std::cout << "puts=" << t.puts << " refused=" << t.refused << " gone=" << t.gone << " served=" << t.served
            << " alive_bytes=" << t.alive_bytes_max << " held_bytes=" << t.held_bytes_max
            << " folder_bytes=" << t.folder_bytes_max << " rss_half=" << t.rss_half << " rss_end=" << t.rss_end << std::endl;
  return t.refused + t.gone + t.served == 0 ? 0 : 1;
}
