// SPDX-License-Identifier: Apache-2.0
#include "circuits/circuit_table.h"

namespace circuits {
namespace {

constexpr int kIdTries = 64;  // of 2^31 ids at most 2^16 are taken: one try nearly always does

}  // namespace

bool IsPeersId(const overlay::LinkInfo& link, overlay::CircuitId id) {
  return id != 0 && ((id & overlay::kCircuitIdTopBit) != 0) == !link.high_ids;
}

const CircuitEntry* CircuitTable::Find(overlay::LinkId link, overlay::CircuitId id) const {
  const auto circuits = links_.find(link);
  if (circuits == links_.end()) return nullptr;
  const auto found = circuits->second.find(id);
  return found == circuits->second.end() ? nullptr : &found->second;
}

bool CircuitTable::Insert(overlay::LinkId link, overlay::CircuitId id, CircuitEntry entry) {
  return links_[link].emplace(id, entry).second;
}

std::optional<overlay::CircuitId> CircuitTable::Allocate(const overlay::LinkInfo& link, CircuitEntry entry, size_t circuits_max,
                                                         base::Rng& rng) {
  if (CountOn(link.id) >= circuits_max) return std::nullopt;
  for (int attempt = 0; attempt < kIdTries; ++attempt) {
    const auto low = static_cast<overlay::CircuitId>(1 + rng.Below(overlay::kCircuitIdTopBit - 1));
    const overlay::CircuitId id = link.high_ids ? low | overlay::kCircuitIdTopBit : low;
    if (Insert(link.id, id, entry)) return id;
  }
  return std::nullopt;
}

void CircuitTable::Erase(overlay::LinkId link, overlay::CircuitId id) {
  const auto circuits = links_.find(link);
  if (circuits == links_.end()) return;
  circuits->second.erase(id);
  if (circuits->second.empty()) links_.erase(circuits);
}

std::vector<CircuitEntry> CircuitTable::TakeLink(overlay::LinkId link) {
  std::vector<CircuitEntry> entries;
  const auto circuits = links_.find(link);
  if (circuits == links_.end()) return entries;
  for (const auto& [id, entry] : circuits->second) entries.push_back(entry);
  links_.erase(circuits);
  return entries;
}

size_t CircuitTable::CountOn(overlay::LinkId link) const {
  const auto circuits = links_.find(link);
  return circuits == links_.end() ? 0 : circuits->second.size();
}

}  // namespace circuits
