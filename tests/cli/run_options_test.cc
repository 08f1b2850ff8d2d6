// SPDX-License-Identifier: Apache-2.0
#include "cli/run_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

struct Outside {
  std::map<std::string, std::string> environment;
  std::string config;
};

absl::StatusOr<std::pair<Invocation, Context>> Prepare(const std::string& line, const Outside& outside) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  ASSIGN_OR_RETURN(Invocation invocation, ParseCommandLine(words));
  ASSIGN_OR_RETURN(Config config, ParseConfig(outside.config, "config.toml"));
  Context context{.flags = invocation.global, .home = Home("/h"), .config = config, .environment = [outside](const char* name) {
                    const auto it = outside.environment.find(name);
                    return it == outside.environment.end() ? std::string() : it->second;
                  }};
  return std::pair(std::move(invocation), std::move(context));
}

absl::StatusOr<NodeOptions> Node(const std::string& line, const Outside& outside = {}) {
  ASSIGN_OR_RETURN(const auto prepared, Prepare(line, outside));
  return ResolveNode(prepared.first, prepared.second);
}

std::vector<std::string> AddressesOf(const std::vector<overlay::RpcTarget>& targets) {
  std::vector<std::string> addresses;
  for (const overlay::RpcTarget& target : targets) addresses.push_back(target.address);
  return addresses;
}

struct SeedRule {
  const char* line;
  const char* listen;
  std::vector<std::string> bootstrap;
};

class SeedRules : public testing::TestWithParam<SeedRule> {};

TEST_P(SeedRules, Hold) {
  ASSERT_OK_AND_ASSIGN(const NodeOptions options, Node(GetParam().line));
  EXPECT_EQ(options.listen, GetParam().listen);
  EXPECT_EQ(AddressesOf(options.bootstrap), GetParam().bootstrap);
  EXPECT_EQ(options.role, overlay::Role::kStoring);
}

INSTANTIATE_TEST_SUITE_P(
    Table, SeedRules,
    testing::Values(
        SeedRule{"", "127.0.0.1:10001", {}}, SeedRule{"--port 10001", "127.0.0.1:10001", {}},
        SeedRule{"--port 10002 -vvv", "127.0.0.1:10002", {"127.0.0.1:10001"}},
        SeedRule{"--port 10002 --bootstrap 10.0.0.9:7", "127.0.0.1:10002", {"10.0.0.9:7"}},
        SeedRule{"--port 10002 --bootstrap a.org:7 --bootstrap localhost:8", "127.0.0.1:10002", {"a.org:7", "127.0.0.1:8"}},
        SeedRule{"--bootstrap none", "127.0.0.1:10001", {}}, SeedRule{"--port 10002 --bootstrap none", "127.0.0.1:10002", {}},
        SeedRule{"--port 0", "127.0.0.1:0", {"127.0.0.1:10001"}},
        SeedRule{"--port 10001 --bootstrap localhost:10001", "127.0.0.1:10001", {}},
        SeedRule{"--port 10001 --bootstrap localhost:10002", "127.0.0.1:10001", {"127.0.0.1:10002"}},
        SeedRule{"--listen 127.0.0.1:10004", "127.0.0.1:10004", {"127.0.0.1:10001"}},
        SeedRule{"--listen [::1]:10004", "[::1]:10004", {"127.0.0.1:10001"}}));

