// SPDX-License-Identifier: Apache-2.0
// Relays and a client for tests/bench/circuits.py: the drivers, links and loop of the program over loopback, and a stream type
// for bulk that the program does not have. A ring is not needed: the client is told its relays.
//
//   circuits_bench relay              prints its descriptor in hex; ends with its standard input; of the lines it reads:
//     stats              one JSON object: circuits carried, cells that wait on links, circuits evicted
//     drop PERCENT       breaks each of its links with that chance
//   circuits_bench client HEX...      builds circuits over those relays, in that order; one JSON object for each line it reads:
//     build N            N circuits, one after the other: milliseconds of each
//     rate N SECONDS     N at a time, closed as soon as they are built: circuits a second
//     bulk N MIB         MIB to the client over N circuits at once: MB/s, seconds
//     up N MIB           the same away from it
//     ping N             256 bytes to the last hop and back: microseconds of each
//     loaded N           the same beside a bulk transfer over the same relays
//     open N             N circuits that stay open; `close` ends them
//     try N              the same over relays that may not answer: how many stood after all were settled
//     steady SECONDS     one transfer after the other over a circuit that is built anew when it breaks: MB/s of those that came
//                        through, circuits that broke
#include <cstdio>
#include <future>
#include <iostream>
#include <sstream>
#include <thread>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "circuits/circuits_driver.h"
#include "keys/system_rng.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_link.h"
#include "overlay/grpc_server.h"

namespace circuits {
namespace {

constexpr size_t kPingSize = 256;
constexpr size_t kOpenMax = 20'000;
constexpr uint32_t kSteadyCells = 128;  // of one transfer
constexpr absl::Duration kBuildAgainAfter = absl::Milliseconds(50);
constexpr size_t kCellsPerMiB = (1 << 20) / kRelayPayloadMax + 1;

class Echo : public EndpointHandler {
  void OnEndpointRequest(EndpointRequest request) override { request.answer(std::move(request.payload)); }
};

// What a relay and the client have in common: a node key, a loop, links.
struct Host {
  explicit Host(bool serves)
      : key(keys::SigningKey::Generate(rng)),
        identity(keys::MakeTlsIdentity(key, rng)),
        onion_key(keys::X25519KeyPair::Generate(rng)),
        directory(network),
        loop({.serves = serves}),
        links(loop, rng, &directory, {.node = overlay::GrpcLinks::OwnNode{identity, [this] { return descriptor.encoded; }}}) {}

  void Describe(int port) {
    descriptor = overlay::SignDescriptor(network, key, onion_key.public_key, overlay::Role::kRelay,
                                         absl::StrCat("127.0.0.1:", port), {}, loop.WallNow());
  }

  const overlay::Network network = overlay::Network::Local();
  keys::SystemRng rng;
  const keys::SigningKey key;
  const keys::TlsIdentity identity;
  const keys::X25519KeyPair onion_key;
  overlay::Descriptor descriptor;
  overlay::Directory directory;
  overlay::GrpcEventLoop loop;
  overlay::GrpcLinks links;
};

// The links of a host, that can be made to break.
class BreakableLinks : public overlay::Links, overlay::LinkListener {
 public:
  BreakableLinks(overlay::Links& links, base::Rng& rng) : links_(links), rng_(rng) { links_.SetListener(this); }
  ~BreakableLinks() override { links_.SetListener(nullptr); }

  void Break(int percent) {
    for (const overlay::LinkId link : std::vector<overlay::LinkId>(up_.begin(), up_.end())) {
      if (rng_.Below(100) < static_cast<uint64_t>(percent)) links_.Close(link);
    }
  }
  void SetListener(overlay::LinkListener* listener) override { listener_ = listener; }
  overlay::LinkId Connect(const overlay::Descriptor& to, overlay::LinkFor whom) override { return links_.Connect(to, whom); }
  bool Send(overlay::LinkId link, const overlay::Cell& cell) override { return links_.Send(link, cell); }
  void Close(overlay::LinkId link) override { links_.Close(link); }
  const overlay::LinkInfo* Find(overlay::LinkId link) const override { return links_.Find(link); }

 private:
  void OnLinkUp(const overlay::LinkInfo& link) override {
    up_.insert(link.id);
    if (listener_ != nullptr) listener_->OnLinkUp(link);
  }
  void OnCell(overlay::LinkId link, overlay::Cell& cell) override {
    if (listener_ != nullptr) listener_->OnCell(link, cell);
  }
  void OnLinkDown(overlay::LinkId link) override {
    up_.erase(link);
    if (listener_ != nullptr) listener_->OnLinkDown(link);
  }
  void OnEvicted(overlay::LinkId link, overlay::CircuitId id) override {
    if (listener_ != nullptr) listener_->OnEvicted(link, id);
  }

