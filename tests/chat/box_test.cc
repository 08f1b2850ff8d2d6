// SPDX-License-Identifier: Apache-2.0
// Boxes and bundles: bytes against the independent reference, and what a storing node makes of them.
#include "chat/box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "chat/bundle.h"
#include "tests/chat/fake_places.h"
#include "tests/keys/scripted_rng.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using Verdict = dht::Admission::Verdict;

const absl::Time kNow = absl::FromUnixSeconds(20780 * 86400 + 3600);

TEST(BoxVectors, AgreeWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("../chat/vectors/boxes.json")) {
    PlaceChain chain(keys::WipedArray<32>(vector.Array<32>("chain")));
    for (uint64_t i = 0; i < vector.Number("index"); ++i) chain.Advance();
    EXPECT_EQ(base::ToBytes(chain.Seed().view()), vector.Hex("seed"));
    EXPECT_EQ(BoxKeyOf(chain.Seed()).bytes, vector.Array<32>("box_key"));
    Box box = MakeBox(chain.Seed(), vector.Text("network"), vector.Hex("sealed"),
                      absl::FromUnixSeconds(static_cast<int64_t>(vector.Number("expiry"))));
    box.place = static_cast<uint8_t>(vector.Number("place"));
    const dht::Record record = MakeBoxRecord(box);
    EXPECT_EQ(record.body, vector.Hex("body"));
    EXPECT_EQ(record.name.point.bytes, vector.Array<32>("point"));
    EXPECT_EQ(record.name.id, vector.Array<32>("id"));
    EXPECT_EQ(FirstBoxPlace(box.key), vector.Number("first_place"));
    ASSERT_OK_AND_ASSIGN(const Box again, DecodeBox(vector.Hex("body")));
    EXPECT_EQ(again, box);
    EXPECT_TRUE(VerifyBox(again, vector.Text("network")));
    EXPECT_FALSE(VerifyBox(again, "elsewhere"));
  }
}

TEST(BundleVectors, AgreeWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("../chat/vectors/bundles.json")) {
    const keys::SigningKey owner(keys::Secret<32>(base::ByteView(vector.Hex("seed"))));
    const base::Bytes prekeys = vector.Hex("prekeys");
    BundleContents contents;
    contents.door_effort = static_cast<uint32_t>(vector.Number("door_effort"));
    std::copy_n(prekeys.begin(), 32, contents.signed_prekey.begin());
    for (size_t at = 32; at < prekeys.size(); at += 32) {
      std::copy_n(prekeys.begin() + static_cast<ptrdiff_t>(at), 32, contents.one_time.emplace_back().begin());
    }
    support::ScriptedRng random(vector.Hex("random"));
    ASSERT_OK_AND_ASSIGN(const Bundle bundle,
                         SealBundle(owner, vector.Text("network"), static_cast<Day>(vector.Number("day")),
                                    static_cast<uint8_t>(vector.Number("place")), vector.Number("version"), contents, random));
    const dht::Record record = MakeBundleRecord(bundle);
    EXPECT_EQ(record.body, vector.Hex("body"));
    EXPECT_EQ(record.name.point.bytes, vector.Array<32>("point"));
    EXPECT_EQ(record.name.id, vector.Array<32>("id"));
    EXPECT_EQ(record.expiry, absl::FromUnixSeconds(static_cast<int64_t>(vector.Number("expiry"))));
    ASSERT_OK_AND_ASSIGN(const Bundle again, ReadBundleRecord(record));
    ASSERT_OK_AND_ASSIGN(const BundleContents opened, OpenBundle(owner.public_key(), vector.Text("network"), again));
    EXPECT_EQ(opened, contents);
  }
}

class BoxKindTest : public testing::Test {
 protected:
  dht::Record Record(uint8_t fill, uint8_t place = 0, absl::Time expiry = BoxExpiry(kNow)) const {
    Box box = MakeBox(chain_.Seed(), "local", base::Bytes(kBoxSealedSize, fill), expiry);
    box.place = place;
    return MakeBoxRecord(box);
  }
  absl::Status Check(const dht::Record& record) const { return kind_.Acceptable(record, dht::Source::kClient, kNow); }

  support::SeededRng rng_{3};
  PlaceChain chain_{keys::WipedArray<32>(rng_.Array<32>())};
  BoxKind kind_{"local"};
};