TEST(RunOptions, TheConfigurationInTheDocsStarts) {
  std::ifstream file(BULBIL_SOURCE_DIR "/docs/cli.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const size_t begin = page.find("    [node]\n"), end = page.find("\n\n", begin);
  ASSERT_NE(begin, std::string::npos);
  std::string sample;
  for (std::istringstream lines(page.substr(begin, end - begin)); lines.good();) {
    std::string line;
    std::getline(lines, line);
    absl::StrAppend(&sample, line.substr(std::min<size_t>(4, line.size())), "\n");
  }
  ASSERT_OK_AND_ASSIGN(const NodeOptions options, Node("", {.config = sample}));
  EXPECT_NE(options.advertise, "") << sample;
}

TEST(RunOptions, ARelayIsARelay) {
  ASSERT_OK_AND_ASSIGN(const NodeOptions options, Node("relay --port 10004"));
  EXPECT_EQ(options.role, overlay::Role::kRelay);
  EXPECT_EQ(AddressesOf(options.bootstrap), std::vector<std::string>{"127.0.0.1:10001"});
}

TEST(RunOptions, FlagWinsOverEnvironmentOverFile) {
  const Outside outside{.environment = {{"BULBIL_PORT", "10007"}, {"BULBIL_BOOTSTRAP", "localhost:1, localhost:2"}},
                        .config = "[node]\nlisten = \"localhost:10009\"\nbootstrap = []\njoin_timeout = \"7s\"\n"};
  ASSERT_OK_AND_ASSIGN(const NodeOptions from_environment, Node("", outside));
  EXPECT_EQ(from_environment.listen, "127.0.0.1:10007");
  EXPECT_EQ(AddressesOf(from_environment.bootstrap), (std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
  EXPECT_EQ(from_environment.join_timeout, absl::Seconds(7));
  ASSERT_OK_AND_ASSIGN(const NodeOptions from_flags, Node("--port 10003 --bootstrap localhost:3 --join-timeout 1m", outside));
  EXPECT_EQ(from_flags.listen, "127.0.0.1:10003");
  EXPECT_EQ(AddressesOf(from_flags.bootstrap), std::vector<std::string>{"127.0.0.1:3"});
  EXPECT_EQ(from_flags.join_timeout, absl::Minutes(1));
  ASSERT_OK_AND_ASSIGN(const NodeOptions from_file, Node("", {.environment = {}, .config = outside.config}));
  EXPECT_EQ(from_file.listen, "127.0.0.1:10009");
  EXPECT_TRUE(from_file.bootstrap.empty()) << "[] creates a ring";
}

TEST(RunOptions, TheStoresBoundComesFromTheFile) {
  ASSERT_OK_AND_ASSIGN(const NodeOptions set, Node("", {.environment = {}, .config = "[store]\nmax_bytes = \"64 MiB\"\n"}));
  EXPECT_EQ(set.store_bytes_max, 64ull << 20);
  ASSERT_OK_AND_ASSIGN(const NodeOptions unset, Node(""));
  EXPECT_FALSE(unset.store_bytes_max);
}

TEST(RunOptions, TheProfileOfTheClockIsNormalUnlessSaid) {
  ASSERT_OK_AND_ASSIGN(const NodeOptions unset, Node(""));
  EXPECT_EQ(unset.profile, chat::Profile::kNormal);
  const Outside low{.environment = {}, .config = "[chat]\nprofile = \"low\"\n"};
  ASSERT_OK_AND_ASSIGN(const NodeOptions from_file, Node("", low));
  EXPECT_EQ(from_file.profile, chat::Profile::kLow);
  ASSERT_OK_AND_ASSIGN(const NodeOptions from_flag, Node("--profile off", low));
  EXPECT_EQ(from_flag.profile, chat::Profile::kOff);
  EXPECT_FALSE(Node("--profile quick").ok());
}

TEST(RunOptions, WrongValuesAreUsageErrors) {
  for (const char* line :
       {"--port x", "--port 70000", "--bootstrap x", "--bootstrap none --bootstrap localhost:1", "--bootstrap localhost:0",
        "--listen localhost", "--listen example.org:1", "--advertise localhost", "--advertise 10.0.0.1:0", "--join-timeout soon",
        "--join-timeout 0s", "--network A!", "--port 5 --listen localhost:6"}) {
    const absl::StatusOr<NodeOptions> options = Node(line);
    ASSERT_FALSE(options.ok()) << line;
    EXPECT_EQ(ErrorOf(options.status()).exit, Exit::kUsage) << line;
  }
}

TEST(RunOptions, LocalRefusesPublicAddresses) {
  for (const char* line :
       {"--listen 8.8.8.8:10001", "--listen 0.0.0.0:10001", "--listen 0.0.0.0:10001 --advertise 10.0.0.1:10001",
        "--advertise 8.8.8.8:10001", "--listen [2001:db8::1]:10001"}) {
    const absl::StatusOr<NodeOptions> options = Node(line);
    ASSERT_FALSE(options.ok()) << line;
    EXPECT_EQ(ErrorOf(options.status()).exit, Exit::kUsage) << line;
  }
  EXPECT_OK(Node("--listen 192.168.1.5:10001"));
  EXPECT_OK(Node("--listen 0.0.0.0:10001 --advertise 8.8.8.8:10001 --network garden --bootstrap none"));
}

TEST(RunOptions, AnotherNetworkHasNoDefaultBootstrapAndForbidsPrivateAddresses) {
  EXPECT_EQ(ErrorOf(Node("--network garden --listen 8.8.8.8:1").status()).exit, Exit::kUsage);
  ASSERT_OK_AND_ASSIGN(const NodeOptions options, Node("--network garden --listen 8.8.8.8:1 --bootstrap 9.9.9.9:1"));
  EXPECT_EQ(options.network.name, "garden");
  EXPECT_FALSE(options.network.private_addresses);
  EXPECT_TRUE(options.network.distinct_prefixes);
  for (const char* line : {"--network garden", "--network garden --listen 8.8.8.8:1 --advertise 10.0.0.1:1"}) {
    EXPECT_EQ(ErrorOf(Node(absl::StrCat(line, " --bootstrap none")).status()).exit, Exit::kUsage) << line;
  }
  EXPECT_OK(Node("--network garden --listen 8.8.8.8:0 --bootstrap none"));
  ASSERT_OK_AND_ASSIGN(const NodeOptions many, Node("--network local+v4"));
  EXPECT_EQ(many.network.name, "local+v4");  // another network than "local": points and descriptors differ
  EXPECT_EQ(many.network.virtual_nodes, 4);
  EXPECT_TRUE(many.network.private_addresses);
  EXPECT_EQ(many.network.admission_effort, 0u);
  ASSERT_OK_AND_ASSIGN(const NodeOptions dear, Node("--network local+v4+w32"));
  EXPECT_EQ(dear.network.name, "local+v4+w32");
  EXPECT_EQ(dear.network.virtual_nodes, 4);
  EXPECT_EQ(dear.network.admission_effort, 32u);
  for (const char* name :
       {"local+w0", "local+w1000001", "local+w", "local+w04", "+w4", "local+w4+v4", "local+w4+w4", "local+v1", "local+v33", "local+v", "local+v04", "local+v+4", "local+v-4", "+v4", "local+4", "local+v4+v4"}) {
    EXPECT_EQ(ErrorOf(Node(std::string("--network ") + name).status()).exit, Exit::kUsage) << name;
  }
}

TEST(RunOptions, DemoAndUpHaveBounds) {
  const auto demo = [](const std::string& line) -> absl::StatusOr<DemoOptions> {
    ASSIGN_OR_RETURN(const auto prepared, Prepare(line, {}));
    return ResolveDemo(prepared.first);
  };
  const auto up = [](const std::string& line) -> absl::StatusOr<UpOptions> {
    ASSIGN_OR_RETURN(const auto prepared, Prepare(line, {}));
    return ResolveUp(prepared.first, prepared.second);
  };
  ASSERT_OK_AND_ASSIGN(const DemoOptions options, demo("demo --nodes 10 --kill 2"));
  EXPECT_EQ(options.nodes, 10);
  EXPECT_EQ(options.kill, 2);
  for (const char* line : {"demo --nodes 4", "demo --nodes 1000", "demo --nodes 5 --kill 2", "demo --kill -1"}) {
    EXPECT_EQ(ErrorOf(demo(line).status()).exit, Exit::kUsage) << line;
  }
  ASSERT_OK_AND_ASSIGN(const UpOptions up_options, up("up --port 20001 --nodes 3"));
  EXPECT_EQ(up_options.first_port, 20001);
  for (const char* line : {"up --nodes 0", "up --port 0", "up --port 65535"})
    EXPECT_EQ(ErrorOf(up(line).status()).exit, Exit::kUsage) << line;
}

TEST(RunOptions, AClientNeedsSomebodyToBeginWith) {
  const auto client = [](const std::string& line, const Outside& outside) -> absl::StatusOr<std::vector<overlay::RpcTarget>> {
    ASSIGN_OR_RETURN(const auto prepared, Prepare(line, outside));
    return ClientBootstrap(prepared.first, prepared.second);
  };
  ASSERT_OK_AND_ASSIGN(const auto fallback, client("poll", {}));
  EXPECT_EQ(AddressesOf(fallback), std::vector<std::string>{"127.0.0.1:10001"});
  ASSERT_OK_AND_ASSIGN(const auto named, client("poll --bootstrap localhost:5", {}));
  EXPECT_EQ(AddressesOf(named), std::vector<std::string>{"127.0.0.1:5"});
  EXPECT_EQ(ErrorOf(client("poll --bootstrap none", {}).status()).exit, Exit::kUsage);
}

}  // namespace
}  // namespace cli
