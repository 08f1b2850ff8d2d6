// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_frame.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

base::Bytes Cells(size_t count, base::Rng& rng) {
  base::Bytes bytes;
  for (size_t i = 0; i < count; ++i) {
    Cell cell(static_cast<CircuitId>(i + 1), CellCommand::kRelay);
    rng.Fill(cell.body());
    bytes.insert(bytes.end(), cell.bytes.begin(), cell.bytes.end());
  }
  return bytes;
}

absl::Status ReadInto(const std::vector<base::ByteView>& pieces, base::Bytes& out) {
  return ReadFrame(pieces, [&](const Cell& cell) {
    out.insert(out.end(), cell.bytes.begin(), cell.bytes.end());
    return true;
  });
}

TEST(LinkFrame, ReadsEveryCellHoweverTheBytesAreSplit) {
  support::SeededRng rng(3);
  for (int round = 0; round < 200; ++round) {
    const base::Bytes frame = Cells(1 + rng.Below(kFrameCellsMax), rng);
    std::vector<base::ByteView> pieces;
    for (size_t at = 0; at < frame.size();) {
      const size_t longest = round % 2 == 0 ? 9 * kCellSize : 300;
      const size_t size = std::min(frame.size() - at, static_cast<size_t>(rng.Below(longest)));  // empty pieces, too
      pieces.push_back(base::ByteView(frame).subspan(at, size));
      at += size;
    }
    base::Bytes read;
    ASSERT_OK(ReadInto(pieces, read));
    ASSERT_EQ(read, frame);
  }
}

TEST(LinkFrame, RefusesAnythingButOneToSixteenWholeCells) {
  support::SeededRng rng(4);
  const base::Bytes most = Cells(kFrameCellsMax + 1, rng);
  base::Bytes read;
  for (const size_t size : {size_t{0}, size_t{1}, kCellSize - 1, kCellSize + 1, 16 * kCellSize + 1, 17 * kCellSize}) {
    EXPECT_STATUS(ReadInto({base::ByteView(most).first(size)}, read), kInvalidArgument) << size;
  }
  EXPECT_STATUS(ReadInto({}, read), kInvalidArgument);
  EXPECT_TRUE(read.empty());
}

TEST(LinkFrame, StopsAtACellThatIsNone) {
  support::SeededRng rng(5);
  base::Bytes frame = Cells(3, rng);
  frame[kCellSize + 4] = 0x77;  // an unknown command in the second
  base::Bytes read;
  EXPECT_STATUS(ReadInto({frame}, read), kInvalidArgument);
  EXPECT_EQ(read.size(), kCellSize);
}

TEST(LinkFrame, StopsWhenNoMoreIsWanted) {
  support::SeededRng rng(6);
  const base::Bytes frame = Cells(3, rng);
  int taken = 0;
  EXPECT_OK(ReadFrame({frame}, [&](const Cell&) { return ++taken < 2; }));
  EXPECT_EQ(taken, 2);
}

}  // namespace
}  // namespace overlay
