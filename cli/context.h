// SPDX-License-Identifier: Apache-2.0
// cli/context.h — what every command runs in: its home, configuration and environment. Flag > environment > file > default.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/config.h"
#include "cli/environment.h"
#include "cli/grammar.h"
#include "cli/home.h"

namespace cli {

struct Context {
  GlobalFlags flags;
  Home home;
  Config config;
  Environment environment;
};

// Finds the home and reads the configuration (--config, BULBIL_CONFIG, the home's own).
absl::StatusOr<Context> MakeContext(const GlobalFlags& flags, const Environment& environment);

// The first that is not empty of flag, environment variable, configuration value; else the default.
std::string Setting(const Context& context, const std::string& flag, const char* variable,
                    const std::optional<std::string>& configured, const std::string& fallback);

// --timeout, 30 s without it: how long a question to a node may take.
absl::StatusOr<absl::Duration> TimeoutOf(const Context& context);

// kUsage: "--port "70000" is not ...".
absl::Status BadValue(const std::string& option, const std::string& value, const std::string& expected);

}  // namespace cli
