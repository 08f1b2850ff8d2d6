// SPDX-License-Identifier: Apache-2.0
#include "dht/witness.h"

#include <algorithm>

namespace dht {

using overlay::NodeId;
using overlay::RingRange;

namespace {

NodeId LastOfAll() {
  NodeId last;
  last.bytes.fill(0xff);
  return last;
}

NodeId Before(NodeId point) {
  for (size_t i = point.bytes.size(); i-- > 0;) {
    if (point.bytes[i]-- != 0) break;
  }
  return point;
}

}  // namespace

std::vector<Witness::Arc> Witness::ArcsOf(const RingRange& range, absl::Time since) {
  const NodeId zero, end = LastOfAll();
  if (range.IsWholeCircle()) return {{zero, end, since}};
  const NodeId first = range.after.PlusOne();
  if (first <= range.last) return {{first, range.last, since}};
  return {{zero, range.last, since}, {first, end, since}};
}

std::vector<Witness::Arc> Witness::Without(const std::vector<Arc>& arcs, const std::vector<Arc>& taken) {
  std::vector<Arc> left = arcs;
  for (const Arc& hole : taken) {
    std::vector<Arc> next;
    for (const Arc& arc : left) {
      if (hole.last < arc.first || arc.last < hole.first) {
        next.push_back(arc);
        continue;
      }
      if (arc.first < hole.first) next.push_back({arc.first, Before(hole.first), arc.since});
      if (hole.last < arc.last) next.push_back({hole.last.PlusOne(), arc.last, arc.since});
    }
    left = std::move(next);
  }
  return left;
}

bool Witness::Overlaps(const Arc& arc, const std::vector<Arc>& others) {
  return std::any_of(others.begin(), others.end(),
                     [&](const Arc& other) { return other.first <= arc.last && arc.first <= other.last; });
}

std::vector<Witness::Arc> Witness::HeldArcs(absl::Time now) const {
  std::vector<Arc> held;
  for (const auto& [index, range] : held_) {
    for (const Arc& arc : ArcsOf(range, now)) held.push_back(arc);
  }
  return held;
}

void Witness::Doubt(const std::vector<Arc>& arcs, absl::Time now) {
  doubts_ = Without(doubts_, arcs);
  doubts_.insert(doubts_.end(), arcs.begin(), arcs.end());
  // What is held by no virtual node any more is nobody's question; it is in doubt again when it comes back.
  const std::vector<Arc> held = HeldArcs(now);
  std::erase_if(doubts_, [&](const Arc& arc) { return !Overlaps(arc, held) || arc.since + kDoubtFor < now; });
  if (doubts_.size() > kDoubtsMax) doubts_ = ArcsOf({}, now);
}

void Witness::Expect(uint8_t index, const RingRange& range, absl::Time now) {
  held_[index] = range;
  Doubt(ArcsOf(range, now), now);
}

void Witness::Hold(uint8_t index, const RingRange& range, bool created, absl::Time now) {
  const auto [entry, is_new] = held_.try_emplace(index, range);
  std::vector<Arc> added = is_new && created ? std::vector<Arc>() : ArcsOf(range, now);
  if (!is_new) added = Without(added, ArcsOf(entry->second, now));
  entry->second = range;
  Doubt(added, now);
}

void Witness::Confirm(const RingRange& range, const std::vector<RingRange>& but) {
  std::vector<Arc> confirmed = ArcsOf(range, {});
  for (const RingRange& part : but) confirmed = Without(confirmed, ArcsOf(part, {}));
  doubts_ = Without(doubts_, confirmed);
}

std::vector<RingRange> Witness::DoubtsIn(const RingRange& range, absl::Time now) const {
  if (store_.suspect()) return {range};
  const std::vector<Arc> asked = ArcsOf(range, now);
  std::vector<Arc> sure = Without(asked, Without(asked, HeldArcs(now)));
  for (const Arc& doubt : doubts_) {
    if (doubt.since + kDoubtFor >= now) sure = Without(sure, {doubt});
  }
  std::vector<RingRange> parts;
  for (const Arc& part : Without(asked, sure)) parts.push_back({.after = Before(part.first), .last = part.last});
  return parts.size() > kDoubtsMax ? std::vector<RingRange>{range} : parts;
}

bool Witness::Covers(const RingRange& range, absl::Time now) const { return DoubtsIn(range, now).empty(); }

bool Witness::Covers(const NodeId& point, absl::Time now) const { return Covers({.after = Before(point), .last = point}, now); }

}  // namespace dht
