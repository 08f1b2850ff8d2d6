// SPDX-License-Identifier: Apache-2.0
// cli/talk_errors.h — what the failures of sending and polling mean to the user (cli.md E7, E8).
#pragma once

#include "absl/status/status.h"

namespace cli {

// Of chat::ChatClient: too few nodes, nobody reached, too few copies, a full or refusing mailbox, a damaged inbox.
absl::Status ExplainTalk(const absl::Status& status);

// True if the same may work a moment later: the network, not the request, is at fault.
bool IsPassing(const absl::Status& status);

}  // namespace cli
