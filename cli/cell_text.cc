// SPDX-License-Identifier: Apache-2.0
#include "cli/cell_text.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

#include <algorithm>

namespace cli {
namespace {

constexpr char kReplacement[] = "\xef\xbf\xbd";

struct Character {
  char32_t code = 0xfffd;
  size_t size = 1;
};

// The first character of a text that is not empty; a byte that begins none is U+FFFD.
Character First(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  char32_t code = lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return {};
    code = code << 6 | (next & 0x3f);
  }
  const char32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

bool LeftOut(char32_t code) {
  return code == 0x200d || (code >= 0xfe00 && code <= 0xfe0f) || (code >= 0x1f3fb && code <= 0x1f3ff) ||
         (code >= 0xe0100 && code <= 0xe01ef);
}

// -1: nothing a terminal can draw.
int WidthOf(char32_t code) {
  if (code < 0x80) return code >= 0x20 && code < 0x7f ? 1 : -1;
  return wcwidth(static_cast<wchar_t>(code));
}

}  // namespace

bool UseUtf8() {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return true;
  setlocale(LC_CTYPE, "C.UTF-8");
  return false;
}

std::string ToUtf8(char32_t code) {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return kReplacement;
  const auto byte = [](char32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
  const auto tail = [&](int shift) { return byte(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {byte(0xe0 | code >> 12), tail(6), tail(0)};
  return {byte(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

std::string Drawable(std::string_view text) {
  std::string drawn;
  bool bare = true;  // nothing yet that a mark could stand on
  while (!text.empty()) {
    const Character one = First(text);
    const int width = WidthOf(one.code);
    if (LeftOut(one.code)) {
    } else if (width < 0 || (width == 0 && bare)) {
      drawn += kReplacement;
    } else {
      drawn += one.size == 1 && one.code == 0xfffd ? std::string(kReplacement) : std::string(text.substr(0, one.size));
    }
    bare = bare && LeftOut(one.code);
    text.remove_prefix(one.size);
  }
  return drawn;
}

size_t CellWidth(std::string_view text) {
  size_t cells = 0;
  while (!text.empty()) {
    const Character one = First(text);
    cells += static_cast<size_t>(std::max(0, WidthOf(one.code)));
    text.remove_prefix(one.size);
  }
  return cells;
}

namespace {

// Bytes of the longest beginning of at most `cells` cells, marks on its last character included.
size_t Fitting(std::string_view text, size_t cells) {
  size_t at = 0, used = 0;
  while (at < text.size()) {
    const Character one = First(text.substr(at));
    used += static_cast<size_t>(std::max(0, WidthOf(one.code)));
    if (used > cells) break;
    at += one.size;
  }
  return at;
}

void WrapLine(std::string_view line, size_t cells, std::vector<std::string>& lines) {
  const std::string drawn = Drawable(line);
  std::string_view rest = drawn;
  while (true) {
    size_t fits = Fitting(rest, cells);
    if (fits == rest.size()) break;
    const size_t space = rest[fits] == ' ' ? fits : rest.substr(0, fits).rfind(' ');
    if (space != std::string_view::npos && space > 0) fits = space;
    lines.emplace_back(rest.substr(0, fits));
    rest.remove_prefix(fits);
    if (!rest.empty() && rest[0] == ' ') rest.remove_prefix(1);
  }
  lines.emplace_back(rest);
}

}  // namespace

std::string CutToCells(std::string_view text, size_t cells) {
  const std::string drawn = Drawable(text);
  if (CellWidth(drawn) <= cells) return drawn;
  if (cells == 0) return "";
  return drawn.substr(0, Fitting(drawn, cells - 1)) + "…";
}

std::string PadToCells(std::string_view text, size_t cells) {
  std::string cut = CutToCells(text, cells);
  const size_t width = CellWidth(cut);
  return cut.append(cells - width, ' ');
}

std::vector<std::string> WrapToCells(std::string_view text, size_t cells) {
  std::vector<std::string> lines;
  while (true) {
    const size_t end = text.find('\n');
    WrapLine(text.substr(0, end), std::max<size_t>(cells, 2), lines);
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

std::string AsciiOnly(std::string_view text) {
  std::string ascii;
  while (!text.empty()) {
    const Character one = First(text);
    if (one.code < 0x80) {
      ascii += static_cast<char>(one.code);
    } else if (one.code == 0x2026) {
      ascii += '~';
    } else {
      ascii.append(static_cast<size_t>(std::max(0, WidthOf(one.code))), '?');
    }
    text.remove_prefix(one.size);
  }
  return ascii;
}

size_t PreviousCharacter(std::string_view text, size_t at) {
  if (at == 0) return 0;
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
  return at;
}

size_t NextCharacter(std::string_view text, size_t at) {
  return at >= text.size() ? text.size() : at + First(text.substr(at)).size;
}

}  // namespace cli
