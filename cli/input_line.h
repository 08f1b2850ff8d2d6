// SPDX-License-Identifier: Apache-2.0
// cli/input_line.h — the text a person is typing: UTF-8, a cursor between two characters, several lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cli {

class InputLine {
 public:
  const std::string& text() const { return text_; }
  size_t cursor() const { return cursor_; }
  bool empty() const { return text_.empty(); }

  // At the cursor, made safe for a terminal; what would make the text longer than `max` bytes is left out. False if something
  // was.
  bool Insert(std::string_view typed, size_t max);
  // The cursor goes to the end.
  void Set(std::string text);
  void Clear() { Set(""); }
  std::string Take();

  void Left(), Right(), Home(), End();  // Home and End: of the line the cursor is in
  void Backspace(), Delete();
  void DeleteWordBack(), DeleteToStart();

  struct Shown {
    std::vector<std::string> lines;  // each of at most `cells`, beside the cursor
    size_t cursor_line = 0, cursor_cell = 0;
  };
  // The last `rows` lines around the cursor, wrapped.
  Shown Show(size_t cells, size_t rows) const;

 private:
  void EraseBetween(size_t from, size_t to);

  std::string text_;
  size_t cursor_ = 0;
};

}  // namespace cli
