// SPDX-License-Identifier: Apache-2.0
#include "circuits/circuit_operations_driver.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "base/overloaded.h"
#include "circuits/endpoint.h"

namespace circuits {
namespace {

using keys::PublicKey;
using overlay::Peer;

constexpr absl::Duration kRetryFirst = absl::Milliseconds(100), kRetryMax = absl::Seconds(2);
constexpr absl::Duration kBusyRetry = absl::Milliseconds(50);  // while enough circuits are being built
constexpr absl::Duration kMaintainEvery = absl::Seconds(1);
constexpr int kUntoldPointTries = 16;
constexpr absl::Duration kCompanyMax = absl::Seconds(2);  // for dummies that take longer than what they hide
constexpr absl::Duration kCompanyLook = absl::Milliseconds(10);
constexpr char kLookupIsolation[] = "lookup";            // no operation has it: theirs carry a byte in front

bool Contains(const std::vector<PublicKey>& node_keys, const PublicKey& node_key) {
  return std::find(node_keys.begin(), node_keys.end(), node_key) != node_keys.end();
}

// The relays of a circuit, without a storage node behind them.
std::vector<PublicKey> RelaysOf(const OriginCircuit& circuit) {
  const auto& hops = circuit.hops();
  return {hops.begin(), hops.begin() + static_cast<ptrdiff_t>(std::min(hops.size(), kRelayHops))};
}

std::vector<PublicKey> NotOn(const OriginCircuit& circuit, const std::vector<PublicKey>& node_keys) {
  const std::vector<PublicKey> relays = RelaysOf(circuit);
  std::vector<PublicKey> free;
  std::copy_if(node_keys.begin(), node_keys.end(), std::back_inserter(free), [&](const auto& k) { return !Contains(relays, k); });
  return free;
}

base::Bytes OperationIsolation(const base::Bytes& isolation) { return base::ByteWriter().U8(0).Append(isolation).Take(); }

}  // namespace

struct CircuitOperations::Operation {
  overlay::NodeId point;
  base::Bytes isolation;
  std::vector<PublicKey> avoid;
  std::function<void(absl::StatusOr<OpenedOperation>)> done;  // empty once it was called
  absl::Time deadline;
  base::EventLoop::TimerId timer = 0;
  int attempts = 0, lookups = 0;
  bool only_learns = false;  // who is responsible, and how one of them is reached
  absl::Duration ahead;      // how long that has to be known for
  NodeKeys tried;
  std::vector<PublicKey> responsible;
  std::optional<PublicKey> lookup_last;  // last hop of the lookup circuit: another one for the operation
  absl::Status why;
  bool hidden = false;                  // its dummies have begun
  std::weak_ptr<char> company;          // held by those of them that have not ended
  std::shared_ptr<char> dummy_of;       // of a dummy: the other end of that
  absl::Time company_until = absl::InfinitePast();
};

struct CircuitOperations::LookupTask {
  OperationRef operation;
  uint64_t circuit;
  TableLookup core;
};

template <class F>
auto CircuitOperations::Guarded(F f) {
  return [f = std::move(f), alive = std::weak_ptr(alive_)](auto&&... args) mutable {
    if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
  };
}

CircuitOperations::CircuitOperations(Options options, base::EventLoop& loop, OwnCircuits& own, CircuitBuilder& builder,
                                     StartTables& start, RingView& view, PeerBook& book, base::Rng& rng)
    : options_(std::move(options)),
      loop_(loop),
      own_(own),
      builder_(builder),
      start_(start),
      view_(view),
      book_(book),
      rng_(rng),
      timer_(loop, [this] { OnTimer(); }) {
  own_.SetClosedListener([this](uint64_t circuit) { pool_.Remove(circuit); });
  timer_.Reset(loop_.Now() + kMaintainEvery);
}

size_t CircuitOperations::OthersKnown() const {
  const std::vector<Peer> members = view_.Members(loop_.Now());
  const bool listed = options_.own_key.has_value() && std::any_of(members.begin(), members.end(), [&](const Peer& peer) {
                        return peer.node_key == *options_.own_key;
                      });
  return members.size() - (listed ? 1 : 0);
}

void CircuitOperations::Open(OpenRequest request, std::function<void(absl::StatusOr<OpenedOperation>)> done) {
  if (open_operations_ >= kOpenOperationsMax) {
    loop_.Post([done = std::move(done)] { done(absl::UnavailableError("too many operations at once")); });
    return;
  }
  const OperationRef operation = Begin(request.point, std::move(done));
  operation->isolation = OperationIsolation(request.isolation);
  operation->avoid = std::move(request.avoid);
  loop_.Post(Guarded([this, operation] { Advance(operation); }));
}

CircuitOperations::OperationRef CircuitOperations::Begin(const overlay::NodeId& point,
                                                         std::function<void(absl::StatusOr<OpenedOperation>)> done) {
  ++open_operations_;
  OperationRef operation(new Operation{.point = point, .done = std::move(done), .deadline = loop_.Now() + kOpenMax});
  operation->timer = loop_.At(operation->deadline, Guarded([this, weak = std::weak_ptr(operation)] {
                                const OperationRef late = weak.lock();
                                if (late != nullptr) Finish(late, absl::UnavailableError("no circuit within the time"));
                              }));
  return operation;
}

void CircuitOperations::Advance(const OperationRef& operation) {
  if (!operation->done) return;
  start_.Refresh(Guarded([this, operation](absl::Status status) {
    if (absl::IsFailedPrecondition(status)) return Finish(operation, status);
    if (!status.ok()) return Retry(operation, status);
    Plan(operation);
  }));
}

void CircuitOperations::Plan(const OperationRef& operation) {
  if (!operation->done) return;
  if (const absl::Status too_few = TooFew(); !too_few.ok()) return Finish(operation, too_few);
  const std::optional<std::vector<Peer>> responsible = view_.Responsible(operation->point, loop_.Now());
  if (!responsible.has_value()) return Lookup(operation);
  if (operation->dummy_of != nullptr) return Finish(operation, absl::CancelledError("a dummy"));
  operation->responsible.clear();
  for (const Peer& peer : *responsible) operation->responsible.push_back(peer.node_key);
  if (operation->only_learns) {
    return IsTold(operation->point, loop_.Now()) ? Finish(operation, OpenedOperation{}) : Lookup(operation);
  }
  const absl::StatusOr<std::vector<PublicKey>> candidates = Candidates(operation);
  if (!candidates.ok()) return Finish(operation, candidates.status());
  const auto fits = [&](uint64_t id) {
    const OriginCircuit* circuit = own_.Find(id);
    return circuit != nullptr && circuit->MayExtend() && RelaysOf(*circuit).back() != operation->lookup_last &&
           !NotOn(*circuit, *candidates).empty();
  };
  if (const std::optional<uint64_t> circuit = pool_.Take(operation->isolation, fits, loop_.Now())) {
    const std::vector<PublicKey> free = NotOn(*own_.Find(*circuit), *candidates);
    return Reach(operation, *circuit, free[rng_.Below(free.size())]);
  }
  BuildFor(operation, (*candidates)[rng_.Below(candidates->size())]);
}

absl::StatusOr<std::vector<PublicKey>> CircuitOperations::Candidates(const OperationRef& operation) {
  std::vector<PublicKey> others, eligible, fresh, good, reachable;
  const NodeKeys blamed = book_.Blamed(loop_.Now());
  for (const PublicKey& node_key : operation->responsible) {
    if (options_.own_key == node_key) continue;
    others.push_back(node_key);
    if (!Contains(operation->avoid, node_key)) eligible.push_back(node_key);
  }
  if (others.empty()) return absl::FailedPreconditionError("needs another storing node, sees none");
  if (eligible.empty()) return absl::UnavailableError("every replica is to be avoided");
  const auto keep_if = [](const auto& from, auto& to, auto keep) {
    std::copy_if(from.begin(), from.end(), std::back_inserter(to), keep);
  };
  keep_if(eligible, fresh, [&](const PublicKey& k) { return !operation->tried.contains(k); });
  if (fresh.empty()) operation->tried.clear();
  const std::vector<PublicKey>& left = fresh.empty() ? eligible : fresh;
  keep_if(left, good, [&](const PublicKey& k) { return !blamed.contains(k); });
  if (good.empty()) return left;
  keep_if(good, reachable, [&](const PublicKey& k) { return book_.Find(k, loop_.Now(), loop_.WallNow()).has_value(); });
  return reachable.empty() ? good : reachable;
}

void CircuitOperations::BuildFor(const OperationRef& operation, const PublicKey& target) {
  const NodeKeys holders(operation->responsible.begin(), operation->responsible.end());
  builder_.Build({.never = {target}, .holders = holders, .not_last = operation->lookup_last}, start_.tables(),
                 Guarded([this, operation, target](absl::StatusOr<uint64_t> circuit) {
                   if (!circuit.ok()) return Retry(operation, circuit.status());
                   pool_.Add(*circuit, operation->isolation, /*busy=*/true, EndOfLife());
                   Reach(operation, *circuit, target);
                 }));
}

void CircuitOperations::Reach(const OperationRef& operation, uint64_t circuit, const PublicKey& target) {
  if (!operation->done) return Release(circuit);
  std::optional<overlay::Descriptor> descriptor = book_.Find(target, loop_.Now(), loop_.WallNow());
  // Blamed, and its neighbours were asked for a newer one: then with what there is.
  if (!descriptor.has_value() && operation->lookups > 0) descriptor = book_.FindAny(target, loop_.WallNow());
  if (!descriptor.has_value()) {
    Release(circuit);
    operation->tried.insert(target);
    return Lookup(operation);
  }
  own_.Run(circuit, ExtendStep{*descriptor, kRelayHops},
           Guarded([this, operation, circuit, target](absl::StatusOr<StepResult> result) {
             OnReached(operation, circuit, target, result);
           }));
}

void CircuitOperations::OnReached(const OperationRef& operation, uint64_t circuit, const PublicKey& target,
                                  const absl::StatusOr<StepResult>& result) {
  if (!result.ok()) {
    book_.Blame(target, loop_.Now());
    view_.OnLost(target);
    operation->tried.insert(target);
    return Retry(operation, result.status());
  }
  book_.Absolve(target);
  view_.OnMet(target, loop_.Now());
  if (!operation->done) return Release(circuit);
  Finish(operation, Remember(circuit, /*once=*/false, target, std::get<HopAdded>(*result), operation->responsible));
}

OpenedOperation CircuitOperations::Remember(uint64_t circuit, bool once, const PublicKey& target, const HopAdded& hop,
                                            const std::vector<PublicKey>& responsible) {
  opened_.emplace(++last_handle_, Opened{circuit, loop_.Now() + kHandleMax, once});
  return {.handle = last_handle_,
          .channel_binding = hop.channel_binding,
          .storage_node = target,
          .path = RelaysOf(*own_.Find(circuit)),
          .responsible = responsible};
}

void CircuitOperations::Retry(const OperationRef& operation, absl::Status why) {
  if (!operation->done) return;
  const bool busy = absl::IsResourceExhausted(why);
  const absl::Duration wait = busy ? kBusyRetry : std::min(kRetryMax, kRetryFirst * (1 << std::min(operation->attempts, 8)));
  if (!busy) ++operation->attempts, operation->why = std::move(why);
  loop_.At(loop_.Now() + wait, Guarded([this, operation] { Advance(operation); }));
}

void CircuitOperations::Finish(const OperationRef& operation, absl::StatusOr<OpenedOperation> result) {
  if (!operation->done) return;
  --open_operations_;
  loop_.Cancel(operation->timer);
  if (!result.ok() && absl::IsUnavailable(result.status()) && !operation->why.ok()) {
    result = absl::UnavailableError(absl::StrCat(result.status().message(), ": ", operation->why.message()));
  }
  const auto done = std::exchange(operation->done, nullptr);
  done(std::move(result));
}

void CircuitOperations::Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) {
  const auto fail = [&](absl::Status why) { loop_.Post([done = std::move(done), why] { done(why); }); };
  if (request.size() > kEndpointPayloadMax) return fail(absl::InvalidArgumentError("a request is one cell"));
  const auto opened = opened_.extract(handle);
  if (opened.empty()) return fail(absl::UnavailableError("the operation is closed"));
  const auto [circuit, until, once] = opened.mapped();
  own_.Run(circuit, RequestStep{std::move(request)},
           Guarded([this, circuit = circuit, once = once, done](absl::StatusOr<StepResult> result) {
             if (!result.ok()) return done(result.status());
             once ? own_.Close(circuit) : Release(circuit);
             done(std::get<Answered>(*std::move(result)).payload);
           }));
}

