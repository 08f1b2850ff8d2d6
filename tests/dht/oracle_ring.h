// SPDX-License-Identifier: Apache-2.0
// tests/dht/oracle_ring.h — a ring that is always right: neighbourhoods computed from the list of all members.
#pragma once

#include <algorithm>
#include <vector>

#include "keys/identity.h"
#include "overlay/neighbourhood.h"
#include "tests/support/seeded_rng.h"

namespace dht {

inline overlay::Peer PeerOf(const overlay::Network& network, const keys::SigningKey& key,
                            overlay::Role role = overlay::Role::kStoring) {
  return overlay::MakePeer(network, key.public_key(), 0, role, "127.0.0.1:10001");
}

class OracleRing {
 public:
  explicit OracleRing(size_t replica_count = 3) : replica_count_(replica_count) {}

  void Add(const overlay::Peer& peer) {
    members_.push_back(peer);
    std::sort(members_.begin(), members_.end(), [](const auto& a, const auto& b) { return a.point < b.point; });
  }
  void Remove(const overlay::Peer& peer) { std::erase(members_, peer); }
  bool Has(const overlay::Peer& peer) const { return std::find(members_.begin(), members_.end(), peer) != members_.end(); }
  const std::vector<overlay::Peer>& members() const { return members_; }

  // The first `count` storing members at or after the point.
  std::vector<overlay::Peer> Holders(const overlay::NodeId& point, size_t count) const {
    std::vector<overlay::Peer> storing = Storing();
    std::sort(storing.begin(), storing.end(), [&](const auto& a, const auto& b) {
      return overlay::Distance(point, a.point) < overlay::Distance(point, b.point);
    });
    if (storing.size() > count) storing.resize(count);
    return storing;
  }
  std::vector<overlay::Peer> Holders(const overlay::NodeId& point) const { return Holders(point, replica_count_); }

  // What the ring would tell a process that stands there; it need not be a member.
  overlay::Neighbourhood Around(const overlay::Peer& self, bool member) const {
    overlay::Neighbourhood around{.self = self, .member = member};
    std::vector<overlay::Peer> others = Storing();
    std::erase(others, self);
    std::sort(others.begin(), others.end(), [&](const auto& a, const auto& b) {
      return overlay::Distance(self.point, a.point) < overlay::Distance(self.point, b.point);
    });
    const size_t known = std::min(others.size(), replica_count_ + 1);
    around.successors.assign(others.begin(), others.begin() + static_cast<ptrdiff_t>(known));
    around.predecessors.assign(others.rbegin(), others.rbegin() + static_cast<ptrdiff_t>(known));
    return around;
  }

 private:
  std::vector<overlay::Peer> Storing() const {
    std::vector<overlay::Peer> storing;
    for (const overlay::Peer& peer : members_) {
      if (peer.role == overlay::Role::kStoring) storing.push_back(peer);
    }
    return storing;
  }

  const size_t replica_count_;
  std::vector<overlay::Peer> members_;
};

}  // namespace dht
