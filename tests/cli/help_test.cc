// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <gtest/gtest.h>

#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

std::vector<Command> AllCommands() {
  std::vector<Command> all;
  for (int i = 0; i <= static_cast<int>(Command::kHelp); ++i) all.push_back(static_cast<Command>(i));
  return all;
}

TEST(Help, NamesEveryOptionOfEveryCommand) {
  for (const Command command : AllCommands()) {
    const std::string help = HelpText(command);
    for (const std::string& option : OptionsOf(command)) {
      EXPECT_NE(help.find(option), std::string::npos) << NameOf(command) << " does not explain " << option;
    }
  }
}

TEST(Help, EveryCommandHasAPageUnderItsName) {
  for (const Command command : AllCommands()) {
    ASSERT_OK_AND_ASSIGN(const std::string help, HelpText({NameOf(command)}));
    EXPECT_EQ(help.rfind("usage: bulbil", 0), 0u) << NameOf(command);
  }
}

TEST(Help, KnowsGroupsAndAliases) {
  ASSERT_OK_AND_ASSIGN(const std::string keys, HelpText({"keys"}));
  for (const char* word : {"keys new", "keys list", "keys show", "keys export", "keys import", "keys passwd", "keys rm"}) {
    EXPECT_NE(keys.find(word), std::string::npos) << word;
  }
  ASSERT_OK_AND_ASSIGN(const std::string alias, HelpText({"keygen"}));
  EXPECT_EQ(alias, HelpText(Command::kKeysNew));
}

TEST(Help, UnknownTopicsGetASuggestion) {
  const CommandError error = ErrorOf(HelpText({"stauts"}).status());
  EXPECT_EQ(error.exit, Exit::kUsage);
  EXPECT_EQ(error.what, "there is no command \"stauts\". Did you mean \"status\"?");
}

TEST(Version, NamesProgramAndProtocol) {
  EXPECT_EQ(VersionText(/*json=*/false).rfind("bulbil " + ProgramVersion() + " (protocol 1)\n", 0), 0u);
  EXPECT_EQ(VersionText(/*json=*/true).rfind("{\"schema\":1,\"type\":\"version\",\"version\":\"", 0), 0u);
}

}  // namespace
}  // namespace cli
