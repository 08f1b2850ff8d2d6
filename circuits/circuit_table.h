// SPDX-License-Identifier: Apache-2.0
// circuits/circuit_table.h — (link, circuit id) -> whose circuit that is. One table for the circuits a node carries for others
// and for those of its own user: on a link nobody can tell them apart (protocol.md 6).
//
// Ids: the top bit is 1 if the side with the greater TLS key chose the id, else 0; 0 never (protocol.md 3).
#pragma once

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/rng.h"
#include "overlay/link.h"

namespace circuits {

enum class CircuitEnd : uint8_t {
  kRelayPrevious,  // carried here, this link leads towards the client
  kRelayNext,      // carried here, this link leads away from it
  kOrigin,         // our own user's
};

struct CircuitEntry {
  CircuitEnd end;
  uint64_t circuit;  // the number its owner knows it by
};

// True if the peer of that link may choose the id, false if it would be ours to choose (or is 0).
bool IsPeersId(const overlay::LinkInfo& link, overlay::CircuitId id);

class CircuitTable {
 public:
  const CircuitEntry* Find(overlay::LinkId link, overlay::CircuitId id) const;
  // False if the id is in use on that link.
  bool Insert(overlay::LinkId link, overlay::CircuitId id, CircuitEntry entry);
  // A fresh random id of our half; nothing if the link holds `circuits_max` already.
  std::optional<overlay::CircuitId> Allocate(const overlay::LinkInfo& link, CircuitEntry entry, size_t circuits_max,
                                             base::Rng& rng);
  void Erase(overlay::LinkId link, overlay::CircuitId id);
  // Removes the link and returns all that ran over it.
  std::vector<CircuitEntry> TakeLink(overlay::LinkId link);
  size_t CountOn(overlay::LinkId link) const;

 private:
  using Circuits = absl::flat_hash_map<overlay::CircuitId, CircuitEntry>;
  absl::flat_hash_map<overlay::LinkId, Circuits> links_;
};

}  // namespace circuits
