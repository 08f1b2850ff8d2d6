// SPDX-License-Identifier: Apache-2.0
// What a door place accepts, and that its merge is one: replicas given the same records in any order come to hold the same.
#include "chat/door_kinds.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/chat/fake_places.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using Verdict = dht::Admission::Verdict;

constexpr Day kDay = 20780;

bool AnyEffort(const Envelope&) { return true; }
StampCheck TrueStamps(std::string network) {
  return [network = std::move(network)](const Envelope& envelope) { return HasTrueStamp(network, envelope); };
}

class DoorKinds : public testing::Test {
 protected:
  dht::Record EnvelopeRecord(uint32_t effort, uint8_t place = 0, Day day = kDay) {
    Envelope envelope;
    envelope.door = {door_.blinded, day};
    envelope.place = place;
    envelope.effort = effort;
    envelope.sealed = base::Bytes(kSealedSize);
    rng_.Fill(std::span(envelope.sealed).first(32));
    return MakeEnvelopeRecord(envelope);
  }
  dht::Record TombstoneRecord(std::vector<dht::RecordId> ids, uint8_t place = 0, Day day = kDay) {
    auto tombstone = SignTombstone(owner_, "local", day, place, std::move(ids), rng_);
    return MakeTombstoneRecord(*tombstone);
  }
  // A tombstone whose signature nobody looks at: for models with thousands of them.
  dht::Record UnsignedTombstone(std::vector<dht::RecordId> ids) {
    std::sort(ids.begin(), ids.end());
    Tombstone tombstone{door_, 0, std::move(ids), {}};
    rng_.Fill(tombstone.signature);
    return MakeTombstoneRecord(tombstone);
  }
  const dht::RecordKind& KindOf(const dht::Record& record) const {
    if (record.name.kind == dht::Kind::kEnvelope) return envelopes_;
    return tombstones_;
  }
  dht::Admission Merge(support::MemoryPlace& place, const dht::Record& record, dht::Source source = dht::Source::kReplica) {
    return place.Merge(KindOf(record), record, source);
  }
  support::MemoryPlace MergeAll(std::vector<dht::Record> records) {
    base::Shuffle(records, rng_);
    support::MemoryPlace place;
    for (const dht::Record& record : records) Merge(place, record);
    return place;
  }

  support::SeededRng rng_{17};
  const keys::SigningKey owner_ = keys::SigningKey::Generate(rng_);
  const Door door_ = *DoorOf(owner_.public_key(), "local", kDay);
  const EnvelopeKind envelopes_{AnyEffort};
  const TombstoneKind tombstones_{"local"};
  const absl::Time noon_ = StartOfDay(kDay) + absl::Hours(12);
};

TEST_F(DoorKinds, ClientsMayPutForYesterdayTodayAndTomorrowOnly) {
  const EnvelopeKind kind(AnyEffort);
  for (int offset = -3; offset <= 3; ++offset) {
    const dht::Record record = EnvelopeRecord(0, 0, static_cast<Day>(kDay + offset));
    EXPECT_EQ(kind.Acceptable(record, dht::Source::kClient, noon_).ok(), offset >= -1 && offset <= 1) << offset;
    EXPECT_EQ(kind.Acceptable(record, dht::Source::kReplica, noon_).ok(), offset <= 1) << offset;
  }
}

TEST_F(DoorKinds, AStampIsLookedAtOnce) {
  int looks = 0;
  const EnvelopeKind kind([&](const Envelope& envelope) {
    ++looks;
    return envelope.effort < 100;
  });
  const dht::Record free = EnvelopeRecord(0), good = EnvelopeRecord(7), bad = EnvelopeRecord(200);
  EXPECT_FALSE(kind.IsSlow(free));
  for (const dht::Record* record : {&good, &bad}) {
    EXPECT_TRUE(kind.IsSlow(*record));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(kind.Acceptable(*record, dht::Source::kClient, noon_).ok(), record == &good);
    EXPECT_FALSE(kind.IsSlow(*record));
  }
  EXPECT_EQ(looks, 2);
  dht::Record forged = good;  // the same name, other bytes: what is remembered of it does not help
  forged.body.back() ^= 1;
  EXPECT_FALSE(kind.Acceptable(forged, dht::Source::kClient, noon_).ok());
  for (size_t i = 0; i < 2 * keys::kWorkMemoryMax; ++i) EXPECT_OK(kind.Acceptable(EnvelopeRecord(1), dht::Source::kClient, noon_));
  EXPECT_TRUE(kind.IsSlow(good)) << "forgotten: the memory is bounded";
  EXPECT_OK(kind.Acceptable(good, dht::Source::kClient, noon_));
}

