// SPDX-License-Identifier: Apache-2.0
#include "dht/kept_symbols.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
const Moment kMoment{kNow, kNow};

class KeptSymbolsTest : public testing::Test {
 protected:
  RecordName Put() {
    const RecordName name{.kind = Kind::kEnvelope, .point = overlay::NodeId::Random(rng_), .id = {}};
    index_.Put(name, kNow);
    names_.push_back(name);
    return name;
  }
  // The row as it has to be: counted from nothing.
  std::vector<CodedSymbol> Counted(size_t size) const {
    std::vector<CodedSymbol> row(size);
    for (const RecordName& name : names_) {
      if (range_.Contains(name.point)) ToggleInRow(ShortIds(kSalt).Of(RecordPrint(name, kNow)), 0, row);
    }
    return row;
  }
  // `meanwhile` runs between the slices.
  void Await(
      const std::shared_ptr<SymbolRow>& row, size_t size, const std::function<void()>& meanwhile = [] {}) {
    bool ready = false;
    kept_.Await(
        row, size, [&](const Moment&) { ready = true; }, kMoment);
    while (!ready) {
      ASSERT_TRUE(kept_.busy());
      meanwhile();
      kept_.OnTick(kMoment);
    }
  }

  static constexpr uint64_t kSalt = 9;
  support::SeededRng rng_{3};
  const overlay::RingRange range_{overlay::NodeId::Random(rng_), overlay::NodeId::Random(rng_)};
  RangeIndex index_{1};
  KeptSymbols kept_{index_};
  std::vector<RecordName> names_;
};

TEST_F(KeptSymbolsTest, ARowFollowsEveryWriteAlsoWhileItIsCounted) {
  for (size_t i = 0; i < 5 * kBuildSlice; ++i) Put();
  const auto row = kept_.Open(range_, kSalt);
  const auto change = [this] {
    for (int i = 0; i < 50; ++i) Put();
    for (int i = 0; i < 20; ++i) {
      std::swap(names_[rng_.Below(names_.size())], names_.back());
      index_.Remove(names_.back());
      names_.pop_back();
    }
  };
  Await(row, 8, change);
  EXPECT_EQ(SymbolView(row).Read(0, kKeptSymbols), Counted(kKeptSymbols));
  Await(row, 3000, change);
  change();
  const std::vector<CodedSymbol> expected = Counted(3000);
  EXPECT_EQ(SymbolView(row).Read(100, 3000), std::vector<CodedSymbol>(expected.begin() + 100, expected.end()));
}

TEST_F(KeptSymbolsTest, AViewShowsTheRowAsItWas) {
  for (int i = 0; i < 1000; ++i) Put();
  const auto row = kept_.Open(range_, kSalt);
  Await(row, 8);
  const SymbolView view(row);
  const std::vector<CodedSymbol> then = Counted(2000);
  for (int i = 0; i < 300; ++i) Put();
  Await(row, 2000);  // longer than it was
  EXPECT_EQ(view.Read(0, 2000), then);
  EXPECT_FALSE(view.lost());
  for (size_t i = 0; i < 4 * kViewChangesMax; ++i) Put();
  EXPECT_TRUE(view.lost());
}

TEST_F(KeptSymbolsTest, RowsInUseAreNotGivenUp) {
  std::vector<std::shared_ptr<SymbolRow>> rows;
  for (uint64_t salt = 0; salt < kKeptRowsMax; ++salt) rows.push_back(kept_.Open(range_, salt));
  EXPECT_EQ(kept_.Open(range_, 99), nullptr);
  EXPECT_EQ(kept_.Open(range_, 3), rows[3]);
  rows[5].reset();
  EXPECT_NE(kept_.Open(range_, 99), nullptr);
}

}  // namespace
}  // namespace dht
