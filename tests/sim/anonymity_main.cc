// SPDX-License-Identifier: Apache-2.0
// One ring with hostile members, some clients who fill their pools in it, and what that was worth. Prints one JSON object.
//
// usage: anonymity NODES HOSTILE_SHARE passive|lying|hiding|refusing GRIND SEED CLIENTS
//        anonymity reference SEED       a tiny ring and its exact entropies, for anonymity_reference.py
//        anonymity start SEED           how long a user waits (anonymity_start.h)
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "circuits/circuit_operations_driver.h"
#include "circuits/relay_record.h"
#include "keys/system_rng.h"
#include "tests/sim/anonymity_client.h"
#include "tests/sim/anonymity_entropy.h"
#include "tests/sim/anonymity_start.h"

namespace sim {
namespace {

using overlay::Peer;

constexpr int kGuardsTried = 16;      // of each client: a month each
constexpr int kCircuits = 100;        // of each guard
constexpr int kFingerCircuits = 3000;
constexpr int kRefusedGuards = 6;     // of each client and kind of refusal
constexpr int kRefusedCircuits = 1200;  // of each: 40 minutes of the clock at its fastest, 3.3 hours of `normal`
constexpr int kFirstRefused = 400;      // told apart: until then nobody knows much of who refuses

class Figures {
 public:
  void Set(const std::string& name, double value) { values_[name] = value; }
  void Print() const {
    std::printf("{");
    const char* comma = "";
    for (const auto& [name, value] : values_) {
      std::printf("%s\"%s\": %.6g", comma, name.c_str(), std::isfinite(value) ? value : -1);
      comma = ", ";
    }
    std::printf("}\n");
  }

 private:
  std::map<std::string, double> values_;
};

class Study {
 public:
  Study(const AnonymityWorld::Options& options, int clients) : options_(options), world_(options) {
    const auto& members = world_.ring().peers;
    for (size_t i = 0; i < members.size(); ++i) {
      number_[members[i].node_key] = static_cast<int>(i);
      hostile_.push_back(world_.IsHostile(members[i].node_key));
    }
    for (int i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<AnonymityClient>(world_, options.seed * 1000 + static_cast<uint64_t>(i) + 7));
      clients_.back()->Fill();
    }
  }

  void Run() {
    Pools();
    Circuits();
    if (options_.strategy == Strategy::kRefusing) Refusal();
    Senders();
    Lookups();
    Sampler();
    OwnFingers();
    Walks();
    figures_.Set("senders_bits", std::log2(world_.HonestCount()));
    figures_.Print();
  }

 private:
  bool IsHostile(const Peer& peer) const { return world_.IsHostile(peer.node_key); }
  int NumberOf(const Peer& peer) const {
    const auto found = number_.find(peer.node_key);
    return found == number_.end() ? -1 : found->second;  // dead meanwhile
  }
  PoolModel Model() const {
    return {.members = static_cast<int>(hostile_.size()),
            .honest = static_cast<int>(world_.HonestCount()),
            .pool_size = static_cast<int>(std::min(circuits::kPoolSize, hostile_.size() - 1)),
            .is_hostile = [this](int member) { return hostile_[static_cast<size_t>(member)]; }};
  }

  void Pools() {
    double pooled = 0, hostile = 0, usable = 0;
    for (const auto& client : clients_) {
      pooled += static_cast<double>(client->pooled().size());
      for (const Peer& peer : client->pooled()) hostile += IsHostile(peer);
      usable += absl::ToDoubleMinutes(client->time_to_usable());
    }
    const double count = static_cast<double>(clients_.size());
    figures_.Set("pool_size", pooled / count);
    figures_.Set("hostile_share", hostile / pooled);
    figures_.Set("usable_after_minutes", usable / count);
  }

