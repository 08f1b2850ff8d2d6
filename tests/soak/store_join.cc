// SPDX-License-Identifier: Apache-2.0
// A joiner's download beside users' puts, and killed half-way: the drivers, TLS, stores and disks of the program, around one
// place of a ring of 16 that holds RECORDS records in all. The three holders of the joiner's range run here, each with its whole
// share on disk; the joiner is a process of its own, so that it can be killed. The ring is told to them: what is measured is the
// store.
//
//   store_join FOLDER RECORDS KILLS       prints one line "name=number ..."
//   store_join FOLDER join PORT           the joiner: holders listen on PORT and the two after it; prints what it did
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "dht/dht_driver.h"
#include "dht/rocksdb_record_store.h"
#include "keys/certificate.h"
#include "keys/system_rng.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_server.h"
#include "tests/dht/oracle_ring.h"

namespace dht {
namespace {

constexpr size_t kRing = 16, kHolders = 3, kBody = 1024, kJoinerMember = 5;
constexpr int kUsers = 4;                                 // puts under way
constexpr absl::Duration kBefore = absl::Seconds(4);      // of puts alone
constexpr absl::Duration kSettle = absl::Seconds(8);      // of the disk, after the stores were filled
constexpr absl::Duration kPause = absl::Milliseconds(4);  // a user's, between two puts

double Since(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

// The same keys in every process.
struct Ring {
  explicit Ring(int port) {
    support::SeededRng rng(16);
    for (size_t i = 0; i <= kRing; ++i) keys.push_back(std::make_unique<keys::SigningKey>(keys::SigningKey::Generate(rng)));
    std::sort(keys.begin(), keys.end(), [&](const auto& a, const auto& b) { return PeerAt(*a, 0).point < PeerAt(*b, 0).point; });
    for (size_t i = 0; i <= kRing; ++i) {
      // The holders are those that follow the joiner; nobody listens at the others' ports.
      const size_t behind = (i + kRing + 1 - kJoinerMember) % (kRing + 1);
      peers.push_back(PeerAt(*keys[i], behind >= 1 && behind <= kHolders ? port + static_cast<int>(behind) - 1 : 1));
      if (i != kJoinerMember) oracle.Add(peers.back());
    }
  }
  overlay::Peer PeerAt(const keys::SigningKey& key, int port) const {
    return overlay::MakePeer(network, key.public_key(), 0, overlay::Role::kStoring, absl::StrCat("127.0.0.1:", port));
  }
  const overlay::Peer& joiner() const { return peers[kJoinerMember]; }
  overlay::RingRange Share() const { return overlay::HeldRange(oracle.Around(joiner(), /*member=*/false), kHolders); }
  size_t holder(size_t i) const { return (kJoinerMember + 1 + i) % (kRing + 1); }

  const overlay::Network network = overlay::Network::Local();
  std::vector<std::unique_ptr<keys::SigningKey>> keys;
  std::vector<overlay::Peer> peers;
  OracleRing oracle;  // without the joiner
};

// Counts the records that are read by name: what a giver gives.
class CountingStore : public RecordStore {
 public:
  explicit CountingStore(std::unique_ptr<RecordStore> store) : store_(std::move(store)) {}
  absl::StatusOr<Record> Get(const RecordName& name, absl::Time wall_now) const override {
    absl::StatusOr<Record> record = store_->Get(name, wall_now);
    read_ += record.ok() ? 1 : 0;
    return record;
  }
  absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                    const NameVisitor& visit) const override {
    return store_->Scan(range, cursor, wall_now, visit);
  }
  absl::Status ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                       const std::function<void(const Record&)>& visit) const override {
    return store_->ForEach(point, kind, wall_now, visit);
  }
  absl::Status Apply(const WriteBatch& batch) override { return store_->Apply(batch); }
  StoreCounts counts() const override { return store_->counts(); }
  StoreState state() const override { return store_->state(); }
  bool suspect() const override { return store_->suspect(); }
  absl::Status ClearSuspect() override { return store_->ClearSuspect(); }
  uint64_t read() const { return read_; }

