// SPDX-License-Identifier: Apache-2.0
// tests/sim/anonymity_start.h — how long a user waits: whole circuits drivers in a ring of 100 under virtual time, 50 ms a link.
#pragma once

#include <cstdint>

namespace sim {

// Prints one JSON object, seconds, over so many clients and operations: cold_*, of a client that knows one address and nothing else,
// until the answer to its first operation; warm_*, of a node whose pool is usable and whose circuits are ready; restarted_*, of one that
// was started anew a minute ago and has its pool and descriptors, but no tables.
int PrintStartTimes(uint64_t seed);

}  // namespace sim
