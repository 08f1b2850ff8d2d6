// SPDX-License-Identifier: Apache-2.0
// cli/shell_command.h — runs a line of the user's own (--exec, $EDITOR) in /bin/sh. Blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cli {

// `argument` is "$1" of the script. `input` is its stdin, all of it or as much as it takes; without one it shares ours. The exit
// code, 128 and the signal's number if one ended it, 127 if it could not be started.
int RunShell(const std::string& script, const std::string& argument, std::optional<std::string_view> input);

}  // namespace cli
