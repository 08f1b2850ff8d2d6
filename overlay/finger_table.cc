// SPDX-License-Identifier: Apache-2.0
#include "overlay/finger_table.h"

#include <algorithm>
#include <utility>

namespace overlay {
namespace {

constexpr int kTopExponent = 255;

bool Covered(int exponent, const NodeId& self, const NodeId& last) {
  return InHalfOpen(self.PlusPowerOfTwo(exponent), self, last);
}

}  // namespace

std::optional<int> FingerTable::NextExponent(const NodeId& self, const NodeId& last) {
  if (cursor_ < 0 || Covered(cursor_, self, last)) {
    round_done_ = true;
    cursor_ = kTopExponent;
    if (Covered(cursor_, self, last)) return std::nullopt;
  }
  return cursor_--;
}

bool FingerTable::TakeRoundDone() { return std::exchange(round_done_, false); }

bool FingerTable::Set(int exponent, const Peer& self, const Peer& owner) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), exponent,
                                   [](const Finger& finger, int wanted) { return finger.exponent < wanted; });
  const bool present = at != entries_.end() && at->exponent == exponent;
  if (owner.SameProcess(self) || !InHalfOpen(self.point.PlusPowerOfTwo(exponent), self.point, owner.point)) {
    if (present) entries_.erase(at);
    return present;
  }
  if (!present) {
    entries_.insert(at, {static_cast<uint8_t>(exponent), owner});
    return true;
  }
  const bool changed = at->peer.point != owner.point || at->peer.address != owner.address;
  at->peer = owner;
  return changed;
}

bool FingerTable::Remove(const NodeId& point) {
  return std::erase_if(entries_, [&](const Finger& finger) { return finger.peer.point == point; }) > 0;
}

void FingerTable::Trim(const NodeId& self, const NodeId& last) {
  std::erase_if(entries_, [&](const Finger& finger) { return Covered(finger.exponent, self, last); });
}

std::vector<Finger> FingerTable::Distinct() const {
  std::vector<Finger> distinct;
  for (const Finger& finger : entries_) {
    if (!distinct.empty() && distinct.back().peer.point == finger.peer.point) distinct.pop_back();
    distinct.push_back(finger);
  }
  return distinct;
}

}  // namespace overlay
