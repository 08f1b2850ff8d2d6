// SPDX-License-Identifier: Apache-2.0
// Messages that disappear: at both ends, when their time is over, through restarts, and out of the files.
#include "chat/message_life.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "chat/rocksdb_inbox_store.h"
#include "tests/chat/two_people.h"

namespace chat {
namespace {

using support::CuttableStore;
using support::LossyStore;
using support::Person;

constexpr uint8_t kHour = 4;
const absl::Time kNow = absl::FromUnixSeconds(20780 * 86400 + 40000);

Message Disappearing(uint8_t id, uint8_t life = kHour) {
  Message message;
  message.id.fill(id);
  message.text = base::ToBytes(base::AsBytes(std::string_view("not for ever")));
  message.received = kNow;
  message.life = life;
  return message;
}

TEST(MessageLifeTest, EveryTimeHasACodeAndNoOtherIsTakenOffTheWire) {
  for (uint8_t code = 0; code < kMessageLifeCodes; ++code) EXPECT_EQ(LifeCode(LifeOf(code)), code);
  EXPECT_EQ(LifeCode(absl::Minutes(7)), std::nullopt);
  Content content;
  content.life = kMessageLifeCodes - 1;
  ASSERT_OK_AND_ASSIGN(const Content decoded, DecodeContent(EncodeContent(content, kBoxRoom)));
  EXPECT_EQ(decoded, content);
  content.life = kMessageLifeCodes;
  EXPECT_STATUS(DecodeContent(EncodeContent(content, kBoxRoom)), kInvalidArgument);
}

class SweepTest : public testing::Test {
 protected:
  size_t Kept() {
    const auto messages = Inbox(store_, key_, rng_).Messages();  // as after a restart
    return messages.ok() ? messages->size() : SIZE_MAX;
  }
  size_t Sweep(absl::Duration later) {
    const auto gone = Inbox(store_, key_, rng_).Sweep(kNow + later);
    return gone.ok() ? gone->size() : SIZE_MAX;
  }

  support::SeededRng rng_{1};
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
  CuttableStore store_;
};

TEST_F(SweepTest, AReadersClockBeginsWhenItWasShownAndSurvivesRestarts) {
  InboxChange arrived;
  arrived.messages = {Disappearing(1), Disappearing(2, 0)};
  ASSERT_OK(Inbox(store_, key_, rng_).Apply(arrived));
  EXPECT_EQ(Sweep(absl::Hours(100)), 0u) << "nobody has seen it";
  EXPECT_EQ(Kept(), 2u);
  InboxChange shown;
  shown.shown = {arrived.messages[0].id, arrived.messages[1].id};
  ASSERT_OK(Inbox(store_, key_, rng_).Apply(shown));
  EXPECT_EQ(Sweep(absl::Hours(101)), 0u);
  EXPECT_EQ(Sweep(absl::Hours(101) + absl::Minutes(59)), 0u);
  EXPECT_EQ(Kept(), 2u);
  EXPECT_EQ(Sweep(absl::Hours(102)), 1u);
  EXPECT_EQ(Kept(), 1u) << "the one that is kept";
  EXPECT_EQ(Sweep(absl::Hours(1000)), 0u);
  EXPECT_EQ(store_.scrubs, 1);
}

TEST_F(SweepTest, AWritersClockBeginsWhenItWasWritten) {
  InboxChange written;
  written.history = {Disappearing(1)};
  ASSERT_OK(Inbox(store_, key_, rng_).Apply(written));
  EXPECT_EQ(Sweep(absl::Minutes(59)), 0u);
  EXPECT_EQ(Sweep(absl::Minutes(60)), 1u);
  EXPECT_EQ(Kept(), 0u);
}

TEST_F(SweepTest, WhoDiesInTheMiddleScrubsAgain) {
  for (int64_t writes = 0; writes < 2; ++writes) {
    InboxChange written;
    written.history = {Disappearing(static_cast<uint8_t>(writes + 1))};
    ASSERT_OK(Inbox(store_, key_, rng_).Apply(written));
    store_.writes_left = writes;
    EXPECT_EQ(Sweep(absl::Hours(2)), SIZE_MAX);
    store_.writes_left = -1;
    const int scrubs = store_.scrubs;
    EXPECT_EQ(Sweep(absl::Hours(2)), 1u);
    EXPECT_EQ(store_.scrubs, scrubs + 1);
    EXPECT_EQ(Kept(), 0u);
    EXPECT_EQ(Sweep(absl::Hours(3)), 0u);
    EXPECT_EQ(store_.Count('w'), 0u);
  }
}

TEST_F(SweepTest, OwnMessagesAreScrubbedOnce) {
  InboxChange written;
  written.history = {Disappearing(1)};
  written.history[0].own = true;
  ASSERT_OK(Inbox(store_, key_, rng_).Apply(written));
  EXPECT_EQ(Sweep(absl::Hours(1)), 1u);
  EXPECT_EQ(store_.scrubs, 1);
  EXPECT_EQ(store_.Count('w'), 0u);
}

TEST_F(SweepTest, AClockThatWasAheadKeepsNothingLongerThanItsLife) {
  InboxChange written;
  written.history = {Disappearing(1)};
  written.history[0].received = kNow + absl::Hours(1000);
  ASSERT_OK(Inbox(store_, key_, rng_).Apply(written));
  EXPECT_EQ(Sweep(absl::ZeroDuration()), 0u);
  EXPECT_EQ(Sweep(absl::Minutes(59)), 0u);
  EXPECT_EQ(Sweep(absl::Hours(1)), 1u);
}

bool AnyFileHolds(const std::string& folder, const base::Bytes& bytes) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::stringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    if (text.str().find(base::ToString(bytes)) != std::string::npos) return true;
  }
  return false;
}

