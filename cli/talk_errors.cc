// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_errors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "cli/control_client.h"
#include "cli/control_operations.h"
#include "cli/errors.h"

namespace cli {
namespace {

// "... needs 4 other nodes, sees 2": the number at the end; nothing if there is none.
std::string NodesSeen(const std::string& message) {
  const size_t at = message.find_last_not_of("0123456789");
  return at == std::string::npos ? message : message.substr(at + 1);
}

absl::Status TooFewNodes(const std::string& message) {
  const std::string seen = NodesSeen(message);
  return Fail({.exit = Exit::kNetwork,
               .what = absl::StrCat("a message needs 4 other nodes, ", seen.empty() ? "fewer" : absl::StrCat("only ", seen),
                                    " are known"),
               .fix = {"start more nodes:  bulbil --port 10003     or:  bulbil up"}});
}

}  // namespace

absl::Status ExplainTalk(const absl::Status& status) {
  if (IsCommandError(status)) return status;  // said already, in words of its own
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      if (message.find("other nodes") != std::string::npos) return TooFewNodes(message);
      if (message == kNodeRefuses) return ExplainCall(absl::PermissionDeniedError(message));
      return Fail({.exit = Exit::kNetwork, .what = "the network cannot be used", .why = {message}});
    case absl::StatusCode::kUnavailable:
      return Fail({.exit = Exit::kNetwork,
                   .what = "no way through the network was found",
                   .why = {message},
                   .fix = {"start a node:                bulbil", "or name one that runs:       --bootstrap HOST:PORT"}});
    case absl::StatusCode::kDeadlineExceeded:
      return Fail({.exit = Exit::kTime,
                   .what = message,
                   .fix = {"try again: repeating is harmless", "or give it longer:  --timeout 5m"}});
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
      return Fail({.exit = Exit::kRefused,
                   .what = "the mailbox did not take the message",
                   .why = {message},
                   .fix = {"try again later: its owner has to read first"}});
    case absl::StatusCode::kInvalidArgument:
      return Fail({.exit = Exit::kIdentity, .what = "nobody can have this address", .why = {message}});
    case absl::StatusCode::kDataLoss:
      return Fail({.exit = Exit::kLocal, .what = "what was kept of earlier messages cannot be read", .why = {message}});
    default:
      return status;
  }
}

bool IsPassing(const absl::Status& status) {
  const Exit exit = ErrorOf(status).exit;
  return exit == Exit::kNetwork || exit == Exit::kTime;
}

}  // namespace cli
