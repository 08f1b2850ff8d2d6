// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_errors.h"

#include <gtest/gtest.h>

#include "cli/errors.h"

namespace cli {
namespace {

TEST(TalkErrors, HaveTheExitCodesOfTheManual) {
  const std::pair<absl::Status, Exit> cases[] = {
      {absl::FailedPreconditionError("needs 4 other nodes, sees 2"), Exit::kNetwork},
      {absl::FailedPreconditionError("another network: \"garden\""), Exit::kNetwork},
      {absl::UnavailableError("no bootstrap node answered"), Exit::kNetwork},
      {absl::DeadlineExceededError("stored on 1 of 3 replicas, needed 2"), Exit::kTime},
      {absl::ResourceExhaustedError("the door is full"), Exit::kRefused},
      {absl::PermissionDeniedError("refused"), Exit::kRefused},
      {absl::InvalidArgumentError("no valid point"), Exit::kIdentity},
      {absl::DataLossError("damaged"), Exit::kLocal},
      {absl::InternalError("bug"), Exit::kInternal}};
  EXPECT_EQ(ErrorOf(ExplainTalk(Fail({.exit = Exit::kUsage, .what = "said"}))).what, "said");
  for (const auto& [status, exit] : cases) EXPECT_EQ(ErrorOf(ExplainTalk(status)).exit, exit) << status;
}

TEST(TalkErrors, SayHowManyNodesAreKnown) {
  EXPECT_EQ(ErrorOf(ExplainTalk(absl::FailedPreconditionError("needs 4 other nodes, sees 2"))).what,
            "a message needs 4 other nodes, only 2 are known");
  EXPECT_EQ(ErrorOf(ExplainTalk(absl::FailedPreconditionError("too few other nodes"))).what,
            "a message needs 4 other nodes, fewer are known");
}

TEST(TalkErrors, OnlyTheNetworksFaultsPass) {
  EXPECT_TRUE(IsPassing(ExplainTalk(absl::UnavailableError("x"))));
  EXPECT_TRUE(IsPassing(ExplainTalk(absl::FailedPreconditionError("needs 4 other nodes, sees 2"))));
  EXPECT_FALSE(IsPassing(ExplainTalk(absl::DataLossError("x"))));
  EXPECT_FALSE(IsPassing(ExplainTalk(absl::InternalError("x"))));
}

}  // namespace
}  // namespace cli
