// SPDX-License-Identifier: Apache-2.0
#include "dht/owner_cache.h"

namespace dht {

using overlay::NodeId;
using overlay::Peer;

// The arc that holds the point, or the end.
OwnerCache::Arcs::const_iterator OwnerCache::ArcOf(const NodeId& point) const {
  if (arcs_.empty()) return arcs_.end();
  auto arc = arcs_.lower_bound(point);
  if (arc == arcs_.end()) arc = arcs_.begin();  // around zero
  const bool is_inside = overlay::Distance(point, arc->first) <= overlay::Distance(arc->second.first, arc->first);
  return is_inside ? arc : arcs_.end();
}

void OwnerCache::Learn(const NodeId& point, const std::vector<Peer>& owners, absl::Time now) {
  if (owners.empty()) return;
  const NodeId& end = owners.front().point;
  const auto known = arcs_.find(end);
  const bool reaches_further = known != arcs_.end() && known->second.until >= now && known->second.owners == owners &&
                               overlay::Distance(known->second.first, end) > overlay::Distance(point, end);
  const NodeId first = reaches_further ? known->second.first : point;
  if (arcs_.size() >= kOwnerArcsMax) arcs_.clear();
  arcs_[end] = {.first = first, .owners = owners, .until = now + kOwnersFor};
}

std::vector<Peer> OwnerCache::Find(const NodeId& point, absl::Time now) const {
  const auto arc = ArcOf(point);
  if (arc == arcs_.end() || arc->second.until < now) return {};
  return arc->second.owners;
}

void OwnerCache::Forget(const NodeId& point) {
  const auto arc = ArcOf(point);
  if (arc != arcs_.end()) arcs_.erase(arc);
}

}  // namespace dht
