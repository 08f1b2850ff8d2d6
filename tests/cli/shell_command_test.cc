// SPDX-License-Identifier: Apache-2.0
#include "cli/shell_command.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace cli {
namespace {

TEST(ShellCommand, TheInputAndTheArgumentReachItAsTheyAre) {
  EXPECT_EQ(RunShell("test \"$(cat)\" = \"$1\"", "two words; $HOME", "two words; $HOME"), 0);
  EXPECT_EQ(RunShell("test \"$(cat)\" = other", "", "this"), 1);
}

TEST(ShellCommand, TellsHowItEnded) {
  EXPECT_EQ(RunShell("exit 7", "", ""), 7);
  EXPECT_EQ(RunShell("kill -TERM $$", "", ""), 128 + 15);
  EXPECT_EQ(RunShell("/there/is/no/such/program 2>/dev/null", "", ""), 127);
}

TEST(ShellCommand, OneThatReadsNothingDoesNotStopUs) {
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(RunShell("exec true", "", std::string(1 << 20, 'x')), 0);
}

}  // namespace
}  // namespace cli