TEST_F(DoorKinds, AMomentWithoutMemoryIsNotRemembered) {
  bool has_memory = false;
  const EnvelopeKind kind([&](const Envelope&) { return has_memory ? std::optional<bool>(true) : std::nullopt; });
  const dht::Record record = EnvelopeRecord(1);
  EXPECT_FALSE(kind.Acceptable(record, dht::Source::kClient, noon_).ok());
  EXPECT_TRUE(kind.IsSlow(record));
  has_memory = true;
  EXPECT_OK(kind.Acceptable(record, dht::Source::kClient, noon_));
}

TEST_F(DoorKinds, ReplicasTakeEnvelopesUntilTheyExpire) {
  const EnvelopeKind kind(AnyEffort);
  const dht::Record record = EnvelopeRecord(0);
  EXPECT_OK(kind.Acceptable(record, dht::Source::kReplica, EnvelopeExpiry(kDay) - absl::Hours(1)));
  EXPECT_STATUS(kind.Acceptable(record, dht::Source::kReplica, EnvelopeExpiry(kDay) + dht::kClockTolerance), kInvalidArgument);
}

TEST_F(DoorKinds, AnUnprovedEffortIsRefusedWhoeverBringsIt) {
  const EnvelopeKind kind(TrueStamps("local"));
  EXPECT_OK(kind.Acceptable(EnvelopeRecord(0), dht::Source::kClient, noon_));
  EXPECT_STATUS(kind.Acceptable(EnvelopeRecord(1), dht::Source::kClient, noon_), kInvalidArgument);
  EXPECT_STATUS(kind.Acceptable(EnvelopeRecord(UINT32_MAX), dht::Source::kReplica, noon_), kInvalidArgument);
  Envelope stamped{door_, 0, 0, {}, base::Bytes(kSealedSize)};
  stamped.stamp[3] = 1;
  EXPECT_STATUS(kind.Acceptable(MakeEnvelopeRecord(stamped), dht::Source::kClient, noon_), kInvalidArgument);
}

TEST_F(DoorKinds, AStampIsGoodForOneEnvelopeAtOnePlaceWithOneEffort) {
  const EnvelopeKind kind(TrueStamps("local"));
  Envelope stamped{door_, 1, 4, {}, base::Bytes(kSealedSize)};
  keys::WorkSearch search(StampChallenge("local", stamped), stamped.effort, rng_);
  std::optional<keys::WorkProof> stamp;
  while (!stamp) stamp = search.Advance();
  stamped.stamp = *stamp;
  EXPECT_OK(kind.Acceptable(MakeEnvelopeRecord(stamped), dht::Source::kClient, noon_));
  EXPECT_OK(kind.Acceptable(MakeEnvelopeRecord(stamped), dht::Source::kReplica, noon_));
  EXPECT_STATUS(EnvelopeKind(TrueStamps("other")).Acceptable(MakeEnvelopeRecord(stamped), dht::Source::kReplica, noon_),
                kInvalidArgument);
  for (int what = 0; what < 5; ++what) {
    Envelope other = stamped;
    if (what == 0) other.place = 2;
    if (what == 1) other.door.day = kDay + 1;
    if (what == 2) other.effort = 3;
    if (what == 3) other.sealed[1000] ^= 1;
    if (what == 4) other.stamp[15] ^= 1;
    EXPECT_STATUS(kind.Acceptable(MakeEnvelopeRecord(other), dht::Source::kReplica, noon_), kInvalidArgument) << what;
  }
}

TEST_F(DoorKinds, WhatTheNetworkAsksForIsAskedOfClientsOnly) {
  const EnvelopeKind kind(AnyEffort, 3);
  EXPECT_STATUS(kind.Acceptable(EnvelopeRecord(2), dht::Source::kClient, noon_), kInvalidArgument);
  EXPECT_OK(kind.Acceptable(EnvelopeRecord(3), dht::Source::kClient, noon_));
  EXPECT_OK(kind.Acceptable(EnvelopeRecord(2), dht::Source::kReplica, noon_));
}

