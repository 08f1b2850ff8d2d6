// SPDX-License-Identifier: Apache-2.0
#include "overlay/convictions.h"

#include <algorithm>

#include "base/status_macros.h"

namespace overlay {

void Convictions::Observe(const RoutingTable& table, absl::Time wall_now) {
  TableHead head = HeadOf(table);
  std::vector<TableHead>& heads = WatchedAt(table.owner.point, wall_now).heads;
  for (const TableHead& held : heads) {
    if (held.encoded == head.encoded) return;
  }
  const auto other = std::find_if(heads.begin(), heads.end(), [&](const TableHead& held) { return Contradict(held, head); });
  if (other != heads.end() && !IsCaught(table.owner.node_key, wall_now) && MakeRoom(/*is_known=*/true, wall_now)) {
    const Contradiction found = MakeContradiction(*other, head);
    entries_[found.signer()] = {found.encoded, found.until(), /*heard=*/false, /*is_known=*/true};
    if (on_found) on_found(found);
  }
  if (heads.size() >= kHeadsPerPoint) heads.erase(heads.begin());  // the one seen first
  heads.push_back(std::move(head));
}

Convictions::Watched& Convictions::WatchedAt(const NodeId& point, absl::Time wall_now) {
  if (watched_.size() >= kWatchedMax && !watched_.contains(point)) {
    watched_.erase(std::min_element(watched_.begin(), watched_.end(),
                                    [](const auto& a, const auto& b) { return a.second.seen < b.second.seen; }));
  }
  Watched& watched = watched_[point];
  watched.seen = wall_now;
  return watched;
}

absl::Status Convictions::Hear(base::ByteView encoded, bool is_known, absl::Time wall_now) {
  const std::optional<keys::PublicKey> accused = AccusedBy(network_, encoded);
  if (accused && IsConvicted(*accused, wall_now)) return absl::AlreadyExistsError("convicted");
  ASSIGN_OR_RETURN(const Contradiction heard, DecodeContradiction(network_, encoded, wall_now));
  if (!entries_.contains(heard.signer()) && !MakeRoom(is_known, wall_now))
    return absl::ResourceExhaustedError("enough are convicted");
  entries_[heard.signer()] = {heard.encoded, heard.until(), /*heard=*/true, is_known};
  return absl::OkStatus();
}

// Whose time is over goes, then strangers for the sake of one that is known.
bool Convictions::MakeRoom(bool is_known, absl::Time wall_now) {
  if (entries_.size() < kConvictedMax) return true;
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.until <= wall_now; });
  if (entries_.size() < kConvictedMax) return true;
  const auto stranger = std::find_if(entries_.begin(), entries_.end(), [](const auto& entry) { return !entry.second.is_known; });
  if (!is_known || stranger == entries_.end()) return false;
  entries_.erase(stranger);
  return true;
}

bool Convictions::IsConvicted(const keys::PublicKey& node_key, absl::Time wall_now) const {
  const auto found = entries_.find(node_key);
  return found != entries_.end() && found->second.heard && found->second.until > wall_now;
}

bool Convictions::IsCaught(const keys::PublicKey& node_key, absl::Time wall_now) const {
  const auto found = entries_.find(node_key);
  return found != entries_.end() && found->second.until > wall_now;
}

absl::flat_hash_set<keys::PublicKey> Convictions::Caught(absl::Time wall_now) const {
  absl::flat_hash_set<keys::PublicKey> caught;
  for (const auto& [node_key, entry] : entries_) {
    if (entry.until > wall_now) caught.insert(node_key);
  }
  return caught;
}

size_t Convictions::CountConvicted(absl::Time wall_now) const {
  return static_cast<size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.second.heard && entry.second.until > wall_now; }));
}

std::vector<base::Bytes> Convictions::ProofsAfter(const keys::PublicKey& cursor, size_t count, absl::Time wall_now) const {
  std::vector<base::Bytes> proofs;
  for (auto it = entries_.upper_bound(cursor); it != entries_.end() && proofs.size() < count; ++it) {
    if (it->second.heard && it->second.until > wall_now) proofs.push_back(it->second.proof);
  }
  return proofs;
}

}  // namespace overlay
