// SPDX-License-Identifier: Apache-2.0
#include "cli/cell_text.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "base/terminal_text.h"
#include "cli/input_line.h"
#include "tests/support/seeded_rng.h"

namespace cli {
namespace {

class CellText : public testing::Test {
 protected:
  CellText() { UseUtf8(); }
};

TEST_F(CellText, WideCharactersTakeTwoCellsAndMarksNone) {
  EXPECT_EQ(CellWidth("abc"), 3u);
  EXPECT_EQ(CellWidth("日本語"), 6u);
  EXPECT_EQ(CellWidth("😀"), 2u);
  EXPECT_EQ(CellWidth("e\xcc\x81"), 1u);
  EXPECT_EQ(CellWidth(""), 0u);
}

TEST_F(CellText, WhatTerminalsDisagreeAboutIsLeftOut) {
  EXPECT_EQ(Drawable("👨\u200d👩"), "👨👩");
  EXPECT_EQ(Drawable("❤\ufe0f"), "❤");
  EXPECT_EQ(Drawable("👍\U0001f3fd!"), "👍!");
  EXPECT_EQ(Drawable("\u0301x"), "\ufffdx") << "a mark that stands on nothing";
  EXPECT_EQ(Drawable("a\x1b[2Jb\x80"), "a\ufffd[2Jb\ufffd");
}

TEST_F(CellText, CutsAndFillsToExactlyTheCells) {
  EXPECT_EQ(CutToCells("bulbil", 6), "bulbil");
  EXPECT_EQ(CutToCells("bulbil", 5), "bulb…");
  EXPECT_EQ(CutToCells("日本語", 5), "日本…");
  EXPECT_EQ(PadToCells("日本語", 4), "日… ");
  EXPECT_EQ(PadToCells("ab", 4), "ab  ");
  EXPECT_EQ(PadToCells("ab", 0), "");
}

TEST_F(CellText, WrapsAtSpacesElseAnywhereAndAtNewlines) {
  EXPECT_EQ(absl::StrJoin(WrapToCells("the train is at nine", 9), "|"), "the train|is at|nine");
  EXPECT_EQ(absl::StrJoin(WrapToCells("abcdefgh", 3), "|"), "abc|def|gh");
  EXPECT_EQ(absl::StrJoin(WrapToCells("日本語", 3), "|"), "日|本|語");
  EXPECT_EQ(absl::StrJoin(WrapToCells("a\n\nb", 9), "|"), "a||b");
  EXPECT_EQ(absl::StrJoin(WrapToCells("", 9), "|"), "");
}

TEST_F(CellText, NoTextMakesALineWiderThanItsCells) {
  support::SeededRng rng(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (uint64_t left = rng.Below(40); left > 0; --left)
      text += ToUtf8(static_cast<char32_t>(rng.Below(rng.Below(2) ? 0x3000 : 0x20000)));
    const std::string safe = base::SanitizeForTerminal(base::AsBytes(text)).text;
    const size_t cells = 2 + rng.Below(30);
    for (const std::string& line : WrapToCells(safe, cells)) ASSERT_LE(CellWidth(line), cells) << text;
    ASSERT_EQ(CellWidth(PadToCells(safe, cells)), cells) << text;
  }
}

TEST_F(CellText, AsciiAloneKeepsTheWidth) {
  EXPECT_EQ(AsciiOnly("a日…é"), "a??~?");
  EXPECT_EQ(CellWidth(AsciiOnly("日本 x")), CellWidth("日本 x"));
}

class Typing : public CellText {
 protected:
  std::string Shown(size_t cells, size_t rows) const {
    const InputLine::Shown shown = line_.Show(cells, rows);
    return absl::StrJoin(shown.lines, "|") + " " + std::to_string(shown.cursor_line) + "," + std::to_string(shown.cursor_cell);
  }
  InputLine line_;
};

TEST_F(Typing, InsertsAtTheCursorAndMovesByCharacters) {
  line_.Insert("日本", 100);
  line_.Left();
  line_.Insert("x", 100);
  EXPECT_EQ(line_.text(), "日x本");
  line_.Backspace();
  line_.Delete();
  EXPECT_EQ(line_.text(), "日");
  line_.Right();
  EXPECT_EQ(line_.cursor(), line_.text().size());
}

TEST_F(Typing, WhatIsPastedIsMadeSafeAndHeldToTheLimit) {
  EXPECT_TRUE(line_.Insert("a\x1b[2J\tb\nc", 100));
  EXPECT_EQ(line_.text(), "a[2J    b\nc");
  line_.Clear();
  EXPECT_FALSE(line_.Insert("日本", 4));
  EXPECT_EQ(line_.text(), "日") << "no half character";
}

TEST_F(Typing, DeletesWordsAndLines) {
  line_.Insert("one two", 100);
  line_.DeleteWordBack();
  EXPECT_EQ(line_.text(), "one ");
  line_.Insert("\nthree", 100);
  line_.DeleteToStart();
  EXPECT_EQ(line_.text(), "one \n");
  line_.DeleteWordBack();
  EXPECT_EQ(line_.text(), "one ") << "a newline by itself";
}

TEST_F(Typing, ShowsTheLinesAroundTheCursor) {
  line_.Insert("abcdef", 100);
  EXPECT_EQ(Shown(4, 3), "abcd|ef 1,2");
  line_.Insert("gh", 100);
  EXPECT_EQ(Shown(4, 3), "abcd|efgh| 2,0") << "the cursor has a cell of its own";
  line_.Home();
  EXPECT_EQ(Shown(4, 2), "abcd|efgh 0,0");
  line_.End();
  line_.Insert("\nx", 100);
  EXPECT_EQ(Shown(4, 2), "efgh|x 1,1");
}

}  // namespace
}  // namespace cli
