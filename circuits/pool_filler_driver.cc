// SPDX-License-Identifier: Apache-2.0
#include "circuits/pool_filler_driver.h"

#include <algorithm>
#include <cmath>

#include "base/overloaded.h"

namespace circuits {

using keys::PublicKey;
using overlay::Descriptor;
using overlay::RoutingTable;

struct PoolFiller::Task {
  RelayPool::Draw draw;
  PointLookup lookup;
  bool exploring;  // the density is not known yet: what is found does not count
  double mean_gap;
  bool provisional = false;  // one of its circuits had a provisional guard
  uint64_t circuit = 0;
  int circuits = 0;
  std::optional<FetchTable> fetch;
  bool asked = false;  // its descriptor, of the circuit's end
};

template <class F>
auto PoolFiller::Guarded(F f) {
  return [f = std::move(f), alive = std::weak_ptr(alive_)](auto&&... args) mutable {
    if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
  };
}

PoolFiller::PoolFiller(const overlay::Network& network, std::optional<PublicKey> own_key, base::EventLoop& loop, OwnCircuits& own,
                       CircuitBuilder& builder, StartTables& start, RingView& view, PeerBook& book, RelayPool& pool,
                       base::Rng& rng)
    : network_(network),
      own_key_(own_key),
      loop_(loop),
      own_(own),
      builder_(builder),
      start_(start),
      view_(view),
      book_(book),
      pool_(pool),
      rng_(rng),
      timer_(loop, [this] { OnTimer(); }) {
  timer_.Reset(loop_.Now() + kFillerLook);
}

void PoolFiller::ArmTimer() { timer_.Reset(std::max(std::min(pool_.NextTick(), next_renewal_), loop_.Now() + kFillerLook)); }

void PoolFiller::OnTimer() {
  start_.Refresh(Guarded([this](absl::Status status) {
    if (status.ok() && view_.Covering(loop_.Now()) == nullptr) StartDue();
    ArmTimer();
  }));
}

void PoolFiller::StartDue() {
  pool_.DropExpired(loop_.WallNow());
  if (builder_.building() > kBuildsMax / 2) return;  // the user goes first
  for (const RelayPool::Draw& draw : pool_.OnTick(loop_.Now())) Begin(draw);
  RenewOne();
}

// Before the density is known: twice what the start table shows, so that nothing true is refused.
std::optional<double> PoolFiller::LooseGap() const {
  for (const RoutingTable* table : start_.tables()) {
    if (table->successors.empty()) continue;
    const double span = overlay::DistanceShare(table->owner.point, table->successors.back().point);
    return 2 * span / static_cast<double>(table->successors.size());
  }
  return std::nullopt;
}

void PoolFiller::Begin(const RelayPool::Draw& draw) {
  const std::optional<double> known = view_.density().MeanGap(loop_.Now());
  const std::optional<double> gap = known.has_value() ? known : LooseGap();
  if (!gap.has_value()) {
    tasks_.erase(draw.id);
    return pool_.OnUnfit(draw.id);
  }
  TaskRef& held = tasks_[draw.id];
  if (held == nullptr) {
    held.reset(new Task{.draw = draw,
                        .lookup = PointLookup({.point = draw.point, .mean_gap = *gap}, rng_),
                        .exploring = !known.has_value(),
                        .mean_gap = *gap});
  }
  const TaskRef task = held;
  task->circuits = 0;
  task->fetch.reset();
  TakeCircuit(task);
}

void PoolFiller::TakeCircuit(const TaskRef& task) {
  if (++task->circuits > kCircuitsPerTry) return OnFailed(task);
  if (task->circuit != 0) own_.Close(std::exchange(task->circuit, 0));
  task->provisional |= !pool_.IsUsable();
  builder_.Build({}, start_.tables(), Guarded([this, task](absl::StatusOr<uint64_t> circuit) {
                   if (!circuit.ok()) return OnFailed(task);
                   OnCircuit(task, *circuit);
                 }));
}

void PoolFiller::OnCircuit(const TaskRef& task, uint64_t circuit) {
  task->circuit = circuit;
  const auto& hops = own_.Find(circuit)->hops();
  NodeKeys never(hops.begin(), hops.end());
  if (own_key_.has_value()) never.insert(*own_key_);
  if (task->circuits == 1) {
    task->lookup.Restart(std::move(never));
  } else {
    task->lookup.Move(std::move(never));
  }
  task->fetch.reset();
  FetchTableOfEnd(task);
}

void PoolFiller::Advance(const TaskRef& task) {
  PointStep step = task->lookup.Next();
  std::visit(base::Overloaded{[&](FetchTable& a) {
                                task->fetch = a;
                                task->asked = false;
                                Fetch(task);
                              },
                              [&](PointFound& a) { OnFound(task, a); }, [&](PointFailed&) { OnFailed(task); }},
             step);
}

void PoolFiller::Fetch(const TaskRef& task) {
  const OriginCircuit* circuit = own_.Find(task->circuit);
  if (circuit == nullptr || !circuit->MayExtend()) return TakeCircuit(task);
  const PublicKey& wanted = task->fetch->peer.node_key;
  std::optional<Descriptor> target = book_.Find(wanted, loop_.Now(), loop_.WallNow());
  if (!target.has_value() && task->asked) target = book_.FindAny(wanted, loop_.WallNow());
  if (target.has_value()) return Extend(task, *target);
  if (task->asked) return OnNoTable(task);
  AskDescriptor(task);
}

// Of the circuit's end, which named it or stands near who did.
void PoolFiller::AskDescriptor(const TaskRef& task) {
  task->asked = true;
  const size_t end = own_.Find(task->circuit)->hops().size() - 1;
  own_.Run(task->circuit, DescriptorsStep{end, {task->fetch->peer.node_key}},
           Guarded([this, task](absl::StatusOr<StepResult> result) {
             if (!result.ok()) return TakeCircuit(task);
             builder_.Accept(std::get<DescriptorsFetched>(*result));
             Fetch(task);
           }));
}

void PoolFiller::Extend(const TaskRef& task, const Descriptor& target) {
  own_.Run(task->circuit, ExtendStep{target, kRelayHops}, Guarded([this, task, target](absl::StatusOr<StepResult> result) {
             if (result.ok()) {
               book_.Absolve(target.node_key);
               return FetchTableOfEnd(task);
             }
             book_.Blame(target.node_key, loop_.Now());
             view_.OnLost(target.node_key);
             OnNoTable(task);
           }));
}

void PoolFiller::FetchTableOfEnd(const TaskRef& task) {
  const OriginCircuit* circuit = own_.Find(task->circuit);
  if (circuit == nullptr) return OnNoTable(task);
  const uint8_t index = task->fetch.has_value() ? task->fetch->peer.index : uint8_t{0};
  own_.Run(task->circuit, TableStep{circuit->hops().size() - 1, index},
           Guarded([this, task, whose = circuit->hops().back()](absl::StatusOr<StepResult> result) {
             if (!result.ok()) return OnNoTable(task);
             const absl::StatusOr<RoutingTable> table = builder_.Accept(std::get<TableFetched>(*result), whose);
             if (!table.ok()) return OnNoTable(task);
             if (task->fetch.has_value()) {
               task->lookup.OnTable(*table);
             } else {
               task->lookup.Learn(*table);
             }
             Advance(task);
           }));
}

// The member did not give one; the circuit may have died with it. What was learnt is kept over the next circuit.
void PoolFiller::OnNoTable(const TaskRef& task) {
  if (!task->fetch.has_value()) return OnFailed(task);
  task->lookup.OnNoTable();
  if (own_.Find(task->circuit) != nullptr) return Advance(task);
  task->circuit = 0;
  TakeCircuit(task);
}

void PoolFiller::OnFound(const TaskRef& task, const PointFound& found) {
  own_.Close(task->circuit);
  tasks_.erase(task->draw.id);
  ++found_;
  const auto descriptor = book_.FindAny(found.table.owner.node_key, loop_.WallNow());
  if (task->exploring || !descriptor.has_value() || own_key_ == found.table.owner.node_key) return pool_.OnUnfit(task->draw.id);
  pool_.OnFound(task->draw.id, found.arc, task->mean_gap, *descriptor, task->provisional, loop_.WallNow());
}

void PoolFiller::OnFailed(const TaskRef& task) {
  if (task->circuit != 0) own_.Close(std::exchange(task->circuit, 0));
  ++failed_;
  if (!pool_.OnFailed(task->draw.id, loop_.Now())) tasks_.erase(task->draw.id);
}

void PoolFiller::RenewOne() {
  const absl::Time now = loop_.Now(), wall_now = loop_.WallNow();
  if (now < next_renewal_ || !pool_.IsUsable()) return;
  next_renewal_ = now + kRenewEvery * -std::log(1 - rng_.Unit());
  std::vector<Descriptor> old;
  for (const RelayPool::Relay& relay : pool_.relays()) {
    if (wall_now > relay.descriptor.issued + network_.descriptor_lifetime / 2) old.push_back(relay.descriptor);
  }
  if (old.empty()) return;
  builder_.Build({.last = old[rng_.Below(old.size())].ToPeer(network_)}, start_.tables(),
                 Guarded([this](absl::StatusOr<uint64_t> circuit) {
                   if (circuit.ok()) AskHopForItself(*circuit, kRelayHops - 1);
                 }));
}

void PoolFiller::AskHopForItself(uint64_t circuit, size_t hop) {
  const OriginCircuit* held = own_.Find(circuit);
  if (held == nullptr) return;
  own_.Run(circuit, DescriptorsStep{hop, {held->hops()[hop]}}, Guarded([this, circuit, hop](absl::StatusOr<StepResult> result) {
             if (!result.ok()) return;
             for (const base::Bytes& encoded : std::get<DescriptorsFetched>(*result).descriptors) {
               const auto fresh = overlay::DecodeDescriptor(network_, encoded, loop_.WallNow());
               if (fresh.ok() && book_.Add(encoded, loop_.Now(), loop_.WallNow())) pool_.Renew(*fresh);
             }
             if (hop > 0) return AskHopForItself(circuit, hop - 1);
             own_.Close(circuit);
           }));
}

}  // namespace circuits
