// SPDX-License-Identifier: Apache-2.0
// The inbox over both stores: in memory and on disk.
#include "chat/inbox.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "chat/memory_inbox_store.h"
#include "chat/rocksdb_inbox_store.h"
#include "keys/system_rng.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

std::string FreshDirectory() {
  keys::SystemRng rng;
  return absl::StrCat(std::filesystem::temp_directory_path().string(), "/bulbil-inbox-", base::ToHex(rng.Array<8>()));
}

class InboxTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Open() {
    if (!GetParam()) {
      store_ = std::make_unique<MemoryInboxStore>();
      return;
    }
    store_.reset();
    auto opened = RocksDbInboxStore::Open(directory_);
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }
  // On disk: closes and opens again.
  void Reopen() {
    if (GetParam()) Open();
  }
  Message NewMessage(std::string_view text, uint32_t hour, bool is_signed = false) {
    Message message;
    message.id = rng_.Array<16>();
    message.text = base::ToBytes(base::AsBytes(text));
    message.sent_hour = hour;
    message.received = now_;
    if (is_signed) message.from = owner_.public_key();
    return message;
  }

  // One that was written here, and one that came.
  void KeepBoth(Inbox& inbox) {
    own_ = NewMessage("mine", 10, true);
    own_.in_conversation = own_.own = true;
    theirs_ = NewMessage("theirs", 10);
    InboxChange change;
    change.history = {own_};
    change.messages = {theirs_};
    ASSERT_OK(inbox.Apply(change));
  }

  Message own_, theirs_;
  support::SeededRng rng_{23};
  const std::string directory_ = FreshDirectory();
  std::unique_ptr<InboxStore> store_;
  const keys::SigningKey owner_ = keys::SigningKey::Generate(rng_);
  const absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
};

TEST_P(InboxTest, StartsEmpty) {
  Inbox inbox(*store_, owner_, rng_);
  ASSERT_OK_AND_ASSIGN(const InboxState state, inbox.Load(now_));
  EXPECT_FALSE(state.last_complete_poll.has_value());
  EXPECT_TRUE(state.fragments.empty() && state.finished.empty() && state.unshown.empty());
}

TEST_P(InboxTest, WhatArrivedTogetherStaysInItsOrder) {
  Inbox inbox(*store_, owner_, rng_);
  InboxChange change;
  for (int i = 0; i < 16; ++i) change.messages.push_back(NewMessage(std::to_string(i), 10));
  ASSERT_OK(inbox.Apply(change));
  ASSERT_OK_AND_ASSIGN(const InboxState state, inbox.Load(now_));
  EXPECT_EQ(state.unshown, change.messages);
  ASSERT_OK_AND_ASSIGN(const auto messages, inbox.Messages());
  EXPECT_EQ(messages, change.messages);
}

TEST_P(InboxTest, KeepsMessagesUntilShownAndAfterwards) {
  Inbox inbox(*store_, owner_, rng_);
  const Message late = NewMessage("late", 20, true), early = NewMessage(std::string("e\0\xff", 3), 10);
  InboxChange change;
  change.messages = {late, early};
  change.finished = {{late.id, now_ + absl::Hours(10)}, {early.id, now_ + absl::Hours(20)}};
  change.last_complete_poll = now_;
  ASSERT_OK(inbox.Apply(change));
  Reopen();
  Inbox again(*store_, owner_, rng_);
  ASSERT_OK_AND_ASSIGN(const InboxState state, again.Load(now_));
  EXPECT_EQ(state.unshown, (std::vector<Message>{early, late}));
  EXPECT_EQ(state.finished.size(), 2u);
  EXPECT_EQ(state.last_complete_poll, now_);
  InboxChange shown;
  shown.shown = {early.id, late.id};
  ASSERT_OK(again.Apply(shown));
  ASSERT_OK_AND_ASSIGN(const InboxState later, again.Load(now_));
  EXPECT_TRUE(later.unshown.empty());
  ASSERT_OK_AND_ASSIGN(const auto messages, again.Messages());
  EXPECT_EQ(messages, (std::vector<Message>{early, late}));
}