  overlay::Links& links_;
  base::Rng& rng_;
  overlay::LinkListener* listener_ = nullptr;
  absl::flat_hash_set<overlay::LinkId> up_;
};

// Reads lines until there are no more, and has the loop obey them.
void ObeyRelay(Host& host, BreakableLinks& links, const CircuitsDriver& driver) {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb;
    int percent = 0;
    words >> verb >> percent;
    host.loop.Post([&host, &links, &driver, verb, percent] {
      if (verb == "drop") links.Break(percent);
      std::cout << "{\"carried\": " << driver.stats().carried << ", \"queued\": " << host.links.queued()
                << ", \"evicted\": " << host.links.counters().evicted << ", \"links\": " << host.links.size() << "}" << std::endl;
    });
  }
  host.loop.Stop();
}

int RunRelay() {
  Host host(/*serves=*/true);
  BreakableLinks links(host.links, host.rng);
  overlay::GrpcServer server(host.loop, {.address = "127.0.0.1:0", .socket_path = "", .identity = host.identity});
  host.links.ServeOn(server);
  Echo echo;
  CircuitsOptions options{.network = host.network,
                          .introduce = [](const overlay::RpcTarget&, auto done) { done(absl::UnavailableError("no ring")); }};
  options.own_key = host.key.public_key();
  options.endpoint = &echo;
  options.own_descriptor = [&host] { return host.descriptor.encoded; };
  options.own_table = options.signed_table = [](uint8_t) { return nullptr; };
  options.onion_keys = [&host] { return std::span<const keys::X25519KeyPair>(&host.onion_key, 1); };
  CircuitsDriver driver(std::move(options), host.loop, links, host.directory, host.rng);
  const absl::StatusOr<int> port = server.Listen();
  if (!port.ok()) return 1;
  host.Describe(*port);
  std::cout << absl::BytesToHexString(base::ToString(host.descriptor.encoded)) << std::endl;
  std::thread reader([&] { ObeyRelay(host, links, driver); });
  host.loop.Run();
  reader.join();
  return 0;
}

class Client : overlay::LinkListener {
 public:
  explicit Client(std::vector<overlay::Descriptor> path)
      : path_(std::move(path)),
        host_(/*serves=*/false),
        own_(host_.network, host_.loop, host_.links, table_, host_.rng, kOpenMax) {
    host_.Describe(1);
    host_.links.SetListener(this);
    thread_ = std::thread([this] { host_.loop.Run(); });
  }
  ~Client() override {
    host_.loop.Stop();
    thread_.join();
    host_.links.SetListener(nullptr);
  }

  std::string Build(int count) {
    std::vector<double> took;
    for (int i = 0; i < count; ++i) {
      const absl::Time start = host_.loop.Now();
      const uint64_t circuit = Await([this](auto done) { Extend(std::nullopt, 0, std::move(done)); });
      took.push_back(absl::ToDoubleMilliseconds(host_.loop.Now() - start));
      Close({circuit});
    }
    return absl::StrCat("{\"ms\": [", absl::StrJoin(took, ","), "]}");
  }

  std::string Rate(int at_once, int seconds) {
    const absl::Time start = host_.loop.Now();
    std::promise<void> all;
    host_.loop.Post([&] {
      end_ = start + absl::Seconds(seconds);
      building_ = at_once;
      built_ = failed_ = 0;
      for (int i = 0; i < at_once; ++i) BuildAgain(all);
    });
    all.get_future().wait();
    const double took = absl::ToDoubleSeconds(host_.loop.Now() - start);
    return absl::StrCat("{\"built\": ", built_, ", \"failed\": ", failed_, ", \"per_s\": ", built_ / took, "}");
  }

  std::string Bulk(int circuits, int mib, bool up) {
    const std::vector<uint64_t> open = Open(circuits);
    const auto cells = static_cast<uint32_t>(static_cast<size_t>(mib) * kCellsPerMiB / static_cast<size_t>(circuits));
    const absl::Time start = host_.loop.Now();
    Await([&](auto done) {
      auto left = std::make_shared<size_t>(open.size());
      for (uint64_t circuit : open) {
        own_.Run(circuit, up ? BulkStep{0, cells} : BulkStep{cells, 0}, [this, circuit, left, done](auto result) {
          CheckDone(circuit, result);
          if (--*left == 0) done(0);
        });
      }
    });
    const double took = absl::ToDoubleSeconds(host_.loop.Now() - start);
    Close(open);
    const double bytes = static_cast<double>(cells) * kRelayPayloadMax * circuits;
    return absl::StrCat("{\"mb_s\": ", bytes / took / 1e6, ", \"seconds\": ", took, ", \"bytes\": ", bytes, "}");
  }

