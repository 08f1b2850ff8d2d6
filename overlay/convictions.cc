// SPDX-License-Identifier: Apache-2.0
#include "overlay/convictions.h"

#include <algorithm>

#include "base/status_macros.h"
#include "overlay/admission.h"

namespace overlay {

void Convictions::Observe(const RoutingTable& table, bool is_known, absl::Time wall_now) {
  if (table.head.empty()) return;  // the own one, unsigned
  TableHead head = HeadOf(table);
  std::vector<TableHead>& heads = WatchedAt(table.owner.point, wall_now).heads;
  for (const TableHead& held : heads) {
    if (held.encoded == head.encoded) return;
  }
  const auto other = std::find_if(heads.begin(), heads.end(), [&](const TableHead& held) { return Contradict(held, head); });
  if (other != heads.end() && !IsCaught(table.owner.node_key, wall_now)) {
    const Contradiction found = MakeContradiction(*other, head);
    const Entry entry = {found.encoded, found.until(), /*heard=*/false, is_known ? Sort::kKnown : Sort::kFound};
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

bool Convictions::IsNews(const Accusation& said, absl::Time wall_now) const {
  const auto held = entries_.find(said.accused);
  return !IsConvicted(said.accused, wall_now) || held->second.until + kLonger <= said.until;
}

absl::Status Convictions::Hear(base::ByteView encoded, bool is_known, absl::Time wall_now) {
  const std::optional<Accusation> said = ReadAccusation(network_, encoded);
  if (said && !IsNews(*said, wall_now)) return absl::AlreadyExistsError("convicted");
  ASSIGN_OR_RETURN(const Contradiction heard, DecodeContradiction(network_, encoded, wall_now));
  if (const auto held = entries_.find(heard.signer()); held != entries_.end()) {
    held->second.heard = true;
    if (held->second.until < heard.until()) held->second.proof = heard.encoded, held->second.until = heard.until();
    return absl::OkStatus();
  }
  if (!is_known) RETURN_IF_ERROR(CheckWorked(heard.first.owner));
  const Entry entry = {heard.encoded, heard.until(), /*heard=*/true, is_known ? Sort::kKnown : Sort::kStranger};
  if (!MakeRoom(entry, wall_now)) return absl::ResourceExhaustedError("enough are convicted");
  entries_[heard.signer()] = entry;
  return absl::OkStatus();
}

// Whenever that was: a proof is good for longer than the place.
absl::Status Convictions::CheckWorked(const Peer& stranger) const {
  const std::optional<bool> worked = JudgeAdmission(network_, stranger.node_key, stranger.address, stranger.admission);
  if (!worked) return absl::UnavailableError("no memory to look at an admission");
  return *worked ? absl::OkStatus() : absl::PermissionDeniedError("admission without work");
}

size_t Convictions::PlacesOf(Sort sort) {
  if (sort == Sort::kKnown) return kConvictedMax - kStrangersMax - kFoundMax;
  return sort == Sort::kStranger ? kStrangersMax : kFoundMax;
}

// Whose time is over goes, then of its sort the one whose time is over first, of own finds one that nobody confirmed; for what
// others say only if its own is over later: so proofs that push each other out do not go round for ever.
bool Convictions::MakeRoom(const Entry& comer, absl::Time wall_now) {
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.until <= wall_now; });
  size_t held = 0;
  auto first = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.sort != comer.sort) continue;
    ++held;
    const auto order = [](const Entry& entry) { return std::pair(entry.sort == Sort::kFound && entry.heard, entry.until); };
    if (first == entries_.end() || order(it->second) < order(first->second)) first = it;
  }
  if (held < PlacesOf(comer.sort)) return true;
  if (comer.heard && comer.until <= first->second.until) return false;
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
