// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_lines.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/terminal_text.h"
#include "chat/session.h"
#include "cli/cell_text.h"
#include "cli/chat_commands.h"
#include "cli/correspondence.h"
#include "cli/errors.h"
#include "cli/people_screens.h"
#include "cli/received_files.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr size_t kBeginningCells = 24;
constexpr int kLookMilliseconds = 100;  // how long the end of the reading thread may take

std::string Safe(std::string_view text) { return base::SanitizeForTerminal(base::AsBytes(text)).text; }
// Enough of a text to know it by: more than one may be on its way.
std::string BeginningOf(base::ByteView text) {
  const std::string safe = base::SanitizeForTerminal(text).text;
  return CutToCells(safe.substr(0, safe.find('\n')), kBeginningCells);
}
std::string Indented(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return absl::StrReplaceAll(text, {{"\n", "\n    "}});
}

// The thread that reads stdin, line by line, at most so long as a text may be.
class LineReader {
 public:
  LineReader(base::EventLoop& loop, std::function<void(std::optional<std::string>)> on_line)
      : loop_(loop), on_line_(std::move(on_line)), thread_([this] { Run(); }) {}
  ~LineReader() {
    stop_ = true;
    thread_.join();
  }

 private:
  static constexpr size_t kLineMax = chat::kTextMax + 256;  // and a name

  void Run() {
    std::string line;
    char bytes[4096];
    while (!stop_) {
      pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      if (poll(&input, 1, kLookMilliseconds) <= 0) continue;
      const ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
      if (got <= 0) break;
      for (const char byte : std::string_view(bytes, static_cast<size_t>(got))) {
        if (byte == '\n') {
          Tell(std::exchange(line, {}));
        } else if (line.size() < kLineMax) {
          line += byte;
        }
      }
    }
    if (!line.empty()) Tell(line);
    if (!stop_) Tell(std::nullopt);
  }
  void Tell(std::optional<std::string> line) {
    loop_.Post([this, line = std::move(line)] { on_line_(line); });
  }

