// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/values.h"

namespace cli {

absl::StatusOr<Context> MakeContext(const GlobalFlags& flags, const Environment& environment) {
  ASSIGN_OR_RETURN(Home home, Home::Find(flags.home, environment));
  const std::string named = flags.config.empty() ? environment("BULBIL_CONFIG") : flags.config;
  ASSIGN_OR_RETURN(Config config, ReadConfig(named.empty() ? home.ConfigFile() : named, /*required=*/!named.empty()));
  return Context{.flags = flags, .home = std::move(home), .config = std::move(config), .environment = environment};
}

std::string Setting(const Context& context, const std::string& flag, const char* variable,
                    const std::optional<std::string>& configured, const std::string& fallback) {
  if (!flag.empty()) return flag;
  const std::string value = variable == nullptr ? "" : context.environment(variable);
  if (!value.empty()) return value;
  return configured.value_or(fallback);
}

absl::StatusOr<absl::Duration> TimeoutOf(const Context& context) {
  if (context.flags.timeout.empty()) return absl::Seconds(30);
  const std::optional<absl::Duration> timeout = ParseDuration(context.flags.timeout);
  if (!timeout || *timeout <= absl::ZeroDuration())
    return BadValue("--timeout", context.flags.timeout, "a duration as 30s or 5m");
  return *timeout;
}

absl::Status BadValue(const std::string& option, const std::string& value, const std::string& expected) {
  return Fail({.exit = Exit::kUsage, .what = absl::StrCat(option, " \"", value, "\" is not ", expected)});
}

}  // namespace cli
