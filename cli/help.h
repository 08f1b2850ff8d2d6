// SPDX-License-Identifier: Apache-2.0
// cli/help.h — the texts of `bulbil help [COMMAND]` and `bulbil version`. A test holds them to the grammar.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/grammar.h"

namespace cli {

// The overview, or a command's or group's page ("keys", "keys new", an alias). kUsage for an unknown topic.
absl::StatusOr<std::string> HelpText(const std::vector<std::string>& topic);
std::string HelpText(Command command);

// "bulbil 0.1.0 (protocol 1)" and what it was built with; one JSON object with `json`.
std::string VersionText(bool json);
std::string ProgramVersion();  // "0.1.0"

}  // namespace cli
