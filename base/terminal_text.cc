// SPDX-License-Identifier: Apache-2.0
#include "base/terminal_text.h"

#include <algorithm>
#include <iterator>

namespace base {

namespace {

struct CodeRange {
  char32_t first, last;
};

constexpr CodeRange kForbidden[] = {
    {0x00, 0x09},       {0x0b, 0x1f},       // C0 but newline
    {0x7f, 0x9f},                           // DEL, C1
    {0x061c, 0x061c},   {0x200e, 0x200f},   // direction marks
    {0x202a, 0x202e},   {0x2066, 0x2069},   // embeddings, overrides, isolates
    {0x206a, 0x206f},                       // deprecated formats
    {0xfdd0, 0xfdef},   {0xfff9, 0xfffb},   // noncharacters, interlinear annotation
    {0x1d173, 0x1d17a}, {0xe0000, 0xe007f},  // musical formats, tags
};
constexpr CodeRange kZeroWidth[] = {
    {0x00ad, 0x00ad},   {0x0300, 0x036f}, {0x0483, 0x0489}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
    {0x1ab0, 0x1aff},   {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x2060, 0x2065}, {0x20d0, 0x20ff}, {0x3164, 0x3164},
    {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xe0100, 0xe01ef},
};

template <size_t N>
bool In(const CodeRange (&ranges)[N], char32_t code) {
  const auto after = std::upper_bound(std::begin(ranges), std::end(ranges), code,
                                      [](char32_t value, const CodeRange& range) { return value < range.first; });
  return after != std::begin(ranges) && code <= std::prev(after)->last;
}

bool IsNoncharacter(char32_t code) { return (code & 0xfffe) == 0xfffe; }

struct Decoded {
  char32_t code = 0;
  size_t size = 0;  // 0: the first byte belongs to no character
};

// Unicode 15, table 3-7: shortest forms, no surrogates, nothing above U+10FFFF.
Decoded DecodeFirst(ByteView bytes) {
  const uint8_t lead = bytes[0];
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < size) return {};
  char32_t code = lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((bytes[i] & 0xc0) != 0x80) return {};
    code = code << 6 | (bytes[i] & 0x3f);
  }
  const char32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

class Sanitizer {
 public:
  // How many bytes of `rest` were dealt with.
  size_t Step(ByteView rest) {
    const Decoded decoded = DecodeFirst(rest);
    if (decoded.size == 0) return Replace();
    if (decoded.code == '\r' && rest.size() > 1 && rest[1] == '\n') return 1;
    if (decoded.code == '\t') return Emit("    ", 1);
    if (decoded.code == 0x2028 || decoded.code == 0x2029) return Emit("\n", decoded.size);
    if (In(kForbidden, decoded.code) || IsNoncharacter(decoded.code)) return Remove(decoded.size);
    if (!In(kZeroWidth, decoded.code)) return Emit(AsText(rest.first(decoded.size)), decoded.size);
    if (++zero_width_ > kZeroWidthRun) return Remove(decoded.size);
    result_.text.append(AsText(rest.first(decoded.size)));
    return decoded.size;
  }
  TerminalText Take() { return std::move(result_); }

 private:
  size_t Emit(std::string_view text, size_t size) {
    zero_width_ = 0;
    result_.text.append(text);
    return size;
  }
  size_t Remove(size_t size) {
    ++result_.removed;
    return size;
  }
  size_t Replace() {
    ++result_.removed;
    return Emit("\xef\xbf\xbd", 1);
  }

  TerminalText result_;
  int zero_width_ = 0;
};

}  // namespace

TerminalText SanitizeForTerminal(ByteView text) {
  Sanitizer sanitizer;
  while (!text.empty()) text = text.subspan(sanitizer.Step(text));
  return sanitizer.Take();
}

}  // namespace base
