// SPDX-License-Identifier: Apache-2.0
// cli/chat_commands.h — what a line that begins with "/" does in `chat`, on the screen and with --line alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/open_book.h"

namespace cli {

struct ChatReply {
  std::string text;      // to be shown; may have many lines
  bool page = false;     // as a page of its own
  bool cleared = false;  // /burn: nothing is left of this thread
};

// `words`: the command and what follows it; `about`: whose thread is open. /help, /poll and /quit are the caller's. Errors as the
// commands `contacts`, `invite` and `accept` have them; nothing is changed then.
absl::StatusOr<ChatReply> RunChatCommand(OpenBook& open, const std::string& network, const std::vector<std::string>& words,
                                         const std::optional<keys::PublicKey>& about);

// "what; fix": an error in one line.
std::string ErrorLine(const absl::Status& status);

}  // namespace cli
