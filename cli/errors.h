// SPDX-License-Identifier: Apache-2.0
// cli/errors.h — errors as users see them: what happened, why, and the command that fixes it; and the program's exit codes.
//
//   error: port 10001 is already in use
//     a bulbil node is running there
//     fix: join it with a second node:   bulbil --port 10002
// With --json one object a line: {"schema":1,"type":"error","code":5,"what":"...","why":"...","fix":"..."}.
// Both go to stderr. Inside the program such an error is an absl::Status that carries the rest as a payload, so it passes
// through the same macros as any other.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cli {

enum class Exit : int {
  kDone = 0,
  kInternal = 1,  // please report
  kUsage = 2,     // command line or configuration
  kIdentity = 3,  // none, wrong passphrase, bad address
  kNetwork = 4,   // no node, bootstrap or circuit reachable
  kLocal = 5,     // port in use, store locked or corrupt, permissions
  kTime = 6,      // time ran out, fewer replicas than required, nothing there yet: a script may try again
  kRefused = 7,   // too large, quota, not this node's business
};

struct CommandError {
  Exit exit = Exit::kInternal;
  std::string what;
  std::vector<std::string> why;  // lines
  std::vector<std::string> fix;  // the first is the command to try; others begin with "or"
};

// A status that carries this error; its message is `what`.
absl::Status Fail(CommandError error);

// Whether it carries such an error.
bool IsCommandError(const absl::Status& status);

// The error a status carries, or, for a status of another room, one made of its code and message: Unavailable is the network,
// DeadlineExceeded time, ResourceExhausted a refusal, and what nobody expected an internal error.
CommandError ErrorOf(const absl::Status& status);

std::string FormatError(const CommandError& error);      // lines, each with its newline
std::string FormatErrorJson(const CommandError& error);  // one line

// Prints the error on stderr and returns its exit code; for OK prints nothing and returns 0.
int Report(const absl::Status& status, bool json);

}  // namespace cli
