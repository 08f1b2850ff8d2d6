// SPDX-License-Identifier: Apache-2.0
// chat/reading_turns.h — whose chain is read next while a client runs on a clock.
//
// Upkeep (invites, own bundles) at first, and again after kTurnsPerUpkeep turns; in between one contact after the
// other, and each second turn is that of the conversation in focus. Two turns of three ask only where the next message lies if
// nothing is missing; the third looks at other places and ahead (box_reader.h). How long a turn takes is the clock's affair.
// Pure.
#pragma once

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "base/rng.h"
#include "keys/identity.h"

namespace chat {

inline constexpr absl::Duration kUpkeepEvery = absl::Minutes(2);  // where there is nobody to read
inline constexpr int kTurnsPerUpkeep = 16;

struct ReadingTurn {
  std::optional<keys::PublicKey> only;  // nobody: upkeep
  bool brief = false;
};

class ReadingTurns {
 public:
  explicit ReadingTurns(base::Rng& rng) : rng_(rng) {}

  // `contacts` in the order of their keys. Nothing to read: no turn.
  std::optional<ReadingTurn> Next(const std::vector<keys::PublicKey>& contacts, const std::optional<keys::PublicKey>& focus,
                                  absl::Time now);
  // Upkeep is next again.
  void Restart() { upkeep_due_ = absl::InfinitePast(); }

 private:
  base::Rng& rng_;
  absl::Time upkeep_due_ = absl::InfinitePast();
  int turns_ = 0;  // since
  bool focus_next_ = true;
  std::optional<keys::PublicKey> last_;  // of those that take turns
};

}  // namespace chat
