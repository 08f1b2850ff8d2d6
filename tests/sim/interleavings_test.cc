// SPDX-License-Identifier: Apache-2.0
// All interleavings of small rings, complete for so many rounds. The build's run stays under a minute; BULBIL_SIM_ROUNDS=2
// searches two rounds further in each case, BULBIL_SIM_STATES=50000000 lifts the bound that then stops it.
#include "tests/sim/interleavings.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace sim {
namespace {

uint64_t Wanted(const char* variable, uint64_t usual) {
  const char* wanted = std::getenv(variable);
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : usual;
}

struct Case {
  const char* name;
  Interleavings bounds;
};

class EveryInterleaving : public testing::TestWithParam<Case> {};

TEST_P(EveryInterleaving, KeepsTheInvariantAndBecomesIdeal) {
  Interleavings bounds = GetParam().bounds;
  bounds.states_max = Wanted("BULBIL_SIM_STATES", 200'000);
  const uint64_t further = Wanted("BULBIL_SIM_ROUNDS", 0);
  bounds.rounds += static_cast<int>(further);
  const InterleavingsResult result = Search(bounds);
  EXPECT_EQ(result.broken, "");
  EXPECT_GT(result.states, 500u);
  EXPECT_TRUE(result.complete || further > 0);
  const std::string summary = absl::StrCat(result.states, " states, ", result.steps, " steps, ", result.settled, " settled, ",
                                           bounds.rounds, " rounds, ", result.complete ? "complete" : "stopped");
  RecordProperty("searched", summary);
  std::printf("%s: %s\n", GetParam().name, summary.c_str());
}

INSTANTIATE_TEST_SUITE_P(
    Rings, EveryInterleaving,
    testing::Values(
        Case{"r2_3and1join", {.successor_count = 2, .members = 3, .joiners = 1, .crashes = 1, .principals_min = 3, .rounds = 4}},
        Case{"r2_4less1", {.successor_count = 2, .members = 4, .joiners = 0, .crashes = 1, .principals_min = 3, .rounds = 4}},
        Case{"r2_5less2", {.successor_count = 2, .members = 5, .joiners = 0, .crashes = 2, .principals_min = 3, .rounds = 3}},
        Case{"r2_3and2join", {.successor_count = 2, .members = 3, .joiners = 2, .crashes = 2, .principals_min = 3, .rounds = 2}},
        Case{"r3_4and1join", {.successor_count = 3, .members = 4, .joiners = 1, .crashes = 1, .principals_min = 4, .rounds = 3}},
        Case{"r3_5less1", {.successor_count = 3, .members = 5, .joiners = 0, .crashes = 1, .principals_min = 4, .rounds = 4}},
        Case{"r3_4and2join", {.successor_count = 3, .members = 4, .joiners = 2, .crashes = 2, .principals_min = 4, .rounds = 2}},
        Case{"r3_bootstrap1and2",
             {.successor_count = 3, .members = 1, .joiners = 2, .crashes = 1, .principals_min = 1, .rounds = 3}}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace sim
