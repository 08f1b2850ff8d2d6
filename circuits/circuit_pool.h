// SPDX-License-Identifier: Apache-2.0
// circuits/circuit_pool.h — the circuits that are ready: clean ones, and those that belong to an isolation key. Pure.
//
// A circuit serves one isolation key in its life, until its time is over, and one operation at a time; what it has left of
// RELAY_EARLY cells says for how many storage nodes (at most six, protocol.md 6).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/bytes.h"

namespace circuits {

inline constexpr absl::Duration kCircuitAgeMin = absl::Minutes(8), kCircuitAgeMax = absl::Minutes(12);  // the caller draws one
inline constexpr size_t kIdlePooledMax = 128;  // half of all: a circuit in use is never pushed out by one that rests

class CircuitPool {
 public:
  using Fits = std::function<bool(uint64_t circuit)>;

  // Clean if `isolation` is nothing. In use from the start if `busy`. Begins no operation after `until`.
  void Add(uint64_t circuit, std::optional<base::Bytes> isolation, bool busy, absl::Time until);
  void Remove(uint64_t circuit) { circuits_.erase(circuit); }
  // An idle circuit of that key that fits; else a clean one, which is the key's from now on. It is busy until Release.
  std::optional<uint64_t> Take(const base::Bytes& isolation, const Fits& fits, absl::Time now);
  // The clean circuit that fits and ends soonest; it stays where it is.
  std::optional<uint64_t> FirstClean(const Fits& fits, absl::Time now) const;
  void Release(uint64_t circuit);
  // Idle circuits whose time is over, or the first of them beyond kIdlePooledMax: the caller closes them.
  std::vector<uint64_t> TakeExpired(absl::Time now);
  size_t ready() const;  // clean ones
  size_t size() const { return circuits_.size(); }

 private:
  struct Pooled {
    std::optional<base::Bytes> isolation;
    bool busy;
    absl::Time until;
  };
  absl::flat_hash_map<uint64_t, Pooled> circuits_;
};

}  // namespace circuits
