// SPDX-License-Identifier: Apache-2.0
#include "circuits/own_circuits_driver.h"

#include "base/overloaded.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;

keys::HandshakeContext ContextOf(const overlay::Network& network) { return {network.name, overlay::kProtocolVersion}; }

}  // namespace

struct OwnCircuits::Own {
  explicit Own(base::Rng& rng) : core(rng) {}

  OriginCircuit core;
  overlay::LinkId link = 0;
  overlay::CircuitId id = 0;
  std::optional<ExtendStep> waiting;  // for the link to the guard
  absl::Time waiting_until;
  StepDone done;
  int steps = 0;        // done over all relays
  bool proves = false;  // the step under way counts
};

OwnCircuits::OwnCircuits(const overlay::Network& network, base::EventLoop& loop, overlay::Links& links, CircuitTable& table,
                         base::Rng& rng, size_t circuits_max)
    : network_(network), circuits_max_(circuits_max), loop_(loop), links_(links), table_(table), rng_(rng), timer_(loop, [this] {
        OnTimer();
      }) {}

OwnCircuits::~OwnCircuits() {
  for (const auto& [circuit, own] : circuits_) {
    if (own->id != 0) links_.Send(own->link, Cell(own->id, CellCommand::kDestroy));
  }
}

std::optional<uint64_t> OwnCircuits::New() {
  if (circuits_.size() >= circuits_max_) return std::nullopt;
  circuits_.emplace(++last_circuit_, std::make_unique<Own>(rng_));
  return last_circuit_;
}

const OriginCircuit* OwnCircuits::Find(uint64_t circuit) const {
  const auto found = circuits_.find(circuit);
  return found == circuits_.end() ? nullptr : &found->second->core;
}

void OwnCircuits::Run(uint64_t circuit, CircuitStep step, StepDone done) {
  const auto found = circuits_.find(circuit);
  if (found == circuits_.end()) {
    loop_.Post([done = std::move(done)] { done(absl::UnavailableError("the circuit is closed")); });
    return;
  }
  Own& own = *found->second;
  own.done = std::move(done);
  own.proves = own.core.hops().size() >= kRelayHops && own.steps < kProofSteps;
  const auto* extend = std::get_if<ExtendStep>(&step);
  if (extend == nullptr || extend->hops_before > 0) {
    ArmTimer(loop_.Now() + kStepMax);
    return Apply(circuit, own.core.Run(std::move(step), loop_.Now()));
  }
  own.waiting = *extend;
  own.waiting_until = loop_.Now() + kStepMax;
  own.link = links_.Connect(extend->target, overlay::LinkFor::kOwnCircuit);
  if (own.link == 0) return Drop(circuit, false, absl::ResourceExhaustedError("no room for a link to the guard"));
  const overlay::LinkInfo* link = links_.Find(own.link);
  ArmTimer(own.waiting_until);
  if (link != nullptr) Start(circuit, own, *link);
}

void OwnCircuits::Start(uint64_t circuit, Own& own, const overlay::LinkInfo& link) {
  const auto circuits_max = static_cast<size_t>(network_.circuits_per_link);
  const auto id = table_.Allocate(link, {CircuitEnd::kOrigin, circuit}, circuits_max, rng_);
  if (!id.has_value()) return Drop(circuit, false, absl::ResourceExhaustedError("no room on the link to the guard"));
  own.id = *id;
  ExtendStep step = *std::move(own.waiting);
  own.waiting.reset();
  Apply(circuit, own.core.Run(std::move(step), loop_.Now()));
}

void OwnCircuits::Close(uint64_t circuit) {
  if (const auto found = circuits_.find(circuit); found != circuits_.end()) found->second->proves = false;
  Drop(circuit, true, absl::UnavailableError("the circuit was closed"));
}

void OwnCircuits::OnLinkUp(const overlay::LinkInfo& link) {
  std::vector<uint64_t> ready;
  for (const auto& [circuit, own] : circuits_) {
    if (own->waiting.has_value() && own->link == link.id) ready.push_back(circuit);
  }
  if (!ready.empty()) ArmTimer(loop_.Now() + kStepMax);
  for (uint64_t circuit : ready) Start(circuit, *circuits_.at(circuit), link);
}

void OwnCircuits::OnLinkDown(overlay::LinkId link, const std::vector<CircuitEntry>& circuits) {
  std::vector<uint64_t> gone;
  for (const auto& [circuit, own] : circuits_) {
    if (own->waiting.has_value() && own->link == link) gone.push_back(circuit);
  }
  for (const CircuitEntry& entry : circuits) {
    if (entry.end == CircuitEnd::kOrigin) gone.push_back(entry.circuit);
  }
  for (uint64_t circuit : gone) Drop(circuit, false, absl::UnavailableError("the link to the guard is down"));
}

