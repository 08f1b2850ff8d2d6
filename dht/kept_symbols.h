// SPDX-License-Identifier: Apache-2.0
// dht/kept_symbols.h — the coded symbols of ranges, kept up with every write so that a comparison costs no pass over the range.
//
// One row per (range, salt): this node's own salt for what it answers, each neighbour's for what it asks. Kept rows start with
// kKeptSymbols symbols (enough for 700 differences, 16 KiB; about 14 of them change with a write) and grow on demand. A row is
// counted, or made longer, by passes over the index in slices of kBuildSlice records, one per tick: a range of 10^6 takes
// a second in the background and never holds up the loop. A view shows a row as it was when the view was made, however long the
// exchange takes: it remembers what changed since and takes it out again.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dht/coded_symbols.h"
#include "dht/outbox.h"
#include "dht/range_index.h"

namespace dht {

inline constexpr size_t kKeptSymbols = 1024;
inline constexpr size_t kSymbolsMax = 32768;     // 24,000 differences; beyond it ranges are split instead
inline constexpr size_t kKeptRowsMax = 16;       // three ranges, own salt and two neighbours', and as many of a ring that changes
inline constexpr size_t kBuildSlice = 4096;      // records of one tick: a few milliseconds
inline constexpr size_t kViewChangesMax = 8192;  // beyond it a view is lost and the comparison begins anew

class SymbolRow {
 public:
  SymbolRow(const overlay::RingRange& range, uint64_t salt) : range_(range), ids_(salt) {}

  const overlay::RingRange& range() const { return range_; }
  const ShortIds& ids() const { return ids_; }
  size_t ready() const { return ready_; }  // complete symbols, from the first
  bool building() const { return ready_ < row_.size(); }
  void GrowTo(size_t size);
  // Counts up to kBuildSlice further records of the index into what is being built.
  void Build(const RangeIndex& index);
  void OnChange(const RecordName& name, const keys::Digest& print);

 private:
  friend class SymbolView;
  bool IsCounted(const RecordName& name) const;

  const overlay::RingRange range_;
  const ShortIds ids_;
  std::vector<CodedSymbol> row_;
  size_t ready_ = 0;
  std::optional<RecordName> cursor_;  // the last record counted into what is being built
  std::vector<std::weak_ptr<std::vector<uint64_t>>> views_;
};

// A row as it was when the view was made.
class SymbolView {
 public:
  explicit SymbolView(std::shared_ptr<SymbolRow> row);
  const std::shared_ptr<SymbolRow>& shared_row() const { return row_; }
  bool lost() const { return changes_->size() > kViewChangesMax; }
  // As if this record had been there too: it will not be seen as missing.
  void Pretend(const keys::Digest& print) { changes_->push_back(row_->ids().Of(print)); }
  // Symbols [first, last); last <= SymbolRow::ready().
  std::vector<CodedSymbol> Read(size_t first, size_t last) const;

 private:
  std::shared_ptr<SymbolRow> row_;
  std::shared_ptr<std::vector<uint64_t>> changes_;
};

class KeptSymbols {
 public:
  using Ready = std::function<void(const Moment&)>;

  explicit KeptSymbols(RangeIndex& index);

  // The row of a range under a salt, or null if kKeptRowsMax of them are in use.
  std::shared_ptr<SymbolRow> Open(const overlay::RingRange& range, uint64_t salt);
  // Runs `ready` once the row has `size` symbols (at most kSymbolsMax): at once, or in a later tick.
  void Await(const std::shared_ptr<SymbolRow>& row, size_t size, Ready ready, const Moment& moment);

  void OnTick(const Moment& moment);
  bool busy() const { return !waiting_.empty(); }

 private:
  struct Waiting {
    std::shared_ptr<SymbolRow> row;
    size_t size;
    Ready ready;
  };

  RangeIndex& index_;
  std::vector<std::shared_ptr<SymbolRow>> rows_;  // least recently opened first
  std::vector<Waiting> waiting_;                  // one per exchange, which are bounded
};

}  // namespace dht
