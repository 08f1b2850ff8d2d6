// SPDX-License-Identifier: Apache-2.0
#include "circuits/table_check.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace circuits {
namespace {

using overlay::DistanceShare;
using overlay::Finger;
using overlay::NodeId;
using overlay::Peer;
using overlay::RoutingTable;

constexpr double kDeviations = 3.48;  // of a normal variable: exceeded by one in 4,000
constexpr int kExponents = 256;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("table: ", what)); }

absl::Status CheckSpan(const NodeId& from, const NodeId& to, size_t gaps, double mean_gap) {
  if (DistanceShare(from, to) > GapsBound(gaps) * mean_gap) return Wrong("neighbours farther than the ring is dense");
  return absl::OkStatus();
}

// The first exponent whose ideal point the successor list does not cover.
int FirstFingerExponent(const RoutingTable& table) {
  const double covered = DistanceShare(table.owner.point, table.successors.back().point);
  const int exponent = kExponents + static_cast<int>(std::ceil(std::log2(covered)));
  return std::max(exponent, 0);
}

// Only the last of several exponents that share a finger names it, so an exponent's finger is the first that stands at it or above.
absl::Status CheckFingers(const RoutingTable& table, double mean_gap) {
  double sum = 0;
  size_t counted = 0;
  int holes = 0;
  auto finger = table.fingers.begin();
  const auto gaps_of = [&](int exponent) {
    return DistanceShare(table.owner.point.PlusPowerOfTwo(exponent), finger->peer.point) / mean_gap;
  };
  // Those that the list covers too are in nobody's way, but no liar may hang a friend there.
  const int first = FirstFingerExponent(table);
  for (; finger != table.fingers.end() && finger->exponent < first; ++finger) {
    if (gaps_of(finger->exponent) > kFingerGapsMax) return Wrong("a finger too far from its place");
  }
  for (int exponent = first; exponent < kExponents; ++exponent) {
    if (finger != table.fingers.end() && finger->exponent < exponent) ++finger;
    if (finger == table.fingers.end()) {
      ++holes;
      continue;
    }
    const double gaps = gaps_of(exponent);
    const bool listed = finger->exponent == exponent;
    if (gaps > kFingerGapsMax) {
      if (listed) return Wrong("a finger too far from its place");
      ++holes;
    } else if (listed) {
      sum += gaps;
      ++counted;
    }
  }
  if (holes > kFingerHolesMax) return Wrong("fingers left out");
  if (counted > 0 && sum > GapsBound(counted)) return Wrong("fingers too far from their places together");
  return absl::OkStatus();
}

}  // namespace

// Wilson and Hilferty (1931): the cube root of a Gamma variable is nearly normal.
double GapsBound(size_t n) {
  const double shape = static_cast<double>(n);
  const double root = 1 - 1 / (9 * shape) + kDeviations / (3 * std::sqrt(shape));
  return shape * root * root * root;
}

absl::Status CheckTable(const RoutingTable& table, double mean_gap) {
  const size_t after = table.successors.size(), before = table.predecessors.size();
  if (table.CoversRing()) {
    const double expected = 1 / mean_gap, named = static_cast<double>(table.Members().size());
    if (named * kCoveringFactor < expected || named > expected * kCoveringFactor) return Wrong("covers a ring of another size");
    return absl::OkStatus();
  }
  if (after < kNeighboursMin || before < kNeighboursMin) return Wrong("lists too short");
  if (absl::Status span = CheckSpan(table.owner.point, table.successors.back().point, after, mean_gap); !span.ok()) return span;
  // One gap more than there are names: the owner may stand behind a long one, having been found by it.
  if (absl::Status span = CheckSpan(table.predecessors.back().point, table.owner.point, before + 1, mean_gap); !span.ok()) return span;
  return CheckFingers(table, mean_gap);
}

absl::Status CheckClaim(const NodeId& x, const RoutingTable& candidate, double mean_gap) {
  const std::vector<Peer>& before = candidate.predecessors;
  if (before.empty() || !overlay::InHalfOpen(x, before.front().point, candidate.owner.point)) return Wrong("the point is not in its arc");
  if (candidate.CoversRing()) return absl::OkStatus();
  if (before.size() < kNeighboursMin) return Wrong("lists too short");
  return CheckSpan(before.back().point, x, before.size(), mean_gap);
}

std::optional<Peer> ChooseWitness(const RoutingTable& candidate, const NodeKeys& never, base::Rng& rng) {
  std::vector<const Peer*> allowed;
  for (const Peer& peer : candidate.predecessors) {
    if (!never.contains(peer.node_key)) allowed.push_back(&peer);
  }
  if (allowed.empty()) return std::nullopt;
  return *allowed[rng.Below(allowed.size())];
}

const Peer* FirstAtOrAfter(const NodeId& x, const RoutingTable& witness) {
  const NodeId* before = &witness.owner.point;
  for (const Peer& peer : witness.successors) {
    if (overlay::InHalfOpen(x, *before, peer.point)) return &peer;
    before = &peer.point;
  }
  return nullptr;
}

}  // namespace circuits
