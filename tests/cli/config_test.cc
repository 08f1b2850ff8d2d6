// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "cli/context.h"
#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

TEST(Config, ReadsEveryKey) {
  ASSERT_OK_AND_ASSIGN(const Config config, ParseConfig(R"(
[node]
listen = "localhost:10005"
advertise = "203.0.113.5:10001"
bootstrap = ["localhost:10001", "10.0.0.1:7"]
network = "garden"
join_timeout = "5s"
[chat]
profile = "low"
[ui]
color = "never"
notify_command = "true"
[log]
level = "debug"
)",
                                                        "config.toml"));
  EXPECT_EQ(config.listen, "localhost:10005");
  EXPECT_EQ(config.advertise, "203.0.113.5:10001");
  EXPECT_EQ(config.bootstrap, (std::vector<std::string>{"localhost:10001", "10.0.0.1:7"}));
  EXPECT_EQ(config.network, "garden");
  EXPECT_EQ(config.join_timeout, "5s");
  EXPECT_EQ(config.profile, "low");
  EXPECT_EQ(config.color, "never");
  EXPECT_EQ(config.notify_command, "true");
  EXPECT_EQ(config.log_level, "debug");
}

TEST(Config, EmptyIsFine) {
  ASSERT_OK_AND_ASSIGN(const Config config, ParseConfig("", "config.toml"));
  EXPECT_FALSE(config.listen);
  EXPECT_FALSE(config.bootstrap);
}

TEST(Config, ErrorsNameLineAndColumn) {
  const CommandError error = ErrorOf(ParseConfig("[node]\nlisten = localhost\n", "config.toml").status());
  EXPECT_EQ(error.exit, Exit::kUsage);
  EXPECT_EQ(error.what.rfind("config.toml line 2, column 10: ", 0), 0u) << error.what;
}

TEST(Config, UnknownKeysAreErrors) {
  const CommandError key = ErrorOf(ParseConfig("[node]\nlisen = \"localhost:1\"\n", "config.toml").status());
  EXPECT_EQ(key.what, "config.toml line 2, column 1: unknown key \"lisen\"");
  EXPECT_EQ(key.fix, std::vector<std::string>{"did you mean \"listen\"?"});
  EXPECT_EQ(ErrorOf(ParseConfig("[nodes]\n", "c").status()).exit, Exit::kUsage);
  EXPECT_EQ(ErrorOf(ParseConfig("port = 3\n", "c").status()).exit, Exit::kUsage);
}

TEST(Config, WrongValuesAreErrors) {
  for (const char* text :
       {"[node]\nlisten = 10001", "[node]\nlisten = \"10001\"", "[node]\nbootstrap = \"localhost:1\"", "[node]\nbootstrap = [1]",
        "[node]\nbootstrap = [\"x\"]", "[ui]\ncolor = \"red\"", "[ui]\ncolor = true", "node = 3",
        "[node]\njoin_timeout = \"soon\"", "[node]\nlisten = \"localhost:1\"\nlisten = \"localhost:2\""}) {
    EXPECT_EQ(ErrorOf(ParseConfig(text, "c").status()).exit, Exit::kUsage) << text;
  }
}

TEST(Config, SurvivesAnyBytes) {
  std::string text = "[node]\nlisten = \"a\"\n";
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char byte : {'\0', '\x1b', '"', '[', '\n', '\xff'}) {
      std::string changed = text;
      changed[i] = byte;
      const absl::StatusOr<Config> config = ParseConfig(changed, "c");
      if (config.ok()) continue;
      EXPECT_EQ(ErrorOf(config.status()).exit, Exit::kUsage);
    }
  }
}

TEST(Config, AMissingFileIsEmptyUnlessItWasNamed) {
  EXPECT_OK(ReadConfig("/nonexistent/config.toml", /*required=*/false));
  EXPECT_EQ(ErrorOf(ReadConfig("/nonexistent/config.toml", /*required=*/true).status()).exit, Exit::kUsage);
  EXPECT_EQ(ErrorOf(ReadConfig("/tmp", /*required=*/true).status()).exit, Exit::kUsage) << "a directory";
}

TEST(Setting, FlagWinsOverEnvironmentOverFileOverDefault) {
  const Environment with = [](const char* name) { return std::string(name) == "BULBIL_X" ? "variable" : ""; };
  const Environment without = [](const char*) { return std::string(); };
  Context context{.flags = {}, .home = Home("/h"), .config = {}, .environment = with};
  EXPECT_EQ(Setting(context, "flag", "BULBIL_X", "file", "default"), "flag");
  EXPECT_EQ(Setting(context, "", "BULBIL_X", "file", "default"), "variable");
  context.environment = without;
  EXPECT_EQ(Setting(context, "", "BULBIL_X", "file", "default"), "file");
  EXPECT_EQ(Setting(context, "", "BULBIL_X", std::nullopt, "default"), "default");
}

}  // namespace
}  // namespace cli
