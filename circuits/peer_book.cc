// SPDX-License-Identifier: Apache-2.0
#include "circuits/peer_book.h"

namespace circuits {

bool PeerBook::Add(base::ByteView encoded, absl::Time now, absl::Time wall_now) {
  const overlay::Descriptor* known = ring_.FindEncoded(encoded, wall_now);
  const absl::StatusOr<overlay::Descriptor> held = known != nullptr ? *known : learned_.Add(encoded, wall_now);
  if (!held.ok() || ring_.convictions().IsConvicted(held->node_key, wall_now)) return false;
  const auto blamed = blamed_.find(held->node_key);
  if (blamed != blamed_.end() && blamed->second.until > now) blamed->second.heard_again = true;
  return true;
}

std::optional<overlay::Descriptor> PeerBook::Find(const keys::PublicKey& node_key, absl::Time now, absl::Time wall_now) const {
  const auto blamed = blamed_.find(node_key);
  if (blamed != blamed_.end() && blamed->second.until > now && !blamed->second.heard_again) return std::nullopt;
  return FindAny(node_key, wall_now);
}

std::optional<overlay::Descriptor> PeerBook::FindAny(const keys::PublicKey& node_key, absl::Time wall_now) const {
  if (ring_.convictions().IsConvicted(node_key, wall_now)) return std::nullopt;
  const overlay::Descriptor* neighbour = ring_.Find(node_key, wall_now);
  const overlay::Descriptor* learned = learned_.Find(node_key, wall_now);
  if (neighbour == nullptr || (learned != nullptr && learned->issued > neighbour->issued)) std::swap(neighbour, learned);
  return neighbour == nullptr ? std::nullopt : std::optional(*neighbour);
}

// What is held costs nothing.
bool PeerBook::IsAdmitted(const overlay::Peer& peer, absl::Time wall_now) {
  overlay::Directory& judge = ring_.Find(peer.node_key, wall_now) != nullptr ? ring_ : learned_;
  return judge.CheckAdmitted(peer, wall_now).ok();
}

void PeerBook::Blame(const keys::PublicKey& node_key, absl::Time now) {
  if (blamed_.size() >= kBlamedMax) absl::erase_if(blamed_, [&](const auto& entry) { return entry.second.until <= now; });
  if (blamed_.size() >= kBlamedMax) return;
  blamed_.insert_or_assign(node_key, BlamedNode{now + kBlameFor});
}

bool PeerBook::Distrust(const keys::PublicKey& node_key, absl::Time now) {
  if (distrusted_.size() >= kBlamedMax) absl::erase_if(distrusted_, [&](const auto& entry) { return entry.second <= now; });
  if (distrusted_.size() >= kBlamedMax) return false;
  const auto [entry, is_new] = distrusted_.try_emplace(node_key);
  const bool is_news = is_new || entry->second <= now;
  entry->second = now + kDistrustFor;
  return is_news;
}

NodeKeys PeerBook::Blamed(absl::Time now) const {
  NodeKeys blamed;
  for (const auto& [node_key, until] : distrusted_) {
    if (until > now) blamed.insert(node_key);
  }
  for (const auto& [node_key, entry] : blamed_) {
    if (entry.until > now) blamed.insert(node_key);
  }
  return blamed;
}

}  // namespace circuits
