// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/reference_ring.h"

#include <algorithm>

namespace sim {

ReferenceRing::ReferenceRing(size_t nodes, Rules rules) : rules_(rules), nodes_(nodes) { nodes_[0] = {true, {0}, std::nullopt}; }

bool ReferenceRing::Between(size_t a, size_t x, size_t b) const {
  if (a < b) return a < x && x < b;
  if (b < a) return a < x || x < b;
  return x != a;
}

void ReferenceRing::Join(size_t node, size_t successor) { nodes_[node] = {true, {successor}, std::nullopt}; }

void ReferenceRing::Notify(size_t successor, size_t candidate) {
  Node& node = nodes_[successor];
  if (!node.live) return;
  if (rules_ == Rules::kSeed && !node.predecessor && ClaimsTheCircle(successor)) node.list = {candidate};
  if (!node.predecessor || Between(*node.predecessor, candidate, successor)) node.predecessor = candidate;
}

// The error of Z5: what the successor names is adopted, dead or alive.
void ReferenceRing::Stabilize(size_t index) {
  Node& node = nodes_[index];
  const size_t successor = node.list.front();
  if (!node.live || !nodes_[successor].live) return;
  const std::optional<size_t> named = nodes_[successor].predecessor;
  if (named && Between(index, *named, successor)) node.list.front() = *named;
  Notify(node.list.front(), index);
}

void ReferenceRing::Update(size_t index) {
  Node& node = nodes_[index];
  if (node.live && !nodes_[node.list.front()].live && node.list.size() > 1) node.list.erase(node.list.begin());
}

void ReferenceRing::Reconcile(size_t index) {
  Node& node = nodes_[index];
  const Node& successor = nodes_[node.list.front()];
  if (node.live && successor.live) node.list = {node.list.front(), successor.list.front()};
}

void ReferenceRing::Flush(size_t index) {
  Node& node = nodes_[index];
  if (node.live && node.predecessor && !nodes_[*node.predecessor].live) node.predecessor.reset();
}

std::vector<size_t> ReferenceRing::CutAtPredecessor(size_t index, size_t head) const {
  std::vector<size_t> list = {head};
  for (const size_t next : nodes_[head].list) {
    if (next == index || next == nodes_[index].predecessor || list.size() == kListMax) break;
    list.push_back(next);
  }
  return list;
}

void ReferenceRing::SeedRound(size_t index) {
  Node& node = nodes_[index];
  if (!node.live) return;
  if (!nodes_[node.list.front()].live) {
    const auto next = std::find_if(node.list.begin() + 1, node.list.end(), [&](size_t entry) { return nodes_[entry].live; });
    node.list = {next == node.list.end() ? index : *next};
  }
  Flush(index);
  const size_t successor = node.list.front();
  if (successor == index) return;  // only a notify that meets no predecessor leads out of this
  const std::optional<size_t> named = nodes_[successor].predecessor;
  node.list = CutAtPredecessor(index, successor);
  if (named && Between(index, *named, successor)) node.list.front() = *named;  // nobody asked it
  Notify(node.list.front(), index);
}

void ReferenceRing::Settle() {
  for (int round = 0; round < 40; ++round) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].live) continue;
      if (rules_ == Rules::kSeed) {
        SeedRound(i);
        continue;
      }
      Flush(i);
      Update(i);
      Stabilize(i);
      Reconcile(i);
    }
  }
}

std::optional<size_t> ReferenceRing::Best(size_t index) const {
  for (const size_t entry : nodes_[index].list) {
    if (nodes_[entry].live) return entry;
  }
  return std::nullopt;
}

bool ReferenceRing::IsOneOrderedRing() const {
  std::vector<size_t> live;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].live) live.push_back(i);
  }
  for (size_t i = 0; i < live.size(); ++i) {
    if (Best(live[i]) != live[(i + 1) % live.size()]) return false;
  }
  return true;
}

bool ReferenceRing::Skips(size_t node, size_t other) const {
  const std::optional<size_t> best = Best(node);
  return best && nodes_[other].live && Between(node, other, *best);
}

}  // namespace sim