// Issue of a flooded door: who works twice as hard as a flood of 10^5 gets in and stays, whatever comes before and after.
TEST_F(DoorKinds, AFloodDoesNotKeepOutWhoWorksTwiceAsHard) {
  constexpr uint32_t kFloodEffort = 64;
  support::MemoryPlace place;
  const dht::Record honest = EnvelopeRecord(2 * kFloodEffort);
  int refused = 0;
  dht::Record flood = EnvelopeRecord(kFloodEffort);
  for (uint32_t i = 0; i < 100'000; ++i) {
    if (i == 50'000) {
      EXPECT_EQ(Merge(place, honest, dht::Source::kClient).verdict, Verdict::kStore);
    }
    for (int byte = 0; byte < 4; ++byte) flood.name.id[static_cast<size_t>(byte)] = static_cast<uint8_t>(i >> 8 * byte);
    refused += Merge(place, flood, dht::Source::kClient).verdict == Verdict::kFull;
  }
  EXPECT_EQ(refused, 100'000 - static_cast<int>(kDoorEnvelopesMax));
  EXPECT_EQ(place.Count(dht::Kind::kEnvelope), kDoorEnvelopesMax);
  EXPECT_TRUE(place.Holds(honest.name));
}

TEST_F(DoorKinds, OnlyTheOwnerOfTheDoorMakesATombstone) {
  const std::vector<dht::RecordId> ids = {rng_.Array<32>(), rng_.Array<32>()};
  const dht::Record good = TombstoneRecord(ids);
  EXPECT_OK(tombstones_.Acceptable(good, dht::Source::kClient, noon_));
  EXPECT_STATUS(TombstoneKind("other").Acceptable(good, dht::Source::kClient, noon_), kUnauthenticated);
  // A stranger signs for the owner's door.
  const keys::SigningKey stranger = keys::SigningKey::Generate(rng_);
  ASSERT_OK_AND_ASSIGN(Tombstone forged, SignTombstone(stranger, "local", kDay, 0, ids, rng_));
  forged.door.blinded = door_.blinded;
  EXPECT_STATUS(tombstones_.Acceptable(MakeTombstoneRecord(forged), dht::Source::kClient, noon_), kUnauthenticated);
  // A signature moved to another place, day or list of ids.
  ASSERT_OK_AND_ASSIGN(const Tombstone read, ReadTombstoneRecord(good));
  for (int what = 0; what < 3; ++what) {
    Tombstone moved = read;
    if (what == 0) moved.place = 1;
    if (what == 1) moved.door.day = kDay + 1;
    if (what == 2) moved.ids.pop_back();
    EXPECT_STATUS(tombstones_.Acceptable(MakeTombstoneRecord(moved), dht::Source::kClient, noon_), kUnauthenticated) << what;
  }
}

TEST_F(DoorKinds, TombstonesOutOfShapeAreRefused) {
  const dht::Record good = TombstoneRecord({rng_.Array<32>(), rng_.Array<32>()});
  dht::Record wrong = good;
  wrong.expiry -= absl::Hours(24);
  EXPECT_STATUS(tombstones_.Acceptable(wrong, dht::Source::kReplica, noon_), kInvalidArgument);
  wrong = good;
  wrong.name.point.bytes[1] ^= 1;
  EXPECT_STATUS(tombstones_.Acceptable(wrong, dht::Source::kReplica, noon_), kInvalidArgument);
  for (const uint8_t count : std::array<uint8_t, 5>{0, 1, 3, 51, 255}) {
    wrong = good;
    wrong.body[37] = count;
    EXPECT_STATUS(ReadTombstoneRecord(wrong), kInvalidArgument) << int{count};
  }
  wrong = good;
  std::swap_ranges(wrong.body.begin() + 38, wrong.body.begin() + 70, wrong.body.begin() + 70);
  EXPECT_STATUS(ReadTombstoneRecord(wrong), kInvalidArgument);
}

TEST_F(DoorKinds, TombstonesAreTakenUntilTheEndOfDayFifteen) {
  const dht::Record record = TombstoneRecord({rng_.Array<32>()});
  EXPECT_OK(tombstones_.Acceptable(record, dht::Source::kClient, StartOfDay(kDay + 15)));
  EXPECT_STATUS(tombstones_.Acceptable(record, dht::Source::kClient, StartOfDay(kDay + 17)), kInvalidArgument);
}

TEST_F(DoorKinds, AFullDoorRefusesEqualEffortAndSaysWhatItNeeds) {
  support::MemoryPlace place;
  for (size_t i = 0; i < kDoorEnvelopesMax; ++i) {
    ASSERT_EQ(Merge(place, EnvelopeRecord(i < 10 ? 4 : 7), dht::Source::kClient).verdict, Verdict::kStore);
  }
  const support::MemoryPlace before = place;
  for (int i = 0; i < 20; ++i) {
    const dht::Admission admission = Merge(place, EnvelopeRecord(4), dht::Source::kClient);
    EXPECT_EQ(admission.verdict, Verdict::kFull);
    EXPECT_EQ(admission.detail, 5u);
  }
  EXPECT_TRUE(place == before);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Merge(place, EnvelopeRecord(5), dht::Source::kClient).verdict, Verdict::kStore);
  EXPECT_EQ(place.Count(dht::Kind::kEnvelope), kDoorEnvelopesMax);
  EXPECT_EQ(Merge(place, EnvelopeRecord(5), dht::Source::kClient).detail, 6u);
  EXPECT_EQ(Merge(place, before.All()[0], dht::Source::kClient).verdict,
            place.Holds(before.All()[0].name) ? Verdict::kAlready : Verdict::kFull);
}

