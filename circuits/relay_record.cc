// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_record.h"

#include <algorithm>
#include <cmath>

namespace circuits {

using keys::PublicKey;

void RelayRecord::Counts::Add(bool stood, int most) {
  ++tried;
  died += !stood;
  if (tried < most) return;
  tried /= 2;
  died /= 2;
}

void RelayRecord::OnCircuit(std::span<const PublicKey> relays, bool stood, absl::Time now) {
  all_.Add(stood, kAllCircuitsMax);
  absl::erase_if(relays_, [&](const auto& entry) { return now - entry.second.since > kRecordLife; });
  for (const PublicKey& node_key : relays) {
    if (relays_.size() >= kRecordsMax && !relays_.contains(node_key)) {
      relays_.erase(std::min_element(relays_.begin(), relays_.end(),
                                     [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
    }
    relays_.try_emplace(node_key, Relay{{}, now}).first->second.counts.Add(stood, kRelayCircuitsMax);
  }
}

NodeKeys RelayRecord::Refusing(const std::vector<overlay::Peer>& choices, absl::Time now) const {
  if (all_.tried == 0) return {};
  const double rate = std::max(kFailuresExpected, static_cast<double>(all_.died) / all_.tried);
  std::vector<std::pair<double, PublicKey>> bad;
  for (const overlay::Peer& peer : choices) {
    const auto found = relays_.find(peer.node_key);
    if (found == relays_.end() || now - found->second.since > kRecordLife) continue;
    const auto [tried, died] = found->second.counts;
    const double excess = died - rate * tried, deviation = std::sqrt(tried * rate * (1 - rate));
    if (excess > kExcess * deviation) bad.emplace_back(excess / std::max(deviation, 1e-9), peer.node_key);
  }
  std::sort(bad.begin(), bad.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  bad.resize(std::min(bad.size(), choices.size() / kShunnedPart));
  NodeKeys refusing;
  for (const auto& [excess, node_key] : bad) refusing.insert(node_key);
  return refusing;
}

void RelayRecord::Clear() {
  relays_.clear();
  all_ = {};
}

}  // namespace circuits