TEST_P(InboxTest, OwnMessagesAreHistoryWithAFateAndNothingToShow) {
  Inbox inbox(*store_, owner_, rng_);
  KeepBoth(inbox);
  ASSERT_OK_AND_ASSIGN(const InboxState state, inbox.Load(now_));
  EXPECT_EQ(state.unshown, std::vector<Message>{theirs_});
  InboxChange later;
  later.fates = {{own_.id, Fate::kExpired}, {rng_.Array<16>(), Fate::kDelivered}};
  later.erased = {theirs_.id};
  ASSERT_OK(inbox.Apply(later));
  Reopen();
  Inbox again(*store_, owner_, rng_);
  ASSERT_OK_AND_ASSIGN(const auto messages, again.Messages());
  own_.fate = Fate::kExpired;
  EXPECT_EQ(messages, std::vector<Message>{own_});
  ASSERT_OK_AND_ASSIGN(const InboxState nothing, again.Load(now_));
  EXPECT_TRUE(nothing.unshown.empty());
}

// Whoever was written to knows the id.
TEST_P(InboxTest, AMessageThatCameNeverTakesThePlaceOfAnotherOne) {
  Inbox inbox(*store_, owner_, rng_);
  KeepBoth(inbox);
  InboxChange hostile;
  for (const Message& victim : {own_, theirs_}) {
    hostile.messages.push_back(NewMessage("something else", 11, true));
    hostile.messages.back().id = victim.id;
    hostile.messages.back().life = 1;
  }
  ASSERT_OK(inbox.Apply(hostile));
  ASSERT_OK_AND_ASSIGN(const InboxState state, inbox.Load(now_));
  EXPECT_EQ(state.unshown, std::vector<Message>{theirs_});
  InboxChange seen;
  seen.shown = {own_.id, theirs_.id};
  ASSERT_OK(inbox.Apply(seen));
  for (const absl::Duration later : {absl::ZeroDuration(), absl::Hours(1)}) {
    ASSERT_OK_AND_ASSIGN(const auto gone, inbox.Sweep(now_ + later));
    EXPECT_TRUE(gone.empty());
  }
  ASSERT_OK_AND_ASSIGN(const auto messages, inbox.Messages());
  EXPECT_EQ(messages, (std::vector<Message>{theirs_, own_}));
}

TEST_P(InboxTest, ForgetsFinishedIdsThatCannotComeAgain) {
  Inbox inbox(*store_, owner_, rng_);
  InboxChange change;
  change.finished = {{rng_.Array<16>(), now_ + absl::Hours(1)}, {rng_.Array<16>(), now_ + absl::Hours(3)}};
  ASSERT_OK(inbox.Apply(change));
  ASSERT_OK_AND_ASSIGN(InboxState state, inbox.Load(now_ + absl::Hours(2)));
  EXPECT_EQ(state.finished.size(), 1u);
  ASSERT_OK_AND_ASSIGN(state, inbox.Load(now_));
  EXPECT_EQ(state.finished.size(), 1u);
}

TEST_P(InboxTest, FragmentsGoWhenTheirNoteIsFinishedOrForgotten) {
  Inbox inbox(*store_, owner_, rng_);
  const base::Bytes text(5000, 'x');
  InboxChange change;
  std::vector<NoteId> ids;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto fragments, SplitNote(text, "local", owner_.public_key(), nullptr, now_, rng_));
    change.fragments.push_back({fragments[0], now_ + absl::Hours(5)});
    change.fragments.push_back({fragments[2], now_ + absl::Hours(5)});
    ids.push_back(fragments[0].note_id);
  }
  ASSERT_OK(inbox.Apply(change));
  Reopen();
  Inbox again(*store_, owner_, rng_);
  ASSERT_OK_AND_ASSIGN(InboxState state, again.Load(now_));
  EXPECT_EQ(state.fragments.size(), 6u);
  EXPECT_EQ(state.fragments[0].expiry, now_ + absl::Hours(5));
  InboxChange next;
  next.finished = {{ids[0], now_ + absl::Hours(5)}};
  next.forgotten = {ids[1]};
  ASSERT_OK(again.Apply(next));
  ASSERT_OK_AND_ASSIGN(state, again.Load(now_));
  ASSERT_EQ(state.fragments.size(), 2u);
  EXPECT_EQ(state.fragments[0].fragment.note_id, ids[2]);
}

