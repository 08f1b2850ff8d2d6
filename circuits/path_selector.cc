// SPDX-License-Identifier: Apache-2.0
#include "circuits/path_selector.h"

#include "overlay/address_prefix.h"

namespace circuits {
namespace {

using overlay::Peer;

bool Allowed(const Peer& peer, const HopRules& rules, bool shunning) {
  if (rules.never.contains(peer.node_key) || (shunning && rules.shun.contains(peer.node_key))) return false;
  return !rules.distinct_prefixes || !rules.prefixes.contains(overlay::PrefixOf(peer.address));
}

// One entry for each process, whatever number of virtual nodes it shows.
std::vector<Peer> AllowedProcesses(const std::vector<Peer>& peers, const HopRules& rules, bool shunning) {
  std::vector<Peer> allowed;
  NodeKeys seen;
  for (const Peer& peer : peers) {
    if (Allowed(peer, rules, shunning) && seen.insert(peer.node_key).second) allowed.push_back(peer);
  }
  return allowed;
}

std::optional<Peer> OneOf(const std::vector<Peer>& peers, base::Rng& rng) {
  if (peers.empty()) return std::nullopt;
  return peers[rng.Below(peers.size())];
}

}  // namespace

std::optional<Peer> ChooseHop(const std::vector<Peer>& choices, const HopRules& rules, base::Rng& rng) {
  const std::vector<Peer> good = AllowedProcesses(choices, rules, /*shunning=*/true);
  if (!good.empty()) return OneOf(good, rng);
  return OneOf(AllowedProcesses(choices, rules, /*shunning=*/false), rng);
}

std::vector<Peer> ChoicesOf(const overlay::RoutingTable& table) {
  std::vector<Peer> fingers;
  for (const overlay::Finger& finger : table.fingers) fingers.push_back(finger.peer);
  return AllowedProcesses(fingers, {}, /*shunning=*/false).size() >= kChoicesMin ? fingers : table.Members();
}

std::optional<Peer> ChooseHop(const overlay::RoutingTable& table, const HopRules& rules, base::Rng& rng) {
  std::vector<Peer> fingers;
  for (const overlay::Finger& finger : table.fingers) fingers.push_back(finger.peer);
  const std::vector<Peer> good_fingers = AllowedProcesses(fingers, rules, /*shunning=*/true);
  if (good_fingers.size() >= kChoicesMin) return OneOf(good_fingers, rng);
  return ChooseHop(table.Members(), rules, rng);
}

}  // namespace circuits
