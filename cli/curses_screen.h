// SPDX-License-Identifier: Apache-2.0
// cli/curses_screen.h — the terminal under the chat screen: ncurses, wide characters. Draws pictures, reads keys; decides
// nothing.
//
// One at a time, and all calls from one thread. While it is open the terminal gives every key to it, Ctrl-C too, and pasted text
// comes as one key. The end puts the terminal back, SIGTERM and SIGHUP too; not a crash.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/chat_view.h"

namespace cli {

class CursesScreen {
 public:
  // kUsage if TERM names a terminal that cannot be drawn on. `color`: it may be used, if the terminal has it.
  static absl::StatusOr<std::unique_ptr<CursesScreen>> Open(bool color);
  ~CursesScreen();
  CursesScreen(const CursesScreen&) = delete;
  CursesScreen& operator=(const CursesScreen&) = delete;

  size_t rows() const;
  size_t columns() const;
  // Takes the terminal's size as it is now.
  void FollowSize();
  void Draw(const ChatPicture& picture);
  // The next key that is there; never waits.
  std::optional<Key> ReadKey();
  // Rings, or blinks.
  void Ring();
  // Gives the terminal back for another program, and takes it again. Ctrl-C is that program's meanwhile.
  void Suspend();
  void Resume();
  // A file that a signal which ends this program removes first; empty: none. Any thread, one at a time.
  static void RemoveAtEnd(const std::string& path);

 private:
  CursesScreen() = default;
  std::optional<Key> Plain(unsigned code);
  std::optional<Key> AfterEscape();
  Key Paste();

  bool color_ = false;
};

}  // namespace cli
