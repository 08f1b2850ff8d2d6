// SPDX-License-Identifier: Apache-2.0
// Damaged store files by the thousand. usage: store_corruption COPIES SEED. Prints one line "name=number ...".
#include <cstdlib>
#include <iostream>

#include "tests/dht/rocksdb_corruption.h"

int main(int count, char** words) {
  if (count != 3) return 2;
  const uint64_t copies = std::strtoull(words[1], nullptr, 10), seed = std::strtoull(words[2], nullptr, 10);
  const dht::CorruptionTotals totals = dht::CorruptionTrial(seed).Run(copies);
  std::cout << "corruptions=" << totals.corruptions << " refused=" << totals.refused << " wrong=" << totals.wrong
            << " silent=" << totals.silent << " unread=" << totals.unread << " unwhole=" << totals.unwhole
            << " missing=" << totals.missing << " held=" << totals.held << std::endl;
  return totals.refused + totals.wrong + totals.silent + totals.unread + totals.unwhole == 0 ? 0 : 1;
}
