// SPDX-License-Identifier: Apache-2.0
#include "cli/logging.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <map>
#include <regex>

#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

Context With(GlobalFlags flags, std::map<std::string, std::string> environment = {}, Config config = {}) {
  return {
      .flags = std::move(flags), .home = Home("/h"), .config = std::move(config), .environment = [environment](const char* name) {
        const auto it = environment.find(name);
        return it == environment.end() ? std::string() : it->second;
      }};
}

std::string Written(const LogOptions& options, const std::function<void()>& log) {
  testing::internal::CaptureStderr();
  StartLogging(options);
  log();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, NodesTellMoreThanClients) {
  ASSERT_OK_AND_ASSIGN(const LogOptions node, ResolveLog(With({}), /*runs_nodes=*/true, /*is_terminal=*/false));
  ASSERT_OK_AND_ASSIGN(const LogOptions client, ResolveLog(With({}), /*runs_nodes=*/false, /*is_terminal=*/false));
  EXPECT_EQ(node.level, 2);
  EXPECT_EQ(client.level, 3);
}

TEST(Log, EachVTellsMore) {
  const int levels[] = {2, 1, 0, 0};
  for (int v = 0; v < 4; ++v) {
    ASSERT_OK_AND_ASSIGN(const LogOptions options, ResolveLog(With({.verbosity = v}), true, false));
    EXPECT_EQ(options.level, levels[v]) << v;
    EXPECT_EQ(options.components.at("rpc"), v == 3 ? 0 : 6) << v;
  }
}

TEST(Log, FlagWinsOverVariableOverFile) {
  const std::map<std::string, std::string> variable = {{"BULBIL_LOG", "error,ring=trace"}};
  const Config file{.log_level = "trace"};
  ASSERT_OK_AND_ASSIGN(const LogOptions by_variable, ResolveLog(With({}, variable, file), true, false));
  EXPECT_EQ(by_variable.level, 4);
  EXPECT_EQ(by_variable.components.at("ring"), 0);
  ASSERT_OK_AND_ASSIGN(const LogOptions by_flag, ResolveLog(With({.verbosity = 1}, variable, file), true, false));
  EXPECT_EQ(by_flag.level, 1);
  ASSERT_OK_AND_ASSIGN(const LogOptions by_file, ResolveLog(With({}, {}, file), true, false));
  EXPECT_EQ(by_file.level, 0);
  EXPECT_EQ(ErrorOf(ResolveLog(With({}, {{"BULBIL_LOG", "loud"}}), true, false).status()).exit, Exit::kUsage);
  const CommandError unknown = ErrorOf(ResolveLog(With({}, {{"BULBIL_LOG", "chord=trace"}}), true, false).status());
  EXPECT_EQ(unknown.exit, Exit::kUsage);
  EXPECT_NE(unknown.what.find("chord"), std::string::npos) << unknown.what;
}

TEST(Log, IsOneLineWithTimeLevelAndComponent) {
  const std::string line = Written({.level = 2}, [] { spdlog::info("boot: [ 20%] listening localhost:10002"); });
  EXPECT_TRUE(
      std::regex_match(line, std::regex(R"(\d\d:\d\d:\d\d\.\d\d\d info   boot     \[ 20%\] listening localhost:10002\n)")))
      << line;
}

TEST(Log, UnderJournaldHasAPriorityAndNoTime) {
  const std::string line = Written({.level = 0, .journal = true}, [] { spdlog::warn("a text: without component"); });
  EXPECT_EQ(line, "<4>warn   node     a text: without component\n");
}

TEST(Log, HoldsBackCallsUnlessAskedFor) {
  const auto log = [] {
    spdlog::trace("rpc: a call");
    spdlog::trace("ring: a step");
  };
  const std::string without = Written({.level = 0, .components = {{"rpc", 6}}}, log);
  EXPECT_EQ(without.find("a call"), std::string::npos);
  EXPECT_NE(without.find("a step"), std::string::npos);
  EXPECT_NE(Written({.level = 0}, log).find("a call"), std::string::npos);
}

TEST(Log, OneComponentMayTellMoreThanTheRest) {
  const std::string text = Written({.level = 3, .components = {{"ring", 0}}}, [] {
    spdlog::trace("ring: a step");
    spdlog::info("store: a record");
  });
  EXPECT_NE(text.find("a step"), std::string::npos);
  EXPECT_EQ(text.find("a record"), std::string::npos);
}

TEST(Color, FollowsFlagThenNoColorThenTerminal) {
  EXPECT_TRUE(*WantsColor(With({.color = "always"}, {{"NO_COLOR", "1"}}), false));
  EXPECT_FALSE(*WantsColor(With({}, {{"NO_COLOR", "1"}}), true));
  EXPECT_FALSE(*WantsColor(With({.color = "never"}), true));
  EXPECT_TRUE(*WantsColor(With({}), true));
  EXPECT_FALSE(*WantsColor(With({}), false));
  EXPECT_FALSE(*WantsColor(With({}, {}, Config{.color = "never"}), true));
  EXPECT_EQ(ErrorOf(WantsColor(With({.color = "red"}), true).status()).exit, Exit::kUsage);
}

TEST(Color, IsOnlyOnTheLevel) {
  const std::string line = Written({.level = 2, .color = true, .journal = true}, [] { spdlog::error("store: x"); });
  EXPECT_TRUE(std::regex_match(line, std::regex("<3>\x1b\\[[0-9;]*m(\x1b\\[[0-9;]*m)?error  \x1b\\[[0-9;]*mstore    x\n")))
      << line;
}

}  // namespace
}  // namespace cli
