// SPDX-License-Identifier: Apache-2.0
// The chat screen without a terminal: the model and the picture it makes.
#include "cli/chat_model.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/cell_text.h"
#include "cli/chat_view.h"
#include "tests/support/seeded_rng.h"

namespace cli {
namespace {

using Code = Key::Code;
using Kind = ChatModel::Kind;

class ChatModelTest : public testing::Test {
 protected:
  ChatModelTest() {
    UseUtf8();
    model_.SetTime(now_);
    model_.SetSize(24, 80);
    model_.SetPeople({{bob_, "bob", '+'}, {carol_, "carol", '?'}}, 0);
    model_.SetStatus({"me", "node 10001", "poll in ~4 s", ""});
  }

  chat::Message From(const keys::PublicKey& key, const std::string& text) {
    chat::Message message;
    message.id = rng_.Array<16>();
    message.text = base::ToBytes(base::AsBytes(text));
    message.from = key;
    message.received = now_;
    message.in_conversation = true;
    return message;
  }
  chat::Message Own(const keys::PublicKey& key, const std::string& text) {
    chat::Message message = From(key, text);
    message.own = true;
    return message;
  }
  void OpenBob() { model_.Open({Kind::kContact, bob_}); }
  ChatActions Type(const std::string& text) {
    model_.OnKey({Code::kText, text, 0});
    return model_.OnKey({Code::kEnter, "", 0});
  }
  ChatActions Press(Code code, int number = 0) { return model_.OnKey({code, "", number}); }

  std::vector<std::string> Rows() {
    std::vector<std::string> rows;
    for (const Line& line : DrawChat(model_).lines) {
      std::string row;
      for (const Span& span : line) row += span.text;
      rows.push_back(row);
    }
    return rows;
  }
  std::string Picture() { return absl::StrJoin(Rows(), "\n"); }
  bool Shows(const std::string& text) { return absl::StrContains(Picture(), text); }
  // As many rows as the terminal has, each exactly as wide.
  void ExpectFits() {
    const std::vector<std::string> rows = Rows();
    ASSERT_EQ(rows.size(), model_.rows());
    for (const std::string& row : rows) ASSERT_EQ(CellWidth(row), model_.columns()) << row;
    const ChatPicture picture = DrawChat(model_);
    EXPECT_LT(picture.cursor_row, model_.rows());
    EXPECT_LT(picture.cursor_column, model_.columns());
  }

