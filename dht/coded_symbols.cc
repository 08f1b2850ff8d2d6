// SPDX-License-Identifier: Apache-2.0
#include "dht/coded_symbols.h"

#include <cmath>

#include "base/byte_reader.h"
#include "base/byte_writer.h"

namespace dht {
namespace {

// The finalizer of splitmix64.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

constexpr uint64_t kStep = 0x9e3779b97f4a7c15ull;   // of splitmix64, for the walk
constexpr uint64_t kCheck = 0xd6e8feb86659fd93ull;  // another row of it, for the check

uint32_t CheckOf(uint64_t id) { return static_cast<uint32_t>(Mix(id + kCheck) >> (64 - kSymbolCheckBits)); }

bool IsEmpty(const CodedSymbol& symbol) { return symbol.ids == 0 && symbol.checks == 0; }

}  // namespace

void CodedSymbol::Toggle(uint64_t id) {
  ids ^= id;
  checks ^= CheckOf(id);
}

void CodedSymbol::Toggle(const CodedSymbol& other) {
  ids ^= other.ids;
  checks ^= other.checks;
}

base::Bytes EncodeSymbols(std::span<const CodedSymbol> symbols) {
  base::ByteWriter writer;
  for (const CodedSymbol& symbol : symbols) {
    writer.U8(static_cast<uint8_t>(symbol.ids >> 48)).U16(static_cast<uint16_t>(symbol.ids >> 32));
    writer.U32(static_cast<uint32_t>(symbol.ids));
    writer.U8(static_cast<uint8_t>(symbol.checks >> 16)).U16(static_cast<uint16_t>(symbol.checks));
  }
  return writer.Take();
}

std::optional<std::vector<CodedSymbol>> DecodeSymbols(base::ByteView bytes) {
  if (bytes.size() % kCodedSymbolSize != 0) return std::nullopt;
  std::vector<CodedSymbol> symbols(bytes.size() / kCodedSymbolSize);
  base::ByteReader reader(bytes);
  for (CodedSymbol& symbol : symbols) {
    symbol.ids = uint64_t{reader.U8()} << 48;
    symbol.ids |= uint64_t{reader.U16()} << 32;
    symbol.ids |= reader.U32();
    symbol.checks = uint32_t{reader.U8()} << 16;
    symbol.checks |= reader.U16();
  }
  return symbols;
}

// Section 4.2: the gap behind i has distribution 1 - P(gap > g) with P about ((i + 1.5) / (i + 1.5 + g))^2, inverted.
void SymbolWalk::Next() {
  state_ += kStep;
  const double uniform = (static_cast<double>(Mix(state_) >> 11) + 1) / 9007199254740992.0;  // (0, 1]
  const double gap = std::ceil((static_cast<double>(index_) + 1.5) * (1 / std::sqrt(uniform) - 1));
  index_ += gap < 1 ? 1 : static_cast<uint64_t>(gap);
}

void ToggleInRow(uint64_t id, size_t first, std::span<CodedSymbol> row) {
  SymbolWalk walk(id);
  while (walk.index() < first) walk.Next();
  for (; walk.index() < row.size(); walk.Next()) row[walk.index()].Toggle(id);
}

void SymbolDecoder::Add(std::span<const CodedSymbol> difference) {
  const size_t first = row_.size();
  row_.insert(row_.end(), difference.begin(), difference.end());
  for (size_t i = 0; i < ids_.size(); ++i) {
    for (; walks_[i].index() < row_.size(); walks_[i].Next()) row_[walks_[i].index()].Toggle(ids_[i]);
  }
  for (size_t i = first; i < row_.size(); ++i) {
    left_ += IsEmpty(row_[i]) ? 0 : 1;
    todo_.push_back(i);
  }
  while (!todo_.empty() && !failed_) {
    const size_t index = todo_.back();
    todo_.pop_back();
    Peel(index);
  }
}

void SymbolDecoder::Peel(size_t index) {
  const CodedSymbol symbol = row_[index];
  if (IsEmpty(symbol) || CheckOf(symbol.ids) != symbol.checks) return;
  SymbolWalk walk(symbol.ids);
  while (walk.index() < index) walk.Next();
  if (walk.index() != index) return;  // a chance hit: this id is not part of this symbol
  // A real difference gives every id once, and fewer ids than symbols.
  failed_ = ids_.size() >= row_.size() || !seen_.insert(symbol.ids).second;
  if (!failed_) Take(symbol.ids);
}

void SymbolDecoder::Take(uint64_t id) {
  SymbolWalk walk(id);
  for (; walk.index() < row_.size(); walk.Next()) {
    CodedSymbol& symbol = row_[walk.index()];
    left_ -= IsEmpty(symbol) ? 0 : 1;
    symbol.Toggle(id);
    left_ += IsEmpty(symbol) ? 0 : 1;
    todo_.push_back(walk.index());
  }
  ids_.push_back(id);
  walks_.push_back(walk);
}

}  // namespace dht
