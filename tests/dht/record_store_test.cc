// SPDX-License-Identifier: Apache-2.0
// One suite, run over every store.
#include "dht/record_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>

#include "dht/memory_record_store.h"
#include "dht/rocksdb_record_store.h"
#include "tests/dht/note_kinds.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
const absl::Time kLater = kNow + absl::Hours(1);

overlay::NodeId PointAt(uint8_t first) {
  overlay::NodeId point;
  point.bytes[0] = first;
  return point;
}

Record NoteAt(uint8_t point, std::string_view body, absl::Time expiry = kLater) {
  return MakeNote(PointAt(point), base::AsBytes(body), expiry);
}

class RecordStoreTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!GetParam()) {
      store_ = std::make_unique<MemoryRecordStore>();
      return;
    }
    char folder[] = "/tmp/bulbil-store-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    auto opened = RocksdbRecordStore::Open({.path = folder_ + "/store", .clock = [] { return kNow; }});
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }
  void TearDown() override {
    store_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::vector<RecordName> Names(const overlay::RingRange& range, std::optional<RecordName> cursor = std::nullopt,
                                absl::Time wall_now = kNow) {
    std::vector<RecordName> names;
    EXPECT_OK(store_->Scan(range, cursor, wall_now, [&](const HeldName& held) {
      names.push_back(held.name);
      return true;
    }));
    return names;
  }

  std::unique_ptr<RecordStore> store_;
  std::string folder_;
};

TEST_P(RecordStoreTest, GivesBackWhatWasPut) {
  const Record record = NoteAt(10, "hello");
  EXPECT_STATUS(store_->Get(record.name, kNow), kNotFound);
  ASSERT_OK(store_->Apply({.puts = {record}}));
  ASSERT_OK_AND_ASSIGN(const Record held, store_->Get(record.name, kNow));
  EXPECT_EQ(held, record);
  EXPECT_EQ(store_->counts().records, 1u);
  EXPECT_EQ(store_->counts().bytes, 5 + kRecordHeaderSize);
}

TEST_P(RecordStoreTest, AnEmptyBatchIsFineAndChangesNothing) {
  ASSERT_OK(store_->Apply({}));
  EXPECT_EQ(store_->counts().records, 0u);
  EXPECT_TRUE(Names({PointAt(0), PointAt(0)}).empty());
}

TEST_P(RecordStoreTest, PutsReplaceAndRemovesForget) {
  const Record first = NoteAt(10, "hello", kLater);
  Record longer = first;
  longer.expiry = kLater + absl::Hours(5);
  ASSERT_OK(store_->Apply({.puts = {first}}));
  ASSERT_OK(store_->Apply({.puts = {longer}}));
  EXPECT_EQ(store_->counts().records, 1u);
  EXPECT_EQ(store_->Get(first.name, kNow)->expiry, longer.expiry);
  ASSERT_OK(store_->Apply({.removes = {first.name, NoteAt(11, "never held").name}}));
  EXPECT_STATUS(store_->Get(first.name, kNow), kNotFound);
  EXPECT_EQ(store_->counts().records, 0u);
  EXPECT_EQ(store_->counts().bytes, 0u);
}

TEST_P(RecordStoreTest, NeverReturnsExpiredRecords) {
  const Record record = NoteAt(10, "brief", kNow + absl::Seconds(10));
  ASSERT_OK(store_->Apply({.puts = {record}}));
  const absl::Time after = kNow + absl::Seconds(10);
  EXPECT_STATUS(store_->Get(record.name, after), kNotFound);
  EXPECT_TRUE(Names({PointAt(0), PointAt(0)}, std::nullopt, after).empty());
  int seen = 0;
  EXPECT_OK(store_->ForEach(record.name.point, Kind::kEnvelope, after, [&](const Record&) { ++seen; }));
  EXPECT_EQ(seen, 0);
  EXPECT_EQ(Names({PointAt(0), PointAt(0)}, std::nullopt, absl::InfinitePast()).size(), 1u);
}

TEST_P(RecordStoreTest, ForEachVisitsOneKindAtOnePoint) {
  const Record a = NoteAt(10, "a"), b = NoteAt(10, "b"), elsewhere = NoteAt(11, "c");
  const Record tombstone = MakeTombstone({a}, kLater);
  ASSERT_OK(store_->Apply({.puts = {a, b, elsewhere, tombstone}}));
  std::vector<RecordName> seen;
  EXPECT_OK(store_->ForEach(PointAt(10), Kind::kEnvelope, kNow, [&](const Record& record) { seen.push_back(record.name); }));
  std::vector<RecordName> expected = {a.name, b.name};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(seen, expected);
}

