// SPDX-License-Identifier: Apache-2.0
#include "cli/book_turn.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

class BookTurnTest : public testing::Test {
 protected:
  ~BookTurnTest() override { std::filesystem::remove(path_); }
  const std::string path_ =
      absl::StrCat(testing::TempDir(), "/turn-", getpid(), "-", testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(BookTurnTest, TheHolderSeesThatSomebodyWaitsAndThatNobodyDoes) {
  BookTurn holder(path_), other(path_);
  EXPECT_FALSE(holder.Wanted());
  ASSERT_OK(other.Queue());
  EXPECT_TRUE(holder.Wanted());
  EXPECT_FALSE(other.Wanted()) << "one's own waiting is nobody else's";
  other.Leave();
  EXPECT_FALSE(holder.Wanted());
}

TEST_F(BookTurnTest, OneStandsFirstInLineUntilItLeavesOrEnds) {
  BookTurn third(path_);
  {
    BookTurn second(path_);
    ASSERT_OK(second.Queue());
    ASSERT_OK(second.Queue()) << "again is harmless";
    EXPECT_STATUS(third.Queue(), kUnavailable);
  }
  ASSERT_OK(third.Queue());
}

TEST_F(BookTurnTest, AFileThatCannotBeMadeIsAnErrorAndNobodyIsSaidToWait) {
  BookTurn nowhere(path_ + "/missing/turn");
  EXPECT_FALSE(nowhere.Queue().ok());
  EXPECT_FALSE(absl::IsUnavailable(nowhere.Queue()));
  EXPECT_FALSE(nowhere.Wanted());
}

}  // namespace
}  // namespace cli
