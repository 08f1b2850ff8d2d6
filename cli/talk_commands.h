// SPDX-License-Identifier: Apache-2.0
// cli/talk_commands.h — bulbil send, bulbil poll and bulbil chat.
//
// All work through the local node's circuits, or, with --bootstrap or without a node, as a client of their own (light_client.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/context.h"
#include "cli/grammar.h"

namespace cli {

// The text is -m or stdin, byte for byte, 1 to chat::kNoteTextMax bytes, to a contact chat::kTextMax; or --file. Without --sign
// no identity is looked at or made.
absl::Status SendNote(const Invocation& invocation, const Context& context);

// Prints every new message once, made safe for a terminal (in JSON too), then a summary. kTime if --wait saw nothing.
absl::Status PollNotes(const Invocation& invocation, const Context& context);

// The screen, or lines: with --line, TERM=dumb, and where stdin or stdout is no terminal.
absl::Status Chat(const Invocation& invocation, const Context& context);

}  // namespace cli
