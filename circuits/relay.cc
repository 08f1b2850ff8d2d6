// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay.h"

#include <algorithm>

#include "base/overloaded.h"
#include "overlay/address_prefix.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;
using overlay::CircuitId;
using overlay::LinkId;

// Rates outside `local`, which has none (protocol.md 1).
constexpr double kCreatesPerSecond = 4, kCreatesBurst = 64;              // of a client link: a poll's circuits at once
constexpr double kNodeCreatesPerSecond = 200, kNodeCreatesBurst = 1000;  // a node link carries many clients' circuits
constexpr double kDialsPerSecond = 4, kDialsBurst = 64;                  // new links asked for over one link
constexpr double kPrefixDialsPerSecond = 4, kPrefixDialsBurst = 32;      // new links to one prefix, whoever asks
constexpr size_t kPrefixesMax = 4096;                                    // about 100 bytes each

bool HasRates(const overlay::Network& network) { return !network.private_addresses; }

void Append(RelayActions& to, RelayActions from) { std::move(from.begin(), from.end(), std::back_inserter(to)); }

}  // namespace

size_t Relay::CircuitsMaxOn(const overlay::LinkInfo& link) const {
  return link.is_node ? static_cast<size_t>(options_.network.circuits_per_link) : kClientCircuitsMax;
}

RelayActions Relay::OnLinkUp(const overlay::LinkInfo& link, absl::Time now) {
  const bool node = link.is_node;
  links_.try_emplace(link.id, LinkState{.info = link,
                                        .creates = node ? TokenBucket(kNodeCreatesPerSecond, kNodeCreatesBurst)
                                                        : TokenBucket(kCreatesPerSecond, kCreatesBurst),
                                        .dials = TokenBucket(kDialsPerSecond, kDialsBurst)});
  RelayActions actions;
  const auto waiting = dialing_.extract(link.id);
  if (waiting.empty()) return actions;
  for (uint64_t circuit : waiting.mapped()) {
    const auto found = carried_.find(circuit);
    if (found != carried_.end() && found->second->next_link == link.id) Append(actions, StartNext(circuit, *found->second, now));
  }
  return actions;
}

RelayActions Relay::OnLinkDown(LinkId link, const std::vector<CircuitEntry>& circuits) {
  RelayActions actions;
  const auto waiting = dialing_.extract(link);
  if (!waiting.empty()) {
    for (uint64_t circuit : waiting.mapped()) {
      const auto found = carried_.find(circuit);
      if (found != carried_.end() && found->second->next_link == link) Destroy(circuit, actions);
    }
  }
  for (const CircuitEntry& entry : circuits) {
    if (entry.end != CircuitEnd::kOrigin) Destroy(entry.circuit, actions);
  }
  links_.erase(link);
  std::erase_if(actions, [&](const RelayAction& action) {
    const auto* send = std::get_if<SendCell>(&action);
    return send != nullptr && send->link == link;
  });
  return actions;
}

std::optional<LinkId> Relay::OnCell(LinkId link, Cell& cell, absl::Time now, RelayActions& actions) {
  if (cell.command() == CellCommand::kPadding) return std::nullopt;
  const CircuitEntry* entry = table_.Find(link, cell.circuit_id());
  const auto found = entry == nullptr ? carried_.end() : carried_.find(entry->circuit);
  if (cell.command() == CellCommand::kCreate && entry != nullptr) {
    actions = {CloseLink{link}};
  } else if (found == carried_.end()) {
    actions = OnUnknown(link, cell, now);
  } else if (cell.command() == CellCommand::kDestroy) {
    actions = OnDestroy(link, cell, *entry);
  } else {
    return Pass(found->first, *found->second, entry->end == CircuitEnd::kRelayPrevious, cell, now, actions);
  }
  return std::nullopt;
}

std::optional<LinkId> Relay::Pass(uint64_t circuit, Carried& carried, bool forward, Cell& cell, absl::Time now,
                                  RelayActions& actions) {
  ++stats_.cells_relayed;
  RelayCircuitActions steps;
  const bool on = forward ? carried.core.OnForward(cell, now, steps) : carried.core.OnBackward(cell, now, steps);
  if (!on) {
    actions = Translate(circuit, std::move(steps), now);
    return std::nullopt;
  }
  carried.last_used = now;
  cell.SetCircuitId(forward ? carried.next_id : carried.previous_id);
  return forward ? carried.next_link : carried.previous_link;
}

RelayActions Relay::OnUnknown(LinkId link, const Cell& cell, absl::Time now) {
  if (cell.command() == CellCommand::kCreate) return OnCreate(link, cell, now);
  ++stats_.cells_unknown;
  return {};
}

RelayActions Relay::OnDestroy(LinkId link, const Cell& cell, const CircuitEntry& entry) {
  const uint64_t circuit = entry.circuit;
  Carried& carried = *carried_.at(circuit);
  if (entry.end == CircuitEnd::kRelayNext) carried.next_id = 0;  // whoever said it needs no answer
  if (entry.end == CircuitEnd::kRelayPrevious) carried.previous_id = 0;
  table_.Erase(link, cell.circuit_id());
  RelayActions actions;
  Destroy(circuit, actions);
  return actions;
}

