// SPDX-License-Identifier: Apache-2.0
// cli/config.h — config.toml, all of it optional. Flags and environment variables win over it (cli.md 4).
//
//   [node]  listen = "localhost:10001"   advertise = "192.168.1.5:10001"   bootstrap = ["localhost:10001"]   # [] = create a ring
//           network = "local"            join_timeout = "30s"
//   [store] max_bytes = "2 GiB"         # of records; beyond it the node takes no more
//   [chat]  profile = "normal"           # off | low | normal | fast: the clock of a node, and of `chat` without one
//   [ui]    color = "auto"               # auto | always | never
//           notify_command = "..."      # what `chat` runs when something new comes, without its text
//   [log]   level = "info"               # as BULBIL_LOG
// An unknown section or key, a wrong type or a value out of range is an error with its line and column: a typing error must not
// silently turn a protection off.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace cli {

struct Config {
  std::optional<std::string> listen, advertise, network, join_timeout, max_bytes, profile, color, notify_command, log_level;
  std::optional<std::vector<std::string>> bootstrap;
};

// kUsage with file, line and column (cli.md E9). `name` stands for the file in errors.
absl::StatusOr<Config> ParseConfig(std::string_view text, const std::string& name);

// The file's contents; an empty Config if it is not there, unless `required` (it was named by the user).
absl::StatusOr<Config> ReadConfig(const std::string& path, bool required);

}  // namespace cli