// ---- for a clock

absl::Status CircuitOperations::TooFew() const {
  const size_t others = OthersKnown();
  if (others >= kOthersMin) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("needs ", kOthersMin, " other nodes, sees ", others));
}

void CircuitOperations::Check(std::function<void(absl::Status)> done) {
  start_.Refresh(Guarded([this, done = std::move(done)](const absl::Status& status) { done(status.ok() ? TooFew() : status); }));
}

std::optional<uint64_t> CircuitOperations::NextReady() {
  return pool_.FirstClean([&](uint64_t id) { return own_.Find(id) != nullptr && own_.Find(id)->MayExtend(); }, loop_.Now());
}

// What a node's descriptor was last, if nothing better is known.
std::optional<overlay::Descriptor> CircuitOperations::DescriptorOf(const PublicKey& target) const {
  std::optional<overlay::Descriptor> descriptor = book_.Find(target, loop_.Now(), loop_.WallNow());
  return descriptor.has_value() ? descriptor : book_.FindAny(target, loop_.WallNow());
}

ReadyOperations::Start CircuitOperations::OpenOn(uint64_t circuit, const overlay::NodeId& point,
                                                 const std::vector<PublicKey>& avoid,
                                                 std::function<void(absl::StatusOr<OpenedOperation>)> done) {
  const std::optional<std::vector<Peer>> holders = view_.Responsible(point, loop_.Now());
  if (!holders.has_value()) return Start::kUnknown;
  std::vector<PublicKey> responsible, reachable, good;
  const NodeKeys blamed = book_.Blamed(loop_.Now());
  for (const Peer& peer : *holders) {
    responsible.push_back(peer.node_key);
    if (options_.own_key != peer.node_key && DescriptorOf(peer.node_key).has_value()) reachable.push_back(peer.node_key);
  }
  if (reachable.empty()) return Start::kUnknown;
  // Who refused once is asked again where nobody else is left: better than a ticket that no circuit ever fits.
  std::vector<PublicKey> others;
  std::copy_if(reachable.begin(), reachable.end(), std::back_inserter(others), [&](const auto& k) { return !Contains(avoid, k); });
  reachable = NotOn(*own_.Find(circuit), others.empty() ? reachable : others);
  if (reachable.empty()) return Start::kDoesNotFit;
  std::copy_if(reachable.begin(), reachable.end(), std::back_inserter(good), [&](const auto& k) { return !blamed.contains(k); });
  if (good.empty()) good = std::move(reachable);
  const PublicKey target = good[rng_.Below(good.size())];
  pool_.Remove(circuit);
  own_.Run(circuit, ExtendStep{*DescriptorOf(target), kRelayHops},
           Guarded([this, circuit, target, responsible, done = std::move(done)](absl::StatusOr<StepResult> result) {
             if (!result.ok()) {
               book_.Blame(target, loop_.Now());
               view_.OnLost(target);
               return done(absl::UnavailableError(result.status().message()));
             }
             book_.Absolve(target);
             view_.OnMet(target, loop_.Now());
             done(Remember(circuit, /*once=*/true, target, std::get<HopAdded>(*result), responsible));
           }));
  return Start::kStarted;
}

