// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "chat/traffic_clock.h"
#include "cli/errors.h"
#include "cli/home.h"
#include "cli/suggestion.h"
#include "cli/values.h"

namespace cli {
namespace {

using Text = std::optional<std::string> Config::*;
using List = std::optional<std::vector<std::string>> Config::*;
using Accept = bool (*)(const std::string& value);

struct Key {
  const char* section;
  const char* name;
  std::variant<Text, List> target;
  Accept accept;
  const char* expected;
};

bool IsAnything(const std::string& value) { return !value.empty() && value.size() <= 256; }
bool IsHostPort(const std::string& value) { return ParseHostPort(value).has_value(); }
bool IsBootstrap(const std::string& value) { return ParseBootstrap(value).has_value(); }
bool IsDuration(const std::string& value) { return ParseDuration(value).has_value(); }
bool IsSize(const std::string& value) { return ParseBytes(value).value_or(0) > 0; }
bool IsColor(const std::string& value) { return value == "auto" || value == "always" || value == "never"; }

bool IsProfile(const std::string& value) { return chat::ParseProfile(value).has_value(); }

const Key kKeys[] = {
    {"node", "listen", &Config::listen, IsHostPort, "\"HOST:PORT\""},
    {"node", "advertise", &Config::advertise, IsHostPort, "\"HOST:PORT\""},
    {"node", "bootstrap", &Config::bootstrap, IsBootstrap, "[\"HOST:PORT\", ...]"},
    {"node", "network", &Config::network, IsAnything, "a name in quotes"},
    {"node", "join_timeout", &Config::join_timeout, IsDuration, "a duration as \"30s\""},
    {"store", "max_bytes", &Config::max_bytes, IsSize, "a size as \"2 GiB\""},
    {"chat", "profile", &Config::profile, IsProfile, "\"off\", \"low\", \"normal\" or \"fast\""},
    {"ui", "color", &Config::color, IsColor, "\"auto\", \"always\" or \"never\""},
    {"ui", "notify_command", &Config::notify_command, IsAnything, "a command in quotes"},
    {"log", "level", &Config::log_level, IsAnything, "a level as \"info\""},
};

absl::Status Wrong(const std::string& file, const toml::source_position& at, const std::string& what, std::string fix) {
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat(file, " line ", at.line, ", column ", at.column, ": ", what),
               .fix = {std::move(fix)}});
}

absl::Status WrongValue(const std::string& file, const toml::node& node, const Key& key) {
  return Wrong(file, node.source().begin, absl::StrCat("wrong value for ", key.section, ".", key.name),
               absl::StrCat(key.name, " = ", key.expected));
}

absl::Status ReadText(const std::string& file, const toml::node& node, const Key& key, std::optional<std::string>& target) {
  const std::optional<std::string> value = node.is_string() ? node.value<std::string>() : std::nullopt;
  if (!value || !key.accept(*value)) return WrongValue(file, node, key);
  target = *value;
  return absl::OkStatus();
}

absl::Status ReadList(const std::string& file, const toml::node& node, const Key& key,
                      std::optional<std::vector<std::string>>& target) {
  if (!node.is_array()) return WrongValue(file, node, key);
  std::vector<std::string> values;
  for (const toml::node& element : *node.as_array()) {
    std::optional<std::string> value;
    RETURN_IF_ERROR(ReadText(file, element, key, value));
    values.push_back(*value);
  }
  target = values;
  return absl::OkStatus();
}

absl::Status ReadKey(const std::string& file, const toml::node& node, const Key& key, Config& config) {
  if (const Text* text = std::get_if<Text>(&key.target)) return ReadText(file, node, key, config.*(*text));
  return ReadList(file, node, key, config.*std::get<List>(key.target));
}

absl::Status Unknown(const std::string& file, const toml::key& at, const std::string& name,
                     const std::vector<std::string>& known) {
  const std::string near = Nearest(name, known);
  return Wrong(file, at.source().begin, absl::StrCat("unknown key \"", name, "\""),
               near.empty() ? "remove it: unknown keys are errors" : absl::StrCat("did you mean \"", near, "\"?"));
}

absl::Status ReadSection(const std::string& file, const std::string& section, const toml::table& table, Config& config) {
  std::vector<std::string> known;
  for (const Key& key : kKeys) {
    if (section == key.section) known.push_back(key.name);
  }
  for (const auto& [name, node] : table) {
    const auto key = std::find_if(std::begin(kKeys), std::end(kKeys),
                                  [&](const Key& k) { return section == k.section && name.str() == k.name; });
    if (key == std::end(kKeys)) return Unknown(file, name, std::string(name.str()), known);
    RETURN_IF_ERROR(ReadKey(file, node, *key, config));
  }
  return absl::OkStatus();
}

absl::StatusOr<Config> ReadTable(const std::string& file, const toml::table& table) {
  Config config;
  const std::vector<std::string> sections = {"node", "store", "chat", "ui", "log"};
  for (const auto& [name, node] : table) {
    const std::string section(name.str());
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) return Unknown(file, name, section, sections);
    if (!node.is_table()) {
      return Wrong(file, node.source().begin, absl::StrCat("\"", section, "\" is a section"),
                   absl::StrCat("write [", section, "]"));
    }
    RETURN_IF_ERROR(ReadSection(file, section, *node.as_table(), config));
  }
  return config;
}

}  // namespace

absl::StatusOr<Config> ParseConfig(std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, std::string_view(name));
  } catch (const toml::parse_error& error) {
    return Wrong(name, error.source().begin, std::string(error.description()),
                 "strings need quotes:  listen = \"localhost:10001\"");
  }
  return ReadTable(name, table);
}

absl::StatusOr<Config> ReadConfig(const std::string& path, bool required) {
  constexpr std::uintmax_t kConfigMax = 1 << 20;  // far beyond any config; a wrong path must not fill the memory
  std::error_code error;
  if (!required && !std::filesystem::exists(path, error)) return Config{};
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file || size > kConfigMax) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("cannot read the configuration ", ShownPath(path)),
                 .why = {error               ? error.message()
                         : size > kConfigMax ? "it is larger than 1 MiB"
                                             : std::strerror(errno)}});
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return ParseConfig(text, std::filesystem::path(path).filename().string());
}

}  // namespace cli