 private:
  const std::unique_ptr<RecordStore> store_;
  mutable std::atomic<uint64_t> read_ = 0;
};

std::unique_ptr<RecordStore> OpenStore(const std::string& folder) {
  std::filesystem::create_directories(folder);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  auto store = RocksdbRecordStore::Open({.path = folder + "/store"});
  CHECK(store.ok());
  return *std::move(store);
}

// One node's store, running on a loop of its own.
class Host {
 public:
  Host(const Ring& ring, size_t member, const std::string& folder, int port)
      : ring_(ring),
        store_(OpenStore(folder)),
        identity_(keys::MakeTlsIdentity(*ring.keys[member], rng_)),
        server_(loop_, {.address = absl::StrCat("127.0.0.1:", port), .identity = identity_}),
        client_(loop_, rng_, {.identity = identity_}) {
    CHECK(server_.Listen().ok());
    driver_ = std::make_unique<DhtDriver>(ReplicatorOptions{.network = ring.network}, *ring.keys[member], kinds_, store_, loop_,
                                          rng_, server_, client_, Ports());
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~Host() {
    loop_.Stop();
    thread_.join();
  }
  // Runs it on the loop's thread and waits for what it says by the callback.
  template <typename T>
  T Ask(const std::function<void(DhtDriver&, std::function<void(T)>)>& ask) {
    std::promise<T> promise;
    loop_.Post([&] { ask(*driver_, [&promise](T value) { promise.set_value(std::move(value)); }); });
    return promise.get_future().get();
  }
  CountingStore& store() { return store_; }

 private:
  DhtPorts Ports() {
    return {.lookup =
                [this](const overlay::NodeId& point, const auto& done) {
                  loop_.Post([this, point, done] { done(ring_.oracle.Holders(point, kHolders + 1)); });
                },
            .peers_of =
                [this](const keys::PublicKey& key) {
                  std::vector<overlay::Peer> found;
                  for (const overlay::Peer& peer : ring_.peers) {
                    if (peer.node_key == key) found.push_back(peer);
                  }
                  return found;
                }};
  }

  const Ring& ring_;
  CountingStore store_;
  keys::SystemRng rng_;
  keys::TlsIdentity identity_;
  overlay::GrpcEventLoop loop_{{.serves = true}};
  overlay::GrpcServer server_;
  overlay::GrpcClient client_;
  RecordKinds kinds_;
  std::unique_ptr<DhtDriver> driver_;
  std::thread thread_;
};

int Join(const std::string& folder, int port) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Ring ring(port);
  Host host(ring, kJoinerMember, folder, 0);
  const uint64_t before = host.store().counts().records, bytes_before = host.store().counts().bytes;
  const absl::Time start = absl::Now();
  const overlay::Neighbourhood future = ring.oracle.Around(ring.joiner(), /*member=*/false);
  const absl::Status status = host.Ask<absl::Status>([&](DhtDriver& driver, const auto& done) {
    driver.PrepareJoin(future, [done](const absl::Status& joined) { done(joined); });
  });
  const double seconds = Since(start);
  const StoreCounts counts = host.store().counts();
  std::printf("joined=%d before=%lu records=%lu bytes=%lu microseconds=%.0f\n", status.ok() ? 1 : 0, before, counts.records,
              counts.bytes - bytes_before, seconds * 1e6);
  std::fflush(stdout);
  _exit(0);
}

class Trial {
 public:
  Trial(std::string folder, size_t records, int port) : folder_(std::move(folder)), port_(port), ring_(port) {
    Fill(records);
    for (size_t i = 0; i < kHolders; ++i) {
      const size_t member = ring_.holder(i);
      hosts_.push_back(std::make_unique<Host>(ring_, member, FolderOf(i), port + static_cast<int>(i)));
      hosts_.back()->Ask<bool>([&](DhtDriver& driver, const auto& done) {
        driver.OnNeighbourhood(ring_.oracle.Around(ring_.peers[member], /*member=*/true));
        done(true);
      });
    }
  }

  int Run(int kills) {
    std::vector<std::thread> users;
    for (int i = 0; i < kUsers; ++i) users.emplace_back([this, i] { Put(static_cast<uint64_t>(i)); });
    absl::SleepFor(kBefore);
    const std::vector<double> quiet = TakeLatencies();
    const Joined whole = JoinOnce("whole", absl::InfiniteDuration());
    const std::vector<double> busy = TakeLatencies();
    const uint64_t given_before = Given();
    uint64_t killed = 0;
    std::mt19937_64 chance(3);
    for (int i = 0; i < kills; ++i) {
      std::filesystem::remove_all(folder_ + "/killed");
      const double half = whole.seconds * (0.3 + 0.4 * static_cast<double>(chance() % 1000) / 1000);
      killed += JoinOnce("killed", absl::Seconds(half)).finished ? 0 : 1;
      const Joined again = JoinOnce("killed", absl::InfiniteDuration());
      const uint64_t missing = again.records < share_ ? share_ - again.records : 0;
      lost_ += again.finished ? missing : share_;
    }
    const uint64_t given = Given() - given_before;
    is_over_ = true;
    for (std::thread& user : users) user.join();
    const double mb = static_cast<double>(whole.bytes) / 1e6;
    const double twice = kills == 0 ? 0 : static_cast<double>(given) / static_cast<double>(share_) / kills - 1;
    std::printf(
        "join_records=%lu join_kb_per_s=%.0f put_p99_us_quiet=%.0f put_p99_us_busy=%.0f puts_quiet=%zu puts_busy=%zu "
        "join_kills=%lu "
        "join_lost=%lu twice_ppm=%.0f puts_failed=%lu\n",
        whole.records, mb / whole.seconds * 1e3, P99(quiet) * 1e6, P99(busy) * 1e6, quiet.size(), busy.size(), killed,
        lost_.load(), std::max(0.0, twice) * 1e6, failed_.load());
    std::fflush(stdout);
    const bool is_good = whole.finished && lost_ == 0;
    _exit(is_good ? 0 : 1);
  }

