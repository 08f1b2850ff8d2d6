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

}  // namespace

int RunShell(const std::string& script, const std::string& argument, std::optional<std::string_view> input) {
  int ends[2] = {-1, -1};
  if (input && pipe2(ends, O_CLOEXEC) != 0) return kNotStarted;
  std::string shell = "sh", option = "-c", line = script, name = "sh", first = argument;
  char* const arguments[] = {shell.data(), option.data(), line.data(), name.data(), first.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (input) posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t usual;  // main ignores SIGPIPE, which a child would inherit
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const bool started = posix_spawn(&child, "/bin/sh", &files, &attributes, arguments, environ) == 0;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (input) close(ends[0]);
  if (input && started) WriteAll(ends[1], *input);
  if (input) close(ends[1]);
  if (!started) return kNotStarted;
  int outcome = 0;
  pid_t ended = -1;
  do {
    ended = waitpid(child, &outcome, 0);
  } while (ended < 0 && errno == EINTR);
  if (ended != child) return kNotStarted;
  return WIFEXITED(outcome) ? WEXITSTATUS(outcome) : 128 + WTERMSIG(outcome);
}

}  // namespace cli
