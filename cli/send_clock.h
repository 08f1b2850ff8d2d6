// SPDX-License-Identifier: Apache-2.0
// cli/send_clock.h — whether a `send` waits for the clock of the node, and what commands tell about that.
#pragma once

#include <memory>
#include <string>

#include "cli/talk_session.h"

namespace cli {

// With a node that has a clock, and without --now, operations wait for its ticks; a line on stderr says how long so many of them
// will take about.
absl::StatusOr<std::unique_ptr<TalkSession>> OpenForSending(const Invocation& invocation, const Context& context,
                                                            size_t operations);
// What was done beside a clock was seen: a line on stderr. `what`: "Sent", "Read".
void SayWhatNowShows(const std::string& what, const TalkSession& session, const Context& context);

}  // namespace cli