TEST_P(RecordStoreTest, ScanGoesAroundZeroInRingOrder) {
  const Record a = NoteAt(10, "a"), b = NoteAt(100, "b"), c = NoteAt(200, "c");
  ASSERT_OK(store_->Apply({.puts = {c, a, b}}));
  EXPECT_EQ(Names({PointAt(10), PointAt(200)}), (std::vector<RecordName>{b.name, c.name}));
  EXPECT_EQ(Names({PointAt(150), PointAt(10)}), (std::vector<RecordName>{c.name, a.name}));
  EXPECT_EQ(Names({PointAt(100), PointAt(100)}), (std::vector<RecordName>{c.name, a.name, b.name}));
  EXPECT_EQ(Names({PointAt(100), PointAt(100)}, c.name), (std::vector<RecordName>{a.name, b.name}));
  EXPECT_EQ(Names({PointAt(100), PointAt(100)}, a.name), (std::vector<RecordName>{b.name}));
  EXPECT_TRUE(Names({PointAt(100), PointAt(100)}, b.name).empty());
  EXPECT_TRUE(Names({PointAt(10), PointAt(99)}).empty());
}

// Against a sorted list, over random ranges and page sizes.
TEST_P(RecordStoreTest, ScanByPagesAgreesWithAWalkOfTheRing) {
  support::SeededRng rng(7);
  std::vector<RecordName> all;
  WriteBatch batch;
  for (int i = 0; i < 600; ++i) {
    const Record record = MakeNote(PointAt(static_cast<uint8_t>(rng.Below(64) * 4)), rng.Array<8>(), kLater);
    all.push_back(record.name);
    batch.puts.push_back(record);
  }
  ASSERT_OK(store_->Apply(batch));
  std::sort(all.begin(), all.end(), ComesBefore);
  for (int round = 0; round < 60; ++round) {
    const overlay::RingRange range{PointAt(static_cast<uint8_t>(rng.Below(256))), PointAt(static_cast<uint8_t>(rng.Below(256)))};
    std::vector<RecordName> expected;
    for (const bool behind : {true, false}) {
      for (const RecordName& name : all) {
        if (range.Contains(name.point) && (name.point > range.after) == behind) expected.push_back(name);
      }
    }
    std::vector<RecordName> paged;
    const size_t page_size = 1 + rng.Below(40);
    for (std::optional<RecordName> cursor;;) {
      size_t on_page = 0;
      EXPECT_OK(store_->Scan(range, cursor, kNow, [&](const HeldName& held) {
        if (on_page == page_size) return false;
        ++on_page;
        paged.push_back(held.name);
        return true;
      }));
      if (on_page < page_size) break;
      cursor = paged.back();
    }
    ASSERT_EQ(paged, expected);
  }
}

TEST_P(RecordStoreTest, PrintsAreEqualForEqualContentsOnly) {
  const overlay::RingRange all{PointAt(0), PointAt(0)};
  const Record a = NoteAt(10, "a"), b = NoteAt(20, "b");
  const RangePrint empty = *store_->Print(all, kNow);
  EXPECT_EQ(empty.count, 0u);
  ASSERT_OK(store_->Apply({.puts = {a}}));
  const RangePrint one = *store_->Print(all, kNow);
  ASSERT_OK(store_->Apply({.puts = {b}}));
  const RangePrint two = *store_->Print(all, kNow);
  EXPECT_NE(one, two);
  EXPECT_EQ(store_->Print({PointAt(0), PointAt(15)}, kNow).value(), one);
  Record longer = a;
  longer.expiry += absl::Hours(1);
  ASSERT_OK(store_->Apply({.puts = {longer}}));
  EXPECT_NE(*store_->Print(all, kNow), two) << "an expiry that differs is a difference";
  ASSERT_OK(store_->Apply({.removes = {a.name, b.name}}));
  EXPECT_EQ(*store_->Print(all, kNow), empty);
}

INSTANTIATE_TEST_SUITE_P(Stores, RecordStoreTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "Rocksdb" : "Memory"; });

}  // namespace
}  // namespace dht
