// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/status_macros.h"
#include "cli/errors.h"

namespace cli {
namespace {

// What the handler puts back. One question at a time: only the main thread asks.
termios saved_terminal;
volatile sig_atomic_t hidden_fd = -1;

void RestoreAndDie(int signal_number) {
  if (hidden_fd >= 0) tcsetattr(hidden_fd, TCSANOW, &saved_terminal);
  _exit(128 + signal_number);
}

class EchoOff {
 public:
  explicit EchoOff(int fd) {
    if (tcgetattr(fd, &saved_terminal) != 0) return;
    hidden_fd = fd;
    for (size_t i = 0; i < 3; ++i) before_[i] = signal(kSignals[i], RestoreAndDie);
    termios hidden = saved_terminal;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(fd, TCSAFLUSH, &hidden);
  }
  ~EchoOff() {
    if (hidden_fd < 0) return;
    tcsetattr(hidden_fd, TCSAFLUSH, &saved_terminal);
    hidden_fd = -1;
    for (size_t i = 0; i < 3; ++i) signal(kSignals[i], before_[i]);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  static constexpr int kSignals[3] = {SIGINT, SIGTERM, SIGHUP};
  void (*before_[3])(int) = {};
};

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Fail({.exit = Exit::kLocal, .what = "cannot write the output", .why = {std::strerror(errno)}});
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsTerminal(int fd) { return isatty(fd) == 1; }

std::optional<Person> Person::Find(bool no_input) {
  if (no_input) return std::nullopt;
  const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return std::nullopt;
  return Person(fd);
}

Person::Person(Person&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }

Person::~Person() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> Person::Ask(std::string_view question) {
  Say(question);
  return ReadLine();
}

absl::StatusOr<std::string> Person::AskSecret(std::string_view question) {
  const EchoOff echo_off(fd_);
  Say(question);
  absl::StatusOr<std::string> answer = ReadLine();
  Say("\n");
  return answer;
}

absl::StatusOr<std::string> Person::ReadLine() {
  std::string line;
  char byte = 0;
  while (line.size() < kAnswerMax) {
    const ssize_t got = read(fd_, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail({.exit = Exit::kUsage, .what = "no answer"});
    if (byte == '\n') return line;
    line.push_back(byte);
  }
  return Fail({.exit = Exit::kUsage, .what = "the answer is too long"});
}

// A question that cannot be shown is answered by nobody, so the read that follows fails.
void Person::Say(std::string_view text) { WriteAll(fd_, text).IgnoreError(); }

absl::StatusOr<std::string> ReadAll(int fd, size_t max) {
  std::string bytes;
  char buffer[4096];
  while (bytes.size() <= max) {
    const ssize_t got = read(fd, buffer, std::min(sizeof buffer, max + 1 - bytes.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail({.exit = Exit::kLocal, .what = "cannot read the input", .why = {std::strerror(errno)}});
    if (got == 0) break;
    bytes.append(buffer, static_cast<size_t>(got));
  }
  return bytes;
}

absl::Status WriteStdout(std::string_view bytes) { return WriteAll(STDOUT_FILENO, bytes); }

// Nowhere is left to report it when stderr itself fails.
void WriteStderr(std::string_view text) { WriteAll(STDERR_FILENO, text).IgnoreError(); }

}  // namespace cli
