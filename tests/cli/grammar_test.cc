// SPDX-License-Identifier: Apache-2.0
#include "cli/grammar.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

std::vector<std::string> Words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

absl::StatusOr<Invocation> Parse(const std::string& line) { return ParseCommandLine(Words(line)); }

CommandError ErrorIn(const std::string& line) {
  const absl::StatusOr<Invocation> invocation = Parse(line);
  EXPECT_FALSE(invocation.ok()) << line;
  return ErrorOf(invocation.status());
}

TEST(Grammar, NoCommandIsANode) {
  ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse(""));
  EXPECT_EQ(invocation.command, Command::kNode);
  EXPECT_EQ(invocation.run.port, "");
}

TEST(Grammar, NodeAndRootAreTheSame) {
  for (const char* line : {"--port 5 -vv", "node --port 5 -vv", "--port 5 node -vv", "-v node -v --port=5"}) {
    ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse(line));
    EXPECT_EQ(invocation.command, Command::kNode) << line;
    EXPECT_EQ(invocation.run.port, "5") << line;
    EXPECT_EQ(invocation.global.verbosity, 2) << line;
  }
}

TEST(Grammar, EveryCommandIsFound) {
  const std::pair<const char*, Command> lines[] = {{"node", Command::kNode},
                                                   {"relay --port 4", Command::kRelay},
                                                   {"demo", Command::kDemo},
                                                   {"up --nodes 9", Command::kUp},
                                                   {"send bulb1x", Command::kSend},
                                                   {"poll", Command::kPoll},
                                                   {"files list", Command::kFilesList},
                                                   {"contacts disappear bob 1h", Command::kContactsDisappear},
                                                   {"groups create friends bob", Command::kGroupsCreate},
                                                   {"groups add friends bob carol", Command::kGroupsAdd},
                                                   {"group remove friends bob", Command::kGroupsRemove},
                                                   {"groups list", Command::kGroupsList},
                                                   {"groups show friends", Command::kGroupsShow},
                                                   {"groups accept friends", Command::kGroupsAccept},
                                                   {"groups leave friends -y", Command::kGroupsLeave},
                                                   {"files save 5b1e", Command::kFilesSave},
                                                   {"files rm 5b1e", Command::kFilesRemove},
                                                   {"recv", Command::kPoll},
                                                   {"receive --watch", Command::kPoll},
                                                   {"keys new", Command::kKeysNew},
                                                   {"keygen", Command::kKeysNew},
                                                   {"keys list", Command::kKeysList},
                                                   {"keys show", Command::kKeysShow},
                                                   {"id --qr", Command::kKeysShow},
                                                   {"keys export", Command::kKeysExport},
                                                   {"keys import", Command::kKeysImport},
                                                   {"keys passwd a --new-passphrase-file b", Command::kKeysPasswd},
                                                   {"keys rm a --book", Command::kKeysRemove},
                                                   {"contacts unblock bob", Command::kContactsUnblock},
                                                   {"status", Command::kStatus},
                                                   {"ring show", Command::kRingShow},
                                                   {"ring lookup 00", Command::kRingLookup},
                                                   {"dht put", Command::kDhtPut},
                                                   {"dht get 00", Command::kDhtGet},
                                                   {"health", Command::kHealth},
                                                   {"doctor", Command::kDoctor},
                                                   {"version", Command::kVersion},
                                                   {"--version", Command::kVersion},
                                                   {"help", Command::kHelp},
                                                   {"-h", Command::kHelp},
                                                   {"send --help", Command::kHelp}};
  for (const auto& [line, command] : lines) {
    ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse(line));
    EXPECT_EQ(invocation.command, command) << line;
  }
}

TEST(Grammar, GlobalFlagsStandAnywhere) {
  for (const char* line :
       {"--json --home /h --as bob poll", "poll --json --home /h --as bob", "--json poll --home /h --as bob"}) {
    ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse(line));
    EXPECT_TRUE(invocation.global.json) << line;
    EXPECT_EQ(invocation.global.home, "/h") << line;
    EXPECT_EQ(invocation.global.identity, "bob") << line;
  }
}

TEST(Grammar, BootstrapRepeats) {
  ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse("--bootstrap a:1 send bulb1x --bootstrap b:2 --bootstrap c:3"));
  EXPECT_EQ(invocation.run.bootstrap, (std::vector<std::string>{"a:1", "b:2", "c:3"}));
}

TEST(Grammar, AMessageMayBeEmptyOrLookLikeAFlag) {
  ASSERT_OK_AND_ASSIGN(const Invocation flag, ParseCommandLine({"send", "bulb1x", "-m", "-v"}));
  EXPECT_EQ(flag.talk.message, "-v");
  ASSERT_OK_AND_ASSIGN(const Invocation empty, ParseCommandLine({"send", "bulb1x", "-m", ""}));
  EXPECT_EQ(empty.talk.message, "");
  ASSERT_OK_AND_ASSIGN(const Invocation none, ParseCommandLine({"send", "bulb1x"}));
  EXPECT_FALSE(none.talk.message);
}

TEST(Grammar, AnIdentityMayBeCalledLikeACommand) {
  ASSERT_OK_AND_ASSIGN(const Invocation invocation, Parse("keys show new"));
  EXPECT_EQ(invocation.command, Command::kKeysShow);
  EXPECT_EQ(invocation.keys.argument, "new");
}

