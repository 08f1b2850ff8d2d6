// SPDX-License-Identifier: Apache-2.0
// circuits/path_selector.h — which member of a routing table becomes a hop. Pure.
//
// Uniform among the table's fingers (design.md 7); where these leave fewer than kChoicesMin, among all its members: a choice of
// one or two is none, and in a small ring everybody knows everybody anyway. Relays and storing nodes serve alike.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "base/rng.h"
#include "overlay/routing_table.h"

namespace circuits {

inline constexpr size_t kChoicesMin = 3;

using NodeKeys = absl::flat_hash_set<keys::PublicKey>;

struct HopRules {
  NodeKeys never;                  // own node, storage node, the hops there are
  NodeKeys shun;                   // failed lately: taken only when nobody else is left
  bool distinct_prefixes = false;  // then never a prefix of these
  std::set<std::string> prefixes;
};

// Nothing if no member of the table will do.
std::optional<overlay::Peer> ChooseHop(const overlay::RoutingTable& table, const HopRules& rules, base::Rng& rng);

}  // namespace circuits