TEST_F(DoorKinds, ATombstoneBeatsItsEnvelopesBeforeAndAfter) {
  const dht::Record early = EnvelopeRecord(0), late = EnvelopeRecord(0), other = EnvelopeRecord(0);
  support::MemoryPlace place;
  Merge(place, early);
  Merge(place, other);
  EXPECT_EQ(Merge(place, TombstoneRecord({early.name.id, late.name.id}), dht::Source::kClient).verdict, Verdict::kStore);
  EXPECT_FALSE(place.Holds(early.name));
  EXPECT_TRUE(place.Holds(other.name));
  EXPECT_EQ(Merge(place, early, dht::Source::kClient).verdict, Verdict::kAlready);
  EXPECT_EQ(Merge(place, late, dht::Source::kClient).verdict, Verdict::kAlready);
  EXPECT_EQ(place.Count(dht::Kind::kEnvelope), 1u);
}

TEST_F(DoorKinds, ADoorTakesFourThousandAndNinetySixDeletionsFromClients) {
  support::MemoryPlace place;
  size_t ids = 0;
  while (true) {
    std::vector<dht::RecordId> some(1 + ids % kTombstoneIdsMax);
    for (dht::RecordId& id : some) id = rng_.Array<32>();
    if (ids + some.size() > kDoorDeletedMax) break;
    ids += some.size();
    ASSERT_EQ(Merge(place, UnsignedTombstone(some), dht::Source::kClient).verdict, Verdict::kStore);
  }
  std::vector<dht::RecordId> more(kTombstoneIdsMax);
  for (dht::RecordId& id : more) id = rng_.Array<32>();
  EXPECT_EQ(Merge(place, UnsignedTombstone(more), dht::Source::kClient).verdict, Verdict::kFull);
}

// Below the limits, and for each limit alone, the result is one set whatever the order, the repetition and the grouping.
TEST_F(DoorKinds, MergingDoesNotDependOnOrderRepetitionOrGrouping) {
  for (int round = 0; round < 60; ++round) {
    std::vector<dht::Record> records;
    std::vector<dht::RecordId> ids;
    for (int i = 0; i < 30; ++i) {
      records.push_back(EnvelopeRecord(static_cast<uint32_t>(rng_.Below(3))));
      ids.push_back(records.back().name.id);
    }
    for (uint64_t t = rng_.Below(6); t > 0; --t) {
      std::set<dht::RecordId> some;
      for (uint64_t i = 1 + rng_.Below(5); i > 0; --i) some.insert(ids[rng_.Below(ids.size())]);
      records.push_back(UnsignedTombstone({some.begin(), some.end()}));
    }
    const support::MemoryPlace once = MergeAll(records);
    std::vector<dht::Record> twice = records;
    twice.insert(twice.end(), records.begin(), records.end());
    EXPECT_TRUE(MergeAll(twice) == once);
    const auto middle = records.begin() + static_cast<ptrdiff_t>(rng_.Below(records.size()));
    support::MemoryPlace left = MergeAll({records.begin(), middle}), right = MergeAll({middle, records.end()});
    for (const dht::Record& record : right.All()) Merge(left, record);
    EXPECT_TRUE(left == once);
  }
}