void CircuitOperations::Learn(const overlay::NodeId& point) {
  if (open_operations_ >= kOpenOperationsMax) return;
  const OperationRef operation = Begin(point, [](const absl::StatusOr<OpenedOperation>&) {});
  operation->only_learns = true;
  loop_.Post(Guarded([this, operation] { Advance(operation); }));
}

void CircuitOperations::Lookup(const OperationRef& operation) {
  if (!operation->done) return;
  if (++operation->lookups > kLookupsMax) {
    operation->lookups = 0;
    return Retry(operation, absl::UnavailableError("the responsible nodes could not be found"));
  }
  if (options_.hides_lookups && operation->dummy_of == nullptr && !operation->hidden) return LookupAmongDummies(operation);
  LookupOnce(operation);
}

// All begin now, in random order, and the operation goes on when all have ended: nothing tells the one that counts. A dummy is the
// lookup of an operation that ends where the other would choose its storage node.
void CircuitOperations::LookupAmongDummies(const OperationRef& operation) {
  operation->hidden = true;
  const auto company = std::make_shared<char>();
  operation->company = company;
  std::vector<OperationRef> all = {operation};
  for (int i = 0; i < kDummiesPerLookup && open_operations_ < kOpenOperationsMax / 2; ++i) {
    all.push_back(BeginDummy(UntoldPoint(loop_.Now()).value_or(overlay::NodeId::Random(rng_)), company));
  }
  base::Shuffle(all, rng_);
  for (const OperationRef& one : all) loop_.Post(Guarded([this, one] { LookupOnce(one); }));
}

