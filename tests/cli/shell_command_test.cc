// SPDX-License-Identifier: Apache-2.0
#include "cli/shell_command.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

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

TEST(ShellCommand, CanBeStoppedWhateverThisProcessBlocks) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(RunShell("kill -TERM $$", "", ""), 128 + 15);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(ShellCommand, OneThatReadsNothingDoesNotStopUs) {
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(RunShell("exec true", "", std::string(1 << 20, 'x')), 0);
}

TEST(BackgroundShell, RunsOneAtATimeAndNoneForLong) {
  const std::string file = testing::TempDir() + "/background-" + std::to_string(getpid());
  const absl::Time start = absl::UnixEpoch();
  BackgroundShell shell;
  ASSERT_TRUE(shell.Start("sleep 600 & echo $! > " + file + "; wait", start));
  pid_t sleeper = 0;
  while (sleeper == 0) std::ifstream(file) >> sleeper;
  EXPECT_FALSE(shell.Start("true", start + kBackgroundMax / 2)) << "the first one still runs";
  EXPECT_EQ(kill(sleeper, 0), 0);
  EXPECT_TRUE(shell.Start("true", start + kBackgroundMax));
  const auto is_gone = [&] {  // or waits for init to take note of it
    char state = 0;
    std::string text;
    std::ifstream("/proc/" + std::to_string(sleeper) + "/stat") >> text >> text >> state;
    return state == 0 || state == 'Z';
  };
  while (!is_gone()) usleep(1000);
  while (!shell.Start("true", start + kBackgroundMax)) usleep(1000);  // the one before ends by itself
  unlink(file.c_str());
}

}  // namespace
}  // namespace cli
