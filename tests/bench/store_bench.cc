// SPDX-License-Identifier: Apache-2.0
// Our side of `./dev bench store`: N nodes on 127.0.0.1, puts and gets of four of them, as peers/opendht/odht_bench.cpp does it.
//
// The four clients are whole nodes in this process, each with its loop, as OpenDHT's are; their users call the store's driver.
// The others are processes of one node each. Every put is synced on two disks at least when it counts.
//
//   store_bench --n 16 --sizes 256 --maxops 1000 --secs 30 [--kill 1] [--keys 600] [--at-once 32] [--folder DIR]      prints one
//   JSON object store_bench --role node --folder DIR --boot ADDRESS            a node; prints its address and node key
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "cli/local_node.h"
#include "dht/dht_driver.h"
#include "keys/system_rng.h"

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// User and system time of a live process, all its threads.
double CpuMs(pid_t pid) {
  clockid_t clock = 0;
  timespec spent{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) return 0;
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

// Bytes and packets that the loopback interface has received.
std::pair<double, double> Loopback() {
  std::ifstream file("/proc/net/dev");
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find("lo:");
    if (at == std::string::npos) continue;
    std::istringstream fields(line.substr(at + 3));
    double bytes = 0, packets = 0;
    fields >> bytes >> packets;
    return {bytes, packets};
  }
  return {0, 0};
}

double Percentile(std::vector<double>& values, double share) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

// A whole node and the thread of its loop.
class Node {
 public:
  explicit Node(const std::string& folder) {
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    auto created = cli::LocalNode::Create({.network = overlay::Network::Local(), .directory = folder});
    if (!created.ok()) std::cerr << created.status() << std::endl;
    CHECK(created.ok());
    node_ = *std::move(created);
  }
  ~Node() {
    node_->Stop();
    if (thread_.joinable()) thread_.join();
  }
  // Founds a ring (no address) or joins; returns when it is a member.
  void Start(const std::string& boot) {
    thread_ = std::thread([this] { node_->Run(); });
    std::mutex lock;
    std::condition_variable changed;
    bool is_ready = false;
    node_->loop().Post([&] {
      const auto ready = [&](const absl::Status& status) {
        CHECK(status.ok());
        const std::lock_guard<std::mutex> held(lock);
        is_ready = true;
        changed.notify_all();
      };
      if (!boot.empty()) return node_->Join({{boot, {}}}, absl::Seconds(60), ready);
      node_->CreateRing();
      ready(absl::OkStatus());
    });
    std::unique_lock<std::mutex> held(lock);
    changed.wait(held, [&] { return is_ready; });
  }
  cli::LocalNode& operator*() { return *node_; }
  cli::LocalNode* operator->() { return node_.get(); }

 private:
  std::unique_ptr<cli::LocalNode> node_;
  std::thread thread_;
};

struct Child {
  pid_t pid = 0;  // 0: killed
  FILE* output = nullptr;
  std::string node_key;
};

// Starts a node as a process; it prints its key once it is a member.
Child Spawn(const std::string& folder, const std::string& boot) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "store_bench", "--role", "node", "--folder", folder.c_str(), "--boot", boot.c_str(), nullptr);
    _exit(1);
  }
  close(ends[1]);
  return {.pid = pid, .output = fdopen(ends[0], "r")};
}

void AwaitKey(Child& child) {
  char key[128] = {};
  CHECK(fscanf(child.output, "%100s", key) == 1);
  child.node_key = key;
}

struct Key {
  dht::RecordName name;
  size_t who = 0;                    // which client put it
  std::vector<std::string> holders;  // who gave a receipt
};

struct Figures {
  size_t done = 0, failed = 0;
  double seconds = 0, cpu_ms = 0, bytes = 0, packets = 0;
  std::vector<double> latencies_ms;
};

class Bench {
 public:
  explicit Bench(std::map<std::string, std::string> words) : words_(std::move(words)), folder_(words_["--folder"]) {}

