// SPDX-License-Identifier: Apache-2.0
// tests/support/seeded_rng.h — randomness that one seed repeats (SplitMix64). Never outside tests.
#pragma once

#include "base/rng.h"

namespace support {

class SeededRng : public base::Rng {
 public:
  explicit SeededRng(uint64_t seed) : state_(seed) {}

  void Fill(std::span<uint8_t> bytes) override {
    uint64_t word = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (i % 8 == 0) word = Next();
      bytes[i] = static_cast<uint8_t>(word >> (8 * (i % 8)));
    }
  }

 private:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace support
