// SPDX-License-Identifier: Apache-2.0
// base/terminal_text.h — text from strangers, made safe for a terminal and for what reads our JSON (cli.md 7).
//
// The result is valid UTF-8 and holds, below U+0020, nothing but newlines. Removed: control characters (C0, DEL, C1: no escape
// sequence survives), direction overrides, embeddings and isolates, tag characters, other invisible or deprecated format
// characters, noncharacters, and whatever has no width beyond kZeroWidthRun in a row. Changed: each invalid byte
// to U+FFFD, a tab to four spaces, "\r\n" to "\n", U+2028 and U+2029 to "\n".
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"

namespace base {

inline constexpr int kZeroWidthRun = 2;  // enough for emoji sequences and Vietnamese; stacks of marks climb over other lines

struct TerminalText {
  std::string text;
  size_t removed = 0;  // characters removed and bytes replaced by U+FFFD
};

TerminalText SanitizeForTerminal(ByteView text);

}  // namespace base