  std::string Ping(int count) {
    const std::vector<uint64_t> open = Open(1);
    const std::string answer = Pings(open[0], count);
    Close(open);
    return answer;
  }

  std::string Loaded(int count) {
    const std::vector<uint64_t> open = Open(2);
    std::atomic<uint64_t> received = 0;
    std::function<void()> more = [&] {
      own_.Run(open[1], BulkStep{10'000, 0}, [&](auto result) {
        received += result.ok() ? 10'000 : 0;
        if (result.ok()) more();
      });
    };
    const absl::Time start = host_.loop.Now();
    host_.loop.Post(more);
    const std::string answer = Pings(open[0], count);
    const double took = absl::ToDoubleSeconds(host_.loop.Now() - start);
    Close(open);
    Await([](auto done) { done(0); });  // the last callback of the bulk has run
    return absl::StrCat(answer.substr(0, answer.size() - 1),
                        ", \"bulk_mb_s\": ", static_cast<double>(received.load()) * kRelayPayloadMax / took / 1e6, "}");
  }

  std::string Hold(int count) {
    for (int i = 0; i < count; i += 500) {
      for (uint64_t circuit : Open(std::min(500, count - i))) held_.push_back(circuit);
    }
    return absl::StrCat("{\"open\": ", held_.size(), "}");
  }
  std::string Try(int count) {
    std::atomic<int> stood = 0;
    Await([&](auto done) {
      auto left = std::make_shared<int>(count);
      for (int i = 0; i < count; ++i) {
        Extend(std::nullopt, 0, [this, &stood, left, done](uint64_t circuit) {
          if (circuit != 0) {
            ++stood;
            held_.push_back(circuit);
          }
          if (--*left == 0) done(0);
        });
      }
    });
    return absl::StrCat("{\"open\": ", stood.load(), "}");
  }

  std::string Steady(int seconds) {
    const absl::Time start = host_.loop.Now();
    end_ = start + absl::Seconds(seconds);
    built_ = failed_ = 0;
    std::promise<void> all;
    host_.loop.Post([&] { Transfer(0, all); });
    all.get_future().wait();
    const double bytes = static_cast<double>(built_) * kSteadyCells * kRelayPayloadMax;
    return absl::StrCat("{\"mb_s\": ", bytes / absl::ToDoubleSeconds(host_.loop.Now() - start) / 1e6, ", \"broken\": ", failed_,
                        "}");
  }
  std::string CloseHeld() {
    Close(std::exchange(held_, {}));
    return "{}";
  }

 private:
  using Done = std::function<void(uint64_t)>;

  void OnLinkUp(const overlay::LinkInfo& link) override { own_.OnLinkUp(link); }
  void OnLinkDown(overlay::LinkId link) override { own_.OnLinkDown(link, table_.TakeLink(link)); }
  void OnEvicted(overlay::LinkId link, overlay::CircuitId id) override {
    if (const CircuitEntry* entry = table_.Find(link, id)) own_.Close(entry->circuit);
  }
  void OnCell(overlay::LinkId link, overlay::Cell& cell) override {
    const CircuitEntry* entry = table_.Find(link, cell.circuit_id());
    if (entry != nullptr) own_.OnCell(entry->circuit, cell);
  }

