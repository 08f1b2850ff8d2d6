// SPDX-License-Identifier: Apache-2.0
// cli/tables_mark.h — how far the times of a node's signed tables have got: NODE_DIRECTORY/tables.until, owner-only.
//
//   "bulbil-tables-until 1\n" ‖ seconds since 1970, decimal ‖ "\n"
// Over a restart a node must not sign a second table for a time it has signed one for (overlay/contradiction.h), though its clock
// may have gone back meanwhile.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "base/rng.h"

namespace cli {

class TablesMark {
 public:
  explicit TablesMark(std::string directory) : directory_(std::move(directory)) {}

  // 1970 if there is none, or none that can be read: then the clock must not have gone back.
  absl::Time Load() const;
  // Whole or not at all; a failure is logged. Any thread.
  void Save(absl::Time until, base::Rng& rng) const;

 private:
  std::string directory_;
};

}  // namespace cli