  void Circuits() {
    double circuits = 0, first = 0, both = 0, last = 0, end_to_end = 0, users = 0, touched = 0, clients = 0, touched_without_guard = 0;
    for (const auto& client : clients_) {
      for (int g = 0; g < kGuardsTried; ++g) {
        const auto guard = client->PickGuard();
        if (!guard) continue;
        int bad = 0, bad_without_guard = 0;
        for (int c = 0; c < kCircuits; ++c) {
          const auto circuit = client->PickCircuit(*guard);
          if (!circuit) continue;
          const auto other_guard = g == 0 ? client->PickGuard() : std::nullopt;
          ++circuits;
          const bool first_hostile = IsHostile(circuit->guard), last_hostile = IsHostile(circuit->last);
          const bool replica_hostile = world_.rng().Unit() < options_.hostile;
          both += first_hostile && last_hostile;
          first += first_hostile;
          last += last_hostile;
          end_to_end += first_hostile && (last_hostile || replica_hostile);
          bad += first_hostile && last_hostile;
          bad_without_guard += other_guard && IsHostile(*other_guard) && last_hostile;
        }
        ++users;
        touched += bad > 0;
        if (g > 0) continue;
        ++clients;
        touched_without_guard += bad_without_guard > 0;
      }
    }
    compromised_ = both / circuits;
    last_hostile_ = last / circuits;
    figures_.Set("compromised", compromised_);
    figures_.Set("last_hostile", last_hostile_);
    figures_.Set("guard_hostile", first / circuits);
    figures_.Set("guard_and_last_or_replica", end_to_end / circuits);
    figures_.Set("users_touched_100", touched / users);
    figures_.Set("users_touched_100_without_guards", touched_without_guard / clients);
  }

  // How hostile relays kill circuits that they cannot see both ends of. `zeal`: the chance that one behind an honest guard does. A hostile
  // guard kills as many as path bias lets it; `aims`: rather those over one part of the relays, so that these look bad.
  struct Refusing {
    double zeal = 1;
    bool aims = false;
    bool is_counted = true;  // else nobody keeps a record of guards and relays: for contrast
  };

  struct RefusalTotals {
    double standing = 0, both = 0, first_standing = 0, first_both = 0, dropped = 0, guards_used = 0, shunned_honest = 0;
  };

