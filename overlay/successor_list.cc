// SPDX-License-Identifier: Apache-2.0
#include "overlay/successor_list.h"

#include <algorithm>

namespace overlay {
namespace {

bool ContainsProcess(const std::vector<Peer>& peers, const Peer& peer) {
  return std::any_of(peers.begin(), peers.end(), [&](const Peer& other) { return other.SameProcess(peer); });
}

// Whether `next` lies beyond `last` and before `self`, seen in that direction.
bool GoesOn(const NodeId& self, const NodeId& last, const NodeId& next, Direction direction) {
  return direction == Direction::kClockwise ? InOpen(next, last, self) : InOpen(next, self, last);
}

}  // namespace

size_t CountProcesses(const std::vector<Peer>& peers, const keys::PublicKey& but) {
  size_t count = 0;
  for (size_t i = 0; i < peers.size(); ++i) {
    const bool seen = std::any_of(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(i),
                                  [&](const Peer& other) { return other.SameProcess(peers[i]); });
    if (!seen && peers[i].node_key != but) ++count;
  }
  return count;
}

void SuccessorList::Assign(const Peer& self, const Peer& first, const std::vector<Peer>& rest, bool rest_open,
                           int successor_count) {
  std::vector<Peer> peers;
  peers.reserve(static_cast<size_t>(successor_count));
  int processes = 0;
  const auto append = [&](const Peer& peer) {
    const NodeId& last = peers.empty() ? self.point : peers.back().point;
    if (processes == successor_count || !InOpen(peer.point, last, self.point)) return false;
    if (!peer.SameProcess(self) && !ContainsProcess(peers, peer)) ++processes;
    peers.push_back(peer);
    return true;
  };
  bool ended = !append(first);
  for (size_t i = 0; i < rest.size() && !ended; ++i) ended = !append(rest[i]);
  open_ = rest_open && !ended && processes < successor_count;
  peers_ = std::move(peers);
}

void SuccessorList::DropHead(const Peer& self, int successor_count) {
  if (IsFull(self, successor_count)) open_ = true;
  peers_.erase(peers_.begin());
}

bool SuccessorList::Contains(const NodeId& point) const { return ContainsPoint(peers_, point); }

bool SuccessorList::IsFull(const Peer& self, int successor_count) const {
  return static_cast<int>(peers_.size()) >= successor_count &&
         static_cast<int>(CountProcesses(peers_, self.node_key)) >= successor_count;
}

bool SuccessorList::IsClosed(const Peer& self, int successor_count) const { return !open_ && !IsFull(self, successor_count); }

std::vector<Peer> Chain(const Peer& self, const Peer& first, const std::vector<Peer>& rest, Direction direction, size_t count) {
  std::vector<Peer> chain;
  const NodeId* last = &self.point;
  const auto append = [&](const Peer& peer) {
    if (chain.size() == count || !GoesOn(self.point, *last, peer.point, direction)) return false;
    last = &peer.point;
    if (!peer.SameProcess(self) && !ContainsProcess(chain, peer)) chain.push_back(peer);
    return true;
  };
  if (append(first)) {
    for (const Peer& peer : rest) {
      if (!append(peer)) break;
    }
  }
  return chain;
}

std::vector<Peer> StoringRun(const Peer& self, const Peer& first, const std::vector<Peer>& rest, Direction direction,
                             size_t processes) {
  std::vector<Peer> run;
  size_t named = 0;
  const NodeId* last = &self.point;
  const auto append = [&](const Peer& peer) {
    if (named == processes || !GoesOn(self.point, *last, peer.point, direction)) return false;
    last = &peer.point;
    if (peer.role != Role::kStoring) return true;
    if (!peer.SameProcess(self) && !ContainsProcess(run, peer)) ++named;
    run.push_back(peer);
    return true;
  };
  if (append(first)) {
    for (const Peer& peer : rest) {
      if (!append(peer)) break;
    }
  }
  return run;
}

bool SamePeers(const std::vector<Peer>& a, const std::vector<Peer>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Peer& x, const Peer& y) {
    return x.point == y.point && x.address == y.address && x.role == y.role;
  });
}

bool ContainsPoint(const std::vector<Peer>& peers, const NodeId& point) {
  return std::any_of(peers.begin(), peers.end(), [&](const Peer& peer) { return peer.point == point; });
}

}  // namespace overlay