  // Runs on the loop's thread; returns what it is done with.
  uint64_t Await(std::function<void(Done)> begin) {
    std::promise<uint64_t> result;
    host_.loop.Post([&] { begin([&](uint64_t value) { result.set_value(value); }); });
    return result.get_future().get();
  }
  // 0: it failed.
  void Extend(std::optional<uint64_t> circuit, size_t hop, Done done) {
    if (!circuit.has_value()) circuit = own_.New();
    if (!circuit.has_value()) return done(0);
    if (hop == path_.size()) return done(*circuit);
    own_.Run(*circuit, ExtendStep{path_[hop], hop}, [this, circuit, hop, done = std::move(done)](auto result) {
      result.ok() ? Extend(circuit, hop + 1, done) : done(0);
    });
  }
  void BuildAgain(std::promise<void>& all) {
    if (host_.loop.Now() >= end_) {
      if (--building_ == 0) all.set_value();
      return;
    }
    Extend(std::nullopt, 0, [this, &all](uint64_t circuit) {
      circuit != 0 ? ++built_ : ++failed_;
      if (circuit != 0) own_.Close(circuit);
      BuildAgain(all);
    });
  }
  // `built_` counts transfers here, `failed_` circuits that broke. 0: a circuit has to be built first.
  void Transfer(uint64_t circuit, std::promise<void>& all) {
    if (host_.loop.Now() >= end_) {
      if (circuit != 0) own_.Close(circuit);
      return all.set_value();
    }
    if (circuit == 0) {
      return Extend(std::nullopt, 0, [this, &all](uint64_t built) {
        failed_ += built == 0 ? 1 : 0;
        const absl::Duration wait = built == 0 ? kBuildAgainAfter : absl::ZeroDuration();
        host_.loop.At(host_.loop.Now() + wait, [this, built, &all] { Transfer(built, all); });
      });
    }
    own_.Run(circuit, BulkStep{kSteadyCells, 0}, [this, circuit, &all](auto result) {
      ++(result.ok() ? built_ : failed_);
      Transfer(result.ok() ? circuit : 0, all);
    });
  }
  std::vector<uint64_t> Open(int count) {
    std::vector<uint64_t> open;
    Await([&](auto done) {
      for (int i = 0; i < count; ++i) {
        Extend(std::nullopt, 0, [&open, count, done](uint64_t circuit) {
          CHECK(circuit != 0);
          open.push_back(circuit);
          if (open.size() == static_cast<size_t>(count)) done(0);
        });
      }
    });
    return open;
  }
  void Close(const std::vector<uint64_t>& circuits) {
    Await([&](auto done) {
      for (uint64_t circuit : circuits) own_.Close(circuit);
      done(0);
    });
  }
  // One after the other, all on the loop's thread: a hand-over to this one and back is no part of a circuit.
  std::string Pings(uint64_t circuit, int count) {
    std::vector<double> took;
    Await([&](auto done) { PingAgain(circuit, count, took, std::move(done)); });
    return absl::StrCat("{\"us\": [", absl::StrJoin(took, ","), "]}");
  }
  void PingAgain(uint64_t circuit, int left, std::vector<double>& took, Done done) {
    if (left == 0) return done(0);
    const absl::Time start = host_.loop.Now();
    own_.Run(circuit, RequestStep{base::Bytes(kPingSize, 1)}, [this, circuit, left, &took, start, done](auto result) {
      CheckDone(circuit, result);
      took.push_back(absl::ToDoubleMicroseconds(host_.loop.Now() - start));
      PingAgain(circuit, left - 1, took, done);
    });
  }
  void CheckDone(uint64_t circuit, const absl::StatusOr<StepResult>& result) {
    if (result.ok()) return;
    std::cerr << "circuit " << circuit << ": " << result.status() << std::endl;
    std::exit(1);
  }

  const std::vector<overlay::Descriptor> path_;
  Host host_;
  CircuitTable table_;
  OwnCircuits own_;
  std::vector<uint64_t> held_;
  absl::Time end_;
  int building_ = 0, built_ = 0, failed_ = 0;
  std::thread thread_;
};

std::string Obey(Client& client, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  int first = 0, second = 0;
  words >> verb >> first >> second;
  if (verb == "build") return client.Build(first);
  if (verb == "rate") return client.Rate(first, second);
  if (verb == "bulk" || verb == "up") return client.Bulk(first, second, verb == "up");
  if (verb == "ping") return client.Ping(first);
  if (verb == "loaded") return client.Loaded(first);
  if (verb == "open") return client.Hold(first);
  if (verb == "try") return client.Try(first);
  if (verb == "steady") return client.Steady(first);
  if (verb == "close") return client.CloseHeld();
  return "{\"error\": \"verb\"}";
}

int RunClient(const std::vector<std::string>& hexes) {
  std::vector<overlay::Descriptor> path;
  for (const std::string& hex : hexes) {
    const std::string bytes = absl::HexStringToBytes(hex);
    auto descriptor = overlay::DecodeDescriptor(overlay::Network::Local(), base::AsBytes(bytes), absl::Now());
    if (!descriptor.ok()) return 1;
    path.push_back(*std::move(descriptor));
  }
  Client client(std::move(path));
  for (std::string line; std::getline(std::cin, line);) std::cout << Obey(client, line) << std::endl;
  return 0;
}

}  // namespace
}  // namespace circuits

int main(int argc, char** argv) {
  keys::InitCrypto();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "relay") return circuits::RunRelay();
  if (arguments.size() > 1 && arguments[0] == "client") {
    return circuits::RunClient({arguments.begin() + 1, arguments.end()});
  }
  std::cerr << "usage: circuits_bench relay | circuits_bench client DESCRIPTOR..." << std::endl;
  return 2;
}