TEST_F(BoxKindTest, OnlyWhatTheChainSignedIsAccepted) {
  EXPECT_OK(Check(Record(1)));
  const dht::Record good = Record(1);
  for (size_t at = 0; at < good.body.size(); at += 3) {
    dht::Record bad = good;
    bad.body[at] ^= 0x10;
    EXPECT_FALSE(Check(bad).ok()) << at;
    const auto box = DecodeBox(bad.body);  // the same under a name that fits
    if (box.ok()) {
      EXPECT_FALSE(Check(MakeBoxRecord(*box)).ok()) << at;
    }
  }
  EXPECT_FALSE(BoxKind("other").Acceptable(good, dht::Source::kClient, kNow).ok());
}

TEST_F(BoxKindTest, ExpiryIsAWholeDayAndNotFarAway) {
  EXPECT_STATUS(Check(Record(1, 0, StartOfDay(20780))), kInvalidArgument);  // gone for an hour
  EXPECT_OK(Check(Record(1, 0, StartOfDay(20781))));
  EXPECT_OK(Check(Record(1, 0, StartOfDay(20810))));
  EXPECT_STATUS(Check(Record(1, 0, StartOfDay(20811))), kInvalidArgument);  // more than 30 days
  EXPECT_STATUS(Check(Record(1, 0, StartOfDay(20781) + absl::Seconds(1))), kInvalidArgument);
  EXPECT_EQ(BoxExpiry(kNow), StartOfDay(20795));
}

TEST_F(BoxKindTest, APlaceIsWrittenOnce) {
  support::MemoryPlace place;
  EXPECT_EQ(place.Merge(kind_, Record(1), dht::Source::kClient).verdict, Verdict::kStore);
  EXPECT_EQ(place.Merge(kind_, Record(1), dht::Source::kClient).verdict, Verdict::kAlready);
  EXPECT_EQ(place.Merge(kind_, Record(2), dht::Source::kClient).verdict, Verdict::kFull);
  EXPECT_EQ(place.Count(dht::Kind::kBox), 1u);
}

TEST_F(BoxKindTest, OfTwoBoxesAllReplicasAndAllPlacesKeepTheSame) {
  std::set<uint8_t> winners;
  for (uint8_t at = 0; at < kPlaceCount; ++at) {
    std::vector<dht::Record> boxes = {Record(1, at), Record(2, at), Record(3, at)};
    for (int order = 0; order < 6; ++order) {
      support::MemoryPlace place;
      for (const dht::Record& box : boxes) place.Merge(kind_, box, dht::Source::kReplica);
      ASSERT_EQ(place.Count(dht::Kind::kBox), 1u);
      winners.insert(place.All().front().body[41]);
      std::next_permutation(boxes.begin(), boxes.end(), [](const auto& a, const auto& b) { return a.name.id < b.name.id; });
    }
  }
  EXPECT_EQ(winners.size(), 1u);
}

TEST_F(BoxKindTest, PlacesOfOneChainHaveNothingInCommon) {
  std::set<std::array<uint8_t, 32>> seen;
  for (int i = 0; i < 64; ++i, chain_.Advance()) {
    const keys::PublicKey key = BoxKeyOf(chain_.Seed());
    EXPECT_TRUE(seen.insert(key.bytes).second);
    for (uint8_t place = 0; place < kPlaceCount; ++place) EXPECT_TRUE(seen.insert(BoxPoint(key, place).bytes).second);
  }
}

class BundleKindTest : public testing::Test {
 protected:
  dht::Record Record(Day day, uint64_t version, const keys::SigningKey& by) {
    BundleContents contents;
    contents.signed_prekey = rng_.Array<32>();
    auto bundle = SealBundle(by, "local", day, 1, version, contents, rng_);
    EXPECT_OK(bundle);
    return MakeBundleRecord(*bundle);
  }
  absl::Status Check(const dht::Record& record) const { return kind_.Acceptable(record, dht::Source::kClient, kNow); }

  support::SeededRng rng_{4};
  const keys::SigningKey owner_ = keys::SigningKey::Generate(rng_);
  BundleKind kind_{"local"};
  const uint64_t version_ = static_cast<uint64_t>(absl::ToUnixMicros(kNow));
};

