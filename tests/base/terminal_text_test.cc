// SPDX-License-Identifier: Apache-2.0
#include "base/terminal_text.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"

namespace base {
namespace {

std::string Clean(std::string_view text) { return SanitizeForTerminal(AsBytes(text)).text; }
size_t Removed(std::string_view text) { return SanitizeForTerminal(AsBytes(text)).removed; }

TEST(TerminalText, OrdinaryTextIsLeftAlone) {
  for (const std::string text : {"", "hello, bob.", "two\nlines\n", "grüße", "日本語", "🧅 👩‍🚀 ❤️", "שלום", "naïve e\xcc\x81"}) {
    EXPECT_EQ(Clean(text), text);
    EXPECT_EQ(Removed(text), 0u);
  }
}

TEST(TerminalText, EscapeSequencesLoseTheirTeeth) {
  EXPECT_EQ(Clean("\x1b[2J\x1b]0;owned\x07!"), "[2J]0;owned!");
  EXPECT_EQ(Removed("\x1b[2J\x1b]0;owned\x07!"), 3u);
  EXPECT_EQ(Clean("\xc2\x9b" "31mred"), "31mred");  // C1 CSI
  EXPECT_EQ(Clean("a\b\bb\x7f\rc"), "abc");
  EXPECT_EQ(Clean(std::string_view("nul\0!", 5)), "nul!");
}

TEST(TerminalText, TabsAndLineEndsBecomeSpacesAndNewlines) {
  EXPECT_EQ(Clean("a\tb"), "a    b");
  EXPECT_EQ(Clean("a\r\nb"), "a\nb");
  EXPECT_EQ(Clean("a\xe2\x80\xa8" "b"), "a\nb");
  EXPECT_EQ(Removed("a\tb\r\nc"), 0u);
}

TEST(TerminalText, DirectionTricksAndTagsAreRemoved) {
  EXPECT_EQ(Clean("\xe2\x80\xae" "exe.gpj"), "exe.gpj");
  EXPECT_EQ(Clean("\xe2\x81\xa6x\xe2\x81\xa9"), "x");
  EXPECT_EQ(Clean("a\xf3\xa0\x81\x81" "b"), "ab");
}

TEST(TerminalText, RunsWithoutWidthAreCut) {
  std::string zalgo = "a";
  for (int i = 0; i < 50; ++i) zalgo += "\xcc\x81";
  EXPECT_EQ(Clean(zalgo + "b"), "a\xcc\x81\xcc\x81" "b");
  EXPECT_EQ(Removed(zalgo), 48u);
  EXPECT_EQ(Clean("\xe2\x80\x8b\xe2\x80\x8b\xe2\x80\x8bx\xe2\x80\x8b"), "\xe2\x80\x8b\xe2\x80\x8bx\xe2\x80\x8b");
}

TEST(TerminalText, InvalidBytesAreReplacedOneByOne) {
  EXPECT_EQ(Clean("a\xff" "b"), "a\xef\xbf\xbd" "b");
  EXPECT_EQ(Clean("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");             // overlong
  EXPECT_EQ(Clean("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // surrogate
  EXPECT_EQ(Clean("\xf4\x90\x80\x80").size(), 12u);                      // beyond U+10FFFF
  EXPECT_EQ(Clean("\xe2\x80"), "\xef\xbf\xbd\xef\xbf\xbd");             // cut off
  EXPECT_EQ(Removed("\xe2\x80"), 2u);
}

// A second, naive look at the result: only what is allowed, character by character.
bool IsSafe(const std::string& text) {
  int run = 0;
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
    if (size == 0 || i + size > text.size()) return false;
    char32_t code = size == 1 ? lead : lead & (0xff >> (size + 1));
    for (size_t k = 1; k < size; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return false;
      code = code << 6 | (text[i + k] & 0x3f);
    }
    if ((code < 0x20 && code != '\n') || (code >= 0x7f && code <= 0x9f)) return false;
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)) return false;
    if (code >= 0xd800 && code <= 0xdfff) return false;
    const bool zero_width = (code >= 0x200b && code <= 0x200d) || (code >= 0x300 && code <= 0x36f) || code == 0xfeff;
    run = zero_width ? run + 1 : 0;
    if (run > kZeroWidthRun) return false;
    i += size;
  }
  return true;
}

TEST(TerminalText, WhateverComesTheResultIsSafeAndCleaningItAgainChangesNothing) {
  support::SeededRng rng(31);
  const std::string pieces[] = {"\x1b[", "\xe2\x80\xae", "\xe2\x80\x8d", "\xcc\x81", "\xc2\x9b", "\xef\xbb\xbf", "\n", "\t", "x",
                                "\xf0\x9f\xa7\x85", "\xed\xa0\x80", "\xf3\xa0\x81\x81", "\xe2\x81\xa7"};
  for (int i = 0; i < 1000000; ++i) {
    std::string text;
    for (uint64_t n = rng.Below(20); n > 0; --n) {
      if (rng.Below(2) == 0) {
        text += pieces[rng.Below(std::size(pieces))];
      } else {
        text += static_cast<char>(rng.Below(256));
      }
    }
    const std::string clean = Clean(text);
    ASSERT_TRUE(IsSafe(clean)) << ToHex(AsBytes(text));
    ASSERT_EQ(Clean(clean), clean) << ToHex(AsBytes(text));
  }
}

}  // namespace
}  // namespace base
