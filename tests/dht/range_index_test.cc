// SPDX-License-Identifier: Apache-2.0
#include "dht/range_index.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/seeded_rng.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

struct InRingOrder {
  bool operator()(const RecordName& a, const RecordName& b) const { return ComesBefore(a, b); }
};
using Naive = std::map<RecordName, absl::Time, InRingOrder>;

// Few points, so that places are shared and ends of ranges are hit.
overlay::NodeId SomePoint(support::SeededRng& rng) {
  overlay::NodeId point;
  point.bytes[0] = static_cast<uint8_t>(rng.Below(64) * 4);
  return point;
}
RecordName SomeName(support::SeededRng& rng) {
  RecordName name{.kind = rng.Below(4) == 0 ? Kind::kTombstone : Kind::kEnvelope, .point = SomePoint(rng), .id = {}};
  name.id[0] = static_cast<uint8_t>(rng.Below(8));
  return name;
}
RangePrint NaivePrint(const Naive& held, const overlay::RingRange& range) {
  RangePrint print;
  for (const auto& [name, expiry] : held) {
    if (range.Contains(name.point)) print.Add(name, expiry);
  }
  return print;
}
std::vector<RecordName> NaiveNames(const Naive& held, const overlay::RingRange& range) {
  std::vector<RecordName> names;
  for (const bool behind : {true, false}) {
    for (const auto& [name, expiry] : held) {
      if (range.Contains(name.point) && (name.point > range.after) == behind) names.push_back(name);
    }
  }
  return names;
}
std::vector<RecordName> Names(const RangeIndex& index, const overlay::RingRange& range, std::optional<RecordName> cursor = {}) {
  std::vector<RecordName> names;
  index.Walk(range, cursor, [&](const RecordName& name, const keys::Digest&) {
    names.push_back(name);
    return true;
  });
  return names;
}

class RangeIndexModel : public testing::TestWithParam<int> {};

TEST_P(RangeIndexModel, AgreesWithAMapUnderRandomCommands) {
  support::SeededRng rng(static_cast<uint64_t>(GetParam()));
  RangeIndex index(rng.Below(1000));
  Naive held;
  absl::Time now = kNow;
  for (int step = 0; step < 3000; ++step) {
    const RecordName name = SomeName(rng);
    if (rng.Below(3) != 0) {
      const absl::Time expiry = now + absl::Seconds(1 + static_cast<int64_t>(rng.Below(4000)));
      index.Put(name, expiry);
      held[name] = expiry;
    } else {
      index.Remove(name);
      held.erase(name);
    }
    now += absl::Seconds(1);
    index.Expire(now);
    std::erase_if(held, [&](const auto& entry) { return entry.second <= now; });
    ASSERT_EQ(index.count(), held.size());
    if (step % 20 != 0) continue;
    const overlay::RingRange range{SomePoint(rng), SomePoint(rng)};
    ASSERT_EQ(index.Print(range), NaivePrint(held, range));
    const std::vector<RecordName> names = NaiveNames(held, range);
    ASSERT_EQ(Names(index, range), names);
    ASSERT_EQ(index.Count(range), names.size());
    if (names.empty()) continue;
    const size_t rank = rng.Below(names.size());
    ASSERT_EQ(index.PointAt(range, rank), names[rank].point);
    ASSERT_EQ(Names(index, range, names[rank]),
              std::vector<RecordName>(names.begin() + static_cast<ptrdiff_t>(rank) + 1, names.end()));
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RangeIndexModel, testing::Range(0, 6));

TEST(RangeIndex, APrintTellsExpiriesApartAndForgetsWhatWent) {
  support::SeededRng rng(1);
  const overlay::RingRange all{};
  RangeIndex index(1);
  const RangePrint empty = index.Print(all);
  const RecordName name = SomeName(rng);
  index.Put(name, kNow);
  const RangePrint brief = index.Print(all);
  index.Put(name, kNow + absl::Hours(1));
  EXPECT_NE(index.Print(all), brief);
  EXPECT_EQ(index.count(), 1u);
  index.Remove(name);
  EXPECT_EQ(index.Print(all), empty);
}

TEST(RangeIndex, ShortIdsFindNamesUnderTheirOwnSaltOnly) {
  support::SeededRng rng(2);
  RangeIndex index(77);
  const RecordName name = SomeName(rng);
  index.Put(name, kNow);
  const keys::Digest print = RecordPrint(name, kNow);
  EXPECT_EQ(index.Find(ShortIds(77).Of(print)), name);
  EXPECT_EQ(index.Find(ShortIds(78).Of(print)), std::nullopt);
  index.Remove(name);
  EXPECT_EQ(index.Find(ShortIds(77).Of(print)), std::nullopt);
}

TEST(RangeIndex, TheWatcherHearsEveryChangeSoThatSumsAgree) {
  support::SeededRng rng(3);
  RangeIndex index(5);
  absl::flat_hash_map<uint64_t, int> toggled;
  index.Watch([&](const RecordName&, const keys::Digest& print) { toggled[index.ids().Of(print)] ^= 1; });
  for (int i = 0; i < 2000; ++i) {
    if (rng.Below(3) != 0) {
      index.Put(SomeName(rng), kNow + absl::Seconds(static_cast<int64_t>(rng.Below(100))));
    } else {
      index.Remove(SomeName(rng));
    }
  }
  index.Expire(kNow + absl::Seconds(50));
  uint64_t odd = 0;
  for (const auto& [id, parity] : toggled) {
    odd += static_cast<uint64_t>(parity);
    EXPECT_EQ(index.Find(id).has_value(), parity == 1);
  }
  EXPECT_EQ(odd, index.count());
}

TEST(PrintSum, AddsAndSubtractsModuloTwoToThe256) {
  support::SeededRng rng(4);
  for (int i = 0; i < 100; ++i) {
    const keys::Digest a = rng.Array<32>(), b = i % 3 == 0 ? keys::Digest{} : rng.Array<32>();
    PrintSum sum = PrintSum::Of(a);
    EXPECT_EQ(sum.ToDigest(), a);
    sum.Add(PrintSum::Of(b));
    sum.Subtract(PrintSum::Of(b));
    EXPECT_EQ(sum.ToDigest(), a);
    sum.Subtract(PrintSum::Of(a));
    EXPECT_EQ(sum.ToDigest(), keys::Digest{});
  }
}

}  // namespace
}  // namespace dht