TEST_F(BundleKindTest, OnlyItsOwnersBundleOfTheseDaysIsAccepted) {
  EXPECT_OK(Check(Record(20780, version_, owner_)));
  EXPECT_OK(Check(Record(20779, version_, owner_)));
  EXPECT_OK(Check(Record(20795, version_, owner_)));
  EXPECT_STATUS(Check(Record(20778, version_, owner_)), kInvalidArgument);
  EXPECT_STATUS(Check(Record(20796, version_, owner_)), kInvalidArgument);
  EXPECT_OK(Check(Record(20780, version_ + 1'800'000'000, owner_))) << "clocks may be off";
  EXPECT_STATUS(Check(Record(20780, version_ + 7'200'000'000, owner_)), kInvalidArgument);
  EXPECT_STATUS(Check(Record(20780, version_ | uint64_t{1} << 63, owner_)), kInvalidArgument);
  const dht::Record good = Record(20780, version_, owner_);
  for (size_t at = 0; at < good.body.size(); at += 3) {
    dht::Record bad = good;
    bad.body[at] ^= 4;
    const auto bundle = DecodeBundle(bad.body);
    if (bundle.ok()) {
      EXPECT_FALSE(Check(MakeBundleRecord(*bundle)).ok()) << at;
    }
  }
}

TEST_F(BundleKindTest, TheGreatestVersionStaysWhateverTheOrder) {
  std::vector<dht::Record> records = {Record(20780, 5, owner_), Record(20780, 7, owner_), Record(20780, 7, owner_)};
  std::set<dht::RecordId> winners;
  for (int order = 0; order < 6; ++order) {
    support::MemoryPlace place;
    for (const dht::Record& record : records)
      place.Merge(kind_, record, order % 2 ? dht::Source::kReplica : dht::Source::kClient);
    ASSERT_EQ(place.Count(dht::Kind::kBundle), 1u);
    winners.insert(place.All().front().name.id);
    std::next_permutation(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.name.id < b.name.id; });
  }
  ASSERT_EQ(winners.size(), 1u);
  std::vector<dht::RecordId> newest;
  for (const dht::Record& record : records) {
    ASSERT_OK_AND_ASSIGN(const Bundle bundle, DecodeBundle(record.body));
    if (bundle.version == 7) newest.push_back(record.name.id);
  }
  EXPECT_EQ(*winners.begin(), *std::min_element(newest.begin(), newest.end()));
}

TEST_F(BundleKindTest, VersionsRiseAtEachPlaceAndDifferBetweenDoors) {
  const uint64_t hour = static_cast<uint64_t>(absl::ToUnixSeconds(kNow)) / 3600 * 3600;
  uint64_t last = 0;
  for (uint64_t made = hour; made < hour + 7300; ++made) {
    const uint64_t version = VersionAt(owner_, 20780, 1, made);
    ASSERT_GT(version, last) << "the newer contents win, were they made a second later: " << made;
    ASSERT_LE(version, (made - 1800) * 1'000'000);
    ASSERT_GE(version, (made - 3 * 3600) * 1'000'000);
    last = version;
  }
  const auto between = [&](const keys::SigningKey& owner, Day day, uint8_t place, uint64_t from, uint64_t to) {
    return VersionAt(owner, day, place, to) - VersionAt(owner, day, place, from);
  };
  std::set<uint64_t> versions;
  std::array<double, 3> least{}, most{};
  const std::array<uint64_t, 3> apart = {60, 1200, 3600};
  for (Day day = 20780; day < 20795; ++day) {
    for (uint8_t place = 0; place < kPlaceCount; ++place) {
      versions.insert(VersionAt(owner_, day, place, hour + 100));
      for (size_t i = 0; i < apart.size(); ++i) {
        const double one = static_cast<double>(between(owner_, day, place, hour + 100, hour + 100 + apart[i]));
        least[i] = least[i] == 0 ? one : std::min(least[i], one);
        most[i] = std::max(most[i], one);
      }
    }
  }
  EXPECT_EQ(versions.size(), 45u) << "one poll made them all, and that is not to be seen";
  for (size_t i = 0; i < apart.size(); ++i) {
    EXPECT_GT(most[i], 1.5 * least[i]) << "the time between two polls is not to be seen either: " << apart[i];
  }
  EXPECT_EQ(VersionAt(owner_.Clone(), 20780, 1, hour), VersionAt(owner_, 20780, 1, hour));
}

TEST_F(BundleKindTest, IsReadOnlyByWhoKnowsTheAddress) {
  ASSERT_OK_AND_ASSIGN(const Bundle bundle, ReadBundleRecord(Record(20780, version_, owner_)));
  EXPECT_OK(OpenBundle(owner_.public_key(), "local", bundle));
  EXPECT_STATUS(OpenBundle(keys::SigningKey::Generate(rng_).public_key(), "local", bundle), kUnauthenticated);
  EXPECT_STATUS(OpenBundle(owner_.public_key(), "other", bundle), kUnauthenticated);
  const std::string body = base::ToString(EncodeBundle(bundle));
  EXPECT_EQ(body.find(base::ToString(owner_.public_key().view())), std::string::npos);
}

}  // namespace
}  // namespace chat
