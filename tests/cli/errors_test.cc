// SPDX-License-Identifier: Apache-2.0
#include "cli/errors.h"

#include <gtest/gtest.h>

namespace cli {
namespace {

TEST(Errors, PrintTheFixUnderWhatHappened) {
  const CommandError error{.exit = Exit::kLocal,
                           .what = "port 10001 is already in use",
                           .why = {"a bulbil node is running there"},
                           .fix = {"join it:  bulbil --port 10002", "or stop it"}};
  EXPECT_EQ(FormatError(error),
            "error: port 10001 is already in use\n"
            "  a bulbil node is running there\n"
            "  fix: join it:  bulbil --port 10002\n"
            "       or stop it\n");
}

TEST(Errors, AreOneObjectInJson) {
  EXPECT_EQ(FormatErrorJson({.exit = Exit::kNetwork, .what = "no \"node\"", .fix = {"bulbil", "or wait"}}),
            "{\"schema\":1,\"type\":\"error\",\"code\":4,\"what\":\"no \\\"node\\\"\",\"fix\":\"bulbil\\nor wait\"}\n");
}

TEST(Errors, SurviveTheWayThroughAStatus) {
  for (const Exit exit :
       {Exit::kInternal, Exit::kUsage, Exit::kIdentity, Exit::kNetwork, Exit::kLocal, Exit::kTime, Exit::kRefused}) {
    const absl::Status status = Fail({.exit = exit, .what = "w", .why = {"a", "b"}, .fix = {"c", "d", "e"}});
    ASSERT_FALSE(status.ok());
    const CommandError error = ErrorOf(status);
    EXPECT_EQ(error.exit, exit);
    EXPECT_EQ(error.what, "w");
    EXPECT_EQ(error.why, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(error.fix, (std::vector<std::string>{"c", "d", "e"}));
  }
}

TEST(Errors, OfOtherRoomsHaveAnExitCode) {
  EXPECT_EQ(ErrorOf(absl::UnavailableError("x")).exit, Exit::kNetwork);
  EXPECT_EQ(ErrorOf(absl::DeadlineExceededError("x")).exit, Exit::kTime);
  EXPECT_EQ(ErrorOf(absl::ResourceExhaustedError("x")).exit, Exit::kRefused);
  EXPECT_EQ(ErrorOf(absl::PermissionDeniedError("x")).exit, Exit::kRefused);
  EXPECT_EQ(ErrorOf(absl::DataLossError("x")).exit, Exit::kLocal);
  EXPECT_EQ(ErrorOf(absl::InvalidArgumentError("x")).exit, Exit::kUsage);
  EXPECT_EQ(ErrorOf(absl::InternalError("x")).exit, Exit::kInternal);
  EXPECT_EQ(ErrorOf(absl::UnknownError("")).what, "UNKNOWN");
  EXPECT_FALSE(ErrorOf(absl::InternalError("x")).fix.empty()) << "an internal error asks to be reported";
}

TEST(Errors, CannotSteerTheTerminal) {
  const std::string text = FormatError({.exit = Exit::kUsage, .what = "unknown \x1b[31m\x07 word\x7f \xc2\x9b" "2J \xff"});
  EXPECT_EQ(text, "error: unknown [31m word 2J \xef\xbf\xbd\n");
}

TEST(Errors, ReportReturnsTheExitCode) {
  EXPECT_EQ(Report(absl::OkStatus(), /*json=*/false), 0);
  testing::internal::CaptureStderr();
  EXPECT_EQ(Report(Fail({.exit = Exit::kTime, .what = "late"}), /*json=*/false), 6);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "error: late\n");
}

}  // namespace
}  // namespace cli
