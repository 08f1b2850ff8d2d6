// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_model.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/terminal_text.h"
#include "cli/cell_text.h"
#include "cli/open_book.h"
#include "cli/received_files.h"

namespace cli {
namespace {

constexpr size_t kListCells = 16, kListFromColumns = 60;
constexpr size_t kFrameRows = 4;  // two borders, the line between, the status

std::string Safe(const std::string& text) { return base::SanitizeForTerminal(base::AsBytes(text)).text; }

size_t LinesOf(const std::string& text) {
  constexpr size_t kUsualCells = 80;
  return 1 + static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + text.size() / kUsualCells;
}
// A screen that lays out tens of thousands of empty lines at every key would stand still.
std::string FirstLines(std::string text) {
  size_t end = 0;
  for (size_t lines = 0; lines < kLinesOfOneMax; ++lines) {
    end = text.find('\n', end);
    if (end == std::string::npos) return text;
    ++end;
  }
  text.resize(end);
  return text + "[more lines than are shown here]";
}

// All letters of `part`, in their order.
bool FitsLoosely(const std::string& part, const std::string& whole) {
  const std::string wanted = absl::AsciiStrToLower(part), text = absl::AsciiStrToLower(whole);
  size_t at = 0;
  for (const char letter : wanted) {
    at = text.find(letter, at);
    if (at == std::string::npos) return false;
    ++at;
  }
  return true;
}

}  // namespace

const char kChatHelp[] = R"(Enter        sends                   Alt-Enter    a new line
PgUp PgDn    scroll                  Ctrl-F       search; Enter: further up
Alt-1..9     a contact of the list   Alt-A        the next one with news
Ctrl-G       go to a name            F7           list on and off
Alt-R        an expired text again   Ctrl-X Ctrl-E  write in $EDITOR
Ctrl-C       clears the line         Ctrl-Q, /quit  ends

/add NAME ADDRESS     somebody whose address you have
/accept CODE NAME     an invite        /accept #TAG NAME   a stranger
/invite [NAME]        a one-time code  /qr                 your address
/verify               words to compare /verify yes         they are the same
/block [#TAG]         this contact     /unblock NAME       takes that back
/requests             strangers that wait
/file PATH            sends a file     /save ID [FOLDER]   keeps one that came
/receipts on|off      tell this contact what has arrived
/disappear 1h|off     what you write from now on is deleted at both ends
/groups               yours, and invitations; /join GROUP accepts one
/leave GROUP          goes, or declines, and forgets what was said there
/poll                 look now         /burn               forget what was said here

· waits here   ↑ on its way   ✓ stored   ✓✓ arrived there   ✗ expired, or refused
There is no presence, no "typing", no "seen".)";

void ChatModel::SetSize(size_t rows, size_t columns) {
  rows_ = rows;
  columns_ = columns;
}

void ChatModel::SetPeople(const std::vector<PersonShown>& people, size_t requests) {
  std::set<ThreadId> here;
  for (const PersonShown& person : people) {
    const ThreadId id{Kind::kContact, person.key};
    here.insert(id);
    threads_[id].name = Safe(person.name);
    threads_[id].trust = person.trust;
  }
  std::erase_if(threads_, [&](const auto& one) { return one.first.kind == Kind::kContact && !here.contains(one.first); });
  if (requests > 0) threads_[{Kind::kRequests, {}}].name = absl::StrCat("requests (", requests, ")");
  if (requests == 0) threads_.erase({Kind::kRequests, {}});
  if (threads_.contains(open_)) return;
  open_ = {};
  found_.reset();
}

void ChatModel::Add(Thread& thread, const ThreadId& id, Entry entry, bool unseen) {
  const bool theirs = entry.kind == Entry::Kind::kTheirs;
  entry.lines = LinesOf(entry.text);
  thread.lines += entry.lines;
  thread.entries.push_back(std::move(entry));
  if (unseen && theirs) {
    const bool watched = id == open_ && !thread.bottom && page_.empty();
    if (!watched && thread.unseen == 0 && !thread.marker) thread.marker = thread.entries.size() - 1;
    ++thread.unseen;
  }
  while (thread.entries.size() > 1 && (thread.entries.size() > kEntriesMax || thread.lines > kLinesMax)) {
    DropOldest(thread);
    if (id == open_) found_.reset();
  }
}

void ChatModel::DropOldest(Thread& thread) {
  thread.lines -= thread.entries.front().lines;
  thread.entries.erase(thread.entries.begin());
  if (thread.marker) thread.marker = *thread.marker > 0 ? std::optional<size_t>(*thread.marker - 1) : std::nullopt;
  if (!thread.bottom) return;
  if (thread.bottom->first == 0) thread.bottom->second = 0;
  thread.bottom->first -= thread.bottom->first > 0 ? 1 : 0;
}

void ChatModel::AddMessage(const chat::Message& message, bool unseen, const std::string& sender) {
  if (!known_.insert(message.id).second) return;
  ThreadId id{Kind::kNotes, {}};
  const std::optional<keys::PublicKey>& with = message.group ? message.group : message.from;
  if (with && threads_.contains({Kind::kContact, *with})) id = {Kind::kContact, *with};
  // With somebody who was forgotten or blocked.
  if ((message.own || message.in_conversation) && id.kind != Kind::kContact) return;
  Thread& thread = threads_[id];
  if (id.kind == Kind::kNotes) thread.name = "notes";
  Entry entry;
  entry.kind = message.own ? Entry::Kind::kOwn : Entry::Kind::kTheirs;
  entry.id = message.id;
  entry.when = message.received;
  base::TerminalText safe = base::SanitizeForTerminal(message.text);
  safe.text = FirstLines(std::move(safe.text));
  entry.text = safe.removed > 0 ? absl::StrCat("[", safe.removed, " unsafe characters removed] ", safe.text) : safe.text;
  if (message.file) {
    entry.text =
        absl::StrCat("[file] ", FileText(*message.file), message.own ? "" : absl::StrCat("   /save ", FileTag(message.id)));
    entry.file = entry.text;
  }
  if (const std::string tag = ReplyTagOf(message); !tag.empty())
    absl::StrAppend(&entry.text, "   (answer: /accept ", tag, " NAME)");
  entry.late = message.late;
  entry.who = id.kind == Kind::kContact ? thread.name : message.from ? "signed" : "nobody";
  if (message.group) entry.who = Safe(sender);
  if (id.kind == Kind::kContact && !message.in_conversation) entry.text = absl::StrCat("(a signed note) ", entry.text);
  if (message.fate == chat::Fate::kDelivered) entry.state = chat::DeliveryState::kDelivered;
  if (message.fate == chat::Fate::kRefused) entry.state = chat::DeliveryState::kRefused;
  if (message.fate == chat::Fate::kStored) entry.state = chat::DeliveryState::kStored;
  if (message.fate == chat::Fate::kExpired) entry.state = chat::DeliveryState::kExpired;
  Add(thread, id, std::move(entry), unseen);
}

void ChatModel::SetState(const keys::PublicKey& to, const chat::StateChange& change, bool under_way) {
  const auto thread = threads_.find({Kind::kContact, to});
  if (thread == threads_.end()) return;
  std::vector<Entry>& entries = thread->second.entries;
  const auto entry = std::find_if(entries.rbegin(), entries.rend(), [&](const Entry& one) { return one.id == change.id; });
  if (entry == entries.rend() || entry->kind != Entry::Kind::kOwn) return;
  entry->state = change.state;
  entry->copies = change.copies;
  entry->under_way = under_way;
  if (entry->file.empty() || change.pieces == 0) return;
  const bool waits = change.state == chat::DeliveryState::kQueued;
  entry->text = waits ? absl::StrCat(entry->file, "   ", 100 * change.stored / change.pieces, " %") : entry->file;
  entry->wrapped_at = 0;
}

void ChatModel::Forget(const chat::MessageId& id) {
  for (auto& [thread_id, thread] : threads_) {
    for (Entry& entry : thread.entries) {
      if (entry.id != id || entry.kind == Entry::Kind::kNotice) continue;
      entry.text = "(disappeared)";
      entry.gone = true;
      entry.file.clear();
      entry.wrapped.clear();
      entry.wrapped_at = 0;
    }
  }
}

void ChatModel::AddNotice(const std::optional<keys::PublicKey>& about, const std::string& text) {
  ThreadId id = about ? ThreadId{} : open_;  // what a command says stands where it was typed
  if (about && threads_.contains({Kind::kContact, *about})) id = {Kind::kContact, *about};
  Entry entry;
  entry.when = now_;
  entry.text = Safe(text);
  Add(threads_[id], id, std::move(entry), /*unseen=*/false);
}

void ChatModel::ShowPage(const std::string& text) { page_ = absl::StrSplit(Safe(text), '\n'); }

void ChatModel::ClearThread(const keys::PublicKey& key) {
  Thread& thread = threads_[{Kind::kContact, key}];
  thread.entries.clear();
  thread.lines = 0;
  thread.unseen = 0;
  thread.marker.reset();
  thread.bottom.reset();
  found_.reset();
}

void ChatModel::Open(const ThreadId& id) {
  if (!threads_.contains(id) || id == open_) return;
  Current().marker.reset();
  open_ = id;
  found_.reset();
  Thread& thread = Current();
  if (thread.unseen == 0 || !thread.marker) return;
  // More news than fits: begin where it begins.
  const std::vector<TimelineLine> lines = LayOut(thread.entries, Look());
  const size_t rows = Measure().text_rows;
  size_t first = 0;
  while (first < lines.size() && lines[first].entry < *thread.marker) ++first;
  if (first + rows < lines.size()) {
    thread.bottom.reset();
    Scroll(static_cast<ptrdiff_t>(first + rows) - static_cast<ptrdiff_t>(lines.size()));
  }
}

std::vector<chat::MessageId> ChatModel::TakeSeen() {
  Thread& thread = Current();
  if (thread.unseen > 0 && !thread.bottom && page_.empty()) {
    for (auto entry = thread.entries.rbegin(); entry != thread.entries.rend() && thread.unseen > 0; ++entry) {
      if (entry->kind != Entry::Kind::kTheirs) continue;
      seen_.push_back(entry->id);
      --thread.unseen;
    }
    thread.unseen = 0;
  }
  return std::exchange(seen_, {});
}

size_t ChatModel::Waiting() const {
  size_t waiting = 0;
  for (const auto& [id, thread] : threads_) {
    for (const Entry& entry : thread.entries) {
      waiting += entry.kind == Entry::Kind::kOwn && entry.state == chat::DeliveryState::kQueued ? 1 : 0;
    }
  }
  return waiting;
}

std::vector<ChatModel::ThreadId> ChatModel::Order() const {
  std::vector<ThreadId> order;
  for (const auto& [id, thread] : threads_) order.push_back(id);
  std::sort(order.begin(), order.end(), [&](const ThreadId& a, const ThreadId& b) {
    return std::tie(a.kind, threads_.at(a).name, a.key) < std::tie(b.kind, threads_.at(b).name, b.key);
  });
  return order;
}

std::vector<ChatModel::ThreadId> ChatModel::Candidates() const {
  std::vector<ThreadId> fitting;
  for (const ThreadId& id : Order()) {
    if (FitsLoosely(prompt_.text(), threads_.at(id).name)) fitting.push_back(id);
  }
  std::stable_sort(fitting.begin(), fitting.end(), [&](const ThreadId& a, const ThreadId& b) {
    return absl::StartsWithIgnoreCase(threads_.at(a).name, prompt_.text()) >
           absl::StartsWithIgnoreCase(threads_.at(b).name, prompt_.text());
  });
  return fitting;
}

ChatModel::Geometry ChatModel::Measure() const {
  Geometry geometry;
  geometry.list_cells = list_hidden_ || columns_ < kListFromColumns ? 0 : kListCells;
  const size_t frame = geometry.list_cells > 0 ? geometry.list_cells + 5 : 4;
  geometry.text_cells = columns_ > frame + 2 ? columns_ - frame : 2;
  const size_t most = std::max<size_t>(1, std::min<size_t>(6, rows_ / 4));
  geometry.input_rows = line().Show(columns_ > 8 ? columns_ - 6 : 2, most).lines.size();
  const size_t taken = kFrameRows + geometry.input_rows;
  geometry.text_rows = rows_ > taken ? rows_ - taken : 1;
  return geometry;
}

TimelineLook ChatModel::Look() const {
  return {
      .cells = Measure().text_cells, .now = now_, .zone = zone_, .marker = OpenThread().marker, .found = found_, .ascii = ascii_};
}

}  // namespace cli