  base::EventLoop& loop_;
  const std::function<void(std::optional<std::string>)> on_line_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class ChatLines : public CorrespondenceListener {
 public:
  ChatLines(const ChatPlan& plan, absl::Duration patience, TalkSession& session, OpenBook& open)
      : plan_(plan), patience_(patience), session_(session), open_(open), to_(plan.who), correspondence_(session, open, *this) {}

  void Start() {
    correspondence_.Start();
    started_ = true;
    reader_.emplace(session_.loop(), [this](const std::optional<std::string>& line) { line ? OnLine(*line) : OnEnd(); });
  }
  void Stop() { reader_.reset(); }
  const absl::Status& outcome() const { return outcome_; }

 private:
  void OnPeople(const std::vector<PersonShown>& people, size_t requests) override {
    names_.clear();
    for (const PersonShown& person : people) names_[person.key] = Safe(person.name);
    if (requests > requests_) Print(absl::StrCat(requests, " waiting: /requests"));
    requests_ = requests;
  }
  void OnMessage(const chat::Message& message, bool unseen, const std::string& sender) override {
    if (!known_.insert(message.id).second) return;
    if (message.own) own_[message.id].beginning = message.file ? FileText(*message.file) : BeginningOf(message.text);
    if (!started_ && !unseen) return;  // said before this program ran
    const std::string name = message.from ? NameOf(*message.from) : "nobody";
    std::string who = message.own ? absl::StrCat("you to ", name) : absl::StrCat(name, message.in_conversation ? "" : " (note)");
    if (message.group && !message.own) who = absl::StrCat(Safe(sender), " in ", NameOf(*message.group));
    Print(absl::StrCat(who, ": ", message.late ? "(late) " : "",
                       message.file ? FileMessageText(message) : base::SanitizeForTerminal(message.text).text));
    if (!message.own && !is_unwritable_) correspondence_.Seen({message.id});
  }
  void OnGone(const chat::MessageId&) override {}  // what is printed is the terminal's
  void OnState(const keys::PublicKey& to, const chat::StateChange& change, bool) override {
    if (change.state == chat::DeliveryState::kQueued) return;
    waiting_.erase(change.id);
    const auto own = own_.find(change.id);
    if (own == own_.end()) return;
    std::string text = StateText(change);
    if (text == std::exchange(own->second.state, text) || !started_) return;
    Print(absl::StrCat("to ", NameOf(to), ": ", text, ": ", own->second.beginning));
  }
  void OnNotice(const std::optional<keys::PublicKey>&, const std::string& text) override { Print(text); }
  void OnUnsent(const chat::Message& message, const std::string& notice) override {
    Print(notice);
    if (waiting_.erase(message.id) > 0) Count(Fail({.exit = Exit::kLocal, .what = notice.substr(0, notice.find('\n'))}));
  }
  void OnStatus(const StatusShown& status) override {
    if (status.trouble != trouble_ && !status.trouble.empty()) Print(absl::StrCat("! ", status.trouble));
    trouble_ = status.trouble;
  }
  void OnTick() override {
    correspondence_.SetFocus(to_);
    if (!ends_by_ || ended_) return;
    if (sending_ == 0 && waiting_.empty()) return Finish(NotDone());
    if (session_.loop().Now() < *ends_by_) return;
    Finish(Fail({.exit = Exit::kTime,
                 .what = absl::StrCat(waiting_.size(), " messages are kept here and not stored yet",
                                      sending_ == 0 ? "" : absl::StrCat(", ", sending_, " more were not taken")),
                 .fix = {"the next send or poll tries again:  bulbil poll"}}));
  }

  std::string NameOf(const keys::PublicKey& key) const {
    const auto it = names_.find(key);
    return it == names_.end() ? TagOf(key) : it->second;
  }
  void Print(const std::string& text) {
    const absl::Status written =
        WriteStdout(absl::StrCat(absl::FormatTime("%H:%M ", absl::Now(), absl::LocalTimeZone()), Indented(Safe(text)), "\n"));
    is_unwritable_ = is_unwritable_ || !written.ok();
    if (!written.ok() && outcome_.ok()) Finish(written);
  }

  void OnLine(const std::string& line) {
    if (line.empty()) return;
    if (line[0] == '/' && line.rfind("//", 0) != 0) return Command(absl::StrSplit(line, ' ', absl::SkipEmpty()));
    const TypedLine typed = ParseTypedLine(line);
    ++sending_;
    correspondence_.WithBook([this, typed](OpenBook& open) {
      --sending_;
      const auto addressed = Addressed(typed, [&open](const std::string& name) { return open.FindThread(name).ok(); });
      if (!addressed.ok()) return PrintError(addressed.status());
      if (!addressed->to.empty()) {
        const auto thread = open.FindThread(addressed->to);
        if (!thread.ok()) return PrintError(thread.status());
        to_ = *thread;
      }
      if (!to_) return PrintError(Fail({.exit = Exit::kUsage, .what = "to whom?", .fix = {"@NAME text"}}));
      if (addressed->text.empty()) return;
      const bool is_group = open.book().groups().Find(*to_) != nullptr;
      base::Bytes text = base::ToBytes(base::AsBytes(addressed->text));
      const auto id = is_group ? open.book().SendToGroup(*to_, std::move(text), absl::Now())
                               : open.book().Send(*to_, std::move(text), absl::Now());
      if (id.ok()) waiting_.insert(*id);
      if (!id.ok()) PrintError(Fail({.exit = Exit::kRefused, .what = absl::StrCat("NOT sent: ", id.status().message())}));
    });
  }
  void Command(const std::vector<std::string>& words) {
    if (words.front() == "/quit") return OnEnd();
    if (words.front() == "/poll") return correspondence_.PollNow();
    if (words.front() == "/help") return Print(kChatHelp);
    correspondence_.WithBook([this, words](OpenBook& open) {
      const auto reply = RunChatCommand(open, plan_.network, words, to_);
      reply.ok() ? Print(reply->text) : PrintError(reply.status());
    });
  }
  void PrintError(const absl::Status& error) {
    Print(ErrorLine(error));
    Count(error);
  }
  void Count(const absl::Status& error) {
    if (not_done_++ == 0) first_error_ = error;
  }
  // A script has to learn that a line of its came to nothing.
  absl::Status NotDone() const {
    if (not_done_ == 0) return absl::OkStatus();
    return Fail({.exit = ErrorOf(first_error_).exit,
                 .what = absl::StrCat("not done: ", not_done_, not_done_ == 1 ? " line" : " lines", " of what was typed"),
                 .why = {ErrorLine(first_error_)}});
  }
  void OnEnd() {
    if (!ends_by_) ends_by_ = session_.loop().Now() + patience_;
    OnTick();
  }
  void Finish(absl::Status outcome) {
    if (std::exchange(ended_, true)) return;
    outcome_ = std::move(outcome);
    correspondence_.End([this] { session_.End(); });
  }

  const ChatPlan& plan_;
  const absl::Duration patience_;
  TalkSession& session_;
  OpenBook& open_;
  std::optional<keys::PublicKey> to_;
  Correspondence correspondence_;
  std::optional<LineReader> reader_;
  std::map<keys::PublicKey, std::string> names_;
  std::set<chat::MessageId> known_;
  std::set<chat::MessageId> waiting_;  // typed here and not stored yet
  struct Own {
    std::string beginning, state;  // as printed last
  };
  std::map<chat::MessageId, Own> own_;
  size_t not_done_ = 0;  // lines
  absl::Status first_error_;
  size_t requests_ = 0;
  size_t sending_ = 0;  // lines that wait for the book
  std::string trouble_;
  bool started_ = false, ended_ = false;
  bool is_unwritable_ = false;  // what cannot be printed was not seen
  std::optional<absl::Time> ends_by_;
  absl::Status outcome_;
};

}  // namespace

