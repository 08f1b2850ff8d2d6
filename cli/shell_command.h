// SPDX-License-Identifier: Apache-2.0
// cli/shell_command.h — runs a line of the user's own (--exec, $EDITOR, notify_command) in /bin/sh.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace cli {

// Blocks. `argument` is "$1" of the script. `input` is its stdin, all of it or as much as it takes; without one it shares ours.
// The exit code, 128 and the signal's number if one ended it, 127 if it could not be started.
int RunShell(const std::string& script, const std::string& argument, std::optional<std::string_view> input);

inline constexpr absl::Duration kBackgroundMax = absl::Seconds(30);

// One line at a time that nobody waits for: with no input, its output thrown away, in a process group of its own. Not
// thread-safe. What runs when this object goes, goes on.
class BackgroundShell {
 public:
  // Starts it unless the one before still runs; that one, with all it started, is killed once it is kBackgroundMax old. True if
  // it was started.
  bool Start(const std::string& script, absl::Time now);

 private:
  bool Running(absl::Time now);

  pid_t child_ = 0;  // 0: none
  absl::Time started_;
};

}  // namespace cli