  support::SeededRng rng_{3};
  const keys::PublicKey bob_{rng_.Array<32>()}, carol_{rng_.Array<32>()};
  const absl::Time now_ = absl::FromCivil(absl::CivilSecond(2026, 11, 23, 14, 7, 0), absl::UTCTimeZone());
  ChatModel model_{absl::UTCTimeZone(), /*ascii=*/false};
};

TEST_F(ChatModelTest, AGroupIsAThreadWithNamesOfItsOwn) {
  const keys::PublicKey friends{rng_.Array<32>()};
  model_.SetPeople({{bob_, "bob", '+'}, {friends, "[friends]", ' '}}, 0);
  model_.Open({Kind::kContact, friends});
  chat::Message theirs = From(carol_, "hello, all");
  theirs.group = friends;
  model_.AddMessage(theirs, true, "~carol\x1b");
  chat::Message own = Own(friends, "hello, carol");
  own.group = friends;
  own.fate = chat::Fate::kStored;
  model_.AddMessage(own, false);
  EXPECT_TRUE(Shows("[friends]") && Shows("14:07  ~carol  hello, all")) << Picture();
  EXPECT_TRUE(Shows("hello, carol")) << Picture();
  EXPECT_EQ(model_.threads().at({Kind::kContact, friends}).entries.back().state, chat::DeliveryState::kStored);
  EXPECT_TRUE(model_.threads().at({Kind::kContact, bob_}).entries.empty());
  const ChatActions actions = Type("to all of you");
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<SendText>(actions[0]).to, friends);
  ExpectFits();
}

TEST_F(ChatModelTest, DrawsWhatWasSaidWithTimesNamesAndTicks) {
  OpenBob();
  chat::Message yesterday = From(bob_, "Do not write the street name here again.");
  yesterday.received -= absl::Hours(20);
  model_.AddMessage(yesterday, false);
  const chat::Message own = Own(bob_, "Understood.");
  model_.AddMessage(own, false);
  model_.SetState(bob_, {own.id, chat::DeliveryState::kStored, 3}, false);
  const std::vector<std::string> rows = Rows();
  EXPECT_TRUE(absl::StartsWith(rows[0], "┌ contacts ──────┬ bob ✔ verified ──")) << rows[0];
  EXPECT_TRUE(absl::StartsWith(rows[1], "│▸bob ✔          │ ── yesterday ──")) << rows[1];
  EXPECT_TRUE(Shows("18:07  bob  Do not write the street name"));
  EXPECT_TRUE(Shows("14:07  you  Understood.")) << Picture();
  EXPECT_TRUE(Shows("  ✓ │"));
  EXPECT_TRUE(Shows("me · node 10001 · poll in ~4 s"));
  ExpectFits();
}

TEST_F(ChatModelTest, TicksSayWhatIsKnown) {
  OpenBob();
  const chat::Message own = Own(bob_, "hello");
  model_.AddMessage(own, false);
  const auto tick = [&](chat::DeliveryState state, bool under_way = false) {
    model_.SetState(bob_, {own.id, state, 2}, under_way);
    return TickOf(model_.OpenThread().entries.front(), false) + TickOf(model_.OpenThread().entries.front(), true);
  };
  EXPECT_EQ(tick(chat::DeliveryState::kQueued), "·.");
  EXPECT_EQ(tick(chat::DeliveryState::kQueued, true), "↑^");
  EXPECT_EQ(tick(chat::DeliveryState::kStored), "✓+");
  EXPECT_EQ(tick(chat::DeliveryState::kDelivered), "✓✓++");
  EXPECT_EQ(tick(chat::DeliveryState::kExpired), "✗!");
}

TEST_F(ChatModelTest, EveryPictureFitsItsTerminal) {
  OpenBob();
  for (int i = 0; i < 40; ++i)
    model_.AddMessage(From(bob_, absl::StrCat(i, " 日本語 ", std::string(static_cast<size_t>(i * 7), 'x'))), true);
  model_.OnKey({Code::kText, "日本語 and a long line of text that has to be wrapped\nand a second one", 0});
  for (size_t rows = 1; rows <= 60; rows += rows < 30 ? 1 : 7) {
    for (const size_t columns : {1, 10, 23, 24, 30, 59, 60, 61, 80, 81, 120, 200}) {
      model_.SetSize(rows, columns);
      ExpectFits();
      Press(Code::kPageUp);
      ExpectFits();
    }
  }
  model_.SetSize(24, 80);
  Press(Code::kHelp);
  ExpectFits();
}

TEST_F(ChatModelTest, EnterSendsToWhoIsOpenAndNothingElse) {
  EXPECT_TRUE(Type("into the void").empty());
  EXPECT_TRUE(Shows("nobody reads what is written here"));
  model_.OnKey({Code::kInterrupt, "", 0});
  OpenBob();
  EXPECT_TRUE(Type("  ").empty());
  const ChatActions sent = Type("hello");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(std::get<SendText>(sent[0]).to, bob_);
  EXPECT_EQ(std::get<SendText>(sent[0]).text, "  hello");
  EXPECT_TRUE(model_.line().empty());
  EXPECT_EQ(std::get<SendText>(Type("//quoted")[0]).text, "/quoted");
  model_.OnKey({Code::kText, "two", 0});
  EXPECT_TRUE(Press(Code::kNewline).empty());
  EXPECT_EQ(std::get<SendText>(Type("lines")[0]).text, "two\nlines");
}

TEST_F(ChatModelTest, CommandsCarryWhoIsOpen) {
  OpenBob();
  const ChatActions command = Type("/verify  yes");
  ASSERT_EQ(command.size(), 1u);
  EXPECT_EQ(std::get<RunCommand>(command[0]).words, (std::vector<std::string>{"/verify", "yes"}));
  EXPECT_EQ(std::get<RunCommand>(command[0]).about, bob_);
  EXPECT_TRUE(Type("/help").empty());
  EXPECT_TRUE(Shows("Ctrl-G"));
  Press(Code::kEscape);
  EXPECT_FALSE(Shows("Ctrl-G"));
}

TEST_F(ChatModelTest, NewsIsCountedMarkedAndSeenOnlyWhenLookedAt) {
  OpenBob();
  model_.AddMessage(From(carol_, "read before"), false);
  model_.AddMessage(From(carol_, "one"), true);
  model_.AddMessage(From(carol_, "two"), true);
  EXPECT_TRUE(model_.TakeSeen().empty());
  EXPECT_TRUE(Shows("carol ?       2"));
  EXPECT_TRUE(Shows("[2: carol 2]"));
  Press(Code::kNextUnread);
  EXPECT_TRUE(Shows("── new ──"));
  EXPECT_EQ(model_.TakeSeen().size(), 2u);
  EXPECT_TRUE(model_.TakeSeen().empty()) << "once";
  EXPECT_TRUE(Shows("── new ──")) << "until the thread is left";
  Press(Code::kThread, 1);
  Press(Code::kThread, 2);
  EXPECT_FALSE(Shows("── new ──"));
  model_.AddMessage(From(carol_, "three"), true);
  EXPECT_EQ(model_.TakeSeen().size(), 1u) << "it is open";
}

TEST_F(ChatModelTest, AMessageIsThereOnce) {
  OpenBob();
  const chat::Message message = From(bob_, "once");
  model_.AddMessage(message, true);
  model_.AddMessage(message, true);
  EXPECT_EQ(model_.OpenThread().entries.size(), 1u);
}

TEST_F(ChatModelTest, WhileScrolledLinesStayAndNewsIsCountedBelow) {
  OpenBob();
  for (int i = 0; i < 60; ++i) model_.AddMessage(From(bob_, absl::StrCat("line ", i, ".")), true);
  EXPECT_EQ(model_.TakeSeen().size(), 60u);
  Press(Code::kPageUp);
  const std::vector<TimelineLine> before = model_.VisibleLines().lines;
  EXPECT_FALSE(Shows("line 59."));
  model_.AddMessage(From(bob_, "new"), true);
  EXPECT_TRUE(model_.TakeSeen().empty()) << "scrolled away";
  EXPECT_EQ(model_.VisibleLines().lines.front().entry, before.front().entry);
  EXPECT_TRUE(Shows("▼ 1 new"));
  model_.SetSize(40, 120);
  ExpectFits();
  for (int i = 0; i < 20; ++i) Press(Code::kPageUp);
  EXPECT_TRUE(Shows("line 0."));
  for (int i = 0; i < 20; ++i) Press(Code::kPageDown);
  EXPECT_EQ(model_.TakeSeen().size(), 1u);
  EXPECT_FALSE(Shows("▼"));
}

TEST_F(ChatModelTest, OpeningMoreNewsThanFitsBeginsWhereItBegins) {
  OpenBob();
  for (int i = 0; i < 60; ++i) model_.AddMessage(From(carol_, absl::StrCat("line ", i, ".")), true);
  Press(Code::kNextUnread);
  EXPECT_TRUE(Shows("── new ──"));
  EXPECT_TRUE(Shows("line 0.")) << Picture();
  EXPECT_TRUE(model_.TakeSeen().empty());
}

TEST_F(ChatModelTest, SearchGoesUpAndMarks) {
  OpenBob();
  for (int i = 0; i < 60; ++i) model_.AddMessage(From(bob_, absl::StrCat(i % 20 == 3 ? "Needle " : "hay ", i, ".")), false);
  Press(Code::kSearch);
  model_.OnKey({Code::kText, "needle", 0});
  EXPECT_TRUE(Shows("Needle 43."));
  Press(Code::kEnter);
  EXPECT_TRUE(Shows("Needle 23."));
  EXPECT_FALSE(Shows("Needle 43."));
  Press(Code::kEscape);
  Press(Code::kEscape);
  EXPECT_TRUE(Shows("hay 59."));
}

TEST_F(ChatModelTest, SwitchesByLettersOfTheName) {
  Press(Code::kSwitch);
  model_.OnKey({Code::kText, "crl", 0});
  EXPECT_TRUE(Press(Code::kEnter).empty());
  EXPECT_EQ(model_.open().key, carol_);
  EXPECT_TRUE(Shows("carol ? not verified"));
}

TEST_F(ChatModelTest, ADraftStaysWithItsThread) {
  OpenBob();
  model_.OnKey({Code::kText, "half a sent", 0});
  Press(Code::kThread, 2);
  EXPECT_TRUE(model_.line().empty());
  Press(Code::kThread, 1);
  EXPECT_EQ(model_.line().text(), "half a sent");
}

TEST_F(ChatModelTest, TabCompletesCommandsAndNames) {
  OpenBob();
  model_.OnKey({Code::kText, "/ver", 0});
  Press(Code::kTab);
  EXPECT_EQ(model_.line().text(), "/verify ");
  model_.OnKey({Code::kText, "CA", 0});
  Press(Code::kTab);
  EXPECT_EQ(model_.line().text(), "/verify carol ");
}

TEST_F(ChatModelTest, QuitAsksOnceWhileSomethingIsNotStored) {
  OpenBob();
  const chat::Message own = Own(bob_, "not yet");
  model_.AddMessage(own, false);
  EXPECT_TRUE(Press(Code::kQuit).empty());
  EXPECT_TRUE(Shows("1 message is not stored yet"));
  EXPECT_TRUE(std::holds_alternative<QuitChat>(Press(Code::kQuit)[0]));
  Press(Code::kUp);
  model_.SetState(bob_, {own.id, chat::DeliveryState::kStored, 2}, false);
  EXPECT_TRUE(std::holds_alternative<QuitChat>(Press(Code::kQuit)[0]));
}

TEST_F(ChatModelTest, AnExpiredTextGoesOnceMore) {
  OpenBob();
  chat::Message own = Own(bob_, "lost");
  own.fate = chat::Fate::kExpired;
  model_.AddMessage(own, false);
  const auto again = std::get<SendAgain>(Press(Code::kRetry).at(0));
  EXPECT_EQ(again.to, bob_);
  EXPECT_EQ(again.id, own.id);
}

TEST_F(ChatModelTest, WhatHasDisappearedDoesNotGoOnceMore) {
  OpenBob();
  chat::Message kept = Own(bob_, "kept"), gone = Own(bob_, "gone");
  kept.fate = gone.fate = chat::Fate::kExpired;
  model_.AddMessage(kept, false);
  model_.AddMessage(gone, false);
  model_.Forget(gone.id);
  EXPECT_EQ(std::get<SendAgain>(Press(Code::kRetry).at(0)).id, kept.id);
  model_.Forget(kept.id);
  EXPECT_TRUE(Press(Code::kRetry).empty());
}

TEST_F(ChatModelTest, AChangedKeyIsSaidEverywhere) {
  model_.SetPeople({{bob_, "bob", '!'}}, 2);
  OpenBob();
  EXPECT_TRUE(Shows("bob ! KEY CHANGED"));
  EXPECT_TRUE(Shows("requests (2)"));
  EXPECT_FALSE(Shows("carol"));
}

TEST_F(ChatModelTest, KeepsABoundedTimeline) {
  OpenBob();
  for (size_t i = 0; i < kEntriesMax + 50; ++i) model_.AddMessage(From(bob_, "x"), i % 2 == 0);
  EXPECT_EQ(model_.OpenThread().entries.size(), kEntriesMax);
  ExpectFits();
}

TEST_F(ChatModelTest, BoundsTheLinesOfLongTextsToo) {
  OpenBob();
  for (size_t i = 0; i < 20; ++i) model_.AddMessage(From(bob_, std::string(1000, '\n') + std::to_string(i)), true);
  size_t lines = 0;
  for (const Entry& entry : model_.OpenThread().entries) lines += entry.lines;
  EXPECT_EQ(lines, model_.OpenThread().lines);
  EXPECT_LE(lines, kLinesMax);
  EXPECT_GT(lines, kLinesMax - 2000);
  EXPECT_TRUE(Shows("19"));
  model_.AddMessage(From(bob_, std::string(2 * kLinesMax, '\n') + "behind"), true);
  EXPECT_TRUE(Shows("[more lines than are shown here]"));
  EXPECT_FALSE(Shows("behind"));
}

TEST_F(ChatModelTest, LinesThatAreDroppedWhileAPersonScrollsLeaveTheRestInPlace) {
  OpenBob();
  for (size_t i = 0; i < 9; ++i) model_.AddMessage(From(bob_, std::string(1000, '\n') + std::to_string(i)), true);
  Press(Key::Code::kPageUp);
  for (size_t i = 0; i < 30; ++i) model_.AddMessage(From(bob_, std::string(1000, '\n') + "later"), true);
  ExpectFits();
}

// Allowed on the screen: printable characters of one row, nothing that a terminal takes for an order.
bool OnlyPrintable(const std::string& row) {
  for (size_t at = 0; at < row.size(); ++at) {
    const auto byte = static_cast<unsigned char>(row[at]);
    if (byte < 0x20 || byte == 0x7f) return false;
    if (byte == 0xc2 && at + 1 < row.size() && static_cast<unsigned char>(row[at + 1]) < 0xa0) return false;  // C1
    if (row.compare(at, 2, "\xe2\x80") == 0 && at + 2 < row.size()) {  // U+200B..U+200F, U+2028..U+202E
      const auto last = static_cast<unsigned char>(row[at + 2]);
      if ((last >= 0x8d && last <= 0x8f) || (last >= 0xa8 && last <= 0xae)) return false;
    }
  }
  return true;
}

TEST_F(ChatModelTest, HostileTextsNamesAndPastesStayInTheirCells) {
  const char* const pieces[] = {"\x1b[2J",
                                "\x1b]0;title\x07",
                                "\u202e",
                                "\u2066",
                                "\u200d",
                                "\u0301",
                                "\xff",
                                "\xc3",
                                "\r",
                                "\n",
                                "\t",
                                "日",
                                "😀",
                                "a",
                                " ",
                                "\xc2\x9b"
                                "31m",
                                "\u200b",
                                "\ufe0f",
                                "\U0001f3fd",
                                "\u115f",
                                "\u3164"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t left = rng_.Below(30); left > 0; --left) text += pieces[rng_.Below(std::size(pieces))];
    model_.SetPeople({{bob_, "b" + text, '?'}, {carol_, "carol", '?'}}, 0);
    OpenBob();
    model_.AddMessage(From(bob_, text), true);
    model_.AddNotice(bob_, text);
    model_.OnKey({Code::kText, text, 0});
    model_.SetSize(8 + rng_.Below(20), 24 + rng_.Below(100));
    for (const std::string& row : Rows()) {
      ASSERT_TRUE(OnlyPrintable(row)) << row;
      ASSERT_EQ(CellWidth(row), model_.columns()) << row;
    }
    if (round % 50 == 0) model_.ClearThread(bob_);
    model_.OnKey({Code::kInterrupt, "", 0});
  }
}

