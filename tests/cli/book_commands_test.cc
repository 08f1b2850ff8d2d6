// SPDX-License-Identifier: Apache-2.0
// Commands on a book on disk, without a network: what they tell, and what they leave in its files.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/book_command.h"
#include "cli/chat_commands.h"
#include "cli/errors.h"
#include "cli/group_commands.h"
#include "cli/people_commands.h"
#include "cli/people_screens.h"
#include "cli/stop_signals.h"
#include "keys/address.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

using BookKind = chat::BookNotice::Kind;

class BookCommandsTest : public testing::Test {
 protected:
  BookCommandsTest() {
    BlockStopSignals();  // for the threads of RocksDB, which outlive these tests: others of this program send signals
    keys::FileKeyStore store(context_.home.KeysDirectory());
    EXPECT_OK(store.Save({.name = "me", .created = absl::Now()}, key_, std::nullopt, rng_));
    auto open = Open();
    EXPECT_OK(open->book().Add("bob", bob_));
    EXPECT_OK(open->book().CreateGroup("friends", {bob_}, "me", absl::Now()));
    EXPECT_OK(open->Save());
  }
  ~BookCommandsTest() override { std::filesystem::remove_all(folder_); }

  static std::string MakeFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bulbil-book-XXXXXX").string();
    return mkdtemp(pattern.data());
  }
  static Invocation About(const std::string& first, const std::string& second = "") {
    Invocation invocation;
    invocation.people.first = first;
    invocation.people.second = second;
    invocation.people.yes = true;
    return invocation;
  }
  std::unique_ptr<OpenBook> Open() {
    auto open = OpenFor({}, context_);
    EXPECT_OK(open);
    return *std::move(open);
  }
  bool AnyFileHolds(const base::Bytes& bytes) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(InboxDirectory(context_, key_.public_key()))) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(file), {}};
      if (content.find(base::ToString(bytes)) != std::string::npos) return true;
    }
    return false;
  }

  support::SeededRng rng_{3};
  const std::string folder_ = MakeFolder();
  Context context_{.flags = {.no_input = true}, .home = Home(folder_), .environment = [](const char*) { return std::string(); }};
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
  const keys::PublicKey bob_ = keys::SigningKey::Generate(rng_).public_key();
};

TEST_F(BookCommandsTest, WhatASaveFindsOutIsTold) {
  auto open = Open();
  open->book().Notify({{BookKind::kLost, bob_, 3}});
  testing::internal::CaptureStderr();
  ASSERT_OK(open->Save());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "! 3 messages of bob expired before you read it\n");
  open.reset();
  context_.flags.json = true;
  open = Open();
  open->book().Notify({{BookKind::kLost, bob_, 3}});
  testing::internal::CaptureStdout();
  ASSERT_OK(open->Save());
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "{\"schema\":1,\"type\":\"notice\",\"notice\":\"messages_lost\",\"contact\":\"bob\",\"count\":3}\n");
}

TEST_F(BookCommandsTest, WhereNobodyIsToldANoticeWaits) {
  keys::SigningKey key(keys::Secret<32>(key_.seed().view()));
  OpenBook open({{.name = "me", .public_key = key_.public_key()}, std::move(key)}, InboxDirectory(context_, key_.public_key()),
                {});
  ASSERT_OK(open.Resume());
  open.book().Notify({{BookKind::kLost, bob_, 3}});
  ASSERT_OK(open.Save());
  EXPECT_EQ(open.book().TakeChange(absl::Now()).notices.size(), 1u);
}

TEST_F(BookCommandsTest, WhoLeavesAGroupLeavesNothingOfItInTheFiles) {
  base::Bytes sealed;
  {
    auto open = Open();
    ASSERT_OK(open->book().SendToGroup(open->FindGroup("friends")->id, {'a', 'b', 'c'}, absl::Now()));
    ASSERT_OK(open->Save());
  }
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenInbox(InboxDirectory(context_, key_.public_key())));
    ASSERT_OK(store->ForEach('m', [&](base::ByteView, base::ByteView value) { sealed = base::ToBytes(value); }));
    ASSERT_OK(store->Scrub(2, 2));  // where nothing lies: only to have it all in a table
  }
  ASSERT_FALSE(sealed.empty());
  ASSERT_TRUE(AnyFileHolds(sealed));
  ASSERT_OK(LeaveGroup(About("friends"), context_));
  EXPECT_FALSE(AnyFileHolds(sealed));
}

TEST_F(BookCommandsTest, AChangedKeySaysWhatItCostsAndAMistakeIsTakenBack) {
  const Invocation with_other = About("bob", keys::FormatAddress(keys::SigningKey::Generate(rng_).public_key()));
  EXPECT_EQ(ErrorOf(AddContact(with_other, context_)).fix.size(), 2u);
  ASSERT_OK(AddContact(About("bob", keys::FormatAddress(bob_)), context_));
  Invocation verify = About("bob");
  verify.people.accept_new = true;
  EXPECT_EQ(ErrorOf(VerifyContact(verify, context_)).exit, Exit::kUsage) << "it has not changed any more";
  {
    auto open = Open();
    ASSERT_OK(open->book().Send(bob_, {'a'}, absl::Now()));
    ASSERT_OK(open->Save());
  }
  EXPECT_EQ(ErrorOf(AddContact(with_other, context_)).exit, Exit::kIdentity);
  testing::internal::CaptureStderr();
  ASSERT_OK(VerifyContact(verify, context_));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("1 message that waits goes with the old key"), std::string::npos);
}

