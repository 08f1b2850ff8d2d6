// SPDX-License-Identifier: Apache-2.0
#include "circuits/circuit_builder_driver.h"

#include <algorithm>

#include "base/overloaded.h"
#include "base/status_macros.h"
#include "circuits/table_check.h"
#include "overlay/address_prefix.h"
#include "spdlog/spdlog.h"

namespace circuits {

using overlay::Descriptor;
using overlay::Peer;
using overlay::RoutingTable;

struct CircuitBuilder::Task {
  TableWalk walk;
  Peer guard;
  uint64_t circuit = 0;
  Done done;
  std::vector<keys::PublicKey> hops;  // reached, and one that was not; none if that was the guard
};

CircuitBuilder::CircuitBuilder(const overlay::Network& network, std::optional<keys::PublicKey> own_key, base::EventLoop& loop,
                               OwnCircuits& own, RingView& view, PeerBook& book, RelayPool& pool, GuardSet& guards,
                               IntroduceFunction introduce, base::Rng& rng)
    : network_(network),
      own_key_(own_key),
      loop_(loop),
      own_(own),
      view_(view),
      book_(book),
      pool_(pool),
      guards_(guards),
      introduce_(std::move(introduce)),
      rng_(rng) {
  own_.SetProofListener([this](const std::vector<keys::PublicKey>& hops, bool stood) {
    Count(std::span(hops).first(std::min(hops.size(), kRelayHops)), stood);
  });
}

// Their descriptors are put where the walk looks for them: the directory may have made room with them meanwhile.
std::vector<Peer> CircuitBuilder::PooledPeers() {
  std::vector<Peer> peers;
  for (const keys::PublicKey& liar : book_.Caught(loop_.WallNow())) pool_.Remove(liar);
  for (const RelayPool::Relay& relay : pool_.relays()) {
    peers.push_back(relay.descriptor.ToPeer(network_));
    if (!book_.FindAny(peers.back().node_key, loop_.WallNow()).has_value()) {
      book_.Add(relay.descriptor.encoded, loop_.Now(), loop_.WallNow());
    }
  }
  return peers;
}

TableWalk::Options CircuitBuilder::OptionsFor(const Request& request) {
  TableWalk::Options options{.rules = {.never = request.never,
                                       .shun = book_.Blamed(loop_.Now()),
                                       .distinct_prefixes = network_.distinct_prefixes,
                                       .prefixes = {}},
                             .mean_gap = view_.density().MeanGap(loop_.Now()),
                             .holders = request.holders,
                             .not_last = request.not_last,
                             .last = request.last};
  if (request.last.has_value()) {
    options.rules.prefixes.insert(overlay::PrefixOf(request.last->address));
    options.rules.shun.insert(request.last->node_key);
  }
  if (own_key_.has_value()) options.rules.never.insert(*own_key_);
  const NodeKeys caught = book_.Caught(loop_.WallNow());
  options.rules.never.insert(caught.begin(), caught.end());
  if (const RoutingTable* covering = view_.Covering(loop_.Now())) {
    options.choices = covering->Members();
    options.is_ring = true;
  } else if (pool_.IsUsable()) {
    options.choices = PooledPeers();
    guards_.DropProvisional();
  }
  options.refusing = record_.Refusing(options.choices, loop_.Now());
  return options;
}

void CircuitBuilder::Build(const Request& request, const std::vector<const RoutingTable*>& start_tables, Done done) {
  const auto refuse = [&](absl::Status why) { loop_.Post([done = std::move(done), why] { done(why); }); };
  if (building_ >= kBuildsMax) return refuse(absl::ResourceExhaustedError("enough circuits are being built"));
  TableWalk::Options options = OptionsFor(request);
  const bool walks = options.choices.empty();
  std::vector<Peer> guard_choices = options.choices;
  if (walks && !start_tables.empty()) guard_choices = ChoicesOf(*start_tables.front());
  TableWalk walk(std::move(options), book_, rng_);
  std::optional<Peer> guard =
      guards_.Choose(guard_choices, walk.GuardRules(), /*provisional=*/walks, loop_.Now(), loop_.WallNow());
  if (!guard.has_value()) return refuse(absl::UnavailableError("no guard to be had"));
  // A kept guard is not chosen by prefix: a relay beside it is no hop of its circuits, and is not worth another guard.
  if (request.last.has_value() &&
      (guard->SameProcess(*request.last) ||
       (network_.distinct_prefixes && overlay::PrefixOf(guard->address) == overlay::PrefixOf(request.last->address)))) {
    return refuse(absl::UnavailableError("the guard is that relay, or beside it"));
  }
  const std::optional<uint64_t> circuit = own_.New();
  if (!circuit.has_value()) return refuse(absl::ResourceExhaustedError("too many circuits"));
  ++building_;
  const TaskRef task(new Task{.walk = std::move(walk), .guard = *std::move(guard), .circuit = *circuit, .done = std::move(done)});
  const std::optional<Descriptor> held = book_.Find(task->guard.node_key, loop_.Now(), loop_.WallNow());
  if (held.has_value()) return StartAt(task, *held);
  IntroduceGuard(task);
}

void CircuitBuilder::IntroduceGuard(const TaskRef& task) {
  introduce_({task->guard.address, task->guard.node_key},
             [this, task, alive = std::weak_ptr(alive_)](absl::StatusOr<overlay::Introduction> answer) {
               if (alive.expired()) return;
               if (!answer.ok()) {
                 OnSilent(task->guard.node_key, /*is_guard=*/true);
                 return Finish(task, absl::UnavailableError("the guard does not answer"));
               }
               book_.Add(answer->descriptor.encoded, loop_.Now(), loop_.WallNow());
               view_.Add(answer->table, loop_.Now());
               StartAt(task, answer->descriptor);
             });
}

void CircuitBuilder::StartAt(const TaskRef& task, const Descriptor& guard) { Run(task, ExtendStep{guard, 0}); }

void CircuitBuilder::Do(const TaskRef& task, WalkStep step) {
  std::visit(base::Overloaded{[&](WalkReady&) { Finish(task, absl::OkStatus()); },
                              [&](WalkFailed& a) {
                                own_.Close(task->circuit);
                                Finish(task, a.why);
                              },
                              [&](auto& a) { Run(task, std::move(a)); }},
             step);
}

void CircuitBuilder::Run(const TaskRef& task, CircuitStep step) {
  own_.Run(task->circuit, step, [this, task, step, alive = std::weak_ptr(alive_)](absl::StatusOr<StepResult> result) {
    if (!alive.expired()) OnResult(task, step, std::move(result));
  });
}

void CircuitBuilder::OnResult(const TaskRef& task, const CircuitStep& step, absl::StatusOr<StepResult> result) {
  const absl::Time now = loop_.Now(), wall_now = loop_.WallNow();
  const auto* extend = std::get_if<ExtendStep>(&step);
  if (!result.ok()) {
    if (absl::IsResourceExhausted(result.status())) return Finish(task, result.status());  // the fault is here
    if (extend != nullptr) OnSilent(extend->target.node_key, extend->hops_before == 0);
    if (extend != nullptr && extend->hops_before > 0) task->hops.push_back(extend->target.node_key);
    return Finish(task, result.status());
  }
  if (extend != nullptr) {
    book_.Absolve(extend->target.node_key);
    view_.OnMet(extend->target.node_key, now);
    if (extend->hops_before == 0) guards_.OnAnswer(extend->target.node_key);
    task->hops.push_back(extend->target.node_key);
    return Do(task, task->walk.OnHop(extend->target.node_key, extend->target.address, now, wall_now));
  }
  if (const auto* table = std::get_if<TableFetched>(&*result)) {
    const absl::StatusOr<RoutingTable> accepted = Accept(*table, task->walk.path().back());
    return Do(task, accepted.ok() ? task->walk.OnTable(*accepted, now, wall_now) : WalkStep(WalkFailed{accepted.status()}));
  }
  Accept(std::get<DescriptorsFetched>(*result));
  Do(task, task->walk.OnDescriptors(now, wall_now));
}

absl::StatusOr<RoutingTable> CircuitBuilder::Accept(const TableFetched& fetched, const keys::PublicKey& hop) {
  if (fetched.table.empty()) return absl::UnavailableError("the hop has no table");
  ASSIGN_OR_RETURN(RoutingTable table, overlay::DecodeTable(network_, fetched.table, loop_.WallNow()));
  if (table.owner.node_key != hop) return absl::InvalidArgumentError("a hop showed another's table");
  if (!book_.IsAdmitted(table.owner, loop_.WallNow())) return absl::PermissionDeniedError("a place without work");
  const absl::Time now = loop_.Now();
  if (const std::optional<double> gap = view_.density().MeanGap(now); gap.has_value() && !CheckTable(table, *gap).ok()) {
    view_.AddDoubted(table, now);
    if (book_.Distrust(hop, now)) {
      spdlog::info("circuits: a node signed a table that cannot be true; avoided for {} minutes",
                   absl::ToInt64Minutes(kDistrustFor));
    }
    pool_.Remove(hop);
    return absl::InvalidArgumentError("a table that cannot be true");
  }
  view_.Add(table, now);
  return table;
}

void CircuitBuilder::Accept(const DescriptorsFetched& fetched) {
  for (const base::Bytes& descriptor : fetched.descriptors) {
    if (!descriptor.empty()) book_.Add(descriptor, loop_.Now(), loop_.WallNow());
  }
}

void CircuitBuilder::Finish(const TaskRef& task, absl::Status status) {
  --building_;
  const Done done = std::exchange(task->done, nullptr);
  if (!status.ok()) {
    if (!task->hops.empty()) Count(task->hops, /*stood=*/false);
    ++failed_;
    own_.Close(task->circuit);
    return done(status);
  }
  ++built_;
  done(task->circuit);
}

void CircuitBuilder::Count(std::span<const keys::PublicKey> hops, bool stood) {
  record_.OnCircuit(hops.subspan(1), stood, loop_.Now());
  if (guards_.OnCircuit(hops.front(), stood, loop_.WallNow())) record_.Clear();
}

void CircuitBuilder::OnSilent(const keys::PublicKey& node_key, bool is_guard) {
  book_.Blame(node_key, loop_.Now());
  view_.OnLost(node_key);
  if (is_guard) guards_.OnSilence(node_key, loop_.Now());
}

}  // namespace circuits