void OwnCircuits::OnCell(uint64_t circuit, Cell& cell) {
  const auto found = circuits_.find(circuit);
  if (found == circuits_.end()) return;
  Apply(circuit, found->second->core.OnCell(cell, loop_.Now()));
}

void OwnCircuits::Apply(uint64_t circuit, OriginActions actions) {
  for (OriginAction& action : actions) {
    const auto found = circuits_.find(circuit);
    if (found == circuits_.end()) return;
    Own& own = *found->second;
    std::visit(
        base::Overloaded{[&](SendToGuard& a) {
                           if (!Send(own, a.cell)) Drop(circuit, true, absl::UnavailableError("the link is full"));
                         },
                         [&](StartHandshake& a) { Start(circuit, a); }, [&](FinishHandshake& a) { Finish(circuit, a); },
                         [&](circuits::StepDone& a) {
                           StepDone done = std::exchange(own.done, nullptr);
                           if (own.proves && ++own.steps == kProofSteps && on_proof_) on_proof_(own.core.hops(), /*stood=*/true);
                           // The circuit may die before this is told: then no hop was added, and nobody needs to look whether it
                           // lives.
                           loop_.Post([this, circuit, alive = std::weak_ptr(alive_), done = std::move(done),
                                       result = std::move(a.result)]() mutable {
                             const bool is_dead = alive.expired() || !circuits_.contains(circuit);
                             if (is_dead && std::holds_alternative<HopAdded>(result))
                               return done(absl::UnavailableError("the circuit died"));
                             done(std::move(result));
                           });
                         },
                         [&](CircuitClosed& a) { Drop(circuit, a.tell_guard, absl::UnavailableError("the circuit died")); }},
        action);
  }
}

bool OwnCircuits::Send(Own& own, Cell& cell) {
  cell.SetCircuitId(own.id);
  return links_.Send(own.link, cell);
}

void OwnCircuits::Start(uint64_t circuit, const StartHandshake& action) {
  auto result = std::make_shared<absl::StatusOr<keys::ClientStartResult>>(absl::UnknownError(""));
  loop_.RunBrief([result, action, context = ContextOf(network_),
                  &rng = rng_] { *result = keys::ClientStart(context, action.relay_id, action.relay_onion_key, rng); },
                 [this, result, circuit, alive = std::weak_ptr(alive_)] {
                   if (alive.expired()) return;
                   const auto found = circuits_.find(circuit);
                   if (found != circuits_.end()) {
                     Apply(circuit, found->second->core.OnStarted(*std::move(result), loop_.Now()));
                   }
                 });
}

void OwnCircuits::Finish(uint64_t circuit, const FinishHandshake& action) {
  auto result = std::make_shared<absl::StatusOr<keys::HopKeys>>(absl::UnknownError(""));
  loop_.RunBrief(
      [result, action, context = ContextOf(network_)] { *result = keys::ClientFinish(context, action.state, action.reply); },
      [this, result, circuit, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        const auto found = circuits_.find(circuit);
        if (found != circuits_.end()) Apply(circuit, found->second->core.OnFinished(*result));
      });
}

void OwnCircuits::Drop(uint64_t circuit, bool tell_guard, absl::Status why) {
  const auto found = circuits_.find(circuit);
  if (found == circuits_.end()) return;
  const std::unique_ptr<Own> own = std::move(found->second);
  circuits_.erase(found);
  if (own->id != 0) {
    if (tell_guard) links_.Send(own->link, Cell(own->id, CellCommand::kDestroy));
    table_.Erase(own->link, own->id);
  }
  if (own->done && own->proves && on_proof_) on_proof_(own->core.hops(), /*stood=*/false);
  if (own->done) loop_.Post([done = std::move(own->done), why] { done(why); });
  if (on_closed_) on_closed_(circuit);
}

void OwnCircuits::OnTimer() {
  armed_ = absl::InfiniteFuture();
  std::vector<uint64_t> late;
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [circuit, own] : circuits_) {
    const absl::Time due = own->waiting.has_value() ? own->waiting_until : own->core.NextTick();
    if (due <= loop_.Now()) late.push_back(circuit);
    if (due > loop_.Now()) next = std::min(next, due);
  }
  for (uint64_t circuit : late) Drop(circuit, true, absl::DeadlineExceededError("no answer on the circuit"));
  ArmTimer(next);
}

void OwnCircuits::ArmTimer(absl::Time due) {
  if (due >= armed_) return;
  armed_ = due;
  timer_.Reset(due);
}

}  // namespace circuits