// Looks once the store is closed: RocksDB deletes the files that it has no more use for on a thread of its own.
TEST(ScrubTest, NoFileHoldsWhatDisappearedNotEvenSealed) {
  std::string pattern = (std::filesystem::temp_directory_path() / "scrub-XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  support::SeededRng rng(1);
  const keys::SigningKey key = keys::SigningKey::Generate(rng);
  const auto sealed = [&](InboxStore& store) {
    std::vector<base::Bytes> values;
    EXPECT_OK(store.ForEach('m', [&](base::ByteView, base::ByteView value) { values.push_back(base::ToBytes(value)); }));
    return values;
  };
  std::vector<base::Bytes> before, kept;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, RocksDbInboxStore::Open(folder));
    InboxChange written;
    written.history = {Disappearing(1), Disappearing(2, 0), Disappearing(3, 0)};
    ASSERT_OK(Inbox(*store, key, rng).Apply(written));
    before = sealed(*store);
    InboxChange erased;
    erased.erased = {written.history[2].id};
    ASSERT_OK(Inbox(*store, key, rng).Apply(erased));
  }
  ASSERT_EQ(before.size(), 3u);
  for (const base::Bytes& value : before) ASSERT_TRUE(AnyFileHolds(folder, value)) << "the control: erased is not gone";
  {
    ASSERT_OK_AND_ASSIGN(const auto store, RocksDbInboxStore::Open(folder));
    ASSERT_OK(Inbox(*store, key, rng).Sweep(kNow + absl::Hours(2)));
    kept = sealed(*store);
  }
  ASSERT_EQ(kept.size(), 1u);
  for (const base::Bytes& value : before) EXPECT_EQ(AnyFileHolds(folder, value), value == kept[0]);
  std::filesystem::remove_all(folder);
}

// /burn and `contacts rm`: what they erase of any kind, also if the program dies between that and the sweep.
TEST(ScrubTest, NoFileHoldsWhatWasErasedToBeScrubbed) {
  std::string pattern = (std::filesystem::temp_directory_path() / "scrub-XXXXXX").string();
  const std::string folder = mkdtemp(pattern.data());
  support::SeededRng rng(1);
  const keys::SigningKey key = keys::SigningKey::Generate(rng);
  const keys::PublicKey peer = keys::SigningKey::Generate(rng).public_key();
  std::vector<base::Bytes> before;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, RocksDbInboxStore::Open(folder));
    Inbox inbox(*store, key, rng);
    InboxChange written;
    written.history = {Disappearing(1, 0)};
    written.book = {{'c', {1, 2, 3}, base::Bytes(100, 9)}};
    written.pieces = {{peer, {4}, 0, base::Bytes(100, 8)}};
    ASSERT_OK(inbox.Apply(written));
    for (const char type : {'m', 'c', 'x'}) {
      ASSERT_OK(store->ForEach(static_cast<uint8_t>(type),
                               [&](base::ByteView, base::ByteView value) { before.push_back(base::ToBytes(value)); }));
    }
    ASSERT_OK(store->Scrub(2, 2));  // where nothing lies: only to have it all in a table, which a new start leaves alone
    InboxChange erased;
    erased.erased = {written.history[0].id};
    erased.scrub = true;
    ASSERT_OK(inbox.Apply(erased));
    InboxChange more;
    more.book = {{'c', {1, 2, 3}, std::nullopt}};
    more.files_erased = {{peer, {4}, 1}};
    ASSERT_OK(inbox.Apply(more));
  }
  ASSERT_EQ(before.size(), 3u);
  ASSERT_OK(RocksDbInboxStore::Open(folder));
  for (const base::Bytes& value : before) ASSERT_TRUE(AnyFileHolds(folder, value)) << "the control: erased is not gone";
  {
    ASSERT_OK_AND_ASSIGN(const auto store, RocksDbInboxStore::Open(folder));
    ASSERT_OK_AND_ASSIGN(const auto gone, Inbox(*store, key, rng).Sweep(kNow));
    EXPECT_TRUE(gone.empty()) << "of no message";
  }
  for (const base::Bytes& value : before) EXPECT_FALSE(AnyFileHolds(folder, value));
  support::CuttableStore counted;
  InboxChange scrub;
  scrub.scrub = true;
  ASSERT_OK(Inbox(counted, key, rng).Apply(scrub));
  ASSERT_OK(Inbox(counted, key, rng).Sweep(kNow));
  ASSERT_OK(Inbox(counted, key, rng).Sweep(kNow));
  EXPECT_EQ(counted.scrubs, 1) << "once";
  std::filesystem::remove_all(folder);
}

