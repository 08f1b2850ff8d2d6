// SPDX-License-Identifier: Apache-2.0
#include "cli/input_line.h"

#include <algorithm>
#include <utility>

#include "base/terminal_text.h"
#include "cli/cell_text.h"

namespace cli {

bool InputLine::Insert(std::string_view typed, size_t max) {
  const std::string safe = base::SanitizeForTerminal(base::AsBytes(typed)).text;
  size_t fits = 0;
  for (size_t next = 0; fits < safe.size(); fits = next) {
    next = NextCharacter(safe, fits);
    if (text_.size() + next > max) break;
  }
  text_.insert(cursor_, safe, 0, fits);
  cursor_ += fits;
  return fits == safe.size();
}

void InputLine::Set(std::string text) {
  text_ = std::move(text);
  cursor_ = text_.size();
}

std::string InputLine::Take() {
  cursor_ = 0;
  return std::exchange(text_, {});
}

void InputLine::Left() { cursor_ = PreviousCharacter(text_, cursor_); }
void InputLine::Right() { cursor_ = NextCharacter(text_, cursor_); }
void InputLine::Home() {
  const size_t newline = cursor_ == 0 ? std::string::npos : text_.rfind('\n', cursor_ - 1);
  cursor_ = newline == std::string::npos ? 0 : newline + 1;
}
void InputLine::End() { cursor_ = std::min(text_.find('\n', cursor_), text_.size()); }

void InputLine::EraseBetween(size_t from, size_t to) {
  text_.erase(from, to - from);
  cursor_ = from;
}

void InputLine::Backspace() { EraseBetween(PreviousCharacter(text_, cursor_), cursor_); }
void InputLine::Delete() { EraseBetween(cursor_, NextCharacter(text_, cursor_)); }
void InputLine::DeleteWordBack() {
  size_t from = cursor_;
  while (from > 0 && text_[from - 1] == ' ') --from;
  while (from > 0 && text_[from - 1] != ' ' && text_[from - 1] != '\n') --from;
  EraseBetween(from == cursor_ && from > 0 ? from - 1 : from, cursor_);
}
void InputLine::DeleteToStart() {
  const size_t to = cursor_;
  Home();
  EraseBetween(cursor_, to);
}

InputLine::Shown InputLine::Show(size_t cells, size_t rows) const {
  const size_t width = std::max<size_t>(cells, 2);
  Shown shown;
  std::string line;
  size_t used = 0;
  const auto end_line = [&] {
    shown.lines.push_back(std::exchange(line, {}));
    used = 0;
  };
  for (size_t at = 0;; at = NextCharacter(text_, at)) {
    const bool last = at >= text_.size();
    const std::string drawn =
        last || text_[at] == '\n' ? "" : Drawable(std::string_view(text_).substr(at, NextCharacter(text_, at) - at));
    if (used + CellWidth(drawn) > width || (at == cursor_ && used == width)) end_line();
    if (at == cursor_) {
      shown.cursor_line = shown.lines.size();
      shown.cursor_cell = used;
    }
    if (last) break;
    if (text_[at] == '\n') {
      end_line();
      continue;
    }
    line += drawn;
    used += CellWidth(drawn);
  }
  end_line();
  const size_t first = shown.cursor_line >= rows ? shown.cursor_line + 1 - rows : 0;
  shown.lines.erase(shown.lines.begin(), shown.lines.begin() + static_cast<ptrdiff_t>(first));
  shown.lines.resize(std::min(shown.lines.size(), rows));
  shown.cursor_line -= first;
  return shown;
}

}  // namespace cli
