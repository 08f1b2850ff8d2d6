// SPDX-License-Identifier: Apache-2.0
// Damaged files never crash the store or pass for what was put. `./dev soak store` does the same a thousand times.
#include "tests/dht/rocksdb_corruption.h"

#include <gtest/gtest.h>

namespace dht {
namespace {

TEST(RocksdbCorruption, OfTheseCopiesNoneServesWrongBytesOrLosesInSilence) {
  const CorruptionTotals totals = CorruptionTrial(/*seed=*/7).Run(80);
  EXPECT_EQ(totals.refused, 0u);
  EXPECT_EQ(totals.wrong, 0u);
  EXPECT_EQ(totals.silent, 0u);
  EXPECT_EQ(totals.unread, 0u);
  EXPECT_EQ(totals.unwhole, 0u);
  EXPECT_GT(totals.missing, 0u) << "the damage did no harm: nothing is proved";
  EXPECT_LT(totals.missing, totals.held / 2) << "more is thrown away than was damaged";
}

}  // namespace
}  // namespace dht
