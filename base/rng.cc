// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <cstring>
#include <limits>

#include "base/check.h"

namespace base {
namespace {

uint64_t Draw(Rng& rng) {
  const auto bytes = rng.Array<8>();
  uint64_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

uint64_t Rng::Below(uint64_t bound) {
  CHECK(bound > 0);
  const uint64_t limit = std::numeric_limits<uint64_t>::max() - std::numeric_limits<uint64_t>::max() % bound;
  uint64_t value = Draw(*this);
  while (value >= limit) value = Draw(*this);
  return value % bound;
}

double Rng::Unit() { return static_cast<double>(Draw(*this) >> 11) * 0x1.0p-53; }

}  // namespace base