class DisappearingTest : public TwoPeopleTest {
 protected:
  void Befriend() {
    Meet();
    ASSERT_OK(alice_.Send(bob_.address(), "kept", now_));
    RunBoth(4);
    alice_.book().SetLife(bob_.address(), kHour);
  }
  static size_t Texts(Person& person) { return person.inbox().Messages()->size(); }
  void SweepBoth() {
    EXPECT_OK(alice_.inbox().Sweep(now_));
    EXPECT_OK(bob_.inbox().Sweep(now_));
  }
  const Outgoing& Last() { return std::prev(alice_.book().FindConversation(bob_.address())->outbox().messages().end())->second; }
};

TEST_F(DisappearingTest, BothEndsDeleteTextsAndFilesAndNothingElse) {
  Befriend();
  ASSERT_OK(alice_.Run(now_));
  alice_.Restart(now_);  // the setting is on disk, too
  ASSERT_OK(alice_.Send(bob_.address(), "gone soon", now_));
  ASSERT_OK(alice_.SendFile(bob_.address(), "gone too", base::Bytes(20000, 7), now_));
  ASSERT_OK(bob_.Send(alice_.address(), "bob's are kept", now_));
  RunBoth(3);
  ASSERT_EQ(Texts(alice_), 4u);
  ASSERT_EQ(Texts(bob_), 4u);
  ASSERT_GT(bob_.disk.Count('x'), 0u);
  SweepBoth();
  now_ += absl::Minutes(58);
  SweepBoth();
  EXPECT_EQ(Texts(bob_), 4u);
  now_ += absl::Minutes(3);
  SweepBoth();
  EXPECT_EQ(Texts(alice_), 2u);
  EXPECT_EQ(Texts(bob_), 2u);
  EXPECT_EQ(bob_.disk.Count('x'), 0u);
  EXPECT_EQ(bob_.disk.Count('t'), 0u);
  bob_.Restart(now_);
  EXPECT_TRUE(bob_.book().FindConversation(alice_.address())->files().empty());
  RunBoth(3);
  EXPECT_EQ(Texts(bob_), 2u) << "nothing comes again";
}

TEST_F(DisappearingTest, ThePlainTextLeavesTheOutboxAndTheSealedOneGoesItsWay) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "gone soon", now_));
  ASSERT_OK(alice_.Run(now_));
  EXPECT_EQ(Last().state, DeliveryState::kStored);
  EXPECT_FALSE(Last().text.empty());
  now_ += absl::Hours(1);
  ASSERT_OK(alice_.Run(now_));
  alice_.Restart(now_);
  EXPECT_TRUE(Last().text.empty());
  EXPECT_EQ(Last().state, DeliveryState::kStored);
  const size_t shown = bob_.shown.size();
  RunBoth();
  EXPECT_EQ(bob_.shown.size(), shown + 1);
}

TEST_F(DisappearingTest, TheOutboxForgetsInTheSecondInWhichTheInboxDoes) {
  Befriend();
  now_ += absl::Milliseconds(700);
  ASSERT_OK(alice_.Send(bob_.address(), "gone soon", now_));
  ASSERT_OK(alice_.Run(now_));
  const absl::Time over = absl::FromUnixSeconds(absl::ToUnixSeconds(now_)) + absl::Hours(1);
  EXPECT_FALSE(alice_.book().Disappear(over - absl::Seconds(1)));
  ASSERT_OK_AND_ASSIGN(const auto early, alice_.inbox().Sweep(over - absl::Seconds(1)));
  EXPECT_TRUE(early.empty());
  EXPECT_TRUE(alice_.book().Disappear(over));
  EXPECT_TRUE(Last().text.empty());
  ASSERT_OK_AND_ASSIGN(const auto gone, alice_.inbox().Sweep(over));
  EXPECT_EQ(gone.size(), 1u);
}

TEST_F(DisappearingTest, WhatCannotBeSealedInTimeOrAnewExpires) {
  Befriend();
  ASSERT_OK(alice_.Send(bob_.address(), "gone soon", now_));
  ASSERT_OK(alice_.Run(now_));
  now_ += absl::Hours(1);
  bob_.RestoreOnNewMachine(now_, {{"alice", alice_.address()}});  // reads nothing of the old session
  RunBoth(4);
  EXPECT_EQ(Last().state, DeliveryState::kExpired);
  Person carol(store_, 300);  // has never published any keys
  ASSERT_OK(alice_.book().Add("carol", carol.address()));
  alice_.book().SetLife(carol.address(), kHour);
  ASSERT_OK_AND_ASSIGN(const MessageId id, alice_.Send(carol.address(), "too late", now_));
  RunBoth(2, absl::Minutes(40));
  RunBoth();
  EXPECT_EQ(alice_.states[id].state, DeliveryState::kExpired);
}

}  // namespace
}  // namespace chat
