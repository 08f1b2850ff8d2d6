// SPDX-License-Identifier: Apache-2.0
// cli/cell_text.h — text as a terminal's cells show it: how wide it is, cut and wrapped.
//
// Widths are wcwidth's, so the process has a UTF-8 locale (UseUtf8). What joins or colours the characters around it is left out
// (ZWJ, variation selectors, skin tones): terminals disagree how wide the result is, and one wrong guess moves the rest of a
// line. Texts are UTF-8 that passed base::SanitizeForTerminal; whatever else is in them becomes U+FFFD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cli {

// Sets LC_CTYPE, so that wcwidth knows all of Unicode. False: the terminal's own encoding is another one, and is to be given
// ASCII.
bool UseUtf8();

// What is drawn of a text; no newlines in it.
std::string Drawable(std::string_view text);
// Cells that a drawable text takes.
size_t CellWidth(std::string_view text);
// The longest beginning of at most `cells` cells; the last one is "…" if something was left out.
std::string CutToCells(std::string_view text, size_t cells);
// The same, filled up with spaces to exactly `cells`.
std::string PadToCells(std::string_view text, size_t cells);
// Lines of at most `cells` (2 or more), broken at newlines, else behind the last space that fits, else anywhere. One line at
// least.
std::vector<std::string> WrapToCells(std::string_view text, size_t cells);
// A drawable text of ASCII alone: what is not, as "?" of the same width, and "…" as "~".
std::string AsciiOnly(std::string_view text);
// Where the character before, and behind, byte `at` begins.
size_t PreviousCharacter(std::string_view text, size_t at);
size_t NextCharacter(std::string_view text, size_t at);
// UTF-8 of one code point; U+FFFD for what is none.
std::string ToUtf8(char32_t code);

}  // namespace cli
