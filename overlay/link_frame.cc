// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_frame.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace overlay {
namespace {

// Walks over the pieces cell by cell.
class CellWalk {
 public:
  explicit CellWalk(const std::vector<base::ByteView>& pieces) : pieces_(pieces) {}

  // There must be as many bytes left.
  void CopyNext(Cell& cell) {
    for (size_t filled = 0; filled < kCellSize;) {
      const base::ByteView rest = pieces_[piece_].subspan(offset_);
      const size_t taken = std::min(rest.size(), kCellSize - filled);
      if (taken > 0) std::memcpy(cell.bytes.data() + filled, rest.data(), taken);
      filled += taken;
      offset_ += taken;
      if (taken == rest.size()) NextPiece();
    }
  }

 private:
  void NextPiece() {
    ++piece_;
    offset_ = 0;
  }

  const std::vector<base::ByteView>& pieces_;
  size_t piece_ = 0, offset_ = 0;
};

}  // namespace

absl::Status ReadFrame(const std::vector<base::ByteView>& pieces, absl::FunctionRef<bool(Cell&)> take) {
  size_t size = 0;
  for (const base::ByteView& piece : pieces) size += piece.size();
  if (size == 0 || size % kCellSize != 0 || size > kFrameCellsMax * kCellSize) {
    return absl::InvalidArgumentError(absl::StrCat("link message of ", size, " bytes"));
  }
  CellWalk walk(pieces);
  Cell cell;
  for (size_t left = size / kCellSize; left > 0; --left) {
    walk.CopyNext(cell);
    RETURN_IF_ERROR(CheckCell(cell));
    if (!take(cell)) break;
  }
  return absl::OkStatus();
}

}  // namespace overlay
