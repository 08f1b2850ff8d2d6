// SPDX-License-Identifier: Apache-2.0
// One pull at a time from a scripted giver: honest, slow to say what it has, failing, hostile.
#include "dht/range_sync.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "dht/memory_record_store.h"
#include "tests/dht/oracle_ring.h"

namespace dht {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

class RangeSyncTest : public testing::Test {
 protected:
  using Giver = std::function<absl::StatusOr<DhtReply>(const DhtRequest&)>;

  Record NewRecord() { return MakeBlob(rng_.Array<24>(), kStart + absl::Hours(20)); }
  // Records in the order of the whole circle from zero.
  std::vector<Record> Records(size_t count) {
    std::vector<Record> records;
    for (size_t i = 0; i < count; ++i) records.push_back(NewRecord());
    std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return ComesBefore(a.name, b.name); });
    return records;
  }
  void Hold(const Record& record) {
    ASSERT_TRUE(store_.Apply({.puts = {record}}).ok());
    index_.Put(record.name, record.expiry);
  }

  // Runs one pull of the whole circle to its end; the giver answers every call.
  SyncOutcome Pull(Compare compare, const Giver& giver, std::vector<overlay::RingRange> confirm = {}) {
    std::optional<SyncOutcome> outcome;
    sync_.Start(
        {.from = peer_, .range = {}, .compare = compare, .confirm = std::move(confirm)},
        [&](const SyncOutcome& done, const Moment&) { outcome = done; }, Now());
    for (calls_ = 0; !outcome && calls_ < kCallsMax;) {
      DhtActions actions = out_.Take();
      most_under_way_ = std::max(most_under_way_, std::count_if(actions.begin(), actions.end(), [](const DhtAction& action) {
                                   return std::holds_alternative<Call>(action);
                                 }));
      for (DhtAction& action : actions) {
        if (auto* write = std::get_if<Write>(&action)) admitter_.OnApplied(write->id, store_.Apply(write->batch), Now());
        if (auto* call = std::get_if<Call>(&action)) ++calls_, out_.Deliver(call->id, giver(call->request), Now());
      }
      if (actions.empty()) {
        now_ = std::max(now_ + absl::Milliseconds(1), sync_.NextTick());
        if (now_ == absl::InfiniteFuture()) break;
        sync_.OnTick(Now());
        symbols_.OnTick(Now());
      }
    }
    return outcome.value_or(SyncOutcome{absl::DeadlineExceededError("the pull does not end")});
  }
  Moment Now() const { return {now_, kStart}; }

  // An honest giver of these records, sorted; its Reconcile fails.
  absl::StatusOr<DhtReply> Give(const std::vector<Record>& records, const DhtRequest& request) {
    if (const auto* names = std::get_if<NamesRequest>(&request)) {
      NamesReply reply;
      for (const Record& record : records) {
        if (!names->range.Contains(record.name.point)) continue;
        if (names->cursor && !ComesBeforeIn(names->range, *names->cursor, record.name)) continue;
        reply.more = reply.names.size() == 100;
        if (reply.more) break;
        reply.names.push_back({.name = record.name, .expiry = record.expiry});
      }
      return reply;
    }
    if (const auto* fetch = std::get_if<FetchRequest>(&request)) {
      FetchReply reply;
      for (const RecordName& name : fetch->names) {
        const auto found = std::find_if(records.begin(), records.end(), [&](const Record& each) { return each.name == name; });
        if (found != records.end() && reply.records.size() < 20) reply.records.push_back(*found);
      }
      given_ += reply.records.size();
      return reply;
    }
    if (const auto* digest = std::get_if<DigestRequest>(&request)) {
      DigestReply reply{.responsible = true, .suspect = suspect_};
      for (const Record& record : records) {
        if (digest->range.Contains(record.name.point)) reply.print.Add(record.name, record.expiry);
      }
      return reply;
    }
    return ReconcileReply{.state = ReconcileState::kFailed};
  }

  static constexpr int kCallsMax = 30'000;
  support::SeededRng rng_{5};
  const overlay::Network network_ = overlay::Network::Local();
  const overlay::Peer peer_ = PeerOf(network_, keys::SigningKey::Generate(rng_));
  RecordKinds kinds_;
  MemoryRecordStore store_;
  Outbox out_;
  RangeIndex index_{7};
  Admitter admitter_{kinds_, store_, index_, ~0ull, out_};
  KeptSymbols symbols_{index_};
  RangeSync sync_{kinds_, store_, index_, symbols_, admitter_, out_};
  absl::Time now_ = kStart;
  int calls_ = 0;
  ptrdiff_t most_under_way_ = 0;
  size_t given_ = 0;
  bool suspect_ = false;
};

