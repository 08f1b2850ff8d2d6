// SPDX-License-Identifier: Apache-2.0
// dht/coded_symbols.h — rateless set reconciliation: two sets of ids, told apart for the price of their difference.
//
// Source: Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024: a set is coded as an endless row of
// symbols, symbol i the sum of the ids that map to it, an id mapping there with probability 1/(1 + i/2). The difference of two
// rows is the row of the sets' difference, decoded by peeling once there are 1.35 to 1.72 symbols for each id in it.
// Differs from the source: a symbol has no count. Whose a decoded id is, is looked up (RangeIndex::Find); the check of 24 bits,
// and that the id maps to that symbol at all, tell whether a symbol holds one id. 10 bytes a symbol: ids 7 ‖ checks 3,
// big-endian. Two of 10^6 ids are equal with probability 7 * 10^-6, a row of 10^4 differences is misread in one exchange of a
// thousand; then ranges are compared instead, as they are every 32nd round (range_sync.h). Ids are outputs of a keyed hash
// (ShortIds), so nobody who lacks the salt can steer them; mixers suffice for the rest. Hostile symbols: at most as many ids as
// symbols are taken out of them, each once; anything else ends as failed(). What they decode to is no more than a guess about
// what is missing.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/bytes.h"

namespace dht {

inline constexpr size_t kCodedSymbolSize = 10;
inline constexpr int kSymbolIdBits = 56, kSymbolCheckBits = 24;

struct CodedSymbol {
  uint64_t ids = 0;  // kSymbolIdBits; sums are exclusive ors
  uint32_t checks = 0;

  void Toggle(uint64_t id);
  void Toggle(const CodedSymbol& other);
  bool operator==(const CodedSymbol&) const = default;
};

base::Bytes EncodeSymbols(std::span<const CodedSymbol> symbols);
// Nothing if the length is no multiple of kCodedSymbolSize.
std::optional<std::vector<CodedSymbol>> DecodeSymbols(base::ByteView bytes);

// The symbols that one id is part of: 0, then ever rarer ones. The same on every machine: IEEE double, no fused operation.
class SymbolWalk {
 public:
  explicit SymbolWalk(uint64_t id) : state_(id) {}
  uint64_t index() const { return index_; }
  void Next();

 private:
  uint64_t state_;
  uint64_t index_ = 0;
};

// Puts an id into a row or takes it out again, in symbols from `first` on.
void ToggleInRow(uint64_t id, size_t first, std::span<CodedSymbol> row);

// Peels the row of a difference as it grows.
class SymbolDecoder {
 public:
  void Add(std::span<const CodedSymbol> difference);  // the next symbols of it
  size_t size() const { return row_.size(); }
  // All of the difference is known: nothing is left in any symbol.
  bool done() const { return !failed_ && !row_.empty() && left_ == 0; }
  // No row of a difference of two sets: damaged, or made under another salt.
  bool failed() const { return failed_; }
  const std::vector<uint64_t>& ids() const { return ids_; }

 private:
  void Peel(size_t index);
  void Take(uint64_t id);

  std::vector<CodedSymbol> row_;
  std::vector<size_t> todo_;  // symbols that changed
  std::vector<uint64_t> ids_;
  std::vector<SymbolWalk> walks_;  // of ids_, at their first symbol behind the row
  absl::flat_hash_set<uint64_t> seen_;
  size_t left_ = 0;  // symbols that are not empty
  bool failed_ = false;
};

}  // namespace dht