 private:
  struct Joined {
    bool finished = false;
    uint64_t records = 0, bytes = 0;
    double seconds = 0;
  };

  std::string FolderOf(size_t holder) const { return absl::StrCat(folder_, "/holder", holder); }

  // `records` at random points of the ring: each holder's disk gets those of them that it holds.
  void Fill(size_t records) {
    std::vector<std::unique_ptr<RecordStore>> stores;
    std::vector<WriteBatch> batches(kHolders);
    for (size_t i = 0; i < kHolders; ++i) stores.push_back(OpenStore(FolderOf(i)));
    keys::SystemRng rng;
    const absl::Time expiry = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + kTtlDefault;
    const overlay::RingRange share = ring_.Share();
    for (size_t n = 0; n < records; ++n) {
      base::Bytes body(kBody);
      rng.Fill(body);
      const Record record = MakeBlob(body, expiry);
      share_ += share.Contains(record.name.point) ? 1 : 0;
      const std::vector<overlay::Peer> holders = ring_.oracle.Holders(record.name.point, kHolders);
      for (size_t i = 0; i < kHolders; ++i) {
        if (ContainsProcess(holders, ring_.peers[ring_.holder(i)].node_key)) batches[i].puts.push_back(record);
        if (batches[i].puts.size() == 250) CHECK(stores[i]->Apply(std::exchange(batches[i], {})).ok());
      }
    }
    for (size_t i = 0; i < kHolders; ++i) CHECK(stores[i]->Apply(batches[i]).ok());
    sync();
    absl::SleepFor(kSettle);
  }

  // A user of the first holder: blobs of places that it owns and the joiner does not get, so that the joiner's share stays as it
  // is.
  void Put(uint64_t seed) {
    std::mt19937_64 chance(seed);
    while (!is_over_) {
      Record record;
      do {
        base::Bytes body(kBody);
        for (uint8_t& byte : body) byte = static_cast<uint8_t>(chance());
        record = MakeBlob(body, absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + kTtlDefault);
      } while (ring_.Share().Contains(record.name.point) ||
               !(ring_.oracle.Holders(record.name.point).front() == ring_.peers[ring_.holder(0)]));
      const absl::Time start = absl::Now();
      const bool ok = hosts_[0]->Ask<bool>([&](DhtDriver& driver, const auto& done) {
        driver.Put(record, [done](const absl::StatusOr<PutOutcome>& put) { done(put.ok() && put->receipts.size() >= 2); });
      });
      const std::lock_guard<std::mutex> held(lock_);
      latencies_.push_back(Since(start));
      failed_ += ok ? 0 : 1;
      absl::SleepFor(kPause);
    }
  }
  std::vector<double> TakeLatencies() {
    const std::lock_guard<std::mutex> held(lock_);
    return std::exchange(latencies_, {});
  }
  static double P99(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() * 99 / 100];
  }
  uint64_t Given() const {
    uint64_t sum = 0;
    for (const auto& host : hosts_) sum += host->store().read();
    return sum;
  }

  // Starts the joiner on that folder; kills it after that time.
  Joined JoinOnce(const std::string& name, absl::Duration at_most) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const std::string folder = absl::StrCat(folder_, "/", name), port = std::to_string(port_);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl("/proc/self/exe", "store_join", folder.c_str(), "join", port.c_str(), nullptr);
      _exit(1);
    }
    close(ends[1]);
    std::thread killer;
    if (at_most != absl::InfiniteDuration()) {
      killer = std::thread([pid, at_most] {
        absl::SleepFor(at_most);
        kill(pid, SIGKILL);
      });
    }
    FILE* output = fdopen(ends[0], "r");
    Joined joined;
    int ok = 0;
    uint64_t before = 0;
    double microseconds = 0;
    const int read = fscanf(output, "joined=%d before=%lu records=%lu bytes=%lu microseconds=%lf", &ok, &before, &joined.records,
                            &joined.bytes, &microseconds);
    joined.finished = read == 5 && ok == 1;
    joined.seconds = microseconds / 1e6;
    fclose(output);
    if (killer.joinable()) killer.join();
    waitpid(pid, nullptr, 0);
    return joined;
  }

  const std::string folder_;
  const int port_;
  const Ring ring_;
  uint64_t share_ = 0;  // records of the joiner's range
  std::vector<std::unique_ptr<Host>> hosts_;
  std::atomic<bool> is_over_ = false;
  std::atomic<uint64_t> lost_ = 0, failed_ = 0;
  std::mutex lock_;
  std::vector<double> latencies_;
};

}  // namespace
}  // namespace dht

int main(int count, char** words) {
  keys::InitCrypto();
  if (count == 4 && std::string_view(words[2]) == "join") return dht::Join(words[1], std::atoi(words[3]));
  if (count != 4) return 2;
  return dht::Trial(words[1], std::strtoull(words[2], nullptr, 10), 23710).Run(std::atoi(words[3]));
}
