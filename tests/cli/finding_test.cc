// SPDX-License-Identifier: Apache-2.0
#include "cli/finding.h"

#include "tests/support/status_matchers.h"

namespace cli {
namespace {

using Level = Finding::Level;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

bulbil::v1::StatusReply Healthy() {
  bulbil::v1::StatusReply status;
  status.set_state("ready");
  status.set_role("node");
  status.set_listening("0.0.0.0:10001");
  status.set_advertised("203.0.113.5:10001");
  status.mutable_ring()->set_size_estimate(12);
  status.mutable_store()->set_state("ok");
  status.mutable_store()->set_records(1184);
  return status;
}

std::vector<Level> LevelsOf(const bulbil::v1::StatusReply& status) {
  std::vector<Level> levels;
  for (const Finding& one : JudgeNode(status)) levels.push_back(one.level);
  return levels;
}

TEST(Findings, AHealthyNodeHasNone) { EXPECT_EQ(LevelsOf(Healthy()), (std::vector<Level>{Level::kOk, Level::kOk, Level::kOk})); }

TEST(Findings, EachIllnessIsNamed) {
  auto status = Healthy();
  status.set_state("detached");
  EXPECT_EQ(LevelsOf(status)[0], Level::kFail);
  status = Healthy();
  status.mutable_ring()->set_size_estimate(4);
  EXPECT_EQ(JudgeNode(status)[0].exit, Exit::kNetwork);
  status = Healthy();
  status.set_advertised("127.0.0.1:10001");
  EXPECT_EQ(JudgeNode(status)[1].fix.rfind("bulbil --network NAME --listen 0.0.0.0:10001 --advertise HOST:10001 ", 0), 0u);
  const std::vector<std::pair<const char*, Level>> states = {
      {"full", Level::kFail}, {"failing", Level::kFail}, {"suspect", Level::kWarn}, {"none", Level::kOk}, {"ok", Level::kOk}};
  for (const auto& [state, level] : states) {
    status = Healthy();
    status.mutable_store()->set_state(state);
    EXPECT_EQ(JudgeNode(status)[2].level, level) << state;
  }
  status = Healthy();
  status.mutable_store()->set_repairing(2);
  EXPECT_EQ(LevelsOf(status)[2], Level::kWarn);
}

// A table issued `age` before a clock that is `error` ahead looks at it.
NeighbourSeen Seen(absl::Duration age, absl::Duration error) {
  NeighbourSeen seen;
  seen.table.issued = kNow - age;
  seen.table.expires = seen.table.issued + absl::Minutes(10);
  seen.now = kNow + error;
  return seen;
}

TEST(Findings, AClockIsJudgedByWhatTheAgeOfATableAllows) {
  EXPECT_EQ(ClockError(Seen(absl::Minutes(2), absl::ZeroDuration())), absl::ZeroDuration());
  EXPECT_EQ(ClockError(Seen(absl::Minutes(2), absl::Minutes(13))), absl::Minutes(10));
  EXPECT_EQ(ClockError(Seen(absl::Minutes(2), -absl::Minutes(12))), -absl::Minutes(10));
}

TEST(Findings, TheMedianOfTheNeighboursSaysWhatTheClockIs) {
  const auto fine = Seen(absl::Minutes(1), absl::ZeroDuration());
  const auto ahead = Seen(absl::Minutes(1), absl::Minutes(30)), behind = Seen(absl::Minutes(1), -absl::Minutes(30));
  EXPECT_EQ(JudgeClock({fine, fine, ahead}, 0).level, Level::kOk);
  EXPECT_EQ(JudgeClock({ahead, fine, ahead}, 0).text, "this clock is 26 m or more ahead of its neighbours'");
  EXPECT_EQ(JudgeClock({behind, behind, ahead}, 0).text, "this clock is 29 m or more behind its neighbours'");
  EXPECT_EQ(JudgeClock({}, 0).level, Level::kWarn);
  EXPECT_EQ(JudgeClock({}, 1).level, Level::kFail);
  EXPECT_EQ(JudgeClock({fine, fine}, 1).level, Level::kOk) << "one neighbour's own clock is off";
}

TEST(Findings, LimitsAreTold) {
  EXPECT_EQ(JudgeLimits(4096, uint64_t{1} << 30).level, Level::kOk);
  EXPECT_EQ(JudgeLimits(256, uint64_t{1} << 30).fix, "ulimit -n 4096");
  EXPECT_EQ(JudgeLimits(4096, 1 << 20).fix, "free some space");
}

TEST(Findings, TheFirstFailureIsTheOutcome) {
  const Finding ok{Level::kOk, "home", "fine", ""}, warn{Level::kWarn, "port", "loopback", "bulbil --advertise HOST:1"};
  const Finding fail{Level::kFail, "store", "the disk is full", "free some space", Exit::kLocal};
  EXPECT_OK(OutcomeOf({ok, warn}));
  const absl::Status outcome = OutcomeOf({ok, fail, FindingOf("node", Fail({.exit = Exit::kNetwork, .what = "none"}))});
  EXPECT_EQ(ErrorOf(outcome).exit, Exit::kLocal);
  EXPECT_EQ(ErrorOf(outcome).fix, std::vector<std::string>{"free some space"});
  EXPECT_EQ(FindingsScreen({ok, warn, fail}),
            "ok    home: fine\n"
            "warn  port: loopback\n        fix: bulbil --advertise HOST:1\n"
            "fail  store: the disk is full\n        fix: free some space\n"
            "1 ok · 1 warning · 1 failure\n");
  EXPECT_EQ(FindingsJson({warn}),
            "{\"schema\":1,\"type\":\"check\",\"name\":\"port\",\"level\":\"warn\",\"text\":\"loopback\","
            "\"fix\":\"bulbil --advertise HOST:1\"}\n"
            "{\"schema\":1,\"type\":\"summary\",\"ok\":0,\"warnings\":1,\"failures\":0}\n");
}

}  // namespace
}  // namespace cli