TypedLine ParseTypedLine(const std::string& line) {
  if (line.rfind("//", 0) == 0) return {"", line.substr(1)};
  if (line[0] != '@') return {"", line};
  if (const size_t end = line.find('"', 2); line.rfind("@\"", 0) == 0 && end != std::string::npos) {
    const size_t text = line.compare(end + 1, 1, " ") == 0 ? end + 2 : end + 1;
    return {line.substr(2, end - 2), line.substr(text), /*is_quoted=*/true};
  }
  const size_t space = line.find(' ');
  return {line.substr(1, space == std::string::npos ? space : space - 1),
          space == std::string::npos ? "" : line.substr(space + 1)};
}

absl::StatusOr<TypedLine> Addressed(const TypedLine& typed, const std::function<bool(const std::string&)>& is_known) {
  if (typed.to.empty() || typed.is_quoted || typed.text.empty()) return typed;
  std::vector<TypedLine> fit;
  if (is_known(typed.to)) fit.push_back(typed);
  for (size_t end = 0; end < typed.text.size();) {
    end = std::min(typed.text.find(' ', end + 1), typed.text.size());
    const std::string name = absl::StrCat(typed.to, " ", typed.text.substr(0, end));
    if (name.size() > chat::kContactNameMax) break;
    if (is_known(name)) fit.push_back({name, end == typed.text.size() ? "" : typed.text.substr(end + 1)});
  }
  if (fit.size() < 2) return fit.empty() ? typed : fit.front();
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat("to \"", fit[0].to, "\" or to \"", fit[1].to, "\"? Nothing was sent"),
               .fix = {absl::StrCat("@\"", fit[0].to, "\" text"), absl::StrCat("@\"", fit[1].to, "\" text")}});
}

absl::Status RunChatLines(const ChatPlan& plan, absl::Duration patience, TalkSession& session, OpenBook& open) {
  ChatLines lines(plan, patience, session, open);
  const absl::Status ran = session.Run([&] { lines.Start(); });
  lines.Stop();
  return ran.ok() ? lines.outcome() : ran;
}

}  // namespace cli
