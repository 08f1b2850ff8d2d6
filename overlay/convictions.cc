// SPDX-License-Identifier: Apache-2.0
#include "overlay/convictions.h"

#include <algorithm>

#include "base/status_macros.h"

namespace overlay {

void Convictions::Observe(const RoutingTable& table, bool is_known, absl::Time wall_now) {
  TableHead head = HeadOf(table);
  std::vector<TableHead>& heads = WatchedAt(table.owner.point, wall_now).heads;
  for (const TableHead& held : heads) {
    if (held.encoded == head.encoded) return;
  }
  const auto other = std::find_if(heads.begin(), heads.end(), [&](const TableHead& held) { return Contradict(held, head); });
  if (other != heads.end() && !IsCaught(table.owner.node_key, wall_now)) {
    const Contradiction found = MakeContradiction(*other, head);
    const Entry entry = {found.encoded, found.until(), /*heard=*/false, is_known};
    if (MakeRoom(entry, wall_now)) {
      entries_[found.signer()] = entry;
      if (on_found) on_found(found);
    }
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
  const Entry entry = {heard.encoded, heard.until(), /*heard=*/true, is_known};
  if (!entries_.contains(heard.signer()) && !MakeRoom(entry, wall_now)) {
    return absl::ResourceExhaustedError("enough are convicted");
  }
  entries_[heard.signer()] = entry;
  return absl::OkStatus();
}

// Whose time is over goes, then the stranger whose time is over first; for another stranger only if its own is over later: so
// proofs that push each other out do not go round for ever.
bool Convictions::MakeRoom(const Entry& comer, absl::Time wall_now) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.until <= wall_now; });
  size_t strangers = 0;
  auto first = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.is_known) continue;
    ++strangers;
    if (first == entries_.end() || it->second.until < first->second.until) first = it;
  }
  if (entries_.size() < kConvictedMax && (comer.is_known || strangers < kStrangersMax)) return true;
  if (first == entries_.end() || (!comer.is_known && comer.until <= first->second.until)) return false;
  entries_.erase(first);
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
