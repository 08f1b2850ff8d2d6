// SPDX-License-Identifier: Apache-2.0
#include "cli/shell_command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

extern char** environ;

namespace cli {
namespace {

constexpr int kNotStarted = 127;

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // it wants no more
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// Starts "sh -c SCRIPT sh ARGUMENT"; 0 if that failed. `in` and `out`: descriptors for its stdin, and for stdout and stderr; -1:
// ours.
pid_t Spawn(const std::string& script, const std::string& argument, int in, int out, bool own_group) {
  std::string shell = "sh", option = "-c", line = script, name = "sh", first = argument;
  char* const arguments[] = {shell.data(), option.data(), line.data(), name.data(), first.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (in >= 0) posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
  if (out >= 0) posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
  if (out >= 0) posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual, none;  // what this process ignores and blocks (stop_signals.h) a child would inherit
  sigemptyset(&usual);
  for (const int number : {SIGPIPE, SIGINT, SIGQUIT}) sigaddset(&usual, number);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  const int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (own_group ? POSIX_SPAWN_SETPGROUP : 0);
  posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
  pid_t child = 0;
  const bool started = posix_spawn(&child, "/bin/sh", &files, &attributes, arguments, environ) == 0;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return started ? child : 0;
}

}  // namespace

int RunShell(const std::string& script, const std::string& argument, std::optional<std::string_view> input) {
  int ends[2] = {-1, -1};
  if (input && pipe2(ends, O_CLOEXEC) != 0) return kNotStarted;
  const pid_t child = Spawn(script, argument, ends[0], -1, /*own_group=*/false);
  if (input) close(ends[0]);
  if (input && child != 0) WriteAll(ends[1], *input);
  if (input) close(ends[1]);
  if (child == 0) return kNotStarted;
  int outcome = 0;
  pid_t ended = -1;
  do {
    ended = waitpid(child, &outcome, 0);
  } while (ended < 0 && errno == EINTR);
  if (ended != child) return kNotStarted;
  return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : 128 + WTERMSIG(outcome);
}

bool BackgroundShell::Running(absl::Time now) {
  if (child_ == 0) return false;
  pid_t ended = waitpid(child_, nullptr, WNOHANG);
  if (ended == 0 && now >= started_ + kBackgroundMax) {
    kill(-child_, SIGKILL);
    ended = waitpid(child_, nullptr, 0);  // a killed one is gone at once
  }
  if (ended != 0) child_ = 0;
  return child_ != 0;
}

bool BackgroundShell::Start(const std::string& script, absl::Time now) {
  if (Running(now)) return false;
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) return false;
  child_ = Spawn(script, "", nothing, nothing, /*own_group=*/true);
  close(nothing);
  started_ = now;
  return child_ != 0;
}

}  // namespace cli