absl::Status Relay::AdmitCreate(LinkState& link, absl::Time now) {
  const size_t unsettled_max = link.info.is_node ? kUnsettledPerNodeLink : kUnsettledPerClientLink;
  const bool full = link.carried >= kCarriedMax - carried_.size() || table_.CountOn(link.info.id) >= CircuitsMaxOn(link.info);
  const bool busy = link.unsettled >= std::min(unsettled_max, UnsettledLeft());
  if (!options_.enabled || full || busy) return absl::ResourceExhaustedError("no room for a circuit");
  if (HasRates(options_.network) && !link.creates.Take(now)) return absl::ResourceExhaustedError("circuits come too fast");
  return absl::OkStatus();
}

RelayActions Relay::OnCreate(LinkId link, const Cell& cell, absl::Time now) {
  const auto found = links_.find(link);
  if (found == links_.end()) return {};
  LinkState& state = found->second;
  const CircuitId id = cell.circuit_id();
  if (!IsPeersId(state.info, id)) return {CloseLink{link}};
  const base::ByteView skin = base::ByteView(cell.body()).first(keys::kOnionSkinSize);
  const bool admitted = AdmitCreate(state, now).ok();
  if (!admitted || !skins_.Admit(skin, now)) {
    ++(admitted ? stats_.replayed : stats_.refused);
    return {SendCell{link, Cell(id, CellCommand::kDestroy)}};
  }
  const uint64_t circuit = ++last_circuit_;
  CHECK(table_.Insert(link, id, {CircuitEnd::kRelayPrevious, circuit}));
  auto carried = std::unique_ptr<Carried>(new Carried{
      .core = RelayCircuit({options_.own_key, state.info.peer_key, options_.answers_requests, &options_.records}, rng_),
      .previous_link = link,
      .previous_id = id,
      .last_used = now,
      .due = now + kSettleMax});
  due_.emplace(carried->due, circuit);
  carried_.emplace(circuit, std::move(carried));
  ++state.carried, ++state.unsettled, ++unsettled_, ++stats_.created;
  return {ReplyToSkin{circuit, base::ToBytes(skin)}};
}

RelayActions Relay::OnHandshake(uint64_t circuit, const absl::StatusOr<keys::ServerReplyResult>& result, absl::Time now) {
  const auto found = carried_.find(circuit);
  if (found == carried_.end()) return {};
  return Translate(circuit, found->second->core.OnHandshake(result), now);
}

RelayActions Relay::OnTarget(uint64_t circuit, const absl::StatusOr<overlay::Descriptor>& target, absl::Time now) {
  const auto found = carried_.find(circuit);
  if (found == carried_.end()) return {};
  return Translate(circuit, found->second->core.OnTarget(target), now);
}

RelayActions Relay::OnDialing(uint64_t circuit, LinkId link, absl::Time now) {
  const auto found = carried_.find(circuit);
  if (found == carried_.end()) return {};
  if (link == 0) return Translate(circuit, found->second->core.OnDialed(false), now);
  found->second->next_link = link;
  if (links_.contains(link)) return StartNext(circuit, *found->second, now);
  dialing_[link].push_back(circuit);
  return {};
}

RelayActions Relay::StartNext(uint64_t circuit, Carried& carried, absl::Time now) {
  const overlay::LinkInfo& link = links_.at(carried.next_link).info;
  const auto id = table_.Allocate(link, {CircuitEnd::kRelayNext, circuit}, CircuitsMaxOn(link), rng_);
  carried.next_id = id.value_or(0);
  return Translate(circuit, carried.core.OnDialed(id.has_value()), now);
}

RelayActions Relay::OnAnswer(uint64_t circuit, base::Bytes payload, absl::Time now) {
  const auto found = carried_.find(circuit);
  if (found == carried_.end()) return {};
  return Translate(circuit, found->second->core.OnAnswer(std::move(payload), now), now);
}

RelayActions Relay::OnSendFailed(LinkId link, CircuitId id) {
  RelayActions actions;
  const CircuitEntry* entry = table_.Find(link, id);
  if (entry != nullptr && entry->end != CircuitEnd::kOrigin) Destroy(entry->circuit, actions);
  return actions;
}

RelayActions Relay::OnTick(absl::Time now) {
  RelayActions actions;
  while (!due_.empty() && due_.begin()->first <= now) {
    const uint64_t circuit = due_.begin()->second;
    Carried& carried = *carried_.at(circuit);
    due_.erase(due_.begin());
    carried.due = carried.last_used + kIdleMax;
    if (carried.unsettled || carried.due <= now) {
      Destroy(circuit, actions);
    } else {
      due_.emplace(carried.due, circuit);
    }
  }
  return actions;
}

absl::Time Relay::NextTick() const { return due_.empty() ? absl::InfiniteFuture() : due_.begin()->first; }

