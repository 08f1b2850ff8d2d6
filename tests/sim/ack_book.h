// SPDX-License-Identifier: Apache-2.0
// tests/sim/ack_book.h — what was acknowledged, kept outside the nodes, and whose fault it is when it is gone.
//
// The promise (design.md 4): a record with W receipts is never lost while fewer than W of its holders die before repair has made
// R copies again, and never while fewer than R die after that. A holder dies here when its disk is gone for good: a process that
// comes back with its disk kept its word. The book follows every copy on every disk, counts the deaths of a record since it last
// had R copies on running nodes, and calls a loss *broken promise* if they were fewer than the promise allows.
#pragma once

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "dht/record.h"
#include "dht/record_store.h"

namespace sim {

class AckBook {
 public:
  AckBook(int replica_count, int write_quorum, std::function<bool(size_t node)> is_up)
      : replica_count_(replica_count), write_quorum_(write_quorum), is_up_(std::move(is_up)) {}

  struct Entry {
    dht::Record record;
    bool acknowledged = false;
    absl::Time acknowledged_at = {};
    bool lost = false;            // no copy on any disk that can come back
    bool promise_broken = false;  // and fewer holders died than the promise allows
    bool was_whole = false;       // had R copies once
    int deaths = 0;               // since it last had R
    std::vector<size_t> copies;   // on disks, of running nodes or not
  };

  size_t Expect(dht::Record record);  // a put is about to be made; the number of its entry
  void Acknowledge(size_t entry, absl::Time now);
  void OnWritten(size_t node, const dht::WriteBatch& batch, absl::Time now);
  void OnDiskLost(size_t node, absl::Time now);
  void OnStarted(size_t node);  // again, with the disk it had

  const std::vector<Entry>& entries() const { return entries_; }
  // Acknowledged entries: how many there are, are lost, were lost against the promise.
  size_t acknowledged() const { return acknowledged_; }
  size_t lost() const { return lost_; }
  size_t broken() const { return broken_; }
  // When and how the first broken promise came about; empty if none was.
  const std::string& first_broken() const { return first_broken_; }

 private:
  void Remove(size_t entry, size_t node, bool died, absl::Time now);
  void CheckWhole(Entry& entry);

  const int replica_count_, write_quorum_;
  const std::function<bool(size_t)> is_up_;
  std::vector<Entry> entries_;
  absl::flat_hash_map<dht::RecordName, size_t> by_name_;
  absl::flat_hash_map<size_t, std::vector<size_t>> on_disk_;  // entries by node; may name what went
  size_t acknowledged_ = 0, lost_ = 0, broken_ = 0;
  std::string first_broken_;
};

}  // namespace sim
