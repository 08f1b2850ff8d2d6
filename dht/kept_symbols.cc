// SPDX-License-Identifier: Apache-2.0
#include "dht/kept_symbols.h"

#include <algorithm>
#include <utility>

namespace dht {

void SymbolRow::GrowTo(size_t size) {
  if (building() || size <= row_.size()) return;
  row_.resize(std::min(kSymbolsMax, std::max(size, kKeptSymbols)));
  cursor_.reset();
}

void SymbolRow::Build(const RangeIndex& index) {
  if (!building()) return;
  size_t counted = 0;
  index.Walk(range_, cursor_, [&](const RecordName& name, const keys::Digest& print) {
    if (counted == kBuildSlice) return false;
    ++counted;
    ToggleInRow(ids_.Of(print), ready_, row_);
    cursor_ = name;
    return true;
  });
  if (counted < kBuildSlice) ready_ = row_.size();
}

bool SymbolRow::IsCounted(const RecordName& name) const { return cursor_ && !ComesBeforeIn(range_, *cursor_, name); }

void SymbolRow::OnChange(const RecordName& name, const keys::Digest& print) {
  if (!range_.Contains(name.point)) return;
  const uint64_t id = ids_.Of(print);
  const size_t end = building() && !IsCounted(name) ? ready_ : row_.size();
  ToggleInRow(id, 0, std::span(row_).first(end));
  std::erase_if(views_, [](const auto& view) { return view.expired(); });
  for (const auto& view : views_) {
    const auto changes = view.lock();
    if (changes->size() <= kViewChangesMax) changes->push_back(id);
  }
}

SymbolView::SymbolView(std::shared_ptr<SymbolRow> row)
    : row_(std::move(row)), changes_(std::make_shared<std::vector<uint64_t>>()) {
  row_->views_.push_back(changes_);
}

std::vector<CodedSymbol> SymbolView::Read(size_t first, size_t last) const {
  std::vector<CodedSymbol> symbols(row_->row_.begin(), row_->row_.begin() + static_cast<ptrdiff_t>(last));
  for (const uint64_t id : *changes_) ToggleInRow(id, first, symbols);
  symbols.erase(symbols.begin(), symbols.begin() + static_cast<ptrdiff_t>(first));
  return symbols;
}

KeptSymbols::KeptSymbols(RangeIndex& index) : index_(index) {
  index.Watch([this](const RecordName& name, const keys::Digest& print) {
    for (const auto& row : rows_) row->OnChange(name, print);
  });
}

std::shared_ptr<SymbolRow> KeptSymbols::Open(const overlay::RingRange& range, uint64_t salt) {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const auto& row) { return row->range() == range && row->ids().salt() == salt; });
  if (found != rows_.end()) {
    std::rotate(found, found + 1, rows_.end());
    return rows_.back();
  }
  if (rows_.size() == kKeptRowsMax) {
    const auto idle = std::find_if(rows_.begin(), rows_.end(), [](const auto& row) { return row.use_count() == 1; });
    if (idle == rows_.end()) return nullptr;
    rows_.erase(idle);
  }
  rows_.push_back(std::make_shared<SymbolRow>(range, salt));
  return rows_.back();
}

void KeptSymbols::Await(const std::shared_ptr<SymbolRow>& row, size_t size, Ready ready, const Moment& moment) {
  row->GrowTo(size);
  if (row->building()) row->Build(index_);  // a small range is done with it
  if (row->ready() >= size) return ready(moment);
  waiting_.push_back({row, size, std::move(ready)});
}

void KeptSymbols::OnTick(const Moment& moment) {
  if (waiting_.empty()) return;
  Waiting next = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  Await(next.row, next.size, std::move(next.ready), moment);
}

}  // namespace dht
