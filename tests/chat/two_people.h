// SPDX-License-Identifier: Apache-2.0
// tests/chat/two_people.h — Alice and Bob over one store that may lose things: the world of tests of conversations.
#pragma once

#include <gtest/gtest.h>

#include "tests/chat/book_world.h"
#include "tests/support/status_matchers.h"

namespace chat {

class TwoPeopleTest : public testing::Test {
 protected:
  explicit TwoPeopleTest(support::LossyOptions options = {}, uint64_t seed = 1) : store_(options, seed) {}

  void Pass(absl::Duration time) {
    now_ += time;
    store_.Pass(time, now_);
  }
  void RunBoth(int rounds = 1, absl::Duration step = absl::Minutes(1)) {
    for (int i = 0; i < rounds; ++i) {
      EXPECT_OK(alice_.Run(now_));
      EXPECT_OK(bob_.Run(now_));
      Pass(step);
    }
  }
  // Both publish bundles and add each other.
  void Meet() {
    RunBoth();
    ASSERT_OK(alice_.book().Add("bob", bob_.address()));
    ASSERT_OK(bob_.book().Add("alice", alice_.address()));
  }
  // And tell each other what they have read.
  void MeetWithReceipts() {
    Meet();
    alice_.book().SetAcknowledge(bob_.address(), true);
    bob_.book().SetAcknowledge(alice_.address(), true);
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  support::LossyStore store_;
  support::Person alice_{store_, 100}, bob_{store_, 200};
};

}  // namespace chat
