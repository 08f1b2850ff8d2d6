// SPDX-License-Identifier: Apache-2.0
// cli/terminal.h — questions to the person at the terminal, and the three standard streams as bytes.
//
// Questions go to /dev/tty, never to stdin or stdout, which may be files. There is nobody to ask under --no-input or without a
// terminal; then the command fails with what to give instead.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cli {

bool IsTerminal(int fd);

// The person at the terminal; nobody if /dev/tty cannot be opened.
class Person {
 public:
  static std::optional<Person> Find(bool no_input);
  Person(Person&& other) noexcept;
  ~Person();
  Person(const Person&) = delete;
  Person& operator=(const Person&) = delete;

  // One line without its newline, at most kAnswerMax bytes. kUsage at end of input.
  absl::StatusOr<std::string> Ask(std::string_view question);
  // The same unseen: echo is off meanwhile and on again whatever ends it, Ctrl-C too.
  absl::StatusOr<std::string> AskSecret(std::string_view question);

 private:
  explicit Person(int fd) : fd_(fd) {}
  absl::StatusOr<std::string> ReadLine();
  void Say(std::string_view text);

  int fd_;
};
inline constexpr size_t kAnswerMax = 1024;

// All of the descriptor up to `max` + 1 bytes (so the caller sees that there was more). kLocal if reading fails.
absl::StatusOr<std::string> ReadAll(int fd, size_t max);
// kLocal if the bytes cannot be written: a full disk must not look like success.
absl::Status WriteStdout(std::string_view bytes);
void WriteStderr(std::string_view text);

}  // namespace cli
