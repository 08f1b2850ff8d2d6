// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/ack_book.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sim {

size_t AckBook::Expect(dht::Record record) {
  by_name_[record.name] = entries_.size();
  entries_.push_back({.record = std::move(record)});
  return entries_.size() - 1;
}

void AckBook::Acknowledge(size_t entry, absl::Time now) {
  if (entries_[entry].acknowledged) return;
  entries_[entry].acknowledged = true;
  entries_[entry].acknowledged_at = now;
  ++acknowledged_;
  // Acknowledged by a disk that was lost while the answer was on its way.
  if (entries_[entry].copies.empty()) {
    entries_[entry].lost = true;
    ++lost_;
  }
}

void AckBook::CheckWhole(Entry& entry) {
  if (std::count_if(entry.copies.begin(), entry.copies.end(), is_up_) < replica_count_) return;
  entry.was_whole = true;
  entry.deaths = 0;
}

void AckBook::OnWritten(size_t node, const dht::WriteBatch& batch, absl::Time now) {
  for (const dht::RecordName& name : batch.removes) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) Remove(found->second, node, /*died=*/false, now);
  }
  for (const dht::Record& record : batch.puts) {
    const auto found = by_name_.find(record.name);
    if (found == by_name_.end()) continue;
    Entry& entry = entries_[found->second];
    if (std::find(entry.copies.begin(), entry.copies.end(), node) != entry.copies.end()) continue;
    entry.copies.push_back(node);
    on_disk_[node].push_back(found->second);
    CheckWhole(entry);
  }
}

void AckBook::OnDiskLost(size_t node, absl::Time now) {
  for (const size_t entry : on_disk_[node]) Remove(entry, node, /*died=*/true, now);
  on_disk_.erase(node);
}

void AckBook::OnStarted(size_t node) {
  for (const size_t entry : on_disk_[node]) CheckWhole(entries_[entry]);
}

void AckBook::Remove(size_t number, size_t node, bool died, absl::Time now) {
  Entry& entry = entries_[number];
  if (std::erase(entry.copies, node) == 0) return;
  entry.deaths += died ? 1 : 0;
  if (!entry.copies.empty() || !entry.acknowledged || entry.lost) return;
  entry.lost = true;
  ++lost_;
  if (entry.deaths >= (entry.was_whole ? replica_count_ : write_quorum_)) return;
  entry.promise_broken = true;
  ++broken_;
  if (first_broken_.empty()) {
    first_broken_ = absl::StrCat("record ", base::ToHex(entry.record.name.id).substr(0, 8), " at ", absl::FormatTime(now), ": ",
                                 entry.deaths, " holders died since it ", entry.was_whole ? "had R copies" : "was put",
                                 ", the last copy ", died ? "with its disk" : "was given up");
  }
}

}  // namespace sim