TEST_F(RangeSyncTest, ADownloadTakesEveryRecordOnceWithSeveralPagesUnderWay) {
  const std::vector<Record> records = Records(1000);
  const auto giver = [&](const DhtRequest& request) { return Give(records, request); };
  const SyncOutcome outcome = Pull(Compare::kNothing, giver, {{}});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(outcome.IsWitness());
  EXPECT_EQ(index_.count(), 1000u);
  EXPECT_EQ(given_, 1000u) << "nothing twice";
  EXPECT_GT(most_under_way_, 1);
}

TEST_F(RangeSyncTest, ADownloadThatBrokeGoesOnWhereItWas) {
  const std::vector<Record> records = Records(1000);
  int left = 30;
  const SyncOutcome broken = Pull(Compare::kNothing, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
    if (left-- == 0) return absl::UnavailableError("killed");
    return Give(records, request);
  });
  EXPECT_EQ(broken.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_GT(given_, 200u);
  EXPECT_TRUE(Pull(Compare::kNothing, [&](const DhtRequest& request) { return Give(records, request); }).status.ok());
  EXPECT_EQ(index_.count(), 1000u);
  EXPECT_LE(given_, 1000u + kFetchesInFlight * 20u) << "only what was under way comes twice";
}

TEST_F(RangeSyncTest, WhoIsInDoubtIsNoWitness) {
  suspect_ = true;
  const std::vector<Record> records = Records(50);
  const auto giver = [&](const DhtRequest& request) { return Give(records, request); };
  EXPECT_FALSE(Pull(Compare::kNothing, giver, {{}}).IsWitness());
  const SyncOutcome outcome = Pull(Compare::kRanges, giver);
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_FALSE(outcome.IsWitness());
}

// Symbols that do not decode: the range is split, and only parts that differ are named.
TEST_F(RangeSyncTest, WhatSymbolsCannotTellIsFoundBySplitting) {
  const std::vector<Record> records = Records(3000);
  for (size_t i = 0; i < records.size(); ++i) {
    if (i % 300 != 7) Hold(records[i]);
  }
  int digests = 0, named = 0;
  const SyncOutcome outcome = Pull(Compare::kSymbols, [&](const DhtRequest& request) {
    digests += std::holds_alternative<DigestRequest>(request) ? 1 : 0;
    absl::StatusOr<DhtReply> reply = Give(records, request);
    if (const auto* names = AnswerAs<NamesReply>(reply)) named += static_cast<int>(names->names.size());
    return reply;
  });
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(outcome.IsWitness());
  EXPECT_EQ(index_.count(), 3000u);
  EXPECT_EQ(given_, 10u);
  EXPECT_GT(digests, 16);
  EXPECT_LT(named, 400) << "ten records missing: ten small parts";
}

// Two pulls bring one record; later it is handed over with its range, and comes back with it.
TEST_F(RangeSyncTest, WhatAnotherPullBroughtFirstIsTakenAgainOnceItIsGone) {
  const std::vector<Record> records = Records(1);
  const auto giver = [&](const DhtRequest& request) { return Give(records, request); };
  EXPECT_TRUE(Pull(Compare::kNothing, [&](const DhtRequest& request) {
                if (std::holds_alternative<FetchRequest>(request)) Hold(records[0]);
                return Give(records, request);
              }).status.ok());
  ASSERT_TRUE(store_.Apply({.removes = {records[0].name}}).ok());
  index_.Remove(records[0].name);
  EXPECT_TRUE(Pull(Compare::kRanges, giver).IsWitness());
  EXPECT_EQ(index_.count(), 1u);
}

