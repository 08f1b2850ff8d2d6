// SPDX-License-Identifier: Apache-2.0
// overlay/link_frame.h — a message of a link's stream: 1 to kFrameCellsMax whole cells, one after the other, nothing else.
#pragma once

#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "overlay/cell.h"

namespace overlay {

// 32 KiB: beyond it a message costs no less per byte, and a lone cell of another circuit waits longer behind it.
inline constexpr size_t kFrameCellsMax = 16;

// Hands the message's cells over, in order, as long as `take` returns true; each in the same place, for `take` to change and to
// copy from. `pieces` are the message's bytes; transports split them anywhere. InvalidArgument: no whole number of cells, none,
// too many, or one that CheckCell refuses; the link has to be closed. The size is judged before the first cell, a cell only when
// it is its turn.
absl::Status ReadFrame(const std::vector<base::ByteView>& pieces, absl::FunctionRef<bool(Cell&)> take);

}  // namespace overlay