TEST_F(DoorKinds, AFullDoorHoldsTheFirstOfTheOrderWhateverCameWhen) {
  std::vector<dht::Record> records;
  std::vector<Rank> ranks;
  for (size_t i = 0; i < kDoorEnvelopesMax + 80; ++i) {
    records.push_back(EnvelopeRecord(static_cast<uint32_t>(rng_.Below(4))));
    ranks.push_back(RankOf(records.back()));
  }
  std::sort(ranks.begin(), ranks.end());
  std::set<dht::RecordId> expected;
  for (size_t i = 0; i < kDoorEnvelopesMax; ++i) expected.insert(ranks[i].id);
  for (int round = 0; round < 2; ++round) {
    std::set<dht::RecordId> held;
    for (const dht::Record& record : MergeAll(records).All()) held.insert(record.name.id);
    EXPECT_EQ(held, expected);
  }
}

TEST_F(DoorKinds, TooManyDeletionsAreTruncatedAlikeWhateverCameWhen) {
  std::vector<dht::Record> records;
  for (int i = 0; i < 260; ++i) {
    std::vector<dht::RecordId> ids(1 + rng_.Below(kTombstoneIdsMax));
    for (dht::RecordId& id : ids) id = rng_.Array<32>();
    records.push_back(UnsignedTombstone(ids));
  }
  const support::MemoryPlace once = MergeAll(records);
  size_t kept = 0;
  for (const dht::Record& record : once.All()) kept += TombstoneIdCount(record.body);
  EXPECT_LE(kept, kDoorDeletedMax);
  EXPECT_GT(kept, kDoorDeletedMax - kTombstoneIdsMax);
  for (int round = 0; round < 5; ++round) {
    base::Shuffle(records, rng_);
    const auto middle = records.begin() + 130;
    support::MemoryPlace left = MergeAll({records.begin(), middle});
    for (const dht::Record& record : MergeAll({middle, records.end()}).All()) Merge(left, record);
    EXPECT_TRUE(left == once);
  }
}

// Full doors, deletions, puts of clients at different replicas, losses: after repair all three replicas hold the same, no
// deleted envelope, and not more than they may.
TEST_F(DoorKinds, ReplicasThatExchangeWhatTheyHoldConverge) {
  for (int round = 0; round < 3; ++round) {
    support::MemoryPlace replicas[3];
    std::set<dht::RecordId> deleted;
    std::vector<dht::RecordId> ids;
    for (int step = 0; step < 1000; ++step) {
      dht::Record record = EnvelopeRecord(static_cast<uint32_t>(rng_.Below(3)));
      if (rng_.Below(20) == 0 && !ids.empty()) {
        record = UnsignedTombstone({ids[rng_.Below(ids.size())]});
        deleted.insert(DecodeTombstone(record.body)->ids[0]);
      } else {
        ids.push_back(record.name.id);
      }
      Merge(replicas[rng_.Below(3)], record, dht::Source::kClient);
      if (rng_.Below(2) == 0) Merge(replicas[rng_.Below(3)], record);
    }
    for (int exchange = 0; exchange < 3; ++exchange) {
      for (int from = 0; from < 3; ++from) {
        for (const dht::Record& record : replicas[from].All()) Merge(replicas[(from + 1) % 3], record);
      }
    }
    EXPECT_TRUE(replicas[0] == replicas[1]);
    EXPECT_TRUE(replicas[1] == replicas[2]);
    EXPECT_LE(replicas[0].Count(dht::Kind::kEnvelope), kDoorEnvelopesMax);
    replicas[0].ForEach(dht::Kind::kEnvelope, [&](const dht::Record& record) { EXPECT_FALSE(deleted.contains(record.name.id)); });
  }
}

}  // namespace
}  // namespace chat
