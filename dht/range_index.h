// SPDX-License-Identifier: Apache-2.0
// dht/range_index.h — the names a store holds, in memory and in the order of the ring, with counts and prints of any interval.
//
// A treap (Seidel and Aragon, "Randomized search trees", 1996) whose nodes carry the count and the sum of prints of their
// subtree: put, remove, print, count and rank are O(log n), so nothing on the loop reads a whole range any more, and a range
// that is split or joined costs nothing. Priorities are keyed hashes, so that nobody who chooses names can unbalance it.
// Short ids: 56 bits, keyed with a salt of this process (ShortIds): another replica that is told the salt can speak of a record
// in seven bytes, while authors of records cannot make two of them collide.
// Built when a store is opened by one scan, then kept up by the admitter after every write. Memory per record: a node of 128
// bytes, up to 39 in the table of short ids and up to 16 in the queue of expiries: under 200 bytes, 400 MB at kIndexedMax.
// Not thread-safe: one event loop.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dht/coded_symbols.h"
#include "dht/record_store.h"
#include "keys/hash.h"
#include "keys/short_hash.h"

namespace dht {

inline constexpr uint64_t kIndexedMax = 2'000'000;  // records of a node: beyond it the node says kNoSpace
inline constexpr size_t kExpireBatch = 4096;        // dropped in one event: a few milliseconds

// What an exchange is opened with: the first 16 bytes of H("range", count, sum).
std::array<uint8_t, 16> ShortPrint(const RangePrint& print);

// Sums of prints modulo 2^256.
struct PrintSum {
  std::array<uint64_t, 4> words{};  // least significant first

  void Add(const PrintSum& other);
  void Subtract(const PrintSum& other);
  static PrintSum Of(const keys::Digest& print);
  keys::Digest ToDigest() const;
};

// Ids of seven bytes under one salt: the upper ones of SipHash-2-4 of the record's print (H("print", name, expiry)), key =
// H("salt", salt).
class ShortIds {
 public:
  explicit ShortIds(uint64_t salt);
  uint64_t Of(const keys::Digest& print) const { return keys::ShortHash(key_, print) >> (64 - kSymbolIdBits); }
  uint64_t salt() const { return salt_; }

 private:
  uint64_t salt_;
  keys::ShortHashKey key_;
};

class RangeIndex {
 public:
  // A name came or went; `print` covers its expiry too, so a longer life is one that went and one that came.
  using Watcher = std::function<void(const RecordName& name, const keys::Digest& print)>;
  using Visitor = std::function<bool(const RecordName& name, const keys::Digest& print)>;  // false: enough

  explicit RangeIndex(uint64_t salt) : ids_(salt) {}

  void Put(const RecordName& name, absl::Time expiry);  // replaces
  void Remove(const RecordName& name);                  // of an unknown name: nothing
  // Forgets up to kExpireBatch names that have expired.
  void Expire(absl::Time wall_now);
  void Watch(Watcher watcher) { watcher_ = std::move(watcher); }

  RangePrint Print(const overlay::RingRange& range) const;
  uint64_t Count(const overlay::RingRange& range) const { return Total(range).count; }
  bool HoldsAt(const overlay::NodeId& point) const;  // any record
  uint64_t count() const { return Weigh(root_).count; }
  // The point of the `rank`-th record of a range, in ring order from range.after; rank < Count(range).
  overlay::NodeId PointAt(const overlay::RingRange& range, uint64_t rank) const;
  // In ring order from range.after, or from behind `cursor`: O(log n) and what is visited.
  void Walk(const overlay::RingRange& range, const std::optional<RecordName>& cursor, const Visitor& visit) const;

  const ShortIds& ids() const { return ids_; }
  std::optional<RecordName> Find(uint64_t short_id) const;

 private:
  using Link = uint32_t;
  static constexpr Link kNone = 0xffffffff;
  struct Node {
    RecordName name;
    Link left = kNone, right = kNone;
    uint32_t count = 1;
    int64_t expiry = 0;  // seconds since 1970
    uint64_t short_id = 0;
    PrintSum sum;  // of the subtree; a node's own print is this less its children's
  };
  struct Weight {
    uint64_t count = 0;
    PrintSum sum;
  };

  Weight Weigh(Link link) const;
  PrintSum OwnPrint(Link link) const;
  void Pull(Link link, const PrintSum& own);
  Link FindName(const RecordName& name) const;
  Link Insert(Link root, Link fresh, const PrintSum& own);
  Link Erase(Link root, const RecordName& name, const PrintSum& own);
  std::pair<Link, Link> Split(Link root, const RecordName& name);
  Link Merge(Link left, Link right);
  Link NewNode();
  void QueueExpiry(Link link);
  Weight UpTo(const overlay::NodeId& point) const;  // from zero up to all of a point
  Weight Total(const overlay::RingRange& range) const;
  bool WalkStretch(Link at, const Stretch& stretch, const Visitor& visit) const;

  const ShortIds ids_;
  Watcher watcher_;
  Link root_ = kNone;
  std::deque<Node> nodes_;
  std::vector<Link> free_;
  absl::flat_hash_map<uint64_t, Link> by_short_id_;
  std::vector<std::pair<int64_t, Link>> expiries_;  // a heap, earliest first; may name what went or was prolonged
};

}  // namespace dht
