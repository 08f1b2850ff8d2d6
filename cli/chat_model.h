// SPDX-License-Identifier: Apache-2.0
// cli/chat_model.h — the chat screen without a terminal: keys and events in, what is to be done out. chat_view.h draws it,
// chat_screen.h does it, curses_screen.h is the terminal.
//
// Threads, in the order of the list: contacts by name, notes of nobody known, requests of strangers, and what the program says.
// A message counts as seen once its thread is open, not scrolled away, and nothing covers it: TakeSeen. What is typed stays with
// its thread. While a person scrolls, the lines stay where they are and news is counted below. Pure; all text from outside passes
// base::SanitizeForTerminal on its way in.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "chat/contact_book.h"
#include "cli/chat_timeline.h"
#include "cli/input_line.h"

namespace cli {

struct Key {
  enum class Code {
    kText,  // `text`: a character, or what was pasted
    kEnter,
    kNewline,  // Alt-Enter
    kBackspace,
    kDelete,
    kDeleteWord,  // Ctrl-W
    kDeleteLine,  // Ctrl-U
    kLeft,
    kRight,
    kHome,
    kEnd,
    kUp,
    kDown,
    kPageUp,
    kPageDown,
    kTab,
    kEscape,
    kHelp,        // F1
    kList,        // F7
    kSearch,      // Ctrl-F
    kSwitch,      // Ctrl-G
    kEditor,      // Ctrl-X Ctrl-E
    kRetry,       // Alt-R
    kNextUnread,  // Alt-A
    kThread,      // Alt-1..9: `number`
    kInterrupt,   // Ctrl-C
    kQuit,        // Ctrl-Q
  };
  Code code = Code::kText;
  std::string text;
  int number = 0;
};

struct SendText {
  keys::PublicKey to;
  std::string text;
};
struct SendAgain {  // what is shown of it may be cut, or marked
  keys::PublicKey to;
  chat::MessageId id{};
};
struct RunCommand {
  std::vector<std::string> words;        // "/verify" "yes"
  std::optional<keys::PublicKey> about;  // whose thread is open
};
struct EditText {  // in $EDITOR; comes back as SetDraft
  std::string text;
};
struct QuitChat {};
using ChatAction = std::variant<SendText, SendAgain, RunCommand, EditText, QuitChat>;
using ChatActions = std::vector<ChatAction>;

// Somebody in the list, or a group.
struct PersonShown {
  keys::PublicKey key;
  std::string name;
  char trust = '?';  // '+' verified, '?' not verified, '!' key changed, ' ' a group
};
struct StatusShown {
  std::string mailbox, node;
  std::string poll;     // "poll in ~4 s", "polling", "fast clock"
  std::string trouble;  // what does not work at the moment; empty: nothing
};

class ChatModel {
 public:
  enum class Kind { kContact, kNotes, kRequests, kProgram };
  struct ThreadId {
    Kind kind = Kind::kProgram;
    keys::PublicKey key;  // of a contact or a group
    auto operator<=>(const ThreadId&) const = default;
  };
  struct Thread {
    std::string name;
    char trust = 0;
    std::vector<Entry> entries;
    size_t lines = 0;                                 // of all entries, about
    size_t unseen = 0;                                // the last so many of what others wrote
    std::optional<size_t> marker;                     // the first entry that was new when the thread was opened
    std::optional<std::pair<size_t, size_t>> bottom;  // scrolled: entry and its line at the bottom; none: follows what comes
    InputLine input;
  };
  enum class Mode { kTalk, kSearch, kSwitch };
  struct Geometry {
    size_t list_cells = 0;  // 0: no list
    size_t text_cells = 0, text_rows = 0, input_rows = 1;
  };

  ChatModel(absl::TimeZone zone, bool ascii) : zone_(zone), ascii_(ascii) { threads_[{}].name = "bulbil"; }

  // ---- events
  void SetSize(size_t rows, size_t columns);
  void SetTime(absl::Time now) { now_ = now; }
  void SetPeople(const std::vector<PersonShown>& people, size_t requests);
  void SetStatus(StatusShown status) { status_ = std::move(status); }
  // A message read or written, once; `unseen`: nobody has looked at it yet. In the order of arrival. `sender`: its name, in a
  // group.
  void AddMessage(const chat::Message& message, bool unseen, const std::string& sender = "");
  // What became of an own message.
  void SetState(const keys::PublicKey& to, const chat::StateChange& change, bool under_way);
  // A message that has disappeared: its line says only that.
  void Forget(const chat::MessageId& id);
  // What the program has to say, of somebody or at all. Pages cover the timeline until a key is pressed.
  void AddNotice(const std::optional<keys::PublicKey>& about, const std::string& text);
  void ShowPage(const std::string& text);
  void ClearThread(const keys::PublicKey& key);
  void SetDraft(std::string text) { Current().input.Set(std::move(text)); }
  void Open(const ThreadId& id);
  ChatActions OnKey(const Key& key);
  // Messages that a person has seen since the last call.
  std::vector<chat::MessageId> TakeSeen();
  // Own messages that are not stored yet.
  size_t Waiting() const;

  // ---- for the view
  std::vector<ThreadId> Order() const;
  const std::map<ThreadId, Thread>& threads() const { return threads_; }
  const ThreadId& open() const { return open_; }
  const Thread& OpenThread() const { return threads_.at(open_); }
  Geometry Measure() const;
  // Lines of the timeline that fit, and how much news lies below them.
  struct Window {
    std::vector<TimelineLine> lines;
    size_t below = 0;
  };
  Window VisibleLines() const;
  Mode mode() const { return mode_; }
  const InputLine& line() const { return mode_ == Mode::kTalk ? OpenThread().input : prompt_; }
  // kSwitch: threads that fit what is typed, best first.
  std::vector<ThreadId> Candidates() const;
  const std::vector<std::string>& page() const { return page_; }
  const StatusShown& status() const { return status_; }
  bool asked_to_quit() const { return asked_to_quit_; }
  bool ascii() const { return ascii_; }
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }

 private:
  Thread& Current() { return threads_.at(open_); }
  InputLine& Line() { return mode_ == Mode::kTalk ? Current().input : prompt_; }
  TimelineLook Look() const;
  void Add(Thread& thread, const ThreadId& id, Entry entry, bool unseen);
  void DropOldest(Thread& thread);
  ChatActions OnTalkKey(const Key& key);
  void OnPromptKey(const Key& key);
  bool EditKey(const Key& key);
  ChatActions Enter();
  ChatActions Retry();
  ptrdiff_t BottomLine(const std::vector<TimelineLine>& all) const;
  void Scroll(ptrdiff_t lines);
  void Find(bool next);
  void Complete();
  void OpenNextUnseen();

  const absl::TimeZone zone_;
  const bool ascii_;
  size_t rows_ = 24, columns_ = 80;
  absl::Time now_;
  std::map<ThreadId, Thread> threads_;
  ThreadId open_;
  std::set<chat::MessageId> known_;
  std::vector<chat::MessageId> seen_;
  Mode mode_ = Mode::kTalk;
  InputLine prompt_;
  std::optional<size_t> found_;  // entry of the open thread
  std::vector<std::string> page_;
  bool list_hidden_ = false, asked_to_quit_ = false;
  StatusShown status_;
};

extern const char kChatHelp[];

}  // namespace cli
