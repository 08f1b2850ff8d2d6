// SPDX-License-Identifier: Apache-2.0
// cli/logging.h — the log: stderr, one line each, "HH:MM:SS.mmm level component message key=value".
//
// Everybody logs through spdlog's default logger as "component: message"; what stands before the first ": " is the component.
// Under journald ($JOURNAL_STREAM) no time and no colour but its priority prefix, as <6>. The component "rpc" (every call with
// its size and duration) is shown from -vvv on only.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"

namespace cli {

// Levels as spdlog numbers them: trace 0, debug 1, info 2, warn 3, err 4, off 6.
struct LogOptions {
  int level = 2;
  std::map<std::string, int> components;  // that differ from it
  bool color = false;
  bool journal = false;
};

// Nodes log at info, everything else at warn; -v debug, -vv trace, -vvv trace with every call, -q warn; a flag wins over
// BULBIL_LOG ("debug", or "link=trace,ring=info"), which wins over [log] level. kUsage for a level or a component that does not
// exist.
absl::StatusOr<LogOptions> ResolveLog(const Context& context, bool runs_nodes, bool is_terminal);

// Replaces spdlog's default logger; silences gRPC's and protobuf's own. Before the first call of either.
void StartLogging(const LogOptions& options);

// Colour for text on stdout or stderr: --color, NO_COLOR, [ui] color, else whether it is a terminal. kUsage for another word.
absl::StatusOr<bool> WantsColor(const Context& context, bool is_terminal);

}  // namespace cli
