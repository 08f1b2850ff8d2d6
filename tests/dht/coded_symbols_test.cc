// SPDX-License-Identifier: Apache-2.0
#include "dht/coded_symbols.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/seeded_rng.h"

namespace dht {
namespace {

uint64_t SomeId(support::SeededRng& rng) { return rng.Below(1ull << kSymbolIdBits); }

std::vector<CodedSymbol> RowOf(const std::vector<uint64_t>& ids, size_t size) {
  std::vector<CodedSymbol> row(size);
  for (const uint64_t id : ids) ToggleInRow(id, 0, row);
  return row;
}
std::vector<CodedSymbol> Difference(std::vector<CodedSymbol> a, const std::vector<CodedSymbol>& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i].Toggle(b[i]);
  return a;
}
// Feeds a row by pages until it decodes; how many symbols it took.
size_t Decode(SymbolDecoder& decoder, const std::vector<CodedSymbol>& row, size_t page) {
  for (size_t at = 0; at < row.size() && !decoder.done() && !decoder.failed(); at += page) {
    decoder.Add(std::span(row).subspan(at, std::min(page, row.size() - at)));
  }
  return decoder.size();
}

class SetsThatDiffer : public testing::TestWithParam<int> {};

TEST_P(SetsThatDiffer, AreToldApartExactly) {
  support::SeededRng rng(static_cast<uint64_t>(GetParam()));
  for (const size_t differences : {0, 1, 2, 3, 10, 50, 300, 3000}) {
    std::vector<uint64_t> a, b, expected;
    for (int i = 0; i < 2000; ++i) a.push_back(SomeId(rng));
    b = a;
    for (size_t i = 0; i < differences; ++i) {
      expected.push_back(SomeId(rng));
      (rng.Below(2) == 0 ? a : b).push_back(expected.back());
    }
    SymbolDecoder decoder;
    const size_t size = 64 + 3 * differences;
    const size_t used = Decode(decoder, Difference(RowOf(a, size), RowOf(b, size)), 1 + rng.Below(40));
    ASSERT_TRUE(decoder.done()) << differences;
    std::vector<uint64_t> found = decoder.ids();
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(found, expected);
    if (differences >= 300) {
      EXPECT_LT(used, differences * 16 / 10 + 40);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, SetsThatDiffer, testing::Range(0, 10));

TEST(CodedSymbols, AnIdMapsToSymbolIWithProbabilityOneToOnePlusHalfI) {
  support::SeededRng rng(7);
  std::vector<int> hits(64);
  const int ids = 40000;
  for (int i = 0; i < ids; ++i) {
    for (SymbolWalk walk(SomeId(rng)); walk.index() < hits.size(); walk.Next()) ++hits[walk.index()];
  }
  for (size_t i = 0; i < hits.size(); ++i) {
    const double expected = ids / (1 + static_cast<double>(i) / 2);
    EXPECT_NEAR(hits[i], expected, expected * 0.12 + 60) << i;
  }
}

TEST(CodedSymbols, ARowMadeInPiecesIsTheSameRow) {
  support::SeededRng rng(8);
  const std::vector<uint64_t> ids = {SomeId(rng), SomeId(rng), SomeId(rng)};
  std::vector<CodedSymbol> row(40);
  for (const uint64_t id : ids) ToggleInRow(id, 0, std::span(row).first(15));
  for (const uint64_t id : ids) ToggleInRow(id, 15, row);
  EXPECT_EQ(row, RowOf(ids, 40));
}

TEST(CodedSymbols, CorruptedSymbolsNeverDecodeToAnotherDifference) {
  support::SeededRng rng(9);
  int decoded = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < 1 + rng.Below(20); ++i) ids.push_back(SomeId(rng));
    std::vector<CodedSymbol> row = RowOf(ids, 80);
    CodedSymbol& damaged = row[rng.Below(row.size())];
    if (rng.Below(2) == 0) {
      damaged.ids ^= 1ull << rng.Below(kSymbolIdBits);
    } else {
      damaged.checks ^= 1u << rng.Below(kSymbolCheckBits);
    }
    SymbolDecoder decoder;
    decoder.Add(row);
    decoded += decoder.done() ? 1 : 0;
  }
  EXPECT_EQ(decoded, 0);
}

TEST(CodedSymbols, RowsUnderDifferentSaltsDoNotDecode) {
  support::SeededRng rng(10);
  std::vector<uint64_t> a, b;
  for (int i = 0; i < 2000; ++i) {
    a.push_back(SomeId(rng));
    b.push_back(SomeId(rng));
  }
  SymbolDecoder decoder;
  decoder.Add(Difference(RowOf(a, 1000), RowOf(b, 1000)));
  EXPECT_FALSE(decoder.done());
}

// Whoever knows the rules can make rows that peel for long: they end, and within their own length.
TEST(CodedSymbols, HostileRowsEnd) {
  support::SeededRng rng(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<CodedSymbol> row(1 + rng.Below(200));
    for (CodedSymbol& symbol : row) {
      const uint64_t id = rng.Below(40);
      if (rng.Below(3) != 0) symbol.Toggle(id);
      if (rng.Below(5) == 0) symbol.Toggle(SomeId(rng));
    }
    SymbolDecoder decoder;
    decoder.Add(row);
    EXPECT_LE(decoder.ids().size(), row.size());
    EXPECT_EQ(std::set<uint64_t>(decoder.ids().begin(), decoder.ids().end()).size(), decoder.ids().size());
  }
}

TEST(CodedSymbols, TenBytesASymbolOnTheWire) {
  support::SeededRng rng(12);
  const std::vector<CodedSymbol> row = RowOf({SomeId(rng), SomeId(rng)}, 9);
  const base::Bytes bytes = EncodeSymbols(row);
  EXPECT_EQ(bytes.size(), 9 * kCodedSymbolSize);
  EXPECT_EQ(DecodeSymbols(bytes), row);
  EXPECT_EQ(DecodeSymbols(base::ByteView(bytes).first(13)), std::nullopt);
}

}  // namespace
}  // namespace dht