TEST_P(InboxTest, AnotherIdentityCannotReadIt) {
  Inbox inbox(*store_, owner_, rng_);
  InboxChange change;
  change.messages = {NewMessage("secret", 1)};
  ASSERT_OK(inbox.Apply(change));
  const keys::SigningKey other = keys::SigningKey::Generate(rng_);
  Inbox foreign(*store_, other, rng_);
  EXPECT_STATUS(foreign.Messages(), kDataLoss);
  EXPECT_STATUS(foreign.Load(now_), kDataLoss);
}

TEST_P(InboxTest, NothingReadableIsStored) {
  Inbox inbox(*store_, owner_, rng_);
  const Message message = NewMessage("the train is at nine", 1, true);
  InboxChange change;
  change.messages = {message};
  ASSERT_OK(inbox.Apply(change));
  int entries = 0;
  for (const uint8_t type : {'m', 'u'}) {
    ASSERT_OK(store_->ForEach(type, [&](base::ByteView key, base::ByteView value) {
      ++entries;
      const std::string all = base::ToString(key) + base::ToString(value);
      EXPECT_FALSE(absl::StrContains(all, "train"));
      EXPECT_FALSE(absl::StrContains(all, base::ToString(owner_.public_key().view())));
      EXPECT_FALSE(absl::StrContains(all, base::ToString(message.id)));
    }));
  }
  EXPECT_EQ(entries, 2);
}

TEST_P(InboxTest, AnAlteredEntryIsDataLoss) {
  Inbox inbox(*store_, owner_, rng_);
  InboxChange change;
  change.messages = {NewMessage("text", 1)};
  ASSERT_OK(inbox.Apply(change));
  InboxWrite altered;
  ASSERT_OK(store_->ForEach('m', [&](base::ByteView key, base::ByteView value) {
    altered.key = base::ToBytes(key);
    altered.value = base::ToBytes(value);
    (*altered.value)[30] ^= 1;
  }));
  ASSERT_OK(store_->Apply({altered}));
  EXPECT_STATUS(inbox.Messages(), kDataLoss);
  altered.value = base::Bytes(3);
  ASSERT_OK(store_->Apply({altered}));
  EXPECT_STATUS(inbox.Load(now_), kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(Stores, InboxTest, testing::Bool(), [](const auto& test) { return test.param ? "RocksDb" : "Memory"; });

TEST(RocksDbInboxStore, ASecondOpenSaysThatTheDirectoryIsInUse) {
  const std::string directory = FreshDirectory();
  {
    auto first = RocksDbInboxStore::Open(directory);
    ASSERT_OK(first);
    const auto second = RocksDbInboxStore::Open(directory);
    EXPECT_STATUS(second, kUnavailable);
    EXPECT_TRUE(absl::StrContains(second.status().message(), "in use"));
    EXPECT_TRUE(absl::StrContains(second.status().message(), directory));
  }
  EXPECT_OK(RocksDbInboxStore::Open(directory));
  EXPECT_EQ(std::filesystem::status(directory).permissions(), std::filesystem::perms::owner_all);
  std::filesystem::remove_all(directory);
}

TEST(RocksDbInboxStore, AnInboxOfANewerVersionIsLeftAlone) {
  const std::string directory = FreshDirectory();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, RocksDbInboxStore::Open(directory));
    ASSERT_OK(store->Apply({{base::ToBytes(base::AsBytes("\x01"
                                                         "format")),
                             base::ToBytes(base::AsBytes("2"))}}));
  }
  const auto opened = RocksDbInboxStore::Open(directory);
  EXPECT_STATUS(opened, kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(opened.status().message(), "newer version"));
  EXPECT_TRUE(absl::StrContains(opened.status().message(), directory));
  std::filesystem::remove_all(directory);
}

TEST(RocksDbInboxStore, APathThatIsNoDirectoryIsAnError) {
  const std::string path = FreshDirectory();
  std::ofstream(path) << "a file";
  EXPECT_STATUS(RocksDbInboxStore::Open(path), kPermissionDenied);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace chat
