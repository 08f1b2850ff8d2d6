// SPDX-License-Identifier: Apache-2.0
#include "chat/assembler.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

using Verdict = Assembler::Verdict;

class AssemblerTest : public testing::Test {
 protected:
  std::vector<Fragment> Split(size_t size, const keys::SigningKey* signer = nullptr) {
    base::Bytes text(size);
    rng_.Fill(text);
    auto fragments = SplitNote(text, "local", reader_.public_key(), signer, now_, rng_);
    return fragments.ok() ? *fragments : std::vector<Fragment>();
  }
  int FinishedOf(const std::vector<Fragment>& fragments) {
    int finished = 0;
    for (const Fragment& fragment : fragments) finished += assembler_.Add(fragment, later_).verdict == Verdict::kFinished ? 1 : 0;
    return finished;
  }

  support::SeededRng rng_{13};
  const keys::SigningKey reader_ = keys::SigningKey::Generate(rng_);
  const absl::Time now_ = absl::FromUnixSeconds(1'795'000'000), later_ = now_ + absl::Hours(24 * 16);
  Assembler assembler_{"local", reader_.public_key()};
};

TEST_F(AssemblerTest, AnyOrderAndAnyNumberOfDuplicatesGivesEachNoteOnce) {
  for (int round = 0; round < 50; ++round) {
    std::vector<Fragment> pile;
    std::map<NoteId, base::Bytes> sent;
    for (int i = 0; i < 5; ++i) {
      for (const Fragment& fragment : Split(rng_.Below(16385))) {
        for (uint64_t copies = 1 + rng_.Below(3); copies > 0; --copies) pile.push_back(fragment);
        sent[fragment.note_id].insert(sent[fragment.note_id].end(), fragment.text.begin(), fragment.text.end());
      }
    }
    base::Shuffle(pile, rng_);
    std::map<NoteId, base::Bytes> got;
    for (const Fragment& fragment : pile) {
      Assembler::Result result = assembler_.Add(fragment, later_);
      if (result.verdict == Verdict::kFinished) {
        EXPECT_TRUE(got.emplace(result.note.id, result.note.text).second);
      }
    }
    EXPECT_EQ(got, sent);
    EXPECT_EQ(assembler_.incomplete_count(), 0u);
  }
}

TEST_F(AssemblerTest, FragmentsThatContradictAreBadAndHarmNothing) {
  std::vector<Fragment> fragments = Split(4000);
  EXPECT_EQ(assembler_.Add(fragments[0], later_).verdict, Verdict::kKept);
  Fragment wrong = fragments[1];
  wrong.count = 4;
  EXPECT_EQ(assembler_.Add(wrong, later_).verdict, Verdict::kBad);
  wrong = fragments[0];
  wrong.text[0] ^= 1;
  EXPECT_EQ(assembler_.Add(wrong, later_).verdict, Verdict::kBad);
  EXPECT_EQ(assembler_.Add(fragments[0], later_).verdict, Verdict::kKnown);
  EXPECT_EQ(FinishedOf(fragments), 1);
}

TEST_F(AssemblerTest, ANoteWithAWrongSignatureIsBadAndStaysForgotten) {
  const keys::SigningKey writer = keys::SigningKey::Generate(rng_);
  std::vector<Fragment> fragments = Split(3000, &writer);
  fragments[0].sender->signature[0] ^= 1;
  EXPECT_EQ(assembler_.Add(fragments[0], later_).verdict, Verdict::kKept);
  EXPECT_EQ(assembler_.Add(fragments[1], later_).verdict, Verdict::kBad);
  EXPECT_EQ(assembler_.Add(fragments[1], later_).verdict, Verdict::kKnown);
}

TEST_F(AssemblerTest, KeepsSixtyFourIncompleteNotesAndDropsThoseOfTheLastBatch) {
  std::vector<std::vector<Fragment>> early, late;
  for (int i = 0; i < 60; ++i) early.push_back(Split(3000));
  for (const auto& note : early) assembler_.Add(note[0], later_);
  EXPECT_TRUE(assembler_.Settle().empty());
  for (int i = 0; i < 10; ++i) late.push_back(Split(3000));
  for (const auto& note : late) assembler_.Add(note[0], later_);
  const std::vector<NoteId> dropped = assembler_.Settle();
  EXPECT_EQ(dropped.size(), 6u);
  EXPECT_EQ(assembler_.incomplete_count(), kIncompleteNotesMax);
  for (const NoteId& id : dropped) {
    EXPECT_TRUE(std::any_of(late.begin(), late.end(), [&](const auto& note) { return note[0].note_id == id; }));
  }
  for (const auto& note : early) EXPECT_EQ(assembler_.Add(note[1], later_).verdict, Verdict::kFinished);
}

TEST_F(AssemblerTest, ReportsWhatExpiresAndForgetsFinishedIds) {
  const std::vector<Fragment> partial = Split(8000), whole = Split(10);
  assembler_.Add(partial[3], now_ + absl::Hours(1));
  assembler_.Add(partial[1], now_ + absl::Hours(1));
  EXPECT_EQ(assembler_.Add(whole[0], now_ + absl::Hours(1)).verdict, Verdict::kFinished);
  EXPECT_TRUE(assembler_.Expire(now_).empty());
  EXPECT_TRUE(assembler_.Finished(whole[0].note_id));
  const auto expired = assembler_.Expire(now_ + absl::Hours(1));
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].have, 2);
  EXPECT_EQ(expired[0].count, 5);
  EXPECT_FALSE(assembler_.Finished(whole[0].note_id));
}

TEST_F(AssemblerTest, RemembersNotesOfEarlierRuns) {
  const std::vector<Fragment> fragments = Split(10);
  assembler_.RememberFinished(fragments[0].note_id, later_);
  EXPECT_EQ(assembler_.Add(fragments[0], later_).verdict, Verdict::kKnown);
}

}  // namespace
}  // namespace chat
