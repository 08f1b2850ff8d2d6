// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "chat/session.h"
#include "cli/cell_text.h"

namespace cli {
namespace {

constexpr size_t kRoomToldFrom = 100;  // bytes left in the last box that are worth telling

class Picture {
 public:
  explicit Picture(const ChatModel& model) : model_(model), geometry_(model.Measure()) {}

  ChatPicture Draw() {
    if (model_.rows() < kRowsMin || model_.columns() < kColumnsMin) return TooSmall();
    AddTop();
    const std::vector<Line> list = ListLines(), text = TextLines();
    for (size_t row = 0; row < geometry_.text_rows; ++row) AddBody(list[row], text[row]);
    AddMiddle();
    AddStatus();
    AddInput();
    Add({{Glyph("└", "+") + Repeat(model_.columns() - 2) + Glyph("┘", "+"), Style::kDim}});
    if (model_.ascii()) {
      for (Line& line : picture_.lines) {
        for (Span& span : line) span.text = AsciiOnly(span.text);
      }
    }
    return std::move(picture_);
  }

 private:
  std::string Glyph(const char* drawn, const char* ascii) const { return model_.ascii() ? ascii : drawn; }
  std::string Repeat(size_t count) const {
    std::string dashes;
    for (; count > 0; --count) dashes += Glyph("─", "-");
    return dashes;
  }
  std::string Side() const { return Glyph("│", "|"); }
  void Add(Line line) { picture_.lines.push_back(std::move(line)); }

  ChatPicture TooSmall() {
    for (size_t row = 0; row < model_.rows(); ++row) {
      Add({{PadToCells(row == 0 ? "too small a terminal" : "", model_.columns()), Style::kPlain}});
    }
    return std::move(picture_);
  }

  std::string Title() const {
    const ChatModel::Thread& thread = model_.OpenThread();
    switch (thread.trust) {
      case '+':
        return absl::StrCat(thread.name, Glyph(" ✔", " *"), " verified");
      case '?':
        return absl::StrCat(thread.name, " ? not verified");
      case '!':
        return absl::StrCat(thread.name, " ! KEY CHANGED");
      default:
        return thread.name;
    }
  }
  // A word on a line of dashes.
  std::string Titled(const std::string& word, size_t cells) const {
    const std::string cut = CutToCells(absl::StrCat(" ", word, " "), cells);
    return cut + Repeat(cells - CellWidth(cut));
  }
  void AddTop() {
    std::string top = Glyph("┌", "+");
    if (geometry_.list_cells > 0) top += Titled("contacts", geometry_.list_cells) + Glyph("┬", "+");
    top += Titled(Title(), model_.columns() - 1 - CellWidth(top));
    Add({{top + Glyph("┐", "+"), model_.OpenThread().trust == '!' ? Style::kAlert : Style::kDim}});
  }

  std::vector<Line> ListLines() const {
    std::vector<Line> lines;
    const std::vector<ChatModel::ThreadId> order =
        model_.mode() == ChatModel::Mode::kSwitch ? model_.Candidates() : model_.Order();
    const auto open = std::find(order.begin(), order.end(), model_.open());
    const auto at = static_cast<size_t>(open - order.begin());
    const size_t skip = open != order.end() && at >= geometry_.text_rows ? at + 1 - geometry_.text_rows : 0;
    for (size_t i = skip; geometry_.list_cells > 0 && i < order.size() && lines.size() < geometry_.text_rows; ++i) {
      lines.push_back(ListLine(order[i]));
    }
    lines.resize(geometry_.text_rows, {{std::string(geometry_.list_cells, ' '), Style::kPlain}});
    return lines;
  }
  Line ListLine(const ChatModel::ThreadId& id) const {
    const ChatModel::Thread& thread = model_.threads().at(id);
    const std::string count = thread.unseen > 0 ? absl::StrCat(" ", std::min<size_t>(thread.unseen, 999)) : "";
    const char* mark = thread.trust == '+'   ? (model_.ascii() ? " *" : " ✔")
                       : thread.trust == '?' ? " ?"
                       : thread.trust == '!' ? " !"
                                             : "";
    const bool open = id == model_.open();
    const size_t room = geometry_.list_cells - 1 - count.size();
    const std::string name = CutToCells(thread.name, room - CellWidth(mark)) + mark;
    const std::string text = (open ? Glyph("▸", ">") : " ") + PadToCells(name, room) + count;
    return {{text, open ? Style::kBar : thread.trust == '!' ? Style::kAlert : thread.unseen > 0 ? Style::kName : Style::kPlain}};
  }

