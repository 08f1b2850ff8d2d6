// SPDX-License-Identifier: Apache-2.0
#include "overlay/cell.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

TEST(Cell, LaysItsHeaderOutAsSpecified) {
  Cell cell(0x80010203u, CellCommand::kRelay);
  cell.body()[0] = 9;
  EXPECT_EQ(base::ToHex(base::ByteView(cell.bytes).first(9)), "800102030300000009");
  EXPECT_EQ(cell.circuit_id(), 0x80010203u);
  EXPECT_EQ(cell.command(), CellCommand::kRelay);
}

TEST(Cell, IsRefusedWithUnknownCommandOrReservedBytes) {
  Cell cell(1, CellCommand::kDestroy);
  EXPECT_OK(CheckCell(cell));
  for (size_t reserved : {5, 6, 7}) {
    Cell bad = cell;
    bad.bytes[reserved] = 1;
    EXPECT_STATUS(CheckCell(bad), kInvalidArgument);
  }
  for (int command = 6; command < 256; ++command) {
    Cell bad = cell;
    bad.bytes[4] = static_cast<uint8_t>(command);
    EXPECT_STATUS(CheckCell(bad), kInvalidArgument);
  }
}

}  // namespace
}  // namespace overlay
