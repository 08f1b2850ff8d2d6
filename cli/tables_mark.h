// SPDX-License-Identifier: Apache-2.0
// cli/tables_mark.h — how far the times of a node's signed tables have got: NODE_DIRECTORY/tables.until, owner-only.
//
//   "bulbil-tables-until 1\n" ‖ seconds since 1970, decimal ‖ "\n"
// Over a restart a node must not sign a second table for a time it has signed one for (overlay/contradiction.h), though its clock
// may have gone back meanwhile.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/rng.h"

namespace cli {

class TablesMark {
 public:
  explicit TablesMark(std::string directory) : directory_(std::move(directory)) {}

  // Nothing if there is none, or none that can be read: then the clock must not have gone back.
  std::optional<absl::Time> Load() const;
  // Whole or not at all, and synced if OK; a failure is logged. Any thread, one call at a time: a later one must not be overtaken.
  absl::Status Save(absl::Time until, base::Rng& rng) const;

 private:
  std::string directory_;
};

}  // namespace cli