bool CircuitOperations::IsTold(const overlay::NodeId& point, absl::Time at) const {
  const std::optional<std::vector<Peer>> holders = view_.Responsible(point, at);
  return holders.has_value() && std::any_of(holders->begin(), holders->end(), [&](const Peer& peer) {
           return options_.own_key != peer.node_key && DescriptorOf(peer.node_key).has_value();
         });
}

// As the point of a real lookup is. Nothing if hardly any is left.
std::optional<overlay::NodeId> CircuitOperations::UntoldPoint(absl::Time at) {
  for (int tries = 0; tries < kUntoldPointTries; ++tries) {
    const overlay::NodeId point = overlay::NodeId::Random(rng_);
    if (!IsTold(point, at)) return point;
  }
  return std::nullopt;
}

CircuitOperations::OperationRef CircuitOperations::BeginDummy(const overlay::NodeId& point, std::shared_ptr<char> company) {
  const OperationRef dummy = Begin(point, [](const absl::StatusOr<OpenedOperation>&) {});
  dummy->dummy_of = std::move(company);
  dummy->lookups = 1;
  return dummy;
}

std::optional<bool> CircuitOperations::IsHeldRing(absl::Time now) const {
  if (view_.Covering(now) != nullptr) return false;
  const std::optional<double> gap = view_.density().MeanGap(now);
  if (!gap.has_value()) return std::nullopt;
  return *gap * static_cast<double>(kHeldRingMax) >= 1;
}