  std::vector<Line> TextLines() const {
    std::vector<Line> lines;
    const size_t cells = geometry_.text_cells, rows = geometry_.text_rows;
    if (!model_.page().empty()) {
      for (const std::string& text : model_.page()) {
        for (const std::string& line : WrapToCells(text, cells)) {
          if (lines.size() < rows) lines.push_back({{PadToCells(line, cells), Style::kPlain}});
        }
      }
    } else {
      for (TimelineLine& line : model_.VisibleLines().lines) lines.push_back(std::move(line.spans));
    }
    lines.resize(rows, {{std::string(cells, ' '), Style::kPlain}});
    return lines;
  }
  void AddBody(const Line& list, const Line& text) {
    Line line = {{Side(), Style::kDim}};
    if (geometry_.list_cells > 0) {
      line.insert(line.end(), list.begin(), list.end());
      line.push_back({Side(), Style::kDim});
    }
    line.push_back({" ", Style::kPlain});
    line.insert(line.end(), text.begin(), text.end());
    line.push_back({" ", Style::kPlain});
    line.push_back({Side(), Style::kDim});
    Add(std::move(line));
  }

  void AddMiddle() {
    const size_t below = model_.page().empty() ? model_.VisibleLines().below : 0;
    const bool scrolled = model_.OpenThread().bottom.has_value();
    std::string news = below > 0 ? absl::StrCat(" ", Glyph("▼", "v"), " ", below, " new ") : "";
    if (news.empty() && scrolled) news = absl::StrCat(" ", Glyph("▼", "v"), " ");
    std::string left = Glyph("├", "+");
    if (geometry_.list_cells > 0) left += Repeat(geometry_.list_cells) + Glyph("┴", "+");
    const size_t room = model_.columns() - 1 - CellWidth(left);
    news = CutToCells(news, room);
    Add({{left + Repeat(room - CellWidth(news)), Style::kDim},
         {news, below > 0 ? Style::kAlert : Style::kDim},
         {Glyph("┤", "+"), Style::kDim}});
  }

  std::string News() const {
    std::string news;
    const std::vector<ChatModel::ThreadId> order = model_.Order();
    for (size_t i = 0; i < order.size(); ++i) {
      const ChatModel::Thread& thread = model_.threads().at(order[i]);
      if (thread.unseen == 0 || order[i] == model_.open()) continue;
      absl::StrAppend(&news, news.empty() ? "" : " ", "[", i + 1, ": ", CutToCells(thread.name, kShownNameCells), " ",
                      thread.unseen, "]");
    }
    return news;
  }
  void AddStatus() {
    const StatusShown& status = model_.status();
    const size_t waiting = model_.Waiting();
    std::string text;
    if (model_.asked_to_quit()) {
      text = absl::StrCat(waiting, waiting == 1 ? " message is" : " messages are",
                          " not stored yet; kept here for the next poll. Ctrl-Q again ends");
    } else if (!status.trouble.empty()) {
      text = status.trouble;
    } else {
      text = absl::StrCat(status.mailbox, " ", Glyph("·", "-"), " ", status.node, " ", Glyph("·", "-"), " ", status.poll);
    }
    const std::string count = model_.mode() == ChatModel::Mode::kTalk ? BoxCount(model_.line().text().size()) : "";
    const std::string news = News();
    const std::string right = absl::StrCat(news, news.empty() ? "" : "  ", count, count.empty() ? "" : "  ", "F1 help ");
    const size_t room = model_.columns() - 2;
    const std::string shown = CutToCells(right, room * 2 / 3);
    const bool bad = model_.asked_to_quit() || !status.trouble.empty();
    Add({{Side(), Style::kDim},
         {PadToCells(" " + text, room - CellWidth(shown)), bad ? Style::kAlert : Style::kBar},
         {shown, Style::kBar},
         {Side(), Style::kDim}});
  }

  void AddInput() {
    const size_t cells = model_.columns() - 6;
    const InputLine::Shown shown = model_.line().Show(cells, geometry_.input_rows);
    const char* prompt = model_.mode() == ChatModel::Mode::kTalk ? "> " : model_.mode() == ChatModel::Mode::kSearch ? "/ " : "@ ";
    picture_.cursor_row = picture_.lines.size() + shown.cursor_line;
    picture_.cursor_column = 4 + std::min(shown.cursor_cell, cells);
    for (size_t row = 0; row < geometry_.input_rows; ++row) {
      Add({{Side(), Style::kDim},
           {std::string(" ") + (row == 0 ? prompt : "  "), Style::kDim},
           {PadToCells(row < shown.lines.size() ? shown.lines[row] : "", cells), Style::kPlain},
           {" ", Style::kPlain},
           {Side(), Style::kDim}});
    }
  }

  const ChatModel& model_;
  const ChatModel::Geometry geometry_;
  ChatPicture picture_;
};

}  // namespace

ChatPicture DrawChat(const ChatModel& model) { return Picture(model).Draw(); }

std::string BoxCount(size_t bytes) {
  if (bytes == 0) return "";
  const size_t boxes = (bytes + chat::kBoxTextMax - 1) / chat::kBoxTextMax, left = boxes * chat::kBoxTextMax - bytes;
  const std::string room = left <= kRoomToldFrom && bytes < chat::kTextMax ? absl::StrCat(", room for ", left) : "";
  return absl::StrCat(bytes, bytes == 1 ? " byte, " : " bytes, ", boxes, boxes == 1 ? " box" : " boxes", room);
}

}  // namespace cli
