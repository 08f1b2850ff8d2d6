// SPDX-License-Identifier: Apache-2.0
#include "overlay/cell.h"

namespace overlay {

absl::Status CheckCell(const Cell& cell) {
  if (cell.command() > CellCommand::kDestroy) return absl::InvalidArgumentError("unknown cell command");
  if ((cell.bytes[5] | cell.bytes[6] | cell.bytes[7]) != 0) return absl::InvalidArgumentError("reserved bytes are not zero");
  return absl::OkStatus();
}

}  // namespace overlay
