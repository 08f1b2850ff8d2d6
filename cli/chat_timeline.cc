// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_timeline.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/cell_text.h"

namespace cli {
namespace {

constexpr size_t kTickCells = 3;  // a space, and up to two
constexpr size_t kTimeCells = 7;  // "14:07  "
constexpr size_t kTextCellsMin = 8;

std::string DayWord(absl::CivilDay day, const TimelineLook& look) {
  const absl::CivilDay today = absl::ToCivilDay(look.now, look.zone);
  if (day == today) return "today";
  return day == today - 1 ? "yesterday" : absl::FormatCivilTime(day);
}

size_t NameCells(const std::vector<Entry>& entries) {
  size_t cells = 3;  // "you"
  for (const Entry& entry : entries)
    cells = std::max(cells, entry.kind == Entry::Kind::kTheirs ? CellWidth(Drawable(entry.who)) : 0);
  return std::min(cells, kShownNameCells);
}

const std::vector<std::string>& Wrapped(const Entry& entry, size_t cells) {
  if (entry.wrapped_at == cells) return entry.wrapped;
  std::string text = entry.text;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  entry.wrapped = WrapToCells(entry.late ? absl::StrCat("(late) ", text) : text, cells);
  entry.wrapped_at = cells;
  return entry.wrapped;
}

class Layout {
 public:
  Layout(const std::vector<Entry>& entries, const TimelineLook& look)
      : entries_(entries), look_(look), name_cells_(NameCells(entries)) {
    const size_t around = kTimeCells + name_cells_ + 2 + kTickCells;
    text_cells_ = std::max(kTextCellsMin, look.cells - std::min(look.cells, around));
  }

  std::vector<TimelineLine> Lines() {
    absl::CivilDay last_day;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const absl::CivilDay day = absl::ToCivilDay(entries_[i].when, look_.zone);
      if (i == 0 || day != last_day) AddRule(i, DayWord(day, look_), Style::kDim);
      last_day = day;
      if (look_.marker == i) AddRule(i, "new", Style::kAlert);
      AddEntry(i);
    }
    return std::move(lines_);
  }

 private:
  void AddRule(size_t entry, const std::string& word, Style style) {
    lines_.push_back({entry, {{Rule(word, look_.cells, look_.ascii), style}}});
  }
  void AddEntry(size_t index) {
    const Entry& entry = entries_[index];
    const bool notice = entry.kind == Entry::Kind::kNotice;
    const Style text_style = look_.found == index ? Style::kMarked : notice ? Style::kDim : Style::kPlain;
    const std::string time = absl::FormatTime("%H:%M  ", entry.when, look_.zone);
    const std::string who = notice ? "--" : entry.kind == Entry::Kind::kOwn ? "you" : entry.who;
    const Style who_style = entry.kind == Entry::Kind::kOwn ? Style::kOwn : notice ? Style::kDim : Style::kName;
    const std::vector<std::string>& texts = Wrapped(entry, text_cells_);
    for (size_t i = 0; i < texts.size(); ++i) {
      Line line = {{i == 0 ? time : std::string(kTimeCells, ' '), Style::kDim},
                   {PadToCells(i == 0 ? who : "", name_cells_) + "  ", who_style},
                   {PadToCells(texts[i], text_cells_), text_style}};
      const bool ticked = entry.kind == Entry::Kind::kOwn && i + 1 == texts.size();
      const std::string tick = ticked ? TickOf(entry, look_.ascii) : "";
      const bool bad = entry.state >= chat::DeliveryState::kExpired && ticked;
      line.push_back({std::string(kTickCells - CellWidth(tick), ' ') + tick, bad ? Style::kAlert : Style::kDim});
      lines_.push_back({index, Fit(std::move(line))});
    }
  }
  // Narrower than the parts want to be: cut from the right.
  Line Fit(Line line) const {
    size_t left = look_.cells;
    for (Span& span : line) {
      if (CellWidth(span.text) > left) span.text = PadToCells(span.text, left);
      left -= CellWidth(span.text);
    }
    if (left > 0) line.push_back({std::string(left, ' '), Style::kPlain});
    return line;
  }

  const std::vector<Entry>& entries_;
  const TimelineLook& look_;
  const size_t name_cells_;
  size_t text_cells_ = 0;
  std::vector<TimelineLine> lines_;
};

}  // namespace

std::string TickOf(const Entry& own, bool ascii) {
  switch (own.state) {
    case chat::DeliveryState::kQueued:
      if (own.under_way) return ascii ? "^" : "↑";
      return ascii ? "." : "·";
    case chat::DeliveryState::kStored:
      return ascii ? "+" : "✓";
    case chat::DeliveryState::kDelivered:
      return ascii ? "++" : "✓✓";
    case chat::DeliveryState::kRefused:
    case chat::DeliveryState::kExpired:
      break;
  }
  return ascii ? "!" : "✗";
}

std::string Rule(const std::string& word, size_t cells, bool ascii) {
  const char* dash = ascii ? "-" : "─";
  std::string rule = CutToCells(word.empty() ? "" : absl::StrCat(dash, dash, " ", word, " "), cells);
  for (size_t left = cells - CellWidth(rule); left > 0; --left) rule += dash;
  return rule;
}

std::vector<TimelineLine> LayOut(const std::vector<Entry>& entries, const TimelineLook& look) {
  return Layout(entries, look).Lines();
}

}  // namespace cli
