// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/anonymity_client.h"

#include "circuits/peer_book.h"
#include "overlay/address_prefix.h"

namespace sim {
namespace {

using circuits::HopRules;
using overlay::Peer;
using overlay::RoutingTable;

constexpr double kHopSeconds = 0.05;   // one way
constexpr int kDrawsMax = 1200;        // of a pool of 64; 500 are usual
constexpr size_t kStretches = 24;      // unrelated tables before lookups count
constexpr int kExplored = 100;         // walks at most until then: a small ring has fewer
constexpr int kWalkTries = 20;
constexpr int kCellBytes = 2048, kPartBytes = 1998, kPeerBytes = 56;

HopRules RulesAfter(const std::vector<Peer>& hops, const Peer& self) {
  HopRules rules{.never = {self.node_key}, .shun = {}, .distinct_prefixes = true, .prefixes = {}};
  for (const Peer& hop : hops) {
    rules.never.insert(hop.node_key);
    rules.prefixes.insert(overlay::PrefixOf(hop.address));
  }
  return rules;
}

}  // namespace

LookupTotals& LookupTotals::operator+=(const LookupTotals& other) {
  tries += other.tries;
  found += other.found;
  right += other.right;
  watched += other.watched;
  exit_watched += other.exit_watched;
  fetches += other.fetches;
  bytes += other.bytes;
  handshakes += other.handshakes;
  seconds += other.seconds;
  removed += other.removed;
  removed_honest += other.removed_honest;
  return *this;
}

AnonymityClient::AnonymityClient(AnonymityWorld& world, uint64_t seed)
    : world_(world), rng_(seed), now_(absl::FromUnixSeconds(1'795'000'000)), pool_(rng_, /*distinct_prefixes=*/true), guards_(rng_) {
  const auto& members = world_.ring().peers;
  do {
    self_ = members[rng_.Below(members.size())];
  } while (world_.IsHostile(self_.node_key));
  while (seeds_.size() < 3) {
    const Peer& seed_peer = members[rng_.Below(members.size())];
    if (Fetch(seed_peer.node_key) != nullptr) seeds_.push_back(seed_peer);
  }
}

const RoutingTable* AnonymityClient::Fetch(const keys::PublicKey& node_key) { return world_.TableOf(node_key, now_); }

const RoutingTable* AnonymityClient::FetchChecked(const keys::PublicKey& node_key) {
  const RoutingTable* table = Fetch(node_key);
  if (table == nullptr) return nullptr;
  const std::optional<double> gap = density_.MeanGap(now_);
  density_.Add(*table, now_);
  if (!gap.has_value() || circuits::CheckTable(*table, *gap).ok()) return table;
  distrusted_[node_key] = now_ + circuits::kDistrustFor;
  const bool pooled = pool_.Contains(node_key);
  lookups_.removed += pooled;
  lookups_.removed_honest += pooled && !world_.IsHostile(node_key);
  pool_.Remove(node_key);
  FollowPool();
  return nullptr;
}

void AnonymityClient::FollowPool() {
  std::erase_if(pooled_, [&](const Peer& peer) { return !pool_.Contains(peer.node_key); });
  absl::erase_if(betrayed_, [&](const keys::PublicKey& node_key) { return !pool_.Contains(node_key); });
}

circuits::NodeKeys AnonymityClient::Distrusted() const {
  circuits::NodeKeys liars;
  for (const auto& [node_key, until] : distrusted_) {
    if (until > now_) liars.insert(node_key);
  }
  return liars;
}

// Tables of members met on walks: what the density comes from.
void AnonymityClient::Explore() {
  for (int i = 0; i < kExplored && density_.size() < kStretches; ++i) {
    const RoutingTable* at = Fetch(seeds_[static_cast<size_t>(i) % seeds_.size()].node_key);
    for (int hop = 0; hop < 8 && at != nullptr; ++hop) {
      density_.Add(*at, now_);
      const std::optional<Peer> next = circuits::ChooseHop(*at, {}, rng_);
      at = next.has_value() ? Fetch(next->node_key) : nullptr;
    }
  }
}

std::optional<SimCircuit> AnonymityClient::Walk(bool checked) {
  const std::optional<double> gap = density_.MeanGap(now_);
  for (int i = 0; i < kWalkTries; ++i) {
    std::vector<Peer> hops;
    const RoutingTable* at = Fetch(seeds_[rng_.Below(seeds_.size())].node_key);
    while (at != nullptr && hops.size() < 3) {
      if (checked && gap.has_value() && !circuits::CheckTable(*at, *gap).ok()) break;
      const std::optional<Peer> next = circuits::ChooseHop(*at, RulesAfter(hops, self_), rng_);
      if (!next.has_value()) break;
      at = Fetch(next->node_key);
      if (at != nullptr) hops.push_back(*next);
    }
    if (hops.size() == 3) return SimCircuit{hops[0], hops[1], hops[2]};
  }
  return std::nullopt;
}

std::optional<Peer> AnonymityClient::PickGuard() {
  circuits::GuardSet guards(rng_);
  return guards.Choose(first_pooled_, RulesAfter({}, self_), /*provisional=*/false, now_, now_);
}

std::optional<Peer> AnonymityClient::KeptGuard() { return guards_.Choose(pooled_, RulesAfter({}, self_), false, now_, now_); }

std::optional<SimCircuit> AnonymityClient::PickCircuit(const Peer& guard, circuits::NodeKeys shunned) {
  shunned.merge(Distrusted());
  HopRules rules = RulesAfter({guard}, self_);
  rules.shun = shunned;
  const std::optional<Peer> middle = circuits::ChooseHop(pooled_, rules, rng_);
  if (!middle.has_value()) return std::nullopt;
  rules = RulesAfter({guard, *middle}, self_);
  rules.shun = std::move(shunned);
  const std::optional<Peer> last = circuits::ChooseHop(pooled_, rules, rng_);
  if (!last.has_value()) return std::nullopt;
  return SimCircuit{guard, *middle, *last};
}

void AnonymityClient::Fill() {
  Explore();
  const absl::Time began = now_;
  int draws = 0;
  while (pool_.relays().size() < circuits::kPoolSize && draws < kDrawsMax) {
    for (const circuits::RelayPool::Draw& draw : pool_.OnTick(now_)) {
      ++draws;
      Resolve(draw);
    }
    now_ = std::max(now_, pool_.NextTick());
    if (pool_.IsUsable()) {
      if (usable_after_ == absl::InfiniteDuration()) usable_after_ = now_ - began;
      guards_.DropProvisional();
    }
  }
}

// One try of a draw, over a circuit of its own.
void AnonymityClient::Resolve(const circuits::RelayPool::Draw& draw) {
  const std::optional<double> gap = density_.MeanGap(now_);
  if (!gap.has_value()) return pool_.OnUnfit(draw.id);
  circuits::PointLookup lookup({.point = draw.point, .mean_gap = *gap}, rng_);
  if (!Try(lookup, draw)) pool_.OnFailed(draw.id, now_);
}

bool AnonymityClient::Try(circuits::PointLookup& lookup, const circuits::RelayPool::Draw& draw) {
  const bool pooled = pool_.IsUsable();
  std::optional<SimCircuit> circuit = pooled ? std::nullopt : Walk(/*checked=*/true);
  const std::vector<Peer> guard_choices = pooled ? pooled_ : circuit ? std::vector<Peer>{circuit->guard} : std::vector<Peer>{};
  HopRules guard_rules = RulesAfter({}, self_);
  guard_rules.shun = Distrusted();
  const std::optional<Peer> guard = guards_.Choose(guard_choices, guard_rules, !pooled, now_, now_);
  if (!guard.has_value()) return false;
  if (pooled) {
    circuit = PickCircuit(*guard);
  } else if (circuit) {
    circuit->guard = *guard;  // the first walk's stays
  }
  if (!circuit.has_value()) return false;
  lookup.Restart({self_.node_key, circuit->guard.node_key, circuit->middle.node_key, circuit->last.node_key});
  const RoutingTable* start = FetchChecked(circuit->last.node_key);
  if (start == nullptr) return false;
  lookup.Learn(*start);
  const bool exit_hostile = world_.IsHostile(circuit->last.node_key);
  const bool guard_hostile = world_.IsHostile(circuit->guard.node_key);
  const Peer& truth = world_.ring().peers[world_.ring().SuccessorOf(draw.point)];
  bool watched = exit_hostile;
  circuits::PointStep step = lookup.Next();
  while (const auto* fetch = std::get_if<circuits::FetchTable>(&step)) {
    watched |= world_.IsHostile(fetch->peer.node_key);
    const RoutingTable* table = world_.AnswersOver(exit_hostile, truth.node_key) ? FetchChecked(fetch->peer.node_key) : nullptr;
    if (table != nullptr) {
      lookup.OnTable(*table);
    } else {
      lookup.OnNoTable();
    }
    step = lookup.Next();
  }
  Count(lookup.fetches(), watched, exit_hostile);
  const auto* found = std::get_if<circuits::PointFound>(&step);
  if (found == nullptr) return false;
  ++lookups_.found;
  lookups_.right += found->table.owner.node_key == truth.node_key;
  const Peer& relay = found->table.owner;
  overlay::Descriptor descriptor;
  descriptor.node_key = relay.node_key;
  descriptor.address = relay.address;
  descriptor.expires = absl::InfiniteFuture();
  const bool is_new = !pool_.Contains(relay.node_key);
  if (pool_.OnFound(draw.id, found->arc, *density_.MeanGap(now_), descriptor, /*provisional=*/!pooled, now_)) {
    if (is_new) pooled_.push_back(relay);
    if (guard_hostile && (watched || world_.IsHostile(relay.node_key))) betrayed_.insert(relay.node_key);
    FollowPool();
    if (pool_.IsUsable() && first_pooled_.empty()) first_pooled_ = pooled_;
  }
  return true;
}

// An extend is a cell each way over four hops and a handshake; a table two or three cells back.
void AnonymityClient::Count(int fetched, bool watched, bool exit_watched) {
  const int table_cells = (42 * kPeerBytes + 200 + kPartBytes - 1) / kPartBytes;
  ++lookups_.tries;
  lookups_.watched += watched;
  lookups_.exit_watched += exit_watched;
  lookups_.fetches += static_cast<uint64_t>(fetched);
  lookups_.handshakes += static_cast<uint64_t>(fetched) + 3;
  // Extends and descriptor question 2 cells each way, table question 1; the circuit itself 3 extends.
  lookups_.bytes += static_cast<uint64_t>((fetched * (2 + 2 + 1 + table_cells) + 6) * kCellBytes);
  lookups_.seconds += kHopSeconds * (2 * (1 + 2 + 3) + fetched * (8 + 8 + 8));
}

}  // namespace sim
