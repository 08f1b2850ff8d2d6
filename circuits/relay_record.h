// SPDX-License-Identifier: Apache-2.0
// circuits/relay_record.h — which relays' circuits die: those that refuse what they cannot watch are chosen last. A core.
//
// Source: Borisov et al., CCS 2007 (selective refusal); Tor counts circuits by guard only ("path bias"), guard_set.h does it too.
//
// Behind an honest guard no circuit stands whose relays kill all that they cannot watch at both ends, so a few tell: a relay
// whose circuits died kExcess deviations more often than circuits do is shunned, as far as there are others, for kRecordLife.
//
// Behind a hostile guard honest relays look bad and hostile ones good, but not by that much: of a guard that may fail
// kBiasFailures of its circuits every relay has some that stand, and a relay is held to what all together do. So that neither
// luck nor aim hands the pool over to such a guard, no more than a part of the choices is shunned, and all is forgotten when one
// goes for path bias.
//
// Not kept on disk: after a restart it takes some circuits to know again.
#pragma once

#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "circuits/path_selector.h"

namespace circuits {

inline constexpr double kExcess = 3;               // four in a row where a quarter dies, fourteen where six in ten do
inline constexpr double kFailuresExpected = 0.25;  // at least: where fewer die, two dead ones in a row are no sign
inline constexpr int kRelayCircuitsMax = 40;       // of one relay; then both counters are halved
inline constexpr int kAllCircuitsMax = 400;
inline constexpr size_t kShunnedPart = 4;  // of the choices; of 64 relays a fifth is 13, with a deviation of 3
inline constexpr absl::Duration kRecordLife = absl::Hours(24);  // as long as one is in the pool
inline constexpr size_t kRecordsMax = 256;                      // a pool and its turnover; then the oldest goes

class RelayRecord {
 public:
  // A circuit was tried through these, besides its guard.
  void OnCircuit(std::span<const keys::PublicKey> relays, bool stood, absl::Time now);
  // Of these choices the ones to shun, the worst first, at most one in kShunnedPart.
  NodeKeys Refusing(const std::vector<overlay::Peer>& choices, absl::Time now) const;
  void Clear();

 private:
  struct Counts {
    int tried = 0, died = 0;
    void Add(bool stood, int most);
  };
  struct Relay {
    Counts counts;
    absl::Time since;
  };
  absl::flat_hash_map<keys::PublicKey, Relay> relays_;
  Counts all_;
};

}  // namespace circuits