// At times of its own, whatever the user does meanwhile: else its pauses would show when he works.
void CircuitOperations::HoldRing() {
  const absl::Time now = loop_.Now();
  if (!options_.hides_lookups || now < next_held_) return;
  next_held_ = now - kHoldEvery * std::log(1 - rng_.Unit());
  if (!IsHeldRing(now).value_or(true)) return;
  const std::optional<overlay::NodeId> point = UntoldPoint(now + kHoldAhead);
  if (!point.has_value()) return;
  const OperationRef dummy = BeginDummy(*point, std::make_shared<char>());
  dummy->ahead = kHoldAhead;
  LookupOnce(dummy);
}

void CircuitOperations::LookupOnce(const OperationRef& operation) {
  if (!operation->done) return;
  const base::Bytes isolation = base::ToBytes(base::AsBytes(kLookupIsolation));
  const auto fits = [&](uint64_t id) { return own_.Find(id) != nullptr && own_.Find(id)->MayExtend(); };
  if (const std::optional<uint64_t> circuit = pool_.Take(isolation, fits, loop_.Now())) return LookupOn(operation, *circuit);
  builder_.Build({}, start_.tables(), Guarded([this, operation, isolation](absl::StatusOr<uint64_t> circuit) {
                   if (!circuit.ok()) return Retry(operation, circuit.status());
                   pool_.Add(*circuit, isolation, /*busy=*/true, EndOfLife());
                   LookupOn(operation, *circuit);
                 }));
}

void CircuitOperations::LookupOn(const OperationRef& operation, uint64_t circuit) {
  const std::vector<PublicKey> relays = RelaysOf(*own_.Find(circuit));
  operation->lookup_last = relays.back();
  TableLookup::Options options{.point = operation->point,
                               .never = NodeKeys(relays.begin(), relays.end()),
                               .shun = book_.Blamed(loop_.Now()),
                               .from_view = IsHeldRing(loop_.Now()).value_or(false),
                               .ahead = operation->ahead};
  if (options_.own_key.has_value()) options.never.insert(*options_.own_key);
  const LookupRef task(new LookupTask{operation, circuit, TableLookup(std::move(options), view_, book_)});
  DoLookup(task, task->core.Begin(loop_.Now(), loop_.WallNow()));
}

void CircuitOperations::DoLookup(const LookupRef& task, LookupStep step) {
  const auto run = [&](CircuitStep circuit_step) {
    own_.Run(task->circuit, circuit_step, Guarded([this, task, circuit_step](absl::StatusOr<StepResult> result) {
               OnLookupResult(task, circuit_step, std::move(result));
             }));
  };
  std::visit(base::Overloaded{[&](LookupFound&) {
                                Release(task->circuit);
                                task->operation->company_until = loop_.Now() + kCompanyMax;
                                AwaitCompany(task->operation);
                              },
                              [&](LookupFailed& a) {
                                own_.Close(task->circuit);
                                Retry(task->operation, a.why);
                              },
                              [&](ExtendStep& a) {
                                if (own_.Find(task->circuit) == nullptr || own_.Find(task->circuit)->MayExtend())
                                  return run(std::move(a));
                                own_.Close(task->circuit);  // it has no extends left: another one goes on from what was learnt
                                Lookup(task->operation);
                              },
                              [&](auto& a) { run(std::move(a)); }},
             step);
}

