// SPDX-License-Identifier: Apache-2.0
// cli/chat_screen.h — `chat` on a terminal: binds the correspondence and the model to the screen and to the keys.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/open_book.h"
#include "cli/talk_session.h"

namespace cli {

struct ChatPlan {
  std::string network;
  std::optional<keys::PublicKey> who;  // the thread to begin with
  bool ascii = false;
  bool color = true;
};

// Blocks until the person ends it. Errors of TalkSession::Run and CursesScreen::Open.
absl::Status RunChatScreen(const ChatPlan& plan, const Context& context, TalkSession& session, OpenBook& open);

}  // namespace cli
