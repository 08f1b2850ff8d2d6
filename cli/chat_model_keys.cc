// SPDX-License-Identifier: Apache-2.0
// What keys do to the chat screen.
#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "chat/session.h"
#include "cli/chat_model.h"

namespace cli {
namespace {

constexpr size_t kPromptMax = 256;

const char* const kCommands[] = {"/accept",   "/add",      "/block", "/burn",    "/disappear", "/file", "/groups",
                                 "/help",     "/invite",   "/join",  "/leave",   "/poll",      "/qr",   "/quit",
                                 "/receipts", "/requests", "/save",  "/unblock", "/verify"};

}  // namespace

ChatActions ChatModel::OnKey(const Key& key) {
  if (key.code != Key::Code::kQuit) asked_to_quit_ = false;
  if (!page_.empty()) {
    page_.clear();
    if (key.code == Key::Code::kEscape || key.code == Key::Code::kHelp || key.code == Key::Code::kInterrupt) return {};
  }
  if (mode_ != Mode::kTalk) {
    OnPromptKey(key);
    return {};
  }
  return OnTalkKey(key);
}

// What every line understands. False: it is no key of that sort.
bool ChatModel::EditKey(const Key& key) {
  InputLine& line = Line();
  switch (key.code) {
    case Key::Code::kText:
      if (!line.Insert(key.text, mode_ == Mode::kTalk ? chat::kTextMax : kPromptMax) && mode_ == Mode::kTalk) {
        AddNotice({}, "a message has at most 65,536 bytes: the rest was left out");
      }
      return true;
    case Key::Code::kBackspace:
      line.Backspace();
      return true;
    case Key::Code::kDelete:
      line.Delete();
      return true;
    case Key::Code::kDeleteWord:
      line.DeleteWordBack();
      return true;
    case Key::Code::kDeleteLine:
      line.DeleteToStart();
      return true;
    case Key::Code::kLeft:
      line.Left();
      return true;
    case Key::Code::kRight:
      line.Right();
      return true;
    case Key::Code::kHome:
      line.Home();
      return true;
    case Key::Code::kEnd:
      line.End();
      return true;
    default:
      return false;
  }
}

ChatActions ChatModel::OnTalkKey(const Key& key) {
  if (EditKey(key)) return {};
  const auto page = static_cast<ptrdiff_t>(std::max<size_t>(2, Measure().text_rows) - 1);
  switch (key.code) {
    case Key::Code::kEnter:
      return Enter();
    case Key::Code::kNewline:
      Line().Insert("\n", chat::kTextMax);
      break;
    case Key::Code::kInterrupt:
      Line().Clear();
      break;
    case Key::Code::kUp:
      Scroll(-1);
      break;
    case Key::Code::kDown:
      Scroll(1);
      break;
    case Key::Code::kPageUp:
      Scroll(-page);
      break;
    case Key::Code::kPageDown:
      Scroll(page);
      break;
    case Key::Code::kTab:
      Complete();
      break;
    case Key::Code::kEscape:
      Current().bottom.reset();
      found_.reset();
      break;
    case Key::Code::kHelp:
      ShowPage(kChatHelp);
      break;
    case Key::Code::kList:
      list_hidden_ = !list_hidden_;
      break;
    case Key::Code::kSearch:
    case Key::Code::kSwitch:
      mode_ = key.code == Key::Code::kSearch ? Mode::kSearch : Mode::kSwitch;
      prompt_.Clear();
      break;
    case Key::Code::kEditor:
      return {EditText{Line().text()}};
    case Key::Code::kRetry:
      return Retry();
    case Key::Code::kNextUnread:
      OpenNextUnseen();
      break;
    case Key::Code::kThread: {
      const std::vector<ThreadId> order = Order();
      const auto wanted = static_cast<size_t>(key.number);
      if (wanted >= 1 && wanted <= order.size()) Open(order[wanted - 1]);
      break;
    }
    case Key::Code::kQuit:
      if (Waiting() == 0 || std::exchange(asked_to_quit_, true)) return {QuitChat{}};
      break;
    default:
      break;
  }
  return {};
}

void ChatModel::OnPromptKey(const Key& key) {
  const bool edited = EditKey(key);
  const bool searching = mode_ == Mode::kSearch;
  if (key.code == Key::Code::kEscape || key.code == Key::Code::kInterrupt || key.code == Key::Code::kQuit) {
    mode_ = Mode::kTalk;
    if (searching) found_.reset();
    return;
  }
  if (searching) {
    if (key.code == Key::Code::kText || (edited && key.code == Key::Code::kBackspace)) Find(/*next=*/false);
    if (key.code == Key::Code::kEnter || key.code == Key::Code::kUp) Find(/*next=*/true);
    return;
  }
  if (key.code != Key::Code::kEnter && key.code != Key::Code::kTab) return;
  const std::vector<ThreadId> fitting = Candidates();
  mode_ = Mode::kTalk;
  if (!fitting.empty()) Open(fitting.front());
}

ChatActions ChatModel::Enter() {
  const std::string text = Line().text();
  if (absl::StripAsciiWhitespace(text).empty()) return {};
  const std::optional<keys::PublicKey> about = open_.kind == Kind::kContact ? std::optional(open_.key) : std::nullopt;
  if (text[0] == '/' && text.rfind("//", 0) != 0) {
    Line().Clear();
    std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
    if (words.front() == "/help") ShowPage(kChatHelp);
    if (words.front() == "/help") return {};
    if (words.front() == "/quit") return OnTalkKey({Key::Code::kQuit, "", 0});
    return {RunCommand{std::move(words), about}};
  }
  if (!about) {
    AddNotice({}, "nobody reads what is written here: Alt-1..9 or Ctrl-G opens a contact, F1 helps");
    return {};
  }
  Line().Clear();
  Current().bottom.reset();
  Current().marker.reset();
  return {SendText{*about, text[0] == '/' ? text.substr(1) : text}};
}

// The last text that expired and is kept, once more.
ChatActions ChatModel::Retry() {
  const std::vector<Entry>& entries = OpenThread().entries;
  const auto expired = std::find_if(entries.rbegin(), entries.rend(), [](const Entry& one) {
    return one.kind == Entry::Kind::kOwn && one.state == chat::DeliveryState::kExpired && one.file.empty() && !one.gone;
  });
  if (expired == entries.rend() || open_.kind != Kind::kContact) return {};
  return {SendAgain{open_.key, expired->id}};
}

void ChatModel::OpenNextUnseen() {
  const std::vector<ThreadId> order = Order();
  const size_t here = static_cast<size_t>(std::find(order.begin(), order.end(), open_) - order.begin());
  for (size_t step = 1; step <= order.size(); ++step) {
    const ThreadId& id = order[(here + step) % order.size()];
    if (threads_.at(id).unseen > 0) return Open(id);
  }
}

// Moves what is at the bottom by so many lines, downwards if positive.
void ChatModel::Scroll(ptrdiff_t lines) {
  Thread& thread = Current();
  const std::vector<TimelineLine> all = LayOut(thread.entries, Look());
  const auto rows = static_cast<ptrdiff_t>(Measure().text_rows), count = static_cast<ptrdiff_t>(all.size());
  const ptrdiff_t to = std::max(BottomLine(all) + lines, std::min(rows, count) - 1);
  if (to >= count - 1) return thread.bottom.reset();
  const auto at = static_cast<size_t>(to);
  size_t first = at;
  while (first > 0 && all[first - 1].entry == all[at].entry) --first;
  thread.bottom = {all[at].entry, at - first};
}

// The line that is at the bottom of the timeline.
ptrdiff_t ChatModel::BottomLine(const std::vector<TimelineLine>& all) const {
  const Thread& thread = OpenThread();
  const auto last = static_cast<ptrdiff_t>(all.size()) - 1;
  if (!thread.bottom) return last;
  const auto first =
      std::find_if(all.begin(), all.end(), [&](const TimelineLine& line) { return line.entry == thread.bottom->first; });
  ptrdiff_t at = first - all.begin();
  for (size_t down = 0;
       down < thread.bottom->second && at < last && all[static_cast<size_t>(at) + 1].entry == thread.bottom->first; ++down)
    ++at;
  return std::min(at, last);
}

ChatModel::Window ChatModel::VisibleLines() const {
  const Thread& thread = OpenThread();
  const std::vector<TimelineLine> all = LayOut(thread.entries, Look());
  const auto rows = static_cast<ptrdiff_t>(Measure().text_rows);
  // A wider window may have room for more than stands above the bottom line.
  const ptrdiff_t end = std::max(BottomLine(all) + 1, std::min(rows, static_cast<ptrdiff_t>(all.size())));
  Window window;
  window.lines.assign(all.begin() + std::max<ptrdiff_t>(0, end - rows), all.begin() + end);
  window.below = thread.bottom ? thread.unseen : 0;
  return window;
}

// The newest entry that has the text, or the next older one; shown in the middle.
void ChatModel::Find(bool next) {
  Thread& thread = Current();
  const std::string wanted = absl::AsciiStrToLower(prompt_.text());
  size_t from = next && found_ ? *found_ : thread.entries.size();
  found_ = next ? found_ : std::nullopt;
  if (wanted.empty()) return;
  while (from > 0) {
    --from;
    if (!absl::StrContains(absl::AsciiStrToLower(thread.entries[from].text), wanted)) continue;
    found_ = from;
    const std::vector<TimelineLine> all = LayOut(thread.entries, Look());
    const auto line = std::find_if(all.begin(), all.end(), [&](const TimelineLine& one) { return one.entry == from; });
    const ptrdiff_t middle = static_cast<ptrdiff_t>(Measure().text_rows) / 2;
    Scroll((line - all.begin()) + middle - BottomLine(all));
    return;
  }
}

// The command or the name that the last word begins.
void ChatModel::Complete() {
  InputLine& line = Line();
  const std::string before = line.text().substr(0, line.cursor());
  const size_t space = before.find_last_of(" \n");
  const std::string word = before.substr(space == std::string::npos ? 0 : space + 1);
  if (word.empty()) return;
  std::vector<std::string> fitting;
  if (space == std::string::npos && word[0] == '/') {
    for (const char* command : kCommands) {
      if (std::string_view(command).rfind(word, 0) == 0) fitting.emplace_back(command);
    }
  } else {
    for (const auto& [id, thread] : threads_) {
      if (id.kind == Kind::kContact && absl::StartsWithIgnoreCase(thread.name, word)) fitting.push_back(thread.name);
    }
  }
  if (fitting.empty()) return;
  if (fitting.size() == 1) {
    while (line.cursor() > before.size() - word.size()) line.Backspace();
    line.Insert(fitting.front() + " ", chat::kTextMax);
    return;
  }
  AddNotice(open_.kind == Kind::kContact ? std::optional(open_.key) : std::nullopt,
            absl::StrCat("  ", absl::StrJoin(fitting, "  ")));
}

}  // namespace cli
