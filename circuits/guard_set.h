// SPDX-License-Identifier: Apache-2.0
// circuits/guard_set.h — the first hops: the only relays that see the user's address, so as few as can be, for as long as can be.
// A core.
//
// Source: Tor's guard-spec (few, kept, in order of preference); Borisov et al., CCS 2007 (who kills the circuits it cannot
// watch). One in use, one spare; 30 +- 10 days each; kept on disk. The spare is for the time that the first does not answer, and
// for circuits that the first may not begin (it holds the place they are for); a third comes only when neither can be used. Path
// bias: a guard through which kBiasBuildsMin circuits or more were tried and clearly more than kBiasFailures of them died goes;
// one in kBiasDropEvery at most, else a hostile neighbour could churn the user onto guards of its own. A circuit counts when it
// has proved itself (own_circuits_driver.h): who lets it be built and kills it when it is used gains nothing by that. A guard
// from before the pool was usable is provisional and goes as soon as it is. A guard whose time is over goes when it has been over
// for kGuardOver by the steady clock: a wall clock that is wrong for a moment, by somebody's hand perhaps, costs nobody the
// guards that took a month to choose.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "circuits/path_selector.h"

namespace circuits {

inline constexpr size_t kGuardsMax = 8;  // while many do not answer; the newest goes first
inline constexpr absl::Duration kGuardLife = absl::Hours(30 * 24), kGuardLifeJitter = absl::Hours(10 * 24);
inline constexpr absl::Duration kGuardOver = absl::Hours(1);
inline constexpr absl::Duration kGuardAgain = absl::Seconds(20);  // one that did not answer is tried again, doubling up to
inline constexpr absl::Duration kGuardAgainMax = absl::Minutes(30);
inline constexpr int kBiasBuildsMin = 20;
inline constexpr double kBiasFailures = 0.6;  // honest guards of a network where a fifth kills all it can see fail 36 of 100;
                                              // fewer once the relays that do are known (relay_record.h)
inline constexpr double kBiasDeviations = 2;  // more than that, so that bad luck with the first relays costs no honest guard its
                                              // place: 17 of 20 have to die, 630 of 1,000
inline constexpr absl::Duration kBiasDropEvery = absl::Hours(10 * 24);

// Whether so many deaths cost a guard its place.
bool IsBiased(int tried, int died);

class GuardSet {
 public:
  struct Guard {
    overlay::Peer peer;
    absl::Time until;  // wall clock
    bool provisional = false;
    int tried = 0,
        died = 0;      // circuits that got past this hop; of them those that failed behind it before they proved themselves
    int silent = 0;    // times in a row that it did not answer
    absl::Time again;  // not before, while silent
    absl::Time over_since = absl::InfiniteFuture();  // steady clock; forgotten when the process ends
  };

  explicit GuardSet(base::Rng& rng) : rng_(rng) {}

  // The guard of a new circuit: the first that answers and the rules allow, one that they shun rather than a new one (who meets
  // fewer guards meets fewer hostile ones); else a new one out of `choices`, which stays.
  // Nothing if no choice will do.
  std::optional<overlay::Peer> Choose(const std::vector<overlay::Peer>& choices, const HopRules& rules, bool provisional,
                                      absl::Time now, absl::Time wall_now);
  void OnAnswer(const keys::PublicKey& node_key);
  void OnSilence(const keys::PublicKey& node_key, absl::Time now);
  // A circuit that had reached the guard proved itself, or died before that. True if the guard lost its place for it.
  bool OnCircuit(const keys::PublicKey& node_key, bool stood, absl::Time wall_now);
  void DropProvisional();

  const std::vector<Guard>& guards() const { return guards_; }

  //   last drop 8 ‖ count 1 ‖ guards, each: until 8 ‖ provisional 1 ‖ tried 2 ‖ died 2 ‖ peer
  base::Bytes Encode() const;
  // DataLoss if it is something else; then nothing changed.
  absl::Status Decode(const overlay::Network& network, base::ByteView bytes);

 private:
  void DropOver(absl::Time now, absl::Time wall_now);
  Guard* Find(const keys::PublicKey& node_key);

  base::Rng& rng_;
  std::vector<Guard> guards_;               // in order of preference
  absl::Time dropped_ = absl::UnixEpoch();  // when path bias cost one its place
};

}  // namespace circuits
