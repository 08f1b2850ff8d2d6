// SPDX-License-Identifier: Apache-2.0
// Every decoder against random bytes and against valid input with a few bytes changed, cut or doubled.
#include <gtest/gtest.h>

#include "tests/fuzz/targets.h"
#include "tests/support/seeded_rng.h"

namespace fuzz {
namespace {

constexpr int kRounds = 3000;  // of each kind and target; libFuzzer is for the millions

base::Bytes Mutate(base::Bytes bytes, support::SeededRng& rng) {
  for (uint64_t changes = 1 + rng.Below(4); changes > 0 && !bytes.empty(); --changes) {
    const size_t at = rng.Below(bytes.size());
    switch (rng.Below(5)) {
      case 0: bytes[at] ^= static_cast<uint8_t>(1 << rng.Below(8)); break;
      case 1: bytes[at] = static_cast<uint8_t>(rng.Below(2) == 0 ? 0 : 255); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), static_cast<uint8_t>(rng.Below(256))); break;
      default: bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(at)); break;
    }
  }
  return bytes;
}

class Decoders : public testing::TestWithParam<size_t> {};

TEST_P(Decoders, SurviveAnyBytes) {
  const Target& target = Targets()[GetParam()];
  support::SeededRng rng(GetParam() + 1);
  const std::vector<base::Bytes> valid = target.valid();
  ASSERT_FALSE(valid.empty());
  for (const base::Bytes& bytes : valid) target.run(bytes);
  for (int round = 0; round < kRounds; ++round) {
    base::Bytes random(rng.Below(2200));
    rng.Fill(random);
    target.run(random);
    target.run(Mutate(valid[rng.Below(valid.size())], rng));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Decoders, testing::Range<size_t>(0, Targets().size()),
                         [](const testing::TestParamInfo<size_t>& at) { return std::string(Targets()[at.param].name); });

}  // namespace
}  // namespace fuzz