TEST(AsciiChat, DrawsWithAsciiAlone) {
  UseUtf8();
  ChatModel model(absl::UTCTimeZone(), /*ascii=*/true);
  model.SetSize(24, 80);
  model.SetTime(absl::FromUnixSeconds(1'795'000'000));
  model.SetPeople({{keys::PublicKey{}, "jürgen 日本", '+'}}, 1);
  model.Open({Kind::kContact, {}});
  chat::Message own;
  own.from = keys::PublicKey{};
  own.own = true;
  own.text = base::ToBytes(base::AsBytes("grüße"));
  model.AddMessage(own, false);
  for (const Line& line : DrawChat(model).lines) {
    for (const Span& span : line) {
      for (const char byte : span.text) ASSERT_TRUE(byte >= 0x20 && byte < 0x7f) << span.text;
    }
  }
}

TEST(BoxCountOfAText, TellsTheNextBoxBeforeItIsUsed) {
  EXPECT_EQ(BoxCount(0), "");
  EXPECT_EQ(BoxCount(1), "1 byte, 1 box");
  EXPECT_EQ(BoxCount(1700), "1700 bytes, 1 box, room for 24");
  EXPECT_EQ(BoxCount(1724), "1724 bytes, 1 box, room for 0");
  EXPECT_EQ(BoxCount(1725), "1725 bytes, 2 boxes");
}

}  // namespace
}  // namespace cli
