// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_frame.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace overlay {
namespace {

// Walks over the pieces cell by cell; a cell that lies in one piece is not copied.
class CellWalk {
 public:
  explicit CellWalk(const std::vector<base::ByteView>& pieces) : pieces_(pieces) {}

  // The next cell's bytes, valid until the next call. There must be as many bytes left.
  base::ByteView Next() {
    SkipEmpty();
    const base::ByteView rest = pieces_[piece_].subspan(offset_);
    if (rest.size() >= kCellSize) {
      offset_ += kCellSize;
      return rest.first(kCellSize);
    }
    for (size_t filled = 0; filled < kCellSize;) filled += TakeInto(filled);
    return joined_;
  }

 private:
  void SkipEmpty() {
    while (offset_ == pieces_[piece_].size()) {
      ++piece_;
      offset_ = 0;
    }
  }
  size_t TakeInto(size_t filled) {
    SkipEmpty();
    const base::ByteView rest = pieces_[piece_].subspan(offset_);
    const size_t taken = std::min(rest.size(), kCellSize - filled);
    std::memcpy(joined_.data() + filled, rest.data(), taken);
    offset_ += taken;
    return taken;
  }

  const std::vector<base::ByteView>& pieces_;
  size_t piece_ = 0, offset_ = 0;
  std::array<uint8_t, kCellSize> joined_;
};

}  // namespace

absl::Status ReadFrame(const std::vector<base::ByteView>& pieces, absl::FunctionRef<bool(const Cell&)> take) {
  size_t size = 0;
  for (const base::ByteView& piece : pieces) size += piece.size();
  if (size == 0 || size % kCellSize != 0 || size > kFrameCellsMax * kCellSize) {
    return absl::InvalidArgumentError(absl::StrCat("link message of ", size, " bytes"));
  }
  CellWalk walk(pieces);
  for (size_t left = size / kCellSize; left > 0; --left) {
    ASSIGN_OR_RETURN(const Cell cell, DecodeCell(walk.Next()));
    if (!take(cell)) break;
  }
  return absl::OkStatus();
}

}  // namespace overlay
