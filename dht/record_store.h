// SPDX-License-Identifier: Apache-2.0
// dht/record_store.h — port: the records one process keeps, in the order of the ring.
//
// Order: (point, kind, id). Implementations: memory_record_store.h, rocksdb_record_store.h; one test suite runs over both.
// Reads are made on the loop's thread, Apply on any number of workers at once. An expired record is never returned: reads are
// told the wall-clock time; absl::InfinitePast() shows expired ones too.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dht/record.h"
#include "keys/hash.h"
#include "overlay/node_id.h"

namespace dht {

struct HeldName {
  RecordName name;
  absl::Time expiry;
  size_t body_size = 0;
};

struct WriteBatch {
  std::vector<Record> puts;
  std::vector<RecordName> removes;
};

// What a store holds, expired records that were not swept yet included.
struct StoreCounts {
  uint64_t records = 0;
  uint64_t bytes = 0;  // bodies plus kRecordHeaderSize each
};

enum class StoreState {
  kOk,
  kFull,     // no space on the disk; reads go on, writes are tried again
  kFailing,  // the disk refuses writes for another reason; the same
};

// What one record adds to a range's print: H("print", name, expiry), expiry in seconds.
keys::Digest RecordPrint(const RecordName& name, absl::Time expiry);

// Says whether two replicas hold the same (name, expiry) pairs of a range: their count and the sum modulo 2^256 of
// RecordPrint. A sum, so that it can be kept up per subtree (range_index.h).
struct RangePrint {
  uint64_t count = 0;
  std::array<uint8_t, 32> sum{};

  void Add(const RecordName& name, absl::Time expiry);
  bool operator==(const RangePrint&) const = default;
};

// A range as one or two stretches that do not pass zero: names behind (or from) `from`, up to all of point `last`.
struct Stretch {
  RecordName from;
  bool inclusive = false;
  overlay::NodeId last;
};
std::vector<Stretch> StretchesOf(const overlay::RingRange& range, const std::optional<RecordName>& cursor);

bool ComesBefore(const RecordName& a, const RecordName& b);  // in (point, kind, id) order, not around the ring
// In the order in which a range is visited: from range.after around zero. Both inside the range.
bool ComesBeforeIn(const overlay::RingRange& range, const RecordName& a, const RecordName& b);

class RecordStore {
 public:
  using NameVisitor = std::function<bool(const HeldName&)>;  // false: enough

  virtual ~RecordStore() = default;

  // NotFound; DataLoss: the stored bytes fail their checksum, the record is lost here; Unavailable: it cannot be read just now (a
  // disk that fails, a store being mended), which says nothing of the record. Either way a replica has to be asked.
  virtual absl::StatusOr<Record> Get(const RecordName& name, absl::Time wall_now) const = 0;
  // Visits the names of a range in ring order from range.after, or from behind `cursor`, around zero if need be.
  // Unavailable: part of the store cannot be read just now, what was visited is not all there is.
  virtual absl::Status Scan(const overlay::RingRange& range, const std::optional<RecordName>& cursor, absl::Time wall_now,
                            const NameVisitor& visit) const = 0;
  // Everything of one kind at one point. Damaged records are left out. Unavailable as Scan.
  virtual absl::Status ForEach(const overlay::NodeId& point, Kind kind, absl::Time wall_now,
                               const std::function<void(const Record&)>& visit) const = 0;

  // All or nothing, and durable when it returns OK. Puts replace. An empty batch is synced like any other, so that its time
  // tells nothing. ResourceExhausted: no space left, nothing changed, try again later. Runs on workers; blocks.
  virtual absl::Status Apply(const WriteBatch& batch) = 0;

  virtual StoreCounts counts() const = 0;
  virtual StoreState state() const = 0;
  // True while the store may lack records it acknowledged (a damaged log was cut): it is no witness of absence until a full round
  // of repair, after which ClearSuspect (on a worker) forgets the mark for good.
  virtual bool suspect() const = 0;
  virtual absl::Status ClearSuspect() = 0;

  // Built on the above. Print reads the whole range; RangeIndex::Print says the same in O(log n).
  absl::StatusOr<RangePrint> Print(const overlay::RingRange& range, absl::Time wall_now) const;
  bool Holds(const RecordName& name, absl::Time wall_now) const { return Get(name, wall_now).ok(); }
};

}  // namespace dht
