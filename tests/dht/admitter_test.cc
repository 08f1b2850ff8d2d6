// SPDX-License-Identifier: Apache-2.0
#include "dht/admitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "dht/memory_record_store.h"
#include "tests/dht/note_kinds.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
const absl::Time kLater = kNow + absl::Hours(1);

class AdmitterTest : public testing::Test {
 protected:
  AdmitterTest() { RegisterNotes(kinds_); }

  Record Note(int place, std::string_view text) {
    overlay::NodeId point;
    point.bytes[0] = static_cast<uint8_t>(place);
    return MakeNote(point, base::AsBytes(text), kLater);
  }
  // Index into results_ of this admission.
  size_t Admit(const Record& record, Source source = Source::kReplica) {
    results_.emplace_back();
    admitter_.Admit(
        record, source, [this, at = results_.size() - 1](const Moment&) { begun_.push_back(at); },
        [this, at = results_.size() - 1](const AdmitOutcome& outcome, const Moment&) { results_[at] = outcome.result; }, moment_);
    return results_.size() - 1;
  }
  std::deque<Write> TakeWrites() {
    for (DhtAction& action : out_.Take()) {
      if (auto* write = std::get_if<Write>(&action)) writes_.push_back(std::move(*write));
    }
    return std::exchange(writes_, {});
  }
  void Finish(const Write& write) { admitter_.OnApplied(write.id, store_.Apply(write.batch), moment_); }
  void FinishAll() {
    for (std::deque<Write> writes = TakeWrites(); !writes.empty(); writes = TakeWrites()) {
      for (const Write& write : writes) Finish(write);
    }
  }

  const Moment moment_{kNow, kNow};
  RecordKinds kinds_;
  MemoryRecordStore store_;
  Outbox out_;
  RangeIndex index_{1};
  Admitter admitter_{kinds_, store_, index_, /*bytes_max=*/100'000, out_};
  std::vector<std::optional<AdmitResult>> results_;
  std::vector<size_t> begun_;  // whose copies would go out
  std::deque<Write> writes_;
};

TEST_F(AdmitterTest, AnswersOnceTheWriteIsDone) {
  const Record note = Note(1, "a");
  Admit(note);
  const auto writes = TakeWrites();
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(results_[0], std::nullopt);
  Finish(writes[0]);
  EXPECT_EQ(results_[0], AdmitResult::kStored);
  EXPECT_TRUE(store_.Holds(note.name, kNow));
  EXPECT_TRUE(admitter_.idle());
}

TEST_F(AdmitterTest, WhatArrivesDuringAWriteBecomesOneBatch) {
  for (int i = 0; i < 20; ++i) Admit(Note(i, "x"));
  const auto first = TakeWrites();
  ASSERT_EQ(first.size(), 1u);
  Finish(first[0]);
  const auto second = TakeWrites();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].batch.puts.size(), 19u);
  Finish(second[0]);
  for (const auto& result : results_) EXPECT_EQ(result, AdmitResult::kStored);
}

TEST_F(AdmitterTest, ManyThatWaitAreWorthASecondWrite) {
  for (int i = 0; i < 50; ++i) Admit(Note(i, "x"));
  const auto first = TakeWrites();
  ASSERT_EQ(first.size(), static_cast<size_t>(kWritesInFlight));
  EXPECT_EQ(first[1].batch.puts.size(), kQueueForSecond);
  Finish(first[0]);
  EXPECT_TRUE(TakeWrites().empty());
  Finish(first[1]);
  const auto second = TakeWrites();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].batch.puts.size(), 50 - 1 - kQueueForSecond);
  Finish(second[0]);
  for (const auto& result : results_) EXPECT_EQ(result, AdmitResult::kStored);
}

TEST_F(AdmitterTest, ASecondCopyIsConfirmedOnlyWhenTheFirstIsOnDisk) {
  const Record note = Note(1, "a");
  Admit(note);
  const auto writes = TakeWrites();
  Admit(note);
  EXPECT_TRUE(TakeWrites().empty());
  EXPECT_EQ(results_[1], std::nullopt);
  Finish(writes[0]);
  EXPECT_EQ(results_[1], AdmitResult::kAlready);
}

TEST_F(AdmitterTest, ASecondCopyOfTheSameBatchWaitsForIt) {
  Admit(Note(7, "busy"));
  Admit(Note(8, "busy"));
  const auto busy = TakeWrites();
  Admit(Note(1, "a"));
  Admit(Note(1, "a"));
  Finish(busy[0]);
  const auto batch = TakeWrites();
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(results_[3], std::nullopt);
  Finish(batch[0]);
  EXPECT_EQ(results_[2], AdmitResult::kStored);
  EXPECT_EQ(results_[3], AdmitResult::kAlready);
}

TEST_F(AdmitterTest, ATombstoneInFlightBeatsItsNote) {
  const Record note = Note(1, "a");
  Admit(MakeTombstone({note}, kLater));
  Admit(note);
  FinishAll();
  EXPECT_EQ(results_[1], AdmitResult::kAlready);
  EXPECT_FALSE(store_.Holds(note.name, kNow));
}

TEST_F(AdmitterTest, TheLastPlaceIsGivenOnce) {
  for (int i = 0; i < 40; ++i) Admit(Note(1, "note " + std::to_string(i)));
  FinishAll();
  size_t held = 0;
  EXPECT_OK(store_.ForEach(Note(1, "x").name.point, Kind::kEnvelope, kNow, [&](const Record&) { ++held; }));
  EXPECT_EQ(held, kNotesPerPlace);
}

