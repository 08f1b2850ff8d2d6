// SPDX-License-Identifier: Apache-2.0
// Blocking, and taking it back: what is read, sent and refused meanwhile, and that it outlives a restart.
#include <gtest/gtest.h>

#include "chat/contact_book.h"
#include "tests/chat/book_world.h"

namespace chat {
namespace {

using support::LossyStore;
using support::Person;

class BlockTest : public testing::Test {
 protected:
  void Run(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (Person* person : {&alice_, &bob_, &carol_}) EXPECT_OK(person->Run(now_));
      now_ += absl::Minutes(1);
    }
  }
  void Meet(Person& a, const std::string& name_of_a, Person& b, const std::string& name_of_b) {
    ASSERT_OK(a.book().Add(name_of_b, b.address()));
    ASSERT_OK(b.book().Add(name_of_a, a.address()));
    Run(1);
    ASSERT_OK(a.Send(b.address(), "hello", now_));
    Run(3);
    ASSERT_EQ(b.shown.size(), 1u);
    b.shown.clear();
  }
  static Standing StandingAt(Person& person, const Person& other) {
    return person.book().FindConversation(other.address())->standing();
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  LossyStore store_{{}, 1};
  Person alice_{store_, 100}, bob_{store_, 200}, carol_{store_, 300};
};

TEST_F(BlockTest, WhatWasWrittenMeanwhileIsReadOnceItIsTakenBack) {
  Meet(alice_, "alice", bob_, "bob");
  ASSERT_OK(alice_.book().Block(bob_.address()));
  ASSERT_OK(alice_.Run(now_));
  alice_.Restart(now_);
  EXPECT_TRUE(alice_.book().IsBlocked(bob_.address()));
  ASSERT_OK(bob_.Send(alice_.address(), "do you hear me?", now_));
  Run(2);
  EXPECT_TRUE(alice_.shown.empty());
  EXPECT_TRUE(absl::IsPermissionDenied(alice_.Send(bob_.address(), "x", now_).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(alice_.book().SendFile(bob_.address(), "x", {'x'}, now_).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(alice_.book().Add("bob", bob_.address()))) << "added, and still blocked";
  const auto group = alice_.book().CreateGroup("friends", {bob_.address()}, "alice", now_);
  EXPECT_EQ(group.status().message(), "bob is blocked");
  ASSERT_OK(alice_.book().Unblock(bob_.address()));
  EXPECT_TRUE(absl::IsFailedPrecondition(alice_.book().Unblock(bob_.address())));
  ASSERT_OK(alice_.Run(now_));
  alice_.Restart(now_);
  Run(2);
  ASSERT_EQ(alice_.shown.size(), 1u);
  EXPECT_EQ(alice_.shown[0].text, "do you hear me?");
  ASSERT_OK(alice_.Send(bob_.address(), "now I do", now_));
  Run(2);
  ASSERT_EQ(bob_.shown.size(), 1u);
}

TEST_F(BlockTest, AStrangerAsksAgainOrIsLetInByName) {
  Run(1);
  ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  ASSERT_OK(bob_.Send(alice_.address(), "hello", now_));
  Run(2);
  ASSERT_NE(alice_.book().FindConversation(bob_.address()), nullptr);
  ASSERT_TRUE(alice_.book().FindConversation(bob_.address())->asks());
  ASSERT_OK(alice_.book().Block(bob_.address()));
  EXPECT_FALSE(alice_.book().FindConversation(bob_.address())->asks());
  ASSERT_OK(alice_.book().Unblock(bob_.address()));
  EXPECT_TRUE(alice_.book().FindConversation(bob_.address())->asks());
  ASSERT_OK(alice_.book().Block(bob_.address()));
  ASSERT_OK(alice_.book().AcceptKey(bob_.address(), "bob"));
  EXPECT_EQ(StandingAt(alice_, bob_), Standing::kContact);
  Run(2);
  ASSERT_EQ(alice_.shown.size(), 1u);
  EXPECT_TRUE(bob_.book().FindConversation(alice_.address())->confirmed()) << "who is let in is answered";
}

TEST_F(BlockTest, AMemberWhoIsNoContactIsAMemberAgain) {
  Meet(alice_, "alice", bob_, "bob");
  Meet(alice_, "alice", carol_, "carol");
  const auto group = alice_.book().CreateGroup("friends", {bob_.address(), carol_.address()}, "alice", now_);
  ASSERT_OK(group);
  Run(2);
  ASSERT_OK(bob_.book().AcceptGroup(*group, now_));
  ASSERT_OK(carol_.book().AcceptGroup(*group, now_));
  Run(3);
  ASSERT_EQ(StandingAt(bob_, carol_), Standing::kMember);
  ASSERT_OK(bob_.book().Block(carol_.address()));
  ASSERT_OK(carol_.SendToGroup(*group, "unheard", now_));
  Run(2);
  EXPECT_TRUE(bob_.shown.empty());
  ASSERT_OK(bob_.book().Unblock(carol_.address()));
  Run(1);
  EXPECT_EQ(StandingAt(bob_, carol_), Standing::kMember) << "and no request";
  ASSERT_OK(carol_.SendToGroup(*group, "heard", now_));
  Run(2);
  ASSERT_EQ(bob_.shown.size(), 1u);
  EXPECT_EQ(bob_.shown[0].text, "heard");
}

}  // namespace
}  // namespace chat
