// SPDX-License-Identifier: Apache-2.0
#include "cli/bootstrap_probe.h"

#include <gtest/gtest.h>

#include <map>

#include "cli/errors.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

class BootstrapProbeTest : public testing::Test {
 protected:
  // Each address answers what `answers_` says, at once; others are dead.
  circuits::IntroduceFunction Introduce() {
    return [this](const overlay::RpcTarget& target, std::function<void(absl::StatusOr<overlay::Introduction>)> done) {
      asked_.push_back(target.address);
      const auto it = answers_.find(target.address);
      const absl::Status status = it == answers_.end() ? absl::UnavailableError("") : it->second;
      loop_.Post([status, done = std::move(done)] {
        if (status.ok()) return done(overlay::Introduction{});
        done(status);
      });
    };
  }
  absl::Status Probe(absl::Duration run_for) {
    absl::Status result = absl::UnknownError("not called back");
    BootstrapProbe probe({{.address = "127.0.0.1:1"}, {.address = "127.0.0.1:2"}}, Introduce(), loop_);
    probe.Start(absl::Seconds(10), [&](absl::Status status) { result = std::move(status); });
    loop_.RunFor(run_for);
    return result;
  }

  support::ManualLoop loop_;
  std::map<std::string, absl::Status> answers_;
  std::vector<std::string> asked_;
};

TEST_F(BootstrapProbeTest, OneNodeThatAnswersIsEnough) {
  answers_["127.0.0.1:2"] = absl::OkStatus();
  EXPECT_OK(Probe(absl::ZeroDuration()));
  EXPECT_EQ(asked_, (std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
}

TEST_F(BootstrapProbeTest, WaitsForANodeThatIsStarting) {
  loop_.At(loop_.Now() + absl::Milliseconds(2500), [this] { answers_["127.0.0.1:1"] = absl::OkStatus(); });
  EXPECT_OK(Probe(absl::Seconds(4)));
  EXPECT_EQ(asked_.size(), 7u) << "three rounds in vain, then the first";
}

TEST_F(BootstrapProbeTest, GivesUpWithTheFix) {
  const absl::Status status = Probe(absl::Seconds(10));
  const CommandError error = ErrorOf(status);
  EXPECT_EQ(error.exit, Exit::kNetwork);
  EXPECT_EQ(error.what, "no bootstrap node answered at localhost:1, localhost:2 (tried 10 times in 9.0 s)");
  EXPECT_FALSE(error.fix.empty());
}

TEST_F(BootstrapProbeTest, AnotherNetworkIsSaidAtOnce) {
  answers_["127.0.0.1:1"] = absl::FailedPreconditionError("it is of the network \"garden\"");
  const CommandError error = ErrorOf(Probe(absl::ZeroDuration()));
  EXPECT_EQ(error.exit, Exit::kNetwork);
  EXPECT_EQ(error.why, std::vector<std::string>{"it is of the network \"garden\""});
}

TEST_F(BootstrapProbeTest, AMisfitBesideAGoodNodeDoesNotMatter) {
  answers_["127.0.0.1:1"] = absl::UnauthenticatedError("wrong key");
  answers_["127.0.0.1:2"] = absl::OkStatus();
  EXPECT_OK(Probe(absl::ZeroDuration()));
}

}  // namespace
}  // namespace cli
