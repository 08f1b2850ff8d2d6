// SPDX-License-Identifier: Apache-2.0
// One ring under churn, within the failure assumption: crashes, joins and returns under old keys, the invariant checked at every
// change of every member. Prints one JSON object; exits 1 at the first violation.
//
// usage: ring_churn SEED NODES EVENTS PAUSE_MS      EVENTS churn events, PAUSE_MS apart on average
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/sim/fast_checker.h"
#include "tests/sim/world.h"

namespace sim {
namespace {

constexpr int kListLength = 8;
constexpr uint64_t kWholeCheckEvery = 5000;  // changes between two runs of the snapshot checker

class Campaign {
 public:
  Campaign(uint64_t seed, size_t nodes) : nodes_(nodes), world_(OptionsOf(seed)), checker_(AddAll(), kListLength) {}

  int Run(uint64_t events, absl::Duration pause) {
    Grow();
    Watch();
    for (uint64_t i = 0; i < events && broken_.empty(); ++i) {
      world_.RunFor(pause * 2 * world_.rng().Unit());
      Churn();
    }
    world_.on_view = nullptr;
    if (broken_.empty() && !world_.RunUntilIdeal(absl::Minutes(10), absl::Seconds(1))) broken_ = "does not become ideal";
    std::printf(
        "{\"churn_events\": %llu, \"refused\": %llu, \"changes_checked\": %llu, \"whole_checks\": %llu, \"violations\": %d, "
        "\"simulated_events\": %llu, \"cpu_seconds\": %.1f}\n",
        Number(churned_), Number(refused_), Number(changes_), Number(whole_), broken_.empty() ? 0 : 1, Number(world_.events()),
        static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
    if (broken_.empty()) return 0;
    std::fprintf(stderr, "%s\n%s\n", broken_.c_str(), world_.Dump().c_str());
    return 1;
  }

 private:
  static unsigned long long Number(uint64_t number) { return number; }

  static World::Options OptionsOf(uint64_t seed) {
    World::Options options;
    options.seed = seed;
    options.ring.successor_count = kListLength;
    options.watch_steps = true;
    options.trace_max = 0;
    return options;
  }

  // Twice as many as run at a time: who is dead comes back some day.
  std::vector<overlay::NodeId> AddAll() {
    std::vector<overlay::NodeId> points;
    for (size_t i = 0; i < 2 * nodes_; ++i) points.push_back(world_.nodes()[world_.Add()].peer.point);
    return points;
  }

  void Grow() {
    world_.StartAlone(0);
    for (size_t i = 1; i < nodes_; ++i) {
      world_.StartJoin(i, {world_.rng().Below(i)});
      world_.RunFor(absl::Milliseconds(i < 20 ? 2000 : 20));
    }
    CHECK(world_.RunUntilIdeal(absl::Minutes(10), absl::Seconds(1)));
    for (size_t i = 0; i < world_.nodes().size(); ++i) (world_.ring(i) != nullptr ? live_ : dead_).push_back(i);
  }

  void Watch() {
    for (const size_t node : live_) checker_.Set(world_.nodes()[node].peer.point, &*world_.nodes()[node].view, /*died=*/false);
    world_.on_view = [this](size_t node) { Check(world_.nodes()[node]); };
  }

  void Check(const World::Node& node) {
    if (!broken_.empty()) return;
    ++changes_;
    checker_.Set(node.peer.point, node.view ? &*node.view : nullptr, /*died=*/node.ring == nullptr);
    absl::Status status = checker_.Check(node.peer.point);
    if (status.ok() && changes_ % kWholeCheckEvery == 0) status = CheckWhole();
    if (!status.ok()) broken_ = absl::StrCat(status.message(), " after ", churned_, " churn events");
  }

  absl::Status CheckWhole() {
    ++whole_;
    const RingView view = world_.View();
    if (Principals(view).size() != checker_.principals()) return absl::InternalError("the two checkers count other principals");
    return CheckInvariant(view, kListLength + 1);
  }

  void Churn() {
    const bool join = live_.size() < nodes_ * 9 / 10 || (live_.size() < nodes_ * 11 / 10 && world_.rng().Below(2) == 0);
    std::vector<size_t>& from = join ? dead_ : live_;
    const size_t at = world_.rng().Below(from.size());
    const size_t node = from[at];
    if (!join && !checker_.MayFail(world_.nodes()[node].peer.point)) {
      ++refused_;
      return;
    }
    ++churned_;
    from[at] = from.back();
    from.pop_back();
    if (join) {
      world_.StartJoin(node, {live_[world_.rng().Below(live_.size())], live_[world_.rng().Below(live_.size())]});
    } else {
      world_.Crash(node);
    }
    (join ? live_ : dead_).push_back(node);
  }

  const size_t nodes_;
  World world_;
  FastChecker checker_;
  std::vector<size_t> live_, dead_;
  uint64_t churned_ = 0, refused_ = 0, changes_ = 0, whole_ = 0;
  std::string broken_;
};

}  // namespace
}  // namespace sim

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s SEED NODES EVENTS PAUSE_MS\n", argv[0]);
    return 2;
  }
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  return sim::Campaign(number(1), number(2)).Run(number(3), absl::Milliseconds(number(4)));
}