void CircuitOperations::OnLookupResult(const LookupRef& task, const CircuitStep& step, absl::StatusOr<StepResult> result) {
  const absl::Time now = loop_.Now(), wall_now = loop_.WallNow();
  const auto* extend = std::get_if<ExtendStep>(&step);
  if (!result.ok()) {
    if (extend != nullptr) {
      book_.Blame(extend->target.node_key, now);
      view_.OnLost(extend->target.node_key);
    }
    return Lookup(task->operation);
  }
  if (extend != nullptr) return DoLookup(task, task->core.OnHop());
  if (const auto* fetched = std::get_if<TableFetched>(&*result)) {
    const OriginCircuit* circuit = own_.Find(task->circuit);
    if (circuit == nullptr) return Lookup(task->operation);  // gone meanwhile
    const absl::StatusOr<overlay::RoutingTable> table = builder_.Accept(*fetched, circuit->hops()[std::get<TableStep>(step).hop]);
    return DoLookup(task, table.ok() ? task->core.OnTable(*table, now, wall_now) : LookupStep(LookupFailed{table.status()}));
  }
  builder_.Accept(std::get<DescriptorsFetched>(*result));
  DoLookup(task, task->core.OnDescriptors(now, wall_now));
}

void CircuitOperations::AwaitCompany(const OperationRef& operation) {
  if (operation->company.expired() || loop_.Now() >= operation->company_until) return Plan(operation);
  loop_.At(loop_.Now() + kCompanyLook, Guarded([this, operation] { AwaitCompany(operation); }));
}

// Back to its isolation key, or away if it cannot be extended any more.
void CircuitOperations::Release(uint64_t circuit) {
  const OriginCircuit* held = own_.Find(circuit);
  if (held == nullptr) return;
  if (!held->MayExtend()) return own_.Close(circuit);
  pool_.Release(circuit);
}

void CircuitOperations::OnTimer() {
  const absl::Time now = loop_.Now();
  std::vector<uint64_t> unused;
  for (const auto& [handle, opened] : opened_) {
    if (opened.until <= now) unused.push_back(handle);
  }
  for (uint64_t handle : unused) {
    const Opened opened = opened_.extract(handle).mapped();
    opened.once ? own_.Close(opened.circuit) : Release(opened.circuit);
  }
  for (uint64_t circuit : pool_.TakeExpired(now)) own_.Close(circuit);
  if (options_.own_key.has_value()) start_.Refresh([](absl::Status) {});  // its own table: costs nothing
  HoldRing();
  TopUp();
  timer_.Reset(options_.ready_circuits == 0 ? now + kMaintainEvery : std::min(now + kMaintainEvery, next_build_));
}

size_t CircuitOperations::ReadyWanted() const {
  const bool looks_up = options_.hides_lookups && view_.Covering(loop_.Now()) == nullptr;
  return options_.ready_circuits + (looks_up ? kDummiesPerLookup + 1 : 0);
}

// The next one is built after a pause that is drawn, not at once: that blurs when a circuit was taken off the clock, by some
// seconds, and no more than that. On the clock one is taken at every tick, whatever there is to do.
void CircuitOperations::TopUp() {
  if (options_.ready_circuits == 0 || loop_.Now() < next_build_) return;
  next_build_ = loop_.Now() - options_.build_mean * std::log(1 - rng_.Unit());
  if (pool_.ready() + building_ready_ >= ReadyWanted()) return;
  ++building_ready_;
  start_.Refresh(Guarded([this](absl::Status status) {
    if (!status.ok() || OthersKnown() < kOthersMin) {
      --building_ready_;
      return;
    }
    builder_.Build({}, start_.tables(), Guarded([this](absl::StatusOr<uint64_t> circuit) {
                     --building_ready_;
                     if (circuit.ok()) pool_.Add(*circuit, std::nullopt, /*busy=*/false, EndOfLife());
                   }));
  }));
}

absl::Time CircuitOperations::EndOfLife() {
  return loop_.Now() + kCircuitAgeMin + rng_.Unit() * (kCircuitAgeMax - kCircuitAgeMin);
}

}  // namespace circuits
