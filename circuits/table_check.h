// SPDX-License-Identifier: Apache-2.0
// circuits/table_check.h — whether a signed table can be true of a ring of this density, and whether "T is the successor of x" is
// borne out by others than T. Pure.
//
// Source: NISAN (CCS 2009) for bounds on fingers; Castro et al. (OSDI 2002) for the span of neighbour sets; ShadowWalker (CCS 2009)
// for the witness, who here is asked afterwards and chosen by the client, so that nobody can be eclipsed by refusing to sign.
// The members of a ring stand at hashes, so distances between neighbours are exponential, those between a random point and its
// n-th neighbour Gamma(n): each bound is a quantile of these, in mean gaps, chosen so that all of one table together refuse fewer
// than 1 honest one in 1,000 (measured: docs/anonymity.md).
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "base/rng.h"
#include "circuits/path_selector.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kNeighboursMin = 12;    // of the 16 in each direction: lists are short for a moment when neighbours die
inline constexpr double kFingerGapsMax = 14;    // from the ideal point: 14 mean gaps at e^-14, ten fingers, a tenth of error
inline constexpr int kFingerHolesMax = 2;       // exponents without a finger: a dead one's place is open until it is looked up again
inline constexpr double kCoveringFactor = 2.0;  // a table that covers the ring names at most so many times fewer, or more

// Upper bound of the sum of n gaps, in mean gaps: what one honest list in 4,000 exceeds. n >= 1.
double GapsBound(size_t n);

// InvalidArgument, with what is wrong: lists too short or too long, fingers too far from where they should be or left out. Fingers of
// a table that covers the ring are not looked at. `mean_gap`: RingDensity's.
absl::Status CheckTable(const overlay::RoutingTable& table, double mean_gap);

// Whether T's own table makes it the successor of x: its predecessors lie before x, and no farther than they may.
absl::Status CheckClaim(const overlay::NodeId& x, const overlay::RoutingTable& candidate, double mean_gap);
// One of T's predecessors, uniformly; nothing if all are in `never`.
std::optional<overlay::Peer> ChooseWitness(const overlay::RoutingTable& candidate, const NodeKeys& never, base::Rng& rng);
// The first at or after x as the witness has it; nothing if x is beyond its list.
const overlay::Peer* FirstAtOrAfter(const overlay::NodeId& x, const overlay::RoutingTable& witness);

}  // namespace circuits