  int Run() {
    StartNodes();
    std::this_thread::sleep_for(std::chrono::seconds(8));
    const double cpu = AllCpu(), bytes = Loopback().first;
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::printf(
        "{\n  \"peer\": \"bulbil\", \"n\": %zu, \"idle_cpu_ms_per_s_per_node\": %.3f, \"idle_lo_bytes_per_s_per_node\": %.0f,\n",
        Count(), (AllCpu() - cpu) / 5 / static_cast<double>(Count()),
        (Loopback().first - bytes) / 5 / static_cast<double>(Count()));
    const size_t most = Number("--maxops");
    for (const size_t size : {256, 1024}) {
      if (words_["--sizes"].find(std::to_string(size)) == std::string::npos) continue;
      std::vector<Key> keys;
      for (const int at_once : AtOnce()) Report(absl::StrCat("put_", size, "_c", at_once), Puts(size, at_once, most, keys));
      std::shuffle(keys.begin(), keys.end(), rng_);
      std::this_thread::sleep_for(std::chrono::seconds(1));
      for (const int at_once : AtOnce()) Report(absl::StrCat("get_", size, "_c", at_once), Gets(at_once, most, keys));
    }
    std::printf("  \"kill_quarter\": %s\n}\n", words_["--kill"] == "1" ? KillQuarter().c_str() : "null");
    std::fflush(stdout);
    for (const Child& child : children_) {
      if (child.pid != 0) kill(child.pid, SIGKILL);
    }
    while (wait(nullptr) > 0) {
    }
    _exit(0);
  }

 private:
  static constexpr size_t kClients = 4;

  size_t Number(const std::string& word) { return std::stoul(words_[word]); }
  size_t Count() { return Number("--n"); }
  std::vector<int> AtOnce() {
    if (words_["--at-once"].empty()) return {1, 32};
    return {static_cast<int>(Number("--at-once"))};
  }

  void StartNodes() {
    for (size_t i = 0; i < kClients; ++i) {
      clients_.push_back(std::make_unique<Node>(absl::StrCat(folder_, "/client", i)));
      clients_.back()->Start(i == 0 ? "" : (*clients_[0])->advertised());
    }
    const std::string boot = (*clients_[0])->advertised();
    for (size_t i = kClients; i < Count(); ++i) children_.push_back(Spawn(absl::StrCat(folder_, "/node", i), boot));
    for (Child& child : children_) AwaitKey(child);
  }

  double AllCpu() {
    double sum = CpuMs(getpid());
    for (const Child& child : children_) sum += child.pid != 0 ? CpuMs(child.pid) : 0;
    return sum;
  }

  using Done = std::function<void(bool ok)>;
  // Up to `most` operations, `at_once` of them under way, for at most --secs.
  Figures Drive(int at_once, size_t most, const std::function<void(size_t index, Done)>& begin) {
    Figures figures;
    std::mutex lock;
    std::condition_variable changed;
    int under_way = 0;
    const double cpu = AllCpu();
    const auto [bytes, packets] = Loopback();
    const Clock::time_point start = Clock::now();
    for (size_t i = 0; i < most && SecondsSince(start) < static_cast<double>(Number("--secs")); ++i) {
      {
        std::unique_lock<std::mutex> held(lock);
        changed.wait(held, [&] { return under_way < at_once; });
        ++under_way;
      }
      begin(i, [&, begun = Clock::now()](bool ok) {
        const double took = SecondsSince(begun) * 1e3;
        const std::lock_guard<std::mutex> held(lock);
        ++(ok ? figures.done : figures.failed);
        if (ok) figures.latencies_ms.push_back(took);
        --under_way;
        changed.notify_all();
      });
    }
    {
      std::unique_lock<std::mutex> held(lock);
      changed.wait(held, [&] { return under_way == 0; });
    }
    figures.seconds = SecondsSince(start);
    figures.cpu_ms = AllCpu() - cpu;
    figures.bytes = Loopback().first - bytes;
    figures.packets = Loopback().second - packets;
    return figures;
  }

  Figures Puts(size_t size, int at_once, size_t most, std::vector<Key>& keys) {
    std::mutex lock;
    return Drive(at_once, most, [&, size](size_t i, Done done) {
      base::Bytes body(size);
      for (uint8_t& byte : body) byte = static_cast<uint8_t>(rng_());
      const size_t who = i % kClients;
      Node& client = *clients_[who];
      const dht::Record record = dht::MakeBlob(body, absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + dht::kTtlDefault);
      client->loop().Post([&client, &lock, &keys, record, who, done = std::move(done)] {
        client->dht().Put(record, [&lock, &keys, name = record.name, who, done](const absl::StatusOr<dht::PutOutcome>& put) {
          const bool ok = put.ok() && put->result == dht::PutResult::kStored && put->receipts.size() >= 2;
          if (ok) {
            Key key{.name = name, .who = who};
            for (const dht::Receipt& receipt : put->receipts) key.holders.push_back(base::ToHex(receipt.node_key.view()));
            const std::lock_guard<std::mutex> held(lock);
            keys.push_back(std::move(key));
          }
          done(ok);
        });
      });
    });
  }