TEST_F(BookCommandsTest, ABlockIsSaidInEveryWayAndTakenBack) {
  ASSERT_OK(BlockContact(About("bob"), context_));
  testing::internal::CaptureStdout();
  ASSERT_OK(ListContacts({}, context_));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "bob ?   not verified, blocked\n");
  const CommandError error = ErrorOf(AddContact(About("bob", keys::FormatAddress(bob_)), context_));
  EXPECT_EQ(error.exit, Exit::kRefused);
  EXPECT_EQ(error.fix, std::vector<std::string>{"bulbil contacts unblock bob"});
  context_.flags.json = true;
  testing::internal::CaptureStdout();
  ASSERT_OK(ListContacts({}, context_));
  EXPECT_NE(testing::internal::GetCapturedStdout().find("\"blocked\":true"), std::string::npos);
  testing::internal::CaptureStdout();
  ASSERT_OK(UnblockContact(About("bob"), context_));
  EXPECT_NE(testing::internal::GetCapturedStdout().find("\"blocked\":false"), std::string::npos);
  EXPECT_EQ(ErrorOf(UnblockContact(About("bob"), context_)).exit, Exit::kUsage);
}

TEST_F(BookCommandsTest, GroupsSayWhoAndWhyWithTheCodesOfPeople) {
  Invocation create = About("friends");
  create.people.members = {"bob"};
  EXPECT_EQ(ErrorOf(CreateGroup(create, context_)).exit, Exit::kIdentity) << "the name is taken";
  const CommandError twice = ErrorOf(AddToGroup(create, context_));
  EXPECT_EQ(twice.exit, Exit::kIdentity);
  EXPECT_EQ(twice.what, "there already: bob is in it");
  EXPECT_EQ(ErrorOf(RemoveFromGroup(About("friends", "me"), context_)).exit, Exit::kIdentity) << "oneself";
  EXPECT_EQ(ErrorOf(RemoveFromGroup(About("friends", "carol"), context_)).exit, Exit::kIdentity);
  EXPECT_EQ(ErrorOf(AcceptGroup(About("friends"), context_)).exit, Exit::kRefused);
  ASSERT_OK(BlockContact(About("bob"), context_));
  create.people.first = "others";
  const CommandError unfit = ErrorOf(CreateGroup(create, context_));
  EXPECT_EQ(unfit.exit, Exit::kRefused);
  EXPECT_EQ(unfit.what, "bob is blocked");
}

TEST_F(BookCommandsTest, TheChatForgetsAGroupsTextsLeavesItAndTakesABlockBack) {
  auto open = Open();
  const chat::GroupId friends = open->FindGroup("friends")->id;
  ASSERT_OK(open->book().SendToGroup(friends, {'a'}, absl::Now()));
  ASSERT_OK(open->Save());
  const auto say = [&](const std::vector<std::string>& words) { return RunChatCommand(*open, "local", words, friends); };
  ASSERT_OK_AND_ASSIGN(const ChatReply burnt, say({"/burn"}));
  EXPECT_TRUE(burnt.cleared);
  EXPECT_EQ(open->inbox().Messages()->size(), 0u);
  EXPECT_NE(open->book().groups().Find(friends), nullptr);
  ASSERT_OK(say({"/block", "bob"}));
  ASSERT_OK(say({"/unblock", "bob"}));
  EXPECT_FALSE(open->book().IsBlocked(bob_));
  EXPECT_EQ(ErrorOf(say({"/unblock", "bob"}).status()).exit, Exit::kUsage);
  ASSERT_OK_AND_ASSIGN(const ChatReply left, say({"/leave", "friends"}));
  EXPECT_TRUE(left.cleared);
  EXPECT_EQ(open->book().groups().Find(friends), nullptr);
}

TEST_F(BookCommandsTest, NoticesAndStatesOfGroupsNameThem) {
  EXPECT_NE(NoticeText({BookKind::kGroupStale, bob_}, "bob", "[friends]").find("bulbil groups show '[friends]'\n"),
            std::string::npos);
  const chat::ContactBook::Change::State state{bob_, {}};
  EXPECT_NE(StateJson(state, "[friends]", true).find("\"group\":\"[friends]\""), std::string::npos);
  EXPECT_NE(StateJson(state, "bob", false).find("\"contact\":\"bob\""), std::string::npos);
}

TEST_F(BookCommandsTest, NamesInCommandsToBeTypedAreQuoted) {
  const std::string carol = keys::FormatAddress(keys::SigningKey::Generate(rng_).public_key());
  testing::internal::CaptureStderr();
  ASSERT_OK(AddContact(About("Carol Ann", carol), context_));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("bulbil contacts verify 'Carol Ann'\n"), std::string::npos);
  const auto code = chat::MakeInvite(keys::SigningKey::Generate(rng_).public_key(), "", absl::Now() + absl::Hours(1), rng_).code;
  Invocation accept = About(chat::FormatInvite(code));
  accept.people.name = "D'Arcy";
  testing::internal::CaptureStderr();
  ASSERT_OK(AcceptInvite(accept, context_));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("bulbil send 'D'\\''Arcy'\n"), std::string::npos);
}

}  // namespace
}  // namespace cli
