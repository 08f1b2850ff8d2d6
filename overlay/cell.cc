// SPDX-License-Identifier: Apache-2.0
#include "overlay/cell.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace overlay {

absl::StatusOr<Cell> DecodeCell(base::ByteView bytes) {
  if (bytes.size() != kCellSize) return absl::InvalidArgumentError(absl::StrCat("cell of ", bytes.size(), " bytes"));
  if (bytes[4] > static_cast<uint8_t>(CellCommand::kDestroy)) return absl::InvalidArgumentError("unknown cell command");
  if (bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0) return absl::InvalidArgumentError("reserved bytes are not zero");
  Cell cell;
  std::memcpy(cell.bytes.data(), bytes.data(), kCellSize);
  return cell;
}

}  // namespace overlay
