// SPDX-License-Identifier: Apache-2.0
// Polls between whole ones: of today alone, and those that wait at the storing nodes for what comes.

#include <gtest/gtest.h>

#include <set>

#include "tests/chat/chat_client_world.h"

namespace chat {
namespace {

using Person = support::MailboxOwner;
using support::Polled;

class WaitingPollTest : public support::ChatClientWorld {};

// Between whole polls, one that waits asks for today alone: three places, the same circuits, nothing marked as complete.
TEST_F(WaitingPollTest, APollOfTodayReadsWhatWasSentNowAndCountsForNothingElse) {
  ASSERT_OK(Send(alice_, "now"));
  Polled polled;
  StartPoll(alice_, polled, /*today_only=*/true);
  loop_.RunFor(absl::Minutes(6));
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"now"});
  EXPECT_EQ(polled.result->parts_asked, 3);
  EXPECT_EQ(polled.result->parts_answered, 3);
  ASSERT_OK_AND_ASSIGN(const InboxState state, alice_.inbox.Load(loop_.WallNow()));
  EXPECT_FALSE(state.last_complete_poll.has_value());
  polled = Poll(alice_);
  ASSERT_OK(polled.result);
  EXPECT_TRUE(polled.texts.empty()) << "shown once";
  EXPECT_EQ(polled.result->parts_asked, 9);
}

// The note lies at two of the three places: the first that has it ends the poll, which empties all of them.
TEST_F(WaitingPollTest, APollThatWaitsReadsWhatComesAsItComes) {
  for (int i = 0; i < 8; ++i) {
    Polled polled;
    StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
    loop_.RunFor(absl::Seconds(1));
    EXPECT_STATUS(polled.result, kUnknown) << "waits";
    client_->Send({alice_.key.public_key(), {'n', 'o', 'w'}, nullptr}, [](const auto&) {});
    loop_.RunFor(kListWait / 2);
    ASSERT_OK(polled.result);
    EXPECT_EQ(polled.texts, std::vector<std::string>{"now"});
    EXPECT_EQ(polled.result->parts_answered, 3);
    EXPECT_EQ(polled.result->deletions_failed, 0);
    EXPECT_EQ(places_.EnvelopeCount(), 0u);
  }
  EXPECT_TRUE(Poll(alice_).texts.empty()) << "shown once";
}

TEST_F(WaitingPollTest, APollThatWaitsInVainEndsAndOneThatNeedNotWaitReadsAll) {
  Polled polled;
  StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
  loop_.RunFor(kListWait + absl::Seconds(1));
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.result->new_messages, 0);
  EXPECT_EQ(polled.result->parts_answered, 3);
  std::multiset<std::string> read;
  ASSERT_OK(Send(alice_, "one"));
  ASSERT_OK(Send(alice_, std::string(5000, 'z')));  // four envelopes, some beside the first place that answers
  for (int i = 0; i < 4 && read.size() < 2; ++i) {
    polled = {};
    StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
    loop_.RunFor(kListWait / 2);
    ASSERT_OK(polled.result);
    read.insert(polled.texts.begin(), polled.texts.end());
  }
  EXPECT_EQ(read, (std::multiset<std::string>{"one", std::string(5000, 'z')}));
}

// A crash after the first place has answered loses nothing: what was not deleted is known as read.
TEST_F(WaitingPollTest, APollThatWaitsLosesNothingByACrash) {
  for (int writes = 0; writes < 3; ++writes) {
    for (int runs = 3; runs < 9; ++runs) {
      Person carol(rng_);
      carol.store.writes_left = writes;
      operations_.frozen_after = operations_.runs + runs + 2;  // the sender needs two of them
      Polled first;
      StartPoll(carol, first, /*today_only=*/true, /*waits=*/true);
      loop_.RunFor(absl::Seconds(1));
      client_->Send({carol.key.public_key(), {'x'}, nullptr}, [](const auto&) {});
      loop_.RunFor(absl::Seconds(1));
      Restart();
      operations_.open_now = 0;
      operations_.frozen_after = INT_MAX;
      carol.store.writes_left = -1;
      std::set<std::string> shown(first.texts.begin(), first.texts.end());
      const Polled second = Poll(carol);
      shown.insert(second.texts.begin(), second.texts.end());
      EXPECT_EQ(shown, std::set<std::string>{"x"}) << writes << " " << runs;
      EXPECT_TRUE(Poll(carol).texts.empty());
      ASSERT_OK_AND_ASSIGN(const std::vector<Message> kept, carol.inbox.Messages());
      EXPECT_EQ(kept.size(), 1u);
    }
  }
}

// Nodes of an earlier version know no listing that waits.
TEST_F(WaitingPollTest, WhereAPollThatWaitsIsRefusedItReadsWithoutWaiting) {
  int refusals = 0;
  operations_.refuses = [&](const base::Bytes& request) {
    const auto decoded = DecodeMailboxRequest(request);
    const auto* list = decoded.ok() ? std::get_if<ListRequest>(&*decoded) : nullptr;
    refusals += list != nullptr && list->waits ? 1 : 0;
    return list != nullptr && list->waits;
  };
  ASSERT_OK(Send(alice_, "now"));
  Polled polled;
  StartPoll(alice_, polled, /*today_only=*/true, /*waits=*/true);
  loop_.RunFor(absl::Seconds(4));
  ASSERT_OK(polled.result);
  EXPECT_EQ(polled.texts, std::vector<std::string>{"now"});
  EXPECT_EQ(polled.result->parts_answered, 3);
  EXPECT_EQ(refusals, 3) << "one a place, all under way when the first answered";
}

}  // namespace
}  // namespace chat