// A circuit that starts to extend gets kSettleMax for all of it; one that rests lives until it is long unused.
void Relay::Settle(uint64_t circuit, Carried& carried, absl::Time now) {
  carried.last_used = now;
  const bool unsettled = carried.core.IsUnsettled();
  if (unsettled == carried.unsettled) return;
  carried.unsettled = unsettled;
  due_.erase({carried.due, circuit});
  carried.due = now + (unsettled ? kSettleMax : kIdleMax);
  due_.emplace(carried.due, circuit);
  unsettled_ = unsettled ? unsettled_ + 1 : unsettled_ - 1;
  if (const auto link = links_.find(carried.previous_link); link != links_.end()) {
    link->second.unsettled = unsettled ? link->second.unsettled + 1 : link->second.unsettled - 1;
  }
}

RelayActions Relay::Translate(uint64_t circuit, RelayCircuitActions steps, absl::Time now) {
  RelayActions actions;
  Carried& carried = *carried_.at(circuit);
  bool destroyed = false;
  for (RelayCircuitAction& step : steps) {
    std::visit(base::Overloaded{[&](ToPrevious& a) {
                                  a.cell.SetCircuitId(carried.previous_id);
                                  actions.push_back(SendCell{carried.previous_link, a.cell});
                                },
                                [&](ToNext& a) {
                                  a.cell.SetCircuitId(carried.next_id);
                                  actions.push_back(SendCell{carried.next_link, a.cell});
                                },
                                [&](circuits::DropNext&) { DropNext(carried, actions); },
                                [&](VerifyTarget& a) {
                                  const auto link = links_.find(carried.previous_link);
                                  if (link == links_.end() || link->second.unsettled >= UnsettledLeft()) destroyed = true;
                                  actions.push_back(CheckTarget{circuit, std::move(a.descriptor)});
                                },
                                [&](DialTarget& a) {
                                  if (!AdmitDial(carried, a.target, now)) destroyed = true;
                                  actions.push_back(Dial{circuit, std::move(a.target)});
                                },
                                [&](HandOver& a) {
                                  actions.push_back(AskEndpoint{circuit, a.channel_binding, std::move(a.payload)});
                                },
                                [&](DestroyBoth&) { destroyed = true; }},
               step);
  }
  if (!destroyed) {
    Settle(circuit, carried, now);
    CountWaiting(carried, now);
    if (waiting_ > kWaitingMax) DropStuck(actions);
    return actions;
  }
  actions.clear();  // a circuit that breaks says nothing more
  Destroy(circuit, actions);
  return actions;
}

void Relay::CountWaiting(Carried& carried, absl::Time now) {
  const size_t waiting = carried.core.waiting();
  if (waiting < carried.waiting || carried.waiting == 0) carried.stuck_since = now;
  waiting_ += waiting - carried.waiting;
  carried.waiting = waiting;
}

// Down to seven eighths, so that looking at all circuits is paid for by many cells.
void Relay::DropStuck(RelayActions& actions) {
  std::vector<std::pair<absl::Time, uint64_t>> stuck;
  for (const auto& [circuit, carried] : carried_) {
    if (carried->waiting > 0) stuck.emplace_back(carried->stuck_since, circuit);
  }
  std::sort(stuck.begin(), stuck.end());
  for (const auto& [since, circuit] : stuck) {
    if (waiting_ <= kWaitingMax / 8 * 7) return;
    ++stats_.stuck;
    Destroy(circuit, actions);
  }
}

bool Relay::AdmitDial(const Carried& carried, const overlay::Descriptor& target, absl::Time now) {
  if (!HasRates(options_.network)) return true;
  for (const auto& [id, link] : links_) {
    if (link.info.is_node && link.info.peer_key == target.node_key) return true;
  }
  const auto source = links_.find(carried.previous_link);
  if (source == links_.end() || !source->second.dials.Take(now)) return false;
  if (prefixes_.size() >= kPrefixesMax) prefixes_.clear();
  const auto prefix = prefixes_.try_emplace(overlay::PrefixOf(target.address), kPrefixDialsPerSecond, kPrefixDialsBurst).first;
  return prefix->second.Take(now);
}

void Relay::DropNext(Carried& carried, RelayActions& actions) {
  if (carried.next_id != 0) {
    actions.push_back(SendCell{carried.next_link, Cell(carried.next_id, CellCommand::kDestroy)});
    table_.Erase(carried.next_link, carried.next_id);
  }
  carried.next_link = 0;
  carried.next_id = 0;
}

void Relay::Destroy(uint64_t circuit, RelayActions& actions) {
  const auto found = carried_.find(circuit);
  if (found == carried_.end()) return;
  Carried& carried = *found->second;
  DropNext(carried, actions);
  if (carried.previous_id != 0) {
    actions.push_back(SendCell{carried.previous_link, Cell(carried.previous_id, CellCommand::kDestroy)});
    table_.Erase(carried.previous_link, carried.previous_id);
  }
  waiting_ -= carried.waiting;
  if (carried.unsettled) --unsettled_;
  if (const auto link = links_.find(carried.previous_link); link != links_.end()) {
    --link->second.carried;
    if (carried.unsettled) --link->second.unsettled;
  }
  due_.erase({carried.due, circuit});
  carried_.erase(found);
}

}  // namespace circuits
