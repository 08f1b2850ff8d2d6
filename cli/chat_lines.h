// SPDX-License-Identifier: Apache-2.0
// cli/chat_lines.h — `chat --line`: no control of the screen at all, one line for each thing that happens. For screen readers,
// simple terminals and scripts.
//
// Read: "@bob text" to bob (@"Anna Maria" where a name has spaces), "text" to whom was written last, "/command", "//text" begins
// with one slash. Written to stdout:
//   14:07 bob: The train is at nine.        of more than one line: the others indented by four
//   14:09 you to bob: Understood.
//   14:09 to bob: stored on 3: Understood.  states, with how the text begins; notices
// At the end of its input it goes on until everything typed is stored, then ends.
#pragma once

#include "cli/chat_screen.h"

namespace cli {

// "@bob text" and "@\"bob\" text" -> "bob", "text"; no name: to whom was written last.
struct TypedLine {
  std::string to, text;
  bool is_quoted = false;
};
TypedLine ParseTypedLine(const std::string& line);
// Names may have spaces: "@Anna Maria hi" is for whoever of "Anna", "Anna Maria" and "Anna Maria hi" is known. Nobody: as typed.
// kUsage if more than one is: a text must not go to somebody else.
absl::StatusOr<TypedLine> Addressed(const TypedLine& typed, const std::function<bool(const std::string& name)>& is_known);

// Blocks until the input ends and all that was typed is stored, at most `patience` longer: then kTime, with what waits kept for
// the next poll. Else, if a line could not be carried out (no such name, no such command), the error of the first such line.
absl::Status RunChatLines(const ChatPlan& plan, absl::Duration patience, TalkSession& session, OpenBook& open);

}  // namespace cli
