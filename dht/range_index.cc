// SPDX-License-Identifier: Apache-2.0
#include "dht/range_index.h"

#include <algorithm>
#include <tuple>

namespace dht {

using overlay::NodeId;
using overlay::RingRange;

std::array<uint8_t, 16> ShortPrint(const RangePrint& print) {
  const keys::Digest digest = keys::Hasher("range").AddU64(print.count).Add(print.sum).Finish();
  std::array<uint8_t, 16> start;
  std::copy_n(digest.begin(), start.size(), start.begin());
  return start;
}

void PrintSum::Add(const PrintSum& other) {
  uint64_t carry = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t partial = words[i] + other.words[i];
    const uint64_t sum = partial + carry;
    carry = (partial < words[i] || sum < partial) ? 1 : 0;
    words[i] = sum;
  }
}

void PrintSum::Subtract(const PrintSum& other) {
  uint64_t borrow = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t partial = words[i] - other.words[i];
    const uint64_t difference = partial - borrow;
    borrow = (partial > words[i] || difference > partial) ? 1 : 0;
    words[i] = difference;
  }
}

PrintSum PrintSum::Of(const keys::Digest& print) {
  PrintSum sum;
  for (size_t i = 0; i < print.size(); ++i) sum.words[3 - i / 8] = sum.words[3 - i / 8] << 8 | print[i];
  return sum;
}

keys::Digest PrintSum::ToDigest() const {
  keys::Digest digest;
  for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(words[3 - i / 8] >> (56 - 8 * (i % 8)));
  return digest;
}

ShortIds::ShortIds(uint64_t salt) : salt_(salt) {
  const keys::Digest digest = keys::Hasher("salt").AddU64(salt).Finish();
  std::copy_n(digest.begin(), key_.size(), key_.begin());
}

RangeIndex::Weight RangeIndex::Weigh(Link link) const {
  if (link == kNone) return {};
  return {.count = nodes_[link].count, .sum = nodes_[link].sum};
}

PrintSum RangeIndex::OwnPrint(Link link) const {
  PrintSum own = nodes_[link].sum;
  own.Subtract(Weigh(nodes_[link].left).sum);
  own.Subtract(Weigh(nodes_[link].right).sum);
  return own;
}

void RangeIndex::Pull(Link link, const PrintSum& own) {
  Node& node = nodes_[link];
  const Weight left = Weigh(node.left), right = Weigh(node.right);
  node.count = static_cast<uint32_t>(1 + left.count + right.count);
  node.sum = own;
  node.sum.Add(left.sum);
  node.sum.Add(right.sum);
}

std::pair<RangeIndex::Link, RangeIndex::Link> RangeIndex::Split(Link root, const RecordName& name) {
  if (root == kNone) return {kNone, kNone};
  const PrintSum own = OwnPrint(root);
  Node& node = nodes_[root];
  if (ComesBefore(node.name, name)) {
    const auto [middle, after] = Split(node.right, name);
    node.right = middle;
    Pull(root, own);
    return {root, after};
  }
  const auto [before, middle] = Split(node.left, name);
  node.left = middle;
  Pull(root, own);
  return {before, root};
}

RangeIndex::Link RangeIndex::Merge(Link left, Link right) {
  if (left == kNone) return right;
  if (right == kNone) return left;
  const Link top = nodes_[left].short_id > nodes_[right].short_id ? left : right;
  const PrintSum own = OwnPrint(top);
  if (top == left) {
    nodes_[left].right = Merge(nodes_[left].right, right);
  } else {
    nodes_[right].left = Merge(left, nodes_[right].left);
  }
  Pull(top, own);
  return top;
}

RangeIndex::Link RangeIndex::Insert(Link root, Link fresh, const PrintSum& own) {
  if (root == kNone || nodes_[fresh].short_id > nodes_[root].short_id) {
    std::tie(nodes_[fresh].left, nodes_[fresh].right) = Split(root, nodes_[fresh].name);
    Pull(fresh, own);
    return fresh;
  }
  Node& node = nodes_[root];
  ++node.count;
  node.sum.Add(own);
  Link& child = ComesBefore(nodes_[fresh].name, node.name) ? node.left : node.right;
  child = Insert(child, fresh, own);
  return root;
}

RangeIndex::Link RangeIndex::Erase(Link root, const RecordName& name, const PrintSum& own) {
  Node& node = nodes_[root];
  if (node.name == name) return Merge(node.left, node.right);
  --node.count;
  node.sum.Subtract(own);
  Link& child = ComesBefore(name, node.name) ? node.left : node.right;
  child = Erase(child, name, own);
  return root;
}

RangeIndex::Link RangeIndex::FindName(const RecordName& name) const {
  Link at = root_;
  while (at != kNone && nodes_[at].name != name) at = ComesBefore(name, nodes_[at].name) ? nodes_[at].left : nodes_[at].right;
  return at;
}

bool RangeIndex::HoldsAt(const NodeId& point) const {
  Link at = root_;
  while (at != kNone && nodes_[at].name.point != point) at = point < nodes_[at].name.point ? nodes_[at].left : nodes_[at].right;
  return at != kNone;
}

