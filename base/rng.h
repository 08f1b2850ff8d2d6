// SPDX-License-Identifier: Apache-2.0
// base/rng.h — port for randomness. The program runs on libsodium's (keys/system_rng.h), tests on a seeded one.
#pragma once

#include <array>
#include <span>

#include "base/bytes.h"

namespace base {

class Rng {
 public:
  virtual ~Rng() = default;

  virtual void Fill(std::span<uint8_t> bytes) = 0;

  // Uniform in [0, bound); bound > 0. Rejection sampling, so without bias.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1).
  double Unit();
  template <size_t N>
  std::array<uint8_t, N> Array() {
    std::array<uint8_t, N> array;
    Fill(array);
    return array;
  }
};

// Shuffles in place (Fisher and Yates); every order is equally likely.
template <class Container>
void Shuffle(Container& items, Rng& rng) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.Below(i)]);
}

}  // namespace base
