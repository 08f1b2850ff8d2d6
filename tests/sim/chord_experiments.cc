// SPDX-License-Identifier: Apache-2.0
// The experiments of the Chord paper over the ring as it ships; tests/sim/chord.py runs them. One JSON object a line on stdout.
//
//   chord_experiments load NODES KEYS SEED             keys per node for v = 1, 2, 5, 10, 20
//   chord_experiments plain EXPONENT PER_NODE SEED     hops at N = 2^EXPONENT over fingers and successor alone
//   chord_experiments path EXPONENT PER_NODE SEED      the same by the whole core
//   chord_experiments stretch EXPONENT LOOKUPS SEED    time of a lookup over a message to the owner, s = 1..16, the paper's rule
//   chord_experiments ownstretch EXPONENT LOOKUPS SEED the same of the whole core
//   chord_experiments failures LIST LOOKUPS SEED       N = 1000, r = LIST, a share of the nodes dead, no repair
//   chord_experiments stabilizing RATE SECONDS SEED    N = 1000, r = 20, a round every 30 s, joins and leaves at RATE a second
//   chord_experiments halflife MINUTES SECONDS SEED    N = 1000 as in `local`, half of the nodes crash and come in that time
//   chord_experiments nearness NODES MINUTES SEED      the same under the core's own upkeep, as time goes by at rest
//   chord_experiments rest NODES SECONDS SEED          calls and bytes while nothing happens, without and with learned peers
//   chord_experiments largest NODES SECONDS SEED       bytes and events
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/sim/chord_churn.h"
#include "tests/sim/chord_still.h"
#include "tests/sim/chord_stretch.h"