RangeIndex::Link RangeIndex::NewNode() {
  if (free_.empty()) {
    nodes_.emplace_back();
    return static_cast<Link>(nodes_.size() - 1);
  }
  const Link link = free_.back();
  free_.pop_back();
  return link;
}

void RangeIndex::Put(const RecordName& name, absl::Time expiry) {
  Remove(name);
  const keys::Digest print = RecordPrint(name, expiry);
  const Link link = NewNode();
  nodes_[link] = Node{.name = name, .expiry = absl::ToUnixSeconds(expiry), .short_id = ids_.Of(print)};
  by_short_id_[nodes_[link].short_id] = link;
  root_ = Insert(root_, link, PrintSum::Of(print));
  QueueExpiry(link);
  if (watcher_) watcher_(name, print);
}

void RangeIndex::Remove(const RecordName& name) {
  const Link link = FindName(name);
  if (link == kNone) return;
  const PrintSum own = OwnPrint(link);
  root_ = Erase(root_, name, own);
  by_short_id_.erase(nodes_[link].short_id);
  nodes_[link] = Node{.count = 0};
  free_.push_back(link);
  if (watcher_) watcher_(name, own.ToDigest());
}

void RangeIndex::QueueExpiry(Link link) {
  if (expiries_.size() > 2 * nodes_.size()) {  // mostly of names that went: begin anew
    expiries_.clear();
    for (Link each = 0; each < nodes_.size(); ++each) {
      if (nodes_[each].count != 0 && each != link) expiries_.emplace_back(nodes_[each].expiry, each);
    }
    std::make_heap(expiries_.begin(), expiries_.end(), std::greater<>());
  }
  expiries_.emplace_back(nodes_[link].expiry, link);
  std::push_heap(expiries_.begin(), expiries_.end(), std::greater<>());
}

void RangeIndex::Expire(absl::Time wall_now) {
  const int64_t now = absl::ToUnixSeconds(wall_now);
  for (size_t dropped = 0; dropped < kExpireBatch && !expiries_.empty() && expiries_.front().first <= now; ++dropped) {
    const Link link = expiries_.front().second;
    std::pop_heap(expiries_.begin(), expiries_.end(), std::greater<>());
    expiries_.pop_back();
    const Node& node = nodes_[link];
    if (node.count != 0 && node.expiry <= now) Remove(RecordName(node.name));
  }
}

RangeIndex::Weight RangeIndex::UpTo(const NodeId& point) const {
  Weight weight;
  for (Link at = root_; at != kNone;) {
    const Node& node = nodes_[at];
    if (node.name.point > point) {
      at = node.left;
      continue;
    }
    weight.count += node.count - Weigh(node.right).count;
    weight.sum.Add(node.sum);
    weight.sum.Subtract(Weigh(node.right).sum);
    at = node.right;
  }
  return weight;
}

RangeIndex::Weight RangeIndex::Total(const RingRange& range) const {
  if (range.IsWholeCircle()) return Weigh(root_);
  Weight weight = UpTo(range.last);
  const Weight before = UpTo(range.after);
  weight.count -= before.count;
  weight.sum.Subtract(before.sum);
  if (range.last > range.after) return weight;
  weight.count += count();
  weight.sum.Add(Weigh(root_).sum);
  return weight;
}

RangePrint RangeIndex::Print(const RingRange& range) const {
  const Weight weight = Total(range);
  return {.count = weight.count, .sum = weight.sum.ToDigest()};
}

NodeId RangeIndex::PointAt(const RingRange& range, uint64_t rank) const {
  uint64_t left = (UpTo(range.after).count + rank) % count();
  for (Link at = root_;;) {
    const Node& node = nodes_[at];
    const uint64_t before = Weigh(node.left).count;
    if (left == before) return node.name.point;
    at = left < before ? node.left : node.right;
    if (left > before) left -= before + 1;
  }
}

bool RangeIndex::WalkStretch(Link at, const Stretch& stretch, const Visitor& visit) const {
  if (at == kNone) return true;
  const Node& node = nodes_[at];
  const bool is_behind_start = stretch.inclusive ? !ComesBefore(node.name, stretch.from) : ComesBefore(stretch.from, node.name);
  const bool is_before_end = node.name.point <= stretch.last;
  if (is_behind_start && !WalkStretch(node.left, stretch, visit)) return false;
  if (is_behind_start && is_before_end && !visit(node.name, OwnPrint(at).ToDigest())) return false;
  return !is_before_end || WalkStretch(node.right, stretch, visit);
}

void RangeIndex::Walk(const RingRange& range, const std::optional<RecordName>& cursor, const Visitor& visit) const {
  for (const Stretch& stretch : StretchesOf(range, cursor)) {
    if (!WalkStretch(root_, stretch, visit)) return;
  }
}

std::optional<RecordName> RangeIndex::Find(uint64_t short_id) const {
  const auto found = by_short_id_.find(short_id);
  if (found == by_short_id_.end()) return std::nullopt;
  return nodes_[found->second].name;
}

}  // namespace dht
