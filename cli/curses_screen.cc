// SPDX-License-Identifier: Apache-2.0
#include "cli/curses_screen.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define NCURSES_NOMACROS 1
#define NCURSES_WIDECHAR 1
#define overlay curses_overlay  // one of its functions has the name of a room
#include <curses.h>
#undef overlay

#include <atomic>
#include <climits>
#include <iterator>
#include <string>
#include <string_view>

#include "chat/note.h"
#include "cli/cell_text.h"
#include "cli/errors.h"

namespace cli {
namespace {

constexpr int kPasteBegin = KEY_MAX + 1, kPasteEnd = KEY_MAX + 2;
constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";

termios terminal_before;
char file_at_end[PATH_MAX];                    // written while file_at_end_is_set is false
std::atomic<bool> file_at_end_is_set = false;  // lock-free: a signal handler reads it

// Signal-safe: what endwin would do, without ncurses.
void PutBack(int signal_number) {
  constexpr std::string_view kLeave = "\x1b[?2004l\x1b[?1049l\x1b[?1l\x1b>\x1b[?25h\x1b[0m\r\n";
  if (file_at_end_is_set) unlink(file_at_end);
  tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
  if (write(STDOUT_FILENO, kLeave.data(), kLeave.size()) < 0) _exit(128 + signal_number);
  _exit(128 + signal_number);
}

void Tell(std::string_view sequence) {
  if (write(STDOUT_FILENO, sequence.data(), sequence.size()) < 0) return;  // the terminal is gone: the next read says so
}

short PairOf(Style style) {
  switch (style) {
    case Style::kOwn:
      return 1;
    case Style::kName:
      return 2;
    case Style::kAlert:
      return 3;
    default:
      return 0;
  }
}

attr_t AttributesOf(Style style) {
  switch (style) {
    case Style::kDim:
      return A_DIM;
    case Style::kOwn:
    case Style::kName:
    case Style::kAlert:
      return A_BOLD;
    case Style::kMarked:
    case Style::kBar:
      return A_REVERSE;
    case Style::kPlain:
      break;
  }
  return A_NORMAL;
}

using Code = Key::Code;
struct Mapped {
  int from;
  Code to;
};
constexpr Mapped kFunctionKeys[] = {
    {KEY_BACKSPACE, Code::kBackspace}, {KEY_DC, Code::kDelete},      {KEY_LEFT, Code::kLeft},   {KEY_RIGHT, Code::kRight},
    {KEY_HOME, Code::kHome},           {KEY_END, Code::kEnd},        {KEY_UP, Code::kUp},       {KEY_DOWN, Code::kDown},
    {KEY_PPAGE, Code::kPageUp},        {KEY_NPAGE, Code::kPageDown}, {KEY_ENTER, Code::kEnter}, {KEY_F0 + 1, Code::kHelp},
    {KEY_F0 + 7, Code::kList},
};
constexpr Mapped kControls[] = {
    {'A' & 31, Code::kHome},   {'C' & 31, Code::kInterrupt}, {'E' & 31, Code::kEnd},        {'F' & 31, Code::kSearch},
    {'G' & 31, Code::kSwitch}, {'H' & 31, Code::kBackspace}, {'I' & 31, Code::kTab},        {'J' & 31, Code::kNewline},
    {'M' & 31, Code::kEnter},  {'Q' & 31, Code::kQuit},      {'U' & 31, Code::kDeleteLine}, {'W' & 31, Code::kDeleteWord},
    {127, Code::kBackspace},
};

template <size_t N>
std::optional<Key> Find(const Mapped (&table)[N], int code) {
  for (const Mapped& one : table) {
    if (one.from == code) return Key{one.to, "", 0};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CursesScreen>> CursesScreen::Open(bool color) {
  tcgetattr(STDIN_FILENO, &terminal_before);
  SCREEN* screen = newterm(nullptr, stdout, stdin);
  if (screen == nullptr) {
    return Fail({.exit = Exit::kUsage, .what = "this terminal cannot be drawn on", .fix = {"bulbil chat --line"}});
  }
  std::unique_ptr<CursesScreen> opened(new CursesScreen());
  for (const int number : {SIGTERM, SIGHUP, SIGINT}) signal(number, PutBack);
  raw();
  noecho();
  nonl();
  nodelay(stdscr, TRUE);
  keypad(stdscr, TRUE);
  set_escdelay(25);  // a person's Escape, not the beginning of a key's sequence
  define_key("\x1b[200~", kPasteBegin);
  define_key("\x1b[201~", kPasteEnd);
  opened->color_ = color && has_colors();
  if (opened->color_) {
    start_color();
    use_default_colors();
    init_pair(1, COLOR_CYAN, -1);
    init_pair(2, COLOR_GREEN, -1);
    init_pair(3, COLOR_YELLOW, -1);
  }
  Tell(kPasteOn);
  return opened;
}

CursesScreen::~CursesScreen() {
  Tell(kPasteOff);
  endwin();
}

size_t CursesScreen::rows() const { return static_cast<size_t>(getmaxy(stdscr)); }
size_t CursesScreen::columns() const { return static_cast<size_t>(getmaxx(stdscr)); }

void CursesScreen::FollowSize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  if (size.ws_row == rows() && size.ws_col == columns()) return;
  resizeterm(size.ws_row, size.ws_col);
  ::wclear(stdscr);
}

void CursesScreen::Draw(const ChatPicture& picture) {
  ::werase(stdscr);
  for (size_t row = 0; row < picture.lines.size(); ++row) {
    ::wmove(stdscr, static_cast<int>(row), 0);
    for (const Span& span : picture.lines[row]) {
      wattr_set(stdscr, AttributesOf(span.style), color_ ? PairOf(span.style) : short{0}, nullptr);
      waddnstr(stdscr, span.text.c_str(), static_cast<int>(span.text.size()));
    }
  }
  ::wmove(stdscr, static_cast<int>(picture.cursor_row), static_cast<int>(picture.cursor_column));
  ::wrefresh(stdscr);
}

std::optional<Key> CursesScreen::ReadKey() {
  wint_t code = 0;
  for (int kind = wget_wch(stdscr, &code); kind != ERR; kind = wget_wch(stdscr, &code)) {
    if (kind == KEY_CODE_YES && static_cast<int>(code) == kPasteBegin) return Paste();
    const std::optional<Key> key = kind == KEY_CODE_YES ? Find(kFunctionKeys, static_cast<int>(code)) : Plain(code);
    if (key) return key;
  }
  return std::nullopt;
}

std::optional<Key> CursesScreen::Plain(unsigned code) {
  if (code == 27) return AfterEscape();
  if (code == ('X' & 31)) {  // Ctrl-X Ctrl-E
    wint_t next = 0;
    if (wget_wch(stdscr, &next) == OK && next == ('E' & 31)) return Key{Code::kEditor, "", 0};
    return std::nullopt;
  }
  if (const auto control = Find(kControls, static_cast<int>(code))) return control;
  if (code < 32) return std::nullopt;
  return Key{Code::kText, ToUtf8(code), 0};
}

// Alt and a key arrives as Escape and that key.
std::optional<Key> CursesScreen::AfterEscape() {
  wint_t code = 0;
  const int kind = wget_wch(stdscr, &code);
  if (kind == ERR) return Key{Code::kEscape, "", 0};
  if (kind == KEY_CODE_YES) return std::nullopt;
  if (code >= '1' && code <= '9') return Key{Code::kThread, "", static_cast<int>(code - '0')};
  if (code == 'a' || code == 'A') return Key{Code::kNextUnread, "", 0};
  if (code == 'r' || code == 'R') return Key{Code::kRetry, "", 0};
  if (code == '\r' || code == '\n') return Key{Code::kNewline, "", 0};
  return std::nullopt;
}

// All of it is one text: a newline in it sends nothing.
Key CursesScreen::Paste() {
  Key key;
  nodelay(stdscr, FALSE);
  wtimeout(stdscr, 500);  // a terminal that never says the end must not hold the screen
  wint_t code = 0;
  for (int kind = wget_wch(stdscr, &code); kind != ERR; kind = wget_wch(stdscr, &code)) {
    if (kind == KEY_CODE_YES && static_cast<int>(code) == kPasteEnd) break;
    if (kind != KEY_CODE_YES && key.text.size() <= chat::kTextMax) key.text += code == '\r' ? "\n" : ToUtf8(code);
  }
  nodelay(stdscr, TRUE);
  return key;
}

void CursesScreen::Ring() { beep(); }

void CursesScreen::RemoveAtEnd(const std::string& path) {
  file_at_end_is_set = false;
  if (path.empty() || path.size() >= sizeof file_at_end) return;
  path.copy(file_at_end, path.size());
  file_at_end[path.size()] = 0;
  file_at_end_is_set = true;
}

void CursesScreen::Suspend() {
  for (const int number : {SIGINT, SIGQUIT}) signal(number, SIG_IGN);
  Tell(kPasteOff);
  def_prog_mode();
  endwin();
}

void CursesScreen::Resume() {
  signal(SIGINT, PutBack);
  signal(SIGQUIT, SIG_DFL);
  reset_prog_mode();
  Tell(kPasteOn);
  ::wclear(stdscr);
  ::wrefresh(stdscr);
}

}  // namespace cli