TEST(Grammar, HelpKnowsItsTopic) {
  ASSERT_OK_AND_ASSIGN(const Invocation by_word, Parse("help keys new"));
  EXPECT_EQ(by_word.topic, (std::vector<std::string>{"keys", "new"}));
  ASSERT_OK_AND_ASSIGN(const Invocation by_flag, Parse("keys new --help"));
  EXPECT_EQ(by_flag.topic, std::vector<std::string>{"keys new"});
}

TEST(Grammar, MistakesAreUsageErrorsInOurWords) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"kyes", "unknown command \"kyes\". Did you mean \"keys\"?"},
      {"kyes new", "unknown command \"kyes\". Did you mean \"keys\"?"},
      {"keys nwe", "unknown command \"keys nwe\". Did you mean \"new\"?"},
      {"sned keys new", "unknown command \"sned\". Did you mean \"send\"?"},
      {"--prot 7", "unknown option \"--prot\". Did you mean \"--port\"?"},
      {"send bulb1x --sing", "unknown option \"--sing\" of \"send\". Did you mean \"--sign\"?"},
      {"send bulb1x --bogus-thing", "unknown option \"--bogus-thing\" of \"send\"."},
      {"send bulb1x hello", "\"hello\" is one word too many for \"send\""},
      {"--port", "option --port needs a value"},
      {"send bulb1x -m", "option --message needs a value"},
      {"keys", "\"keys\" needs one of: new, list, show, export, import, passwd, rm"},
      {"ring", "\"ring\" needs one of: show, lookup"},
      {"contacts add a b c", "\"c\" is one word too many for \"contacts add\""},
      {"--port 7 contacts list", "option --port means nothing to \"contacts list\""},
      {"status --port 7", "option --port means nothing to \"status\""},
      {"--port 7 send bulb1x", "option --port means nothing to \"send\""},
      {"keys list --bootstrap a:1", "option --bootstrap means nothing to \"keys list\""},
      {"relay --node 5", "option --node means nothing to \"relay\""}};
  for (const auto& [line, what] : mistakes) {
    const CommandError error = ErrorIn(line);
    EXPECT_EQ(error.exit, Exit::kUsage) << line;
    EXPECT_EQ(error.what, what);
    EXPECT_FALSE(error.fix.empty()) << line;
  }
}

TEST(Grammar, CommandsOfLaterIssuesDoNotExist) {
  for (const char* line :
       {"chat bob carol", "contacts", "contacts import", "metrics", "config show", "completion bash", "ring fingers",
        "ring trace", "ping x", "keys default", "keys unlock", "poll --from bob", "status --all", "--log-file x"}) {
    EXPECT_EQ(ErrorIn(line).exit, Exit::kUsage) << line;
  }
}

TEST(Grammar, PeopleHaveTheirWords) {
  const auto add = ParseCommandLine({"contacts", "add", "bob", "bulb1x", "--as", "me"});
  ASSERT_TRUE(add.ok());
  EXPECT_EQ(add->command, Command::kContactsAdd);
  EXPECT_EQ(add->people.first, "bob");
  EXPECT_EQ(add->people.second, "bulb1x");
  EXPECT_EQ(add->global.identity, "me");
  const auto accept = ParseCommandLine({"accept", "#a91b03", "--name", "carol"});
  ASSERT_TRUE(accept.ok());
  EXPECT_EQ(accept->command, Command::kAccept);
  EXPECT_EQ(accept->people.first, "#a91b03");
  EXPECT_EQ(accept->people.name, "carol");
  const auto verify = ParseCommandLine({"contact", "verify", "bob", "--accept-new", "-y"});
  ASSERT_TRUE(verify.ok());
  EXPECT_EQ(verify->command, Command::kContactsVerify);
  EXPECT_TRUE(verify->people.accept_new && verify->people.yes);
  const auto create = ParseCommandLine({"groups", "create", "friends", "bob", "carol", "--as", "me"});
  ASSERT_TRUE(create.ok());
  EXPECT_EQ(create->people.first, "friends");
  EXPECT_EQ(create->people.members, (std::vector<std::string>{"bob", "carol"}));
  EXPECT_EQ(create->global.identity, "me");
  const auto send = ParseCommandLine({"send", "--group", "friends", "-m", "hello"});
  ASSERT_TRUE(send.ok());
  EXPECT_EQ(send->talk.group, "friends");
  EXPECT_TRUE(send->talk.to.empty());
}

TEST(Grammar, SurvivesAnyArguments) {
  const std::vector<std::string> pieces = {"",         "-", "--",      "---",     "-=",   "--=",  "-v=3",
                                           "--json=x", "=", "\x1b[2J", "--port=", "send", "keys", "--"};
  for (const std::string& a : pieces) {
    for (const std::string& b : pieces) {
      for (const std::string& c : pieces) {
        const absl::StatusOr<Invocation> invocation = ParseCommandLine({a, b, c});
        if (invocation.ok()) continue;
        EXPECT_EQ(ErrorOf(invocation.status()).exit, Exit::kUsage) << a << " " << b << " " << c;
      }
    }
  }
}

TEST(Grammar, KnowsWhoWantsJsonBeforeItCanParse) {
  EXPECT_TRUE(AsksForJson(Words("kyes --json")));
  EXPECT_FALSE(AsksForJson(Words("kyes")));
}

}  // namespace
}  // namespace cli
