// SPDX-License-Identifier: Apache-2.0
#include "dht/owner_finder.h"

#include <utility>

namespace dht {

using overlay::NodeId;
using overlay::Peer;

OwnerTrail OwnerFinder::TrailOf(std::vector<Peer> owners, bool remembered) const {
  if (replicas_.self() != nullptr) {
    std::erase_if(owners, [&](const Peer& peer) { return peer.SameProcess(*replicas_.self()); });
  }
  return {.owners = std::move(owners), .remembered = remembered};
}

void OwnerFinder::Find(const NodeId& point, const Moment& moment, Found found) {
  std::vector<Peer> remembered = cache_.Find(point, moment.now);
  if (remembered.empty()) return LookUp(point, std::move(found));
  found(TrailOf(std::move(remembered), /*remembered=*/true), moment);
}

void OwnerFinder::FindAgain(const NodeId& point, Found found) {
  cache_.Forget(point);
  LookUp(point, std::move(found));
}

void OwnerFinder::LookUp(const NodeId& point, Found found) {
  out_.AskOwners(point,
                 [this, point, found = std::move(found)](const absl::StatusOr<std::vector<Peer>>& owners, const Moment& moment) {
                   if (owners.ok()) cache_.Learn(point, *owners, moment.now);
                   found(TrailOf(owners.ok() ? *owners : std::vector<Peer>(), /*remembered=*/false), moment);
                 });
}

}  // namespace dht