  // Each at another client than the one that put it.
  Figures Gets(int at_once, size_t most, const std::vector<Key>& keys) {
    return Drive(at_once, most, [&](size_t i, Done done) {
      const Key& key = keys[i % keys.size()];
      Node& client = *clients_[(key.who + 1 + (i / keys.size()) % (kClients - 1)) % kClients];
      client->loop().Post([&client, name = key.name, done = std::move(done)] {
        client->dht().Get(name,
                          [done](const absl::StatusOr<dht::GetOutcome>& got) { done(got.ok() && got->record.has_value()); });
      });
    });
  }

  void Report(const std::string& name, Figures figures) {
    const double count = static_cast<double>(std::max<size_t>(1, figures.done));
    const double median = Percentile(figures.latencies_ms, .5), late = Percentile(figures.latencies_ms, .99);
    std::printf(
        "  \"%s\": {\"ops\": %zu, \"failed\": %zu, \"ops_per_s\": %.1f, \"median_ms\": %.3f, \"p99_ms\": %.3f, "
        "\"cpu_ms_per_op\": "
        "%.3f, \"lo_bytes_per_op\": %.0f, \"lo_packets_per_op\": %.1f},\n",
        name.c_str(), figures.done, figures.failed, static_cast<double>(figures.done) / figures.seconds, median, late,
        figures.cpu_ms / count, figures.bytes / count, figures.packets / count);
  }

  std::string KillQuarter() {
    std::vector<Key> keys;
    Puts(256, 8, Number("--keys"), keys);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    std::shuffle(children_.begin(), children_.end(), rng_);
    std::vector<std::string> killed;
    for (size_t i = 0; i < Count() / 4; ++i) {
      kill(children_[i].pid, SIGKILL);
      waitpid(children_[i].pid, nullptr, 0);
      children_[i].pid = 0;
      killed.push_back(children_[i].node_key);
    }
    const auto is_killed = [&](const std::string& holder) {
      return std::find(killed.begin(), killed.end(), holder) != killed.end();
    };
    std::vector<Key> living;
    for (const Key& key : keys) {
      if (!std::all_of(key.holders.begin(), key.holders.end(), is_killed)) living.push_back(key);
    }
    Figures found = Gets(8, living.size(), living);
    return absl::StrCat("{\"keys\": ", keys.size(), ", \"killed\": ", killed.size(), ", \"with_living_holder\": ", living.size(),
                        ", \"found\": ", found.done, ", \"median_ms\": ", Percentile(found.latencies_ms, .5),
                        ", \"p99_ms\": ", Percentile(found.latencies_ms, .99), "}");
  }

  std::map<std::string, std::string> words_;
  const std::string folder_;
  std::mt19937_64 rng_{42};
  std::vector<std::unique_ptr<Node>> clients_;
  std::vector<Child> children_;
};

int RunNode(const std::string& folder, const std::string& boot) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Node node(folder);
  node.Start(boot);
  std::printf("%s\n", base::ToHex(node->node_key().view()).c_str());
  std::fflush(stdout);
  for (;;) pause();
}

}  // namespace

int main(int count, char** words) {
  keys::InitCrypto();
  std::map<std::string, std::string> options = {
      {"--role", "drive"}, {"--n", "16"},     {"--sizes", "256,1024"}, {"--maxops", "1000"}, {"--secs", "30"},
      {"--kill", "0"},     {"--keys", "600"}, {"--folder", ""},        {"--boot", ""},       {"--at-once", ""}};
  for (int i = 1; i + 1 < count; i += 2) options[words[i]] = words[i + 1];
  if (options["--folder"].empty()) return 2;
  if (options["--role"] == "node") return RunNode(options["--folder"], options["--boot"]);
  return Bench(options).Run();
}