namespace {

using overlay::NodeId;

double Number(const char* text) {
  double value = 0;
  CHECK(absl::SimpleAtod(text, &value));
  return value;
}

double Mean(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The smallest value that at least that share of the values does not exceed.
double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

std::string Summary(const char* name, const std::vector<double>& values) {
  return absl::StrCat("\"", name, "_mean\":", Mean(values), ",\"", name, "_p1\":", Percentile(values, 0.01), ",\"", name,
                      "_p99\":", Percentile(values, 0.99));
}

std::string Spread(const char* name, const std::vector<double>& values) {
  return absl::StrCat(",\"", name, "_p10\":", Percentile(values, 0.1), ",\"", name, "_median\":", Percentile(values, 0.5), ",\"",
                      name, "_p90\":", Percentile(values, 0.9));
}

void Print(const std::string& fields) {
  std::printf("{%s}\n", fields.c_str());
  std::fflush(stdout);
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

uint64_t ResidentBytes() {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * 4096;
}

// --- Load (V-B) ---

std::vector<double> KeysPerNode(size_t nodes, size_t keys, int v, base::Rng& rng) {
  const overlay::Network network;
  std::vector<std::pair<NodeId, size_t>> points;
  for (size_t node = 0; node < nodes; ++node) {
    const keys::PublicKey key{rng.Array<32>()};
    for (int i = 0; i < v; ++i) points.emplace_back(overlay::PointOf(network, key, {}, static_cast<uint8_t>(i)), node);
  }
  std::sort(points.begin(), points.end());
  std::vector<double> load(nodes, 0);
  for (size_t key = 0; key < keys; ++key) {
    const auto owner = std::lower_bound(points.begin(), points.end(), std::pair(NodeId::Random(rng), size_t{0}));
    ++load[(owner == points.end() ? points.front() : *owner).second];
  }
  return load;
}

void Load(size_t nodes, size_t keys, uint64_t seed) {
  support::SeededRng rng(seed);
  for (const int v : {1, 2, 5, 10, 20}) {
    const std::vector<double> load = KeysPerNode(nodes, keys, v, rng);
    const double mean = Mean(load), empty = static_cast<double>(std::count(load.begin(), load.end(), 0.0));
    Print(absl::StrCat("\"v\":", v, ",\"p1\":", Percentile(load, 0.01) / mean, ",\"p99\":", Percentile(load, 0.99) / mean,
                       ",\"max\":", *std::max_element(load.begin(), load.end()) / mean,
                       ",\"empty\":", empty / static_cast<double>(nodes)));
  }
}

// --- Path length (V-C) ---

overlay::Ring::Options StillOptions(int successor_count) {
  overlay::Ring::Options options;
  options.successor_count = successor_count;
  options.prepares = false;
  return options;
}

template <class Look>
void PrintHops(const char* kind, int exponent, size_t lookups, base::Rng& rng, size_t size, const std::string& more, Look look) {
  std::vector<double> hops, share(32, 0);
  size_t wrong = 0;
  for (size_t i = 0; i < lookups; ++i) {
    const sim::StillLookup lookup = look(rng.Below(size), NodeId::Random(rng));
    wrong += lookup.right ? 0 : 1;
    hops.push_back(lookup.hops);
    share[static_cast<size_t>(std::min(lookup.hops, 31))] += 1 / static_cast<double>(lookups);
  }
  std::string pdf;
  for (size_t h = 0; h < 16; ++h) absl::StrAppend(&pdf, h == 0 ? "" : ",", share[h]);
  Print(absl::StrCat("\"kind\":\"", kind, "\",\"exponent\":", exponent, ",\"lookups\":", lookups, ",\"wrong\":", wrong, ",",
                     Summary("hops", hops), ",\"pdf\":[", pdf, "]", more));
}

void PlainPath(int exponent, size_t per_node, uint64_t seed) {
  support::SeededRng rng(seed);
  const size_t size = size_t{1} << exponent;
  overlay::Ring::Options options = StillOptions(1);
  options.learned_bytes = 0;
  sim::StillRing ring(size, options, rng);
  PrintHops("plain", exponent, per_node * size, rng, size, "",
            [&](size_t from, const NodeId& point) { return ring.LookupPlain(from, point); });
}

void WholePath(int exponent, size_t per_node, uint64_t seed) {
  support::SeededRng rng(seed);
  const size_t size = size_t{1} << exponent;
  sim::StillRing ring(size, StillOptions(8), rng);
  size_t bytes = 0, peers = 0;
  for (size_t i = 0; i < size; ++i) {
    const overlay::LearnedPeers& learned = ring.ring(i).learned();
    bytes += learned.bytes();
    peers += static_cast<size_t>(
        std::count_if(learned.slots().begin(), learned.slots().end(), [](const auto& slot) { return slot.peer; }));
  }
  const std::string more = absl::StrCat(",\"learned_bytes\":", bytes / size, ",\"learned_peers\":", peers / size);
  PrintHops("whole", exponent, per_node * size, rng, size, more,
            [&](size_t from, const NodeId& point) { return ring.Lookup(from, point, /*learn=*/true); });
}

// --- Stretch (V-F) ---

// `path(asker, delays)` is whom a lookup asks.
template <class Path>
void PrintStretch(int s, size_t nodes, size_t lookups, base::Rng& rng, Path path) {
  for (const sim::Delays::Model model : {sim::Delays::Model::kSpace, sim::Delays::Model::kTransitStub}) {
    const sim::Delays delays(model, nodes, rng);
    std::vector<double> iterative, recursive, hops;
    while (iterative.size() < lookups) {
      const size_t asker = rng.Below(nodes);
      const std::vector<size_t> asked = path(asker, delays);
      if (asked.empty() || asked.back() == asker) continue;
      const sim::Stretch stretch = sim::PathStretch(asker, asked, delays);
      iterative.push_back(stretch.iterative);
      recursive.push_back(stretch.recursive);
      hops.push_back(static_cast<double>(asked.size()) - 1);
    }
    Print(absl::StrCat("\"s\":", s, ",\"nodes\":", nodes, ",\"model\":\"",
                       model == sim::Delays::Model::kSpace ? "space" : "transit-stub", "\",\"lookups\":", lookups,
                       ",\"hops_mean\":", Mean(hops), Spread("iterative", iterative), Spread("recursive", recursive)));
  }
}

void PaperStretch(int exponent, size_t lookups, uint64_t seed) {
  support::SeededRng rng(seed);
  const sim::FingerModel model(size_t{1} << exponent, rng);
  for (const int s : {1, 2, 4, 8, 16}) {
    PrintStretch(s, model.size(), lookups, rng,
                 [&](size_t asker, const sim::Delays& delays) { return model.Path(asker, s, delays, rng); });
  }
}

void OwnStretch(int exponent, size_t lookups, uint64_t seed) {
  support::SeededRng rng(seed);
  sim::StillRing ring(size_t{1} << exponent, StillOptions(8), rng);
  PrintStretch(0, ring.size(), lookups, rng,
               [&](size_t asker, const sim::Delays&) { return ring.Lookup(asker, NodeId::Random(rng), /*learn=*/true).path; });
}

// --- Simultaneous failures (V-D) ---

void Failures(int successor_count, size_t lookups, uint64_t seed) {
  constexpr size_t kSize = 1000;
  support::SeededRng rng(seed);
  for (const int tenths : {0, 1, 2, 3, 4, 5}) {
    std::vector<double> hops, timeouts, with_owner;
    size_t failed = 0;
    constexpr size_t kRings = 10;  // which nodes die matters more than which keys are asked for
    for (size_t trial = 0; trial < kRings; ++trial) {
      sim::StillRing ring(kSize, StillOptions(successor_count), rng);
      std::vector<size_t> order(kSize);
      std::iota(order.begin(), order.end(), size_t{0});
      base::Shuffle(order, rng);
      const size_t dead = kSize / 10 * static_cast<size_t>(tenths);
      for (size_t i = 0; i < dead; ++i) ring.Kill(order[i]);
      for (size_t i = 0; i < lookups / kRings; ++i) {
        const sim::StillLookup lookup = ring.Lookup(order[dead + rng.Below(kSize - dead)], NodeId::Random(rng));
        failed += lookup.right ? 0 : 1;
        hops.push_back(lookup.hops);
        timeouts.push_back(lookup.timeouts);
        with_owner.push_back(lookup.timeouts + lookup.owner_timeouts);
      }
    }
    Print(absl::StrCat("\"r\":", successor_count, ",\"dead\":", tenths / 10.0, ",\"lookups\":", hops.size(),
                       ",\"failed\":", failed, ",", Summary("hops", hops), ",", Summary("timeouts", timeouts), ",",
                       Summary("with_owner", with_owner)));
  }
}

// --- Under churn ---

void PrintChurn(const std::string& head, const sim::ChurnWorld& world, const sim::ChurnCounts& counts) {
  Print(absl::StrCat(head, ",\"lookups\":", counts.lookups, ",\"right\":", counts.right,
                     ",\"right_at_once\":", counts.right_at_once, ",\"wrong\":", counts.wrong, ",\"failed\":", counts.failed, ",",
                     Summary("hops", counts.hops), ",", Summary("timeouts", counts.timeouts), ",\"joins\":", counts.joins,
                     ",\"departures\":", counts.departures, ",\"members\":", world.members(), ",\"events\":", counts.events));
}

// Table III. A finger a round as well; nothing is looked at more often than in a round.
void Stabilizing(double rate, double seconds, uint64_t seed) {
  sim::ChurnOptions options;
  options.seed = seed;
  options.ring.successor_count = 20;
  options.ring.stabilize_min = options.ring.stabilize_max = options.ring.check_min = absl::Seconds(30);
  options.ring.call_timeout = absl::Milliseconds(500);
  options.joins_per_s = options.departures_per_s = rate;
  options.leave_share = 1;
  options.lookups_per_s = 1;
  sim::ChurnWorld world(options);
  world.RunFor(absl::Minutes(10));
  world.TakeCounts();
  world.RunFor(absl::Seconds(seconds));
  PrintChurn(absl::StrCat("\"rate\":", rate), world, world.TakeCounts());
}

void HalfLife(double minutes, double seconds, uint64_t seed) {
  sim::ChurnOptions options;
  options.seed = seed;
  options.joins_per_s = options.departures_per_s = static_cast<double>(options.nodes) * std::log(2) / (60 * minutes);
  options.lookups_per_s = 20;
  sim::ChurnWorld world(options);
  world.RunFor(absl::Minutes(minutes) / 2);
  world.TakeCounts();
  world.RunFor(absl::Seconds(seconds));
  PrintChurn(absl::StrCat("\"minutes\":", minutes), world, world.TakeCounts());
}

// Time of a lookup over a message to the owner and back, at the start and after each quarter of that time at rest: learned peers
// give way to nearer ones as upkeep meets them.
void Nearness(size_t nodes, double minutes, uint64_t seed) {
  for (const sim::Delays::Model model : {sim::Delays::Model::kSpace, sim::Delays::Model::kTransitStub}) {
    sim::ChurnOptions options;
    options.seed = seed;
    options.nodes = nodes;
    options.delays = model;
    options.lookups_per_s = 100;
    sim::ChurnWorld world(options);
    for (int quarter = 0; quarter <= 4; ++quarter) {
      if (quarter > 0) world.RunFor(absl::Minutes(minutes / 4));
      world.TakeCounts();
      world.RunFor(absl::Seconds(20));
      const sim::ChurnCounts counts = world.TakeCounts();
      Print(absl::StrCat("\"model\":\"", model == sim::Delays::Model::kSpace ? "space" : "transit-stub", "\",\"nodes\":", nodes,
                         ",\"minutes\":", minutes * quarter / 4, ",\"lookups\":", counts.lookups, ",\"right\":", counts.right,
                         ",\"hops_mean\":", Mean(counts.hops), Spread("stretch", counts.stretch)));
    }
  }
}

// After half an hour in which the intervals and the span of trust grow.
void Rest(size_t nodes, double seconds, uint64_t seed) {
  for (const bool learns : {false, true}) {
    sim::ChurnOptions options;
    options.seed = seed;
    options.nodes = nodes;
    options.count_bytes = true;
    if (!learns) options.ring.learned_bytes = 0;
    sim::ChurnWorld world(options);
    world.RunFor(absl::Minutes(30));
    world.TakeCounts();
    world.RunFor(absl::Seconds(seconds));
    const sim::ChurnCounts counts = world.TakeCounts();
    const double node_seconds = seconds * static_cast<double>(nodes);
    Print(absl::StrCat("\"nodes\":", nodes, ",\"learns\":", learns,
                       ",\"calls_per_node_s\":", static_cast<double>(counts.calls) / node_seconds,
                       ",\"bytes_per_node_s\":", static_cast<double>(counts.bytes) / node_seconds));
  }
}

void Largest(size_t nodes, double seconds, uint64_t seed) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t before = ResidentBytes();
  sim::ChurnOptions options;
  options.seed = seed;
  options.nodes = nodes;
  options.joins_per_s = options.departures_per_s = static_cast<double>(nodes) * std::log(2) / 3600;  // half-life of an hour
  options.lookups_per_s = 1000;
  sim::ChurnWorld world(options);
  const double built = SecondsSince(start);
  world.RunFor(absl::Seconds(seconds));
  const double ran = SecondsSince(start) - built;
  const sim::ChurnCounts counts = world.TakeCounts();
  PrintChurn(absl::StrCat("\"nodes\":", nodes, ",\"bytes_per_node\":", (ResidentBytes() - before) / nodes, ",\"built_s\":", built,
                          ",\"ran_s\":", ran, ",\"virtual_s\":", seconds, ",\"events_per_s\":",
                          static_cast<double>(counts.events) / ran, ",\"right_successors\":", world.RightSuccessors()),
             world, counts);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: chord_experiments EXPERIMENT SIZE COUNT SEED (see the head of the source)\n");
    return 2;
  }
  const std::string name = argv[1];
  const double size = Number(argv[2]), count = Number(argv[3]);
  const auto seed = static_cast<uint64_t>(Number(argv[4]));
  if (name == "load") {
    Load(static_cast<size_t>(size), static_cast<size_t>(count), seed);
  } else if (name == "plain") {
    PlainPath(static_cast<int>(size), static_cast<size_t>(count), seed);
  } else if (name == "path") {
    WholePath(static_cast<int>(size), static_cast<size_t>(count), seed);
  } else if (name == "stretch") {
    PaperStretch(static_cast<int>(size), static_cast<size_t>(count), seed);
  } else if (name == "ownstretch") {
    OwnStretch(static_cast<int>(size), static_cast<size_t>(count), seed);
  } else if (name == "failures") {
    Failures(static_cast<int>(size), static_cast<size_t>(count), seed);
  } else if (name == "stabilizing") {
    Stabilizing(size, count, seed);
  } else if (name == "halflife") {
    HalfLife(size, count, seed);
  } else if (name == "nearness") {
    Nearness(static_cast<size_t>(size), count, seed);
  } else if (name == "rest") {
    Rest(static_cast<size_t>(size), count, seed);
  } else if (name == "largest") {
    Largest(static_cast<size_t>(size), count, seed);
  } else {
    return 2;
  }
  return 0;
}
