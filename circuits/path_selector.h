// SPDX-License-Identifier: Apache-2.0
// circuits/path_selector.h — which of the relays that are to be had, or which member of a routing table, becomes a hop. Pure.
//
// Out of the pool or, in a small ring, out of all its members: uniform. Out of one table, where neither is to be had yet:
// uniform among the table's fingers (design.md 7); where these leave fewer than kChoicesMin, among all its members: a choice of
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

// One of these, uniformly, each process once; nothing if none will do.
std::optional<overlay::Peer> ChooseHop(const std::vector<overlay::Peer>& choices, const HopRules& rules, base::Rng& rng);
// What ChooseHop chooses from in a table.
std::vector<overlay::Peer> ChoicesOf(const overlay::RoutingTable& table);
// Nothing if no member of the table will do.
std::optional<overlay::Peer> ChooseHop(const overlay::RoutingTable& table, const HopRules& rules, base::Rng& rng);

}  // namespace circuits
