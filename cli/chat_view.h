// SPDX-License-Identifier: Apache-2.0
// cli/chat_view.h — the chat screen as lines of styled text: exactly as many as there are rows, each exactly as wide as the
// terminal. What curses_screen.h draws and the tests read. Pure.
//
//   ┌ contacts ──────┬ bob ✔ verified ───────────────────────────────────────────┐
//   │▸bob ✔         2│ ── today ──────────────────────────────────────────────── │
//   │ carol ?        │ 14:07  bob  The train is at nine. Bring the map.          │
//   │ requests (2)   │ 14:09  you  Understood.                                 ✓ │
//   ├────────────────┴───────────────────────────────────────────────────────────┤
//   │ me · node 10001 · poll in ~4 s     [1: bob 2]   14 bytes, 1 box   F1 help  │
//   │ > bring two maps                                                           │
//   └────────────────────────────────────────────────────────────────────────────┘
#pragma once

#include <vector>

#include "cli/chat_model.h"

namespace cli {

inline constexpr size_t kRowsMin = 8, kColumnsMin = 24;  // below, the screen only says that it is too small

struct ChatPicture {
  std::vector<Line> lines;
  size_t cursor_row = 0, cursor_column = 0;
};
ChatPicture DrawChat(const ChatModel& model);

// "14 bytes, 1 box", and how much room is left in the last box when little is.
std::string BoxCount(size_t bytes);

}  // namespace cli
