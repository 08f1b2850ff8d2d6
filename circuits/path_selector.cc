// SPDX-License-Identifier: Apache-2.0
#include "circuits/path_selector.h"

#include "circuits/address_prefix.h"

namespace circuits {
namespace {

using overlay::Peer;

bool Allowed(const Peer& peer, const HopRules& rules, bool shunning) {
  if (rules.never.contains(peer.node_key) || (shunning && rules.shun.contains(peer.node_key))) return false;
  return !rules.distinct_prefixes || !rules.prefixes.contains(PrefixOf(peer.address));
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

std::optional<Peer> ChooseHop(const overlay::RoutingTable& table, const HopRules& rules, base::Rng& rng) {
  std::vector<Peer> fingers;
  for (const overlay::Finger& finger : table.fingers) fingers.push_back(finger.peer);
  const std::vector<Peer> good_fingers = AllowedProcesses(fingers, rules, /*shunning=*/true);
  if (good_fingers.size() >= kChoicesMin) return OneOf(good_fingers, rng);
  const std::vector<Peer> members = table.Members();
  const std::vector<Peer> good_members = AllowedProcesses(members, rules, /*shunning=*/true);
  if (!good_members.empty()) return OneOf(good_members, rng);
  return OneOf(AllowedProcesses(members, rules, /*shunning=*/false), rng);
}

}  // namespace circuits
