// SPDX-License-Identifier: Apache-2.0
// Power losses by the ten thousand. usage: store_power LOSSES SEED sync|control. Prints one line "name=number ...".
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "tests/dht/power_trial.h"

int main(int count, char** words) {
  if (count != 4) return 2;
  const uint64_t losses = std::strtoull(words[1], nullptr, 10), seed = std::strtoull(words[2], nullptr, 10);
  const bool is_control = std::string_view(words[3]) == "control";
  const dht::PowerTotals totals = dht::PowerTrial(seed, !is_control).Run(losses);
  std::cout << "losses=" << totals.losses << " acknowledged=" << totals.acknowledged << " lost=" << totals.lost
            << " wrong=" << totals.wrong << " half=" << totals.half << " suspect=" << totals.suspect
            << " refused=" << totals.refused << std::endl;
  const bool as_promised = totals.lost + totals.wrong + totals.half + totals.refused == 0;
  return as_promised != is_control ? 0 : 1;
}