// Of two puts for the last place in one batch: the one that is refused is not copied to others, where it could take a place.
TEST_F(AdmitterTest, NoCopiesGoOutOfWhatIsRefusedThoughItsPlaceIsWritten) {
  for (const bool write_fails : {false, true}) {
    const int place = write_fails ? 2 : 1;
    std::vector<Record> notes;
    for (size_t i = 0; i <= kNotesPerPlace; ++i) notes.push_back(Note(place, "note " + std::to_string(i)));
    std::sort(notes.begin(), notes.end(), [](const Record& a, const Record& b) { return a.name < b.name; });
    for (size_t i = 0; i + 1 < kNotesPerPlace; ++i) Admit(notes[i]);
    FinishAll();
    Admit(Note(7, "busy" + std::to_string(place)));
    const auto busy = TakeWrites();
    const size_t last = Admit(notes[kNotesPerPlace - 1], Source::kClient),
                 refused = Admit(notes[kNotesPerPlace], Source::kClient);
    begun_.clear();
    Finish(busy[0]);
    EXPECT_EQ(begun_, std::vector<size_t>{last});
    if (write_fails) store_.FailNext(1);
    FinishAll();
    EXPECT_EQ(results_[last], write_fails ? AdmitResult::kNoSpace : AdmitResult::kStored);
    EXPECT_EQ(results_[refused], AdmitResult::kFull);
  }
}

// What it cannot see there might outrank the newcomer, or be its equal.
TEST_F(AdmitterTest, NothingIsDecidedWhileWhatIsHeldCannotBeRead) {
  Admit(Note(1, "a"));
  FinishAll();
  store_.SetBlind(true);
  const size_t same = Admit(Note(1, "a"), Source::kClient), other = Admit(Note(1, "b"), Source::kClient);
  const size_t elsewhere = Admit(Note(2, "c"), Source::kClient);
  FinishAll();
  EXPECT_EQ(results_[same], AdmitResult::kFailed);
  EXPECT_EQ(results_[other], AdmitResult::kFailed);
  EXPECT_EQ(results_[elsewhere], AdmitResult::kStored) << "nothing is held there";
  store_.SetBlind(false);
  const size_t again = Admit(Note(1, "b"), Source::kClient);
  FinishAll();
  EXPECT_EQ(results_[again], AdmitResult::kStored);
}

TEST_F(AdmitterTest, AClientsKnownRecordTakesAWriteToo) {
  const Record note = Note(1, "a");
  EXPECT_OK(store_.Apply({.puts = {note}}));
  index_.Put(note.name, note.expiry);
  Admit(note, Source::kReplica);
  EXPECT_TRUE(TakeWrites().empty());
  EXPECT_EQ(results_[0], AdmitResult::kAlready);
  Admit(note, Source::kClient);
  const auto writes = TakeWrites();
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_TRUE(writes[0].batch.puts.empty());
  EXPECT_EQ(results_[1], std::nullopt);
  Finish(writes[0]);
  EXPECT_EQ(results_[1], AdmitResult::kAlready);
}

TEST_F(AdmitterTest, AFailedWriteIsNobodysReceipt) {
  store_.FailNext(1);
  const Record note = Note(1, "a");
  Admit(note);
  Finish(TakeWrites()[0]);
  EXPECT_EQ(results_[0], AdmitResult::kNoSpace);
  EXPECT_FALSE(store_.Holds(note.name, kNow));
  Admit(note);
  FinishAll();
  EXPECT_EQ(results_[1], AdmitResult::kStored);
}

TEST_F(AdmitterTest, TheQuotaCountsWhatIsBeingWritten) {
  for (int i = 0; i < 4; ++i) Admit(MakeBlob(base::Bytes(40'000, static_cast<uint8_t>(i)), kLater));
  FinishAll();
  EXPECT_EQ(results_[1], AdmitResult::kStored);
  EXPECT_EQ(results_[2], AdmitResult::kNoSpace);
  EXPECT_EQ(results_[3], AdmitResult::kNoSpace);
  EXPECT_LE(store_.counts().bytes, 100'000u);
}

TEST_F(AdmitterTest, RemovalSparesWhatWasPutAgainToLiveLonger) {
  const Record brief = MakeBlob(base::AsBytes("x"), kNow + absl::Seconds(1));
  const Record longer = MakeBlob(base::AsBytes("x"), kLater);
  EXPECT_OK(store_.Apply({.puts = {brief}}));
  Admit(longer);
  admitter_.Remove({{.name = brief.name, .expiry = brief.expiry}}, moment_);
  FinishAll();
  EXPECT_TRUE(store_.Holds(longer.name, kNow));
  admitter_.Remove({{.name = longer.name, .expiry = longer.expiry}}, moment_);
  FinishAll();
  EXPECT_FALSE(store_.Holds(longer.name, kNow));
}

TEST_F(AdmitterTest, AFullQueueRefuses) {
  for (size_t i = 0; i < kAdmitQueueMax + 100; ++i) Admit(Note(1, std::to_string(i)));
  EXPECT_EQ(results_.back(), AdmitResult::kFailed);
  EXPECT_LE(admitter_.waiting(), kAdmitQueueMax);
}

}  // namespace
}  // namespace dht