TEST_F(RangeSyncTest, NamesThatDoNotGoOnEndThePull) {
  const std::vector<Record> records = Records(300);
  const auto page = [&](std::vector<size_t> which) {
    NamesReply reply{.more = true};
    for (const size_t i : which) reply.names.push_back({.name = records[i].name, .expiry = records[i].expiry});
    return reply;
  };
  for (const std::vector<size_t>& second : {std::vector<size_t>{5}, {3}, {6, 8, 7}, {6, 6}}) {
    int asked = 0;
    const SyncOutcome outcome = Pull(Compare::kNothing, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
      if (!std::holds_alternative<NamesRequest>(request)) return FetchReply{};
      return ++asked % 2 == 1 ? page({4, 5}) : page(second);
    });
    EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_LE(asked, 2);
  }
}

// Made-up names go on around the ring without end, and nothing is ever given.
TEST_F(RangeSyncTest, WhoNamesAndDoesNotGiveIsGivenUp) {
  uint64_t next = 0;
  const SyncOutcome outcome = Pull(Compare::kNothing, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
    if (!std::holds_alternative<NamesRequest>(request)) return FetchReply{};
    NamesReply reply{.more = true};
    for (size_t i = 0; i < kNamesPageMax; ++i) {
      HeldName held{.name = {.kind = Kind::kBlob, .point = {}, .id = {}}, .expiry = kStart + absl::Hours(9)};
      ++next;
      for (int byte = 0; byte < 8; ++byte) held.name.point.bytes[byte] = static_cast<uint8_t>(next >> (56 - 8 * byte));
      reply.names.push_back(held);
    }
    return reply;
  });
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(next, 3 * kPullHollowMax);
}

TEST_F(RangeSyncTest, RecordsMustShrinkWhatIsLeft) {
  const std::vector<Record> records = Records(3);
  int asked = 0;
  const SyncOutcome outcome = Pull(Compare::kSymbols, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
    if (std::get<ReconcileRequest>(request).print) {
      return ReconcileReply{.state = ReconcileState::kDiffers, .exchange = 1, .count = 3, .salt = 5};
    }
    ++asked;
    return ReconcileReply{.state = ReconcileState::kRecords, .records = {records[0]}, .remaining = 7};
  });
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_LE(asked, 2);
}

// A hostile giver that counts down from where it likes would hold up all repair.
TEST_F(RangeSyncTest, WhatIsHereAlreadyIsNotGivenWithoutEnd) {
  const std::vector<Record> records = Records(1);
  Hold(records[0]);
  for (const uint32_t first : {~0u, static_cast<uint32_t>(kSymbolsMax)}) {
    uint32_t remaining = first;
    int asked = 0;
    const SyncOutcome outcome = Pull(Compare::kSymbols, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
      if (std::get<ReconcileRequest>(request).print) {
        return ReconcileReply{.state = ReconcileState::kDiffers, .exchange = 1, .count = 3, .salt = 5};
      }
      ++asked;
      remaining -= 40;
      return ReconcileReply{
          .state = ReconcileState::kRecords, .records = std::vector<Record>(40, records[0]), .remaining = remaining};
    });
    EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_LE(asked, first == ~0u ? 1 : static_cast<int>(kPullHollowMax / 40) + 1);
  }
}

TEST_F(RangeSyncTest, WhoDripsIsGivenUpForTheNext) {
  const std::vector<Record> records = Records(3000);
  for (const absl::Duration answer_takes : {absl::Milliseconds(100), absl::Seconds(1)}) {
    const absl::Time begin = now_;
    size_t named = 0;
    const SyncOutcome outcome = Pull(Compare::kNothing, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
      now_ += answer_takes;
      if (!std::holds_alternative<NamesRequest>(request)) return FetchReply{};
      const Record& record = records[named++];
      return NamesReply{.names = {{.name = record.name, .expiry = record.expiry}}, .more = named < records.size()};
    });
    const bool drips = answer_takes == absl::Seconds(1);
    EXPECT_EQ(outcome.status.ok(), !drips) << outcome.status;
    EXPECT_EQ(now_ - begin < 2 * kPullGrace, drips);
  }
}

TEST_F(RangeSyncTest, WhatWasNotAskedForEndsThePull) {
  const std::vector<Record> records = Records(20);
  const Record other = NewRecord();
  const SyncOutcome outcome = Pull(Compare::kNothing, [&](const DhtRequest& request) -> absl::StatusOr<DhtReply> {
    if (std::holds_alternative<FetchRequest>(request)) return FetchReply{{other}};
    return Give(records, request);
  });
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(index_.count(), 0u);
}

}  // namespace
}  // namespace dht