  RefusalTotals RefuseOnce(const Refusing& how) {
    RefusalTotals total;
    for (const auto& client : clients_) {
      for (int g = 0; g < kRefusedGuards; ++g) {
        circuits::GuardSet guards(world_.rng());
        circuits::RelayRecord record;
        int tried = 0, died = 0;
        keys::PublicKey at;
        for (int c = 0; c < kRefusedCircuits; ++c) {
          const absl::Time now = absl::FromUnixSeconds(1'795'000'000) + absl::Seconds(10) * c;
          const auto guard = guards.Choose(client->guard_choices(), {.never = {client->self().node_key}}, false, now, now);
          const circuits::NodeKeys refusing = record.Refusing(client->pooled(), now);
          const auto circuit = guard ? client->PickCircuit(*guard, refusing) : std::nullopt;
          if (!circuit) continue;
          if (guard->node_key != at) {
            at = guard->node_key;
            tried = died = 0;
            ++total.guards_used;
          }
          const bool first = IsHostile(circuit->guard), last = IsHostile(circuit->last), middle = IsHostile(circuit->middle);
          bool dies = first ? !last : middle || last;
          ++tried;
          if (first && dies && how.is_counted) {
            const bool spared = how.aims && circuit->middle.node_key.view()[0] % 4 != 0;
            dies = spared ? died + 1 <= (circuits::kBiasFailures - 0.1) * tried
                          : !circuits::IsBiased(std::max(tried, circuits::kBiasBuildsMin), died + 1);  // else it would lose its place
          } else if (dies && !first) {
            dies = world_.rng().Unit() < how.zeal;
          }
          died += dies;
          total.standing += !dies;
          total.both += !dies && first && last;
          total.first_standing += c < kFirstRefused && !dies;
          total.first_both += c < kFirstRefused && !dies && first && last;
          if (!how.is_counted) continue;
          const bool dropped = guards.OnCircuit(guard->node_key, !dies, now);
          total.dropped += dropped;
          record.OnCircuit(std::vector{circuit->middle.node_key, circuit->last.node_key}, !dies, now);
          if (dropped) record.Clear();
          for (const keys::PublicKey& relay : refusing) {
            total.shunned_honest += !world_.IsHostile(relay) / static_cast<double>(kRefusedCircuits);
          }
        }
      }
    }
    return total;
  }

  void Refusal() {
    const RefusalTotals uncounted = RefuseOnce({.is_counted = false});
    figures_.Set("compromised_of_standing_without_path_bias", uncounted.both / uncounted.standing);
    double worst = -1, worst_first = -1;
    for (const auto& [name, how] : {std::pair{"all", Refusing{}}, {"some", Refusing{.zeal = 0.6}}, {"aimed", Refusing{.aims = true}}}) {
      const RefusalTotals total = RefuseOnce(how);
      const double share = total.both / total.standing;
      worst = std::max(worst, share);
      worst_first = std::max(worst_first, total.first_both / total.first_standing);
      figures_.Set(std::string("compromised_of_standing_") + name, share);
      figures_.Set(std::string("honest_relays_shunned_") + name,
                   total.shunned_honest / (kRefusedGuards * static_cast<double>(clients_.size())));
      figures_.Set(std::string("guards_dropped_share_") + name, total.dropped / total.guards_used);
    }
    figures_.Set("compromised_of_standing", worst);
    figures_.Set("compromised_of_standing_first", worst_first);
  }

  absl::flat_hash_set<int> BetrayedOf(const AnonymityClient& client) const {
    absl::flat_hash_set<int> known;
    for (const keys::PublicKey& node_key : client.betrayed()) {
      const auto found = number_.find(node_key);
      if (found != number_.end()) known.insert(found->second);
    }
    return known;
  }

  // With a hostile guard the sender is named; the chance of that is the share of hostile guards. For the others it is what their kept
  // guard and all that was betrayed of their pools leave open.
  void Senders() {
    const PoolModel model = Model();
    std::vector<absl::flat_hash_set<int>> known;
    double betrayed = 0;
    for (const auto& client : clients_) {
      known.push_back(BetrayedOf(*client));
      betrayed += static_cast<double>(known.back().size());
    }
    double seen = 0, bits = 0, named = 0, bits_if_all = 0;
    std::vector<absl::flat_hash_set<int>> known_if_all = known;
    std::vector<std::optional<Peer>> guards;
    std::vector<bool> out;  // seen not to send: their guard is hostile and no circuit of theirs is this one
    for (const auto& client : clients_) {
      guards.push_back(client->KeptGuard());
      out.push_back(guards.back().has_value() && IsHostile(*guards.back()));
      if (out.back()) known_if_all[out.size() - 1].clear();
    }
    const std::vector<bool> nobody(out.size());
    for (size_t u = 0; u < clients_.size(); ++u) {
      const std::optional<Peer>& guard = guards[u];
      if (!guard || out[u] || NumberOf(*guard) < 0) continue;
      for (int c = 0; c < 200; ++c) {
        const auto circuit = clients_[u]->PickCircuit(*guard);
        if (!circuit || !IsHostile(circuit->last)) continue;
        const Observation view = {.guard = IsHostile(circuit->middle) ? NumberOf(*guard) : -1,
                                  .middle = NumberOf(circuit->middle),
                                  .last = NumberOf(circuit->last)};
        if (view.middle < 0 || view.last < 0) continue;
        ++seen;
        const double entropy = SenderEntropy(model, known, out, u, view);
        bits += entropy;
        named += entropy < 1;
        bits_if_all += SenderEntropy(model, known_if_all, nobody, u, view);
      }
    }
    const double guard_hostile = compromised_ / last_hostile_;  // given a hostile last hop
    const double entropy = (1 - guard_hostile) * bits / seen;
    figures_.Set("entropy_honest_guard", bits / seen);
    figures_.Set("entropy", entropy);
    // As if users with a hostile guard could be the sender of a circuit that their guard did not see.
    figures_.Set("entropy_nobody_excluded", (1 - guard_hostile) * bits_if_all / seen);
    figures_.Set("named", guard_hostile + (1 - guard_hostile) * named / seen);
    figures_.Set("leak", last_hostile_ * (std::log2(world_.HonestCount()) - entropy));
    figures_.Set("betrayed_relays", betrayed / static_cast<double>(clients_.size()));
  }

  // The clients stand for all honest members alike.
  double SenderEntropy(const PoolModel& model, const std::vector<absl::flat_hash_set<int>>& known, const std::vector<bool>& out, size_t u,
                       const Observation& seen) {
    const int sender = NumberOf(clients_[u]->self());
    std::vector<Weighted> posterior = {{PoolLikelihood(model, sender, known[u], seen), 1}};
    const double others = (world_.HonestCount() - 2) / static_cast<double>(known.size() - 1);  // neither the sender nor who is seen
    for (size_t v = 0; v < known.size(); ++v) {
      if (v != u && !out[v]) posterior.push_back({PoolLikelihood(model, -2, known[v], seen), others});
    }
    return Entropy(posterior);
  }

  void Lookups() {
    LookupTotals total;
    double kept = 0;
    for (const auto& client : clients_) {
      total += client->lookups();
      kept += static_cast<double>(client->pooled().size());
    }
    const double tries = static_cast<double>(total.tries), senders = std::log2(world_.HonestCount());
    const double guard_hostile = compromised_ / last_hostile_;
    const double certain = 1.0 / (1 + circuits::kDummiesPerLookup);
    const double rest = (1 - certain) / (world_.HonestCount() - 1);
    const double hidden = senders + certain * std::log2(certain) + (1 - certain) * std::log2(rest);
    const double watched = static_cast<double>(total.watched) / tries, exit = static_cast<double>(total.exit_watched) / tries;
    figures_.Set("right_lookups", static_cast<double>(total.right) / static_cast<double>(total.found));
    figures_.Set("lookups_found", static_cast<double>(total.found) / tries);
    figures_.Set("lookup_leak_initiator", guard_hostile * watched * hidden);
    figures_.Set("lookup_leak_initiator_without_dummies", guard_hostile * watched * senders);
    figures_.Set("lookup_leak_initiator_last_hop_alone", guard_hostile * exit * senders);
    const double pools = static_cast<double>(clients_.size());
    figures_.Set("removed_per_pool", static_cast<double>(total.removed) / pools);
    figures_.Set("removed_honest_per_pool", static_cast<double>(total.removed_honest) / pools);
    figures_.Set("tables_per_lookup", static_cast<double>(total.fetches) / tries);
    figures_.Set("bytes_per_relay", static_cast<double>(total.bytes) / kept);
    figures_.Set("handshakes_per_relay", static_cast<double>(total.handshakes) / kept);
    figures_.Set("lookup_seconds", total.seconds / tries);
  }

  // The law of the sampler over the ring as it is: weights, their distance from uniform.
  void Sampler() {
    const size_t n = world_.ring().peers.size();
    const double gap = 1.0 / static_cast<double>(n);
    double total = 0, heaviest = 0, hostile = 0, hostile_by_arc = 0, bits = 0;
    std::vector<double> weights;
    for (size_t i = 0; i < n; ++i) {
      const double arc = world_.ring().ArcOf(i);
      weights.push_back(arc * circuits::AcceptChance(arc, gap));
      total += weights.back();
      heaviest = std::max(heaviest, weights.back());
      if (!hostile_[i]) continue;
      hostile += weights.back();
      hostile_by_arc += arc;
    }
    for (double weight : weights) bits += weight > 0 ? weight / total * std::log2(weight / total * static_cast<double>(n)) : 0;
    figures_.Set("heaviest_relay", heaviest / total * static_cast<double>(n));
    figures_.Set("sampler_hostile_share", hostile / total);
    figures_.Set("arc_sampler_hostile_share", hostile_by_arc);
    figures_.Set("sampler_bits_from_uniform", bits);
    figures_.Set("sampler_acceptance", total);
  }

  // The naive choice: three of one's own fingers, which everybody knows.
  void OwnFingers() {
    const size_t n = hostile_.size();
    std::vector<std::vector<int>> fingers(n), pointed_at_by(n);
    for (size_t i = 0; i < n; ++i) {
      for (const auto& finger : world_.ring().TableOf(i).fingers) {
        const int to = NumberOf(finger.peer);
        fingers[i].push_back(to);
        pointed_at_by[static_cast<size_t>(to)].push_back(static_cast<int>(i));
      }
    }
    const auto is_hostile = [&](int member) { return bool{hostile_[static_cast<size_t>(member)]}; };
    double circuits = 0, both = 0, seen = 0, bits = 0, named = 0;
    for (int c = 0; c < kFingerCircuits; ++c) {
      const int u = static_cast<int>(world_.rng().Below(n));
      std::vector<int> own = fingers[static_cast<size_t>(u)];
      if (is_hostile(u) || own.size() < 3) continue;
      base::Shuffle(own, world_.rng());
      ++circuits;
      both += is_hostile(own[0]) && is_hostile(own[2]);
      if (!is_hostile(own[2])) continue;
      ++seen;
      double entropy = 0;
      if (!is_hostile(own[0])) {
        const Observation view = {.guard = is_hostile(own[1]) ? own[0] : -1, .middle = own[1], .last = own[2]};
        std::vector<Weighted> posterior;
        for (int v : pointed_at_by[static_cast<size_t>(own[2])]) {
          if (!is_hostile(v)) posterior.push_back({FingerLikelihood(fingers[static_cast<size_t>(v)], is_hostile, v, view), 1});
        }
        entropy = Entropy(posterior);
      }
      bits += entropy;
      named += entropy < 1;
    }
    if (circuits == 0 || seen == 0) return;
    figures_.Set("own_fingers_compromised", both / circuits);
    figures_.Set("own_fingers_entropy", bits / seen);
    figures_.Set("own_fingers_named", named / seen);
  }

  void Walks() {
    for (const bool checked : {false, true}) {
      double walks = 0, both = 0, last = 0;
      for (const auto& client : clients_) {
        for (int i = 0; i < 60; ++i) {
          const auto walk = client->Walk(checked);
          if (!walk) continue;
          ++walks;
          both += IsHostile(walk->guard) && IsHostile(walk->last);
          last += IsHostile(walk->last);
        }
      }
      const std::string name = checked ? "bounded_walk" : "unchecked_walk";
      figures_.Set(name + "_compromised", both / walks);
      figures_.Set(name + "_last_hostile", last / walks);
    }
  }

  const AnonymityWorld::Options options_;
  AnonymityWorld world_;
  absl::flat_hash_map<keys::PublicKey, int> number_;
  std::vector<bool> hostile_;
  std::vector<std::unique_ptr<AnonymityClient>> clients_;
  Figures figures_;
  double compromised_ = 0, last_hostile_ = 0;
};

// A ring so small that everything can be counted: eleven members, three hostile, pools of five, of which some is betrayed.
int Reference(uint64_t seed) {
  constexpr int kMembers = 11, kHostile = 3, kPool = 5;
  support::SeededRng rng(seed);
  const support::DrawnRing ring(kMembers, rng);
  std::vector<int> order(kMembers);
  for (int i = 0; i < kMembers; ++i) order[static_cast<size_t>(i)] = i;
  base::Shuffle(order, rng);
  std::vector<bool> hostile(kMembers);
  for (int i = 0; i < kHostile; ++i) hostile[static_cast<size_t>(order[static_cast<size_t>(i)])] = true;
  const auto is_hostile = [&](int member) { return bool{hostile[static_cast<size_t>(member)]}; };
  std::vector<absl::flat_hash_set<int>> known(kMembers);
  std::vector<std::vector<int>> fingers(kMembers);
  for (int u = 0; u < kMembers; ++u) {
    const auto at = static_cast<size_t>(u);
    for (uint64_t left = rng.Below(3); left > 0;) {
      const int relay = static_cast<int>(rng.Below(kMembers));
      if (relay != u && known[at].insert(relay).second) --left;
    }
    // With so few members the successors stand for fingers; every third is left out.
    for (int k = 1; k < kMembers; ++k) {
      if (k % 3 != 0) fingers[at].push_back((u + k) % kMembers);
    }
  }
  const PoolModel model = {.members = kMembers, .honest = kMembers - kHostile, .pool_size = kPool, .is_hostile = is_hostile};
  // Mean over sender and circuit, given a hostile last hop.
  const auto mean_entropy = [&](const std::function<double(int, const Observation&)>& likelihood) {
    double bits = 0, weight = 0;
    const auto observe = [&](const Observation& view, bool first_hostile, double certain_weight) {
      if (first_hostile) {
        weight += certain_weight;
        return;
      }
      std::vector<Weighted> posterior;
      double sum = 0;
      for (int v = 0; v < kMembers; ++v) {
        if (is_hostile(v)) continue;
        posterior.push_back({likelihood(v, view), 1});
        sum += posterior.back().weight;
      }
      weight += sum;
      bits += sum * Entropy(posterior);
    };
    for (int m = 0; m < kMembers; ++m) {
      for (int l = 0; l < kMembers; ++l) {
        if (m == l || !is_hostile(l)) continue;
        for (int g = 0; g < kMembers; ++g) {
          if (g == m || g == l) continue;
          if (is_hostile(g)) {
            // As if the guard had been seen: the sum over senders is all that counts, for each of them is certain.
            double sum = 0;
            for (int v = 0; v < kMembers; ++v) {
              if (!is_hostile(v)) sum += likelihood(v, {.guard = g, .middle = m, .last = l});
            }
            observe({}, /*first_hostile=*/true, sum);
          } else if (is_hostile(m)) {
            observe({.guard = g, .middle = m, .last = l}, false, 0);
          }
        }
        if (!is_hostile(m)) observe({.guard = -1, .middle = m, .last = l}, false, 0);
      }
    }
    return bits / weight;
  };
  const double pool_bits = mean_entropy(
      [&](int v, const Observation& view) { return PoolLikelihood(model, v, known[static_cast<size_t>(v)], view); });
  const double finger_bits = mean_entropy(
      [&](int v, const Observation& view) { return FingerLikelihood(fingers[static_cast<size_t>(v)], is_hostile, v, view); });
  std::printf("{\"members\": %d, \"pool\": %d, \"hostile\": [", kMembers, kPool);
  const auto list = [](const auto& numbers) {
    const char* comma = "";
    for (int number : numbers) {
      std::printf("%s%d", comma, number);
      comma = ", ";
    }
  };
  std::vector<int> bad;
  for (int i = 0; i < kMembers; ++i) {
    if (is_hostile(i)) bad.push_back(i);
  }
  list(bad);
  std::printf("], \"known\": [");
  for (int u = 0; u < kMembers; ++u) {
    std::printf(u == 0 ? "[" : ", [");
    list(known[static_cast<size_t>(u)]);
    std::printf("]");
  }
  std::printf("], \"fingers\": [");
  for (int u = 0; u < kMembers; ++u) {
    std::printf(u == 0 ? "[" : ", [");
    list(fingers[static_cast<size_t>(u)]);
    std::printf("]");
  }
  std::printf("], \"pool_bits\": %.6f, \"finger_bits\": %.6f}\n", pool_bits, finger_bits);
  return 0;
}

int Main(int argc, char** argv) {
  keys::InitCrypto();
  if (argc == 3 && std::string(argv[1]) == "reference") return Reference(std::strtoull(argv[2], nullptr, 10));
  if (argc == 3 && std::string(argv[1]) == "start") return PrintStartTimes(std::strtoull(argv[2], nullptr, 10));
  if (argc != 7) {
    std::fprintf(stderr, "usage: anonymity NODES HOSTILE_SHARE passive|lying|hiding|refusing GRIND SEED CLIENTS\n");
    return 2;
  }
  const std::string strategy = argv[3];
  const AnonymityWorld::Options options = {
      .nodes = std::strtoull(argv[1], nullptr, 10),
      .hostile = std::atof(argv[2]),
      .strategy = strategy == "passive"  ? Strategy::kPassive
                  : strategy == "lying"  ? Strategy::kLying
                  : strategy == "hiding" ? Strategy::kHiding
                                         : Strategy::kRefusing,
      .grind = std::atoi(argv[4]),
      .seed = std::strtoull(argv[5], nullptr, 10)};
  Study(options, std::atoi(argv[6])).Run();
  return 0;
}

}  // namespace
}  // namespace sim

int main(int argc, char** argv) { return sim::Main(argc, argv); }
