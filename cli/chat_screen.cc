// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_screen.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/overloaded.h"
#include "base/status_macros.h"
#include "chat/session.h"
#include "cli/cell_text.h"
#include "cli/chat_commands.h"
#include "cli/chat_model.h"
#include "cli/correspondence.h"
#include "cli/curses_screen.h"
#include "cli/shell_command.h"
#include "cli/terminal.h"

namespace cli {
namespace {

constexpr int kLookMilliseconds = 100;  // how long the end of the thread that waits for keys may take

struct Edited {
  std::string text;
  std::string kept;  // the file that has all of it, if it is too long for a message
};
// Lets a person write in $EDITOR. The draft lies in the directory of the sockets, owner-only, for as long as that takes.
Edited Edit(const std::string& directory, const std::string& text) {
  const std::string path = absl::StrCat(directory, "/draft-", getpid());
  if (!EnsurePrivateDirectory(directory).ok()) return {text, ""};
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return {text, ""};
  Edited edited{text, ""};
  CursesScreen::RemoveAtEnd(path);
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (written && RunShell("exec ${VISUAL:-${EDITOR:-vi}} \"$1\"", path, std::nullopt) == 0) {
    const int again = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);  // editors put another file in its place
    absl::StatusOr<std::string> read = again >= 0 ? ReadAll(again, chat::kTextMax) : absl::StatusOr<std::string>(text);
    if (again >= 0) close(again);
    if (read.ok()) edited.text = *read;
    while (!edited.text.empty() && edited.text.back() == '\n') edited.text.pop_back();
  }
  close(fd);
  if (edited.text.size() > chat::kTextMax) edited.kept = absl::StrCat(path, "-", absl::ToUnixSeconds(absl::Now()));
  if (!edited.kept.empty() && rename(path.c_str(), edited.kept.c_str()) != 0) edited.kept.clear();
  if (edited.kept.empty()) unlink(path.c_str());
  CursesScreen::RemoveAtEnd("");
  return edited;
}

// The thread that waits for keys: it only says that there are some, and runs the editor. What they mean is the loop's.
class KeyWaiter {
 public:
  KeyWaiter(base::EventLoop& loop, std::function<void(bool gone)> on_keys)
      : loop_(loop), on_keys_(std::move(on_keys)), thread_([this] { Run(); }) {}
  ~KeyWaiter() {
    stop_ = true;
    handled_.release();
    thread_.join();
  }
  // The keys are read: look for more.
  void Go() { handled_.release(); }
  // Before Go: run this first.
  void Meanwhile(std::function<void()> work) { meanwhile_ = std::move(work); }

 private:
  void Run() {
    while (!stop_) {
      pollfd keys{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      if (poll(&keys, 1, kLookMilliseconds) <= 0) continue;
      const bool gone = (keys.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
      loop_.Post([this, gone] { on_keys_(gone); });
      handled_.acquire();
      if (meanwhile_) std::exchange(meanwhile_, nullptr)();
      if (gone) return;
    }
  }

  base::EventLoop& loop_;
  const std::function<void(bool)> on_keys_;
  std::atomic<bool> stop_ = false;
  std::counting_semaphore<> handled_{0};
  std::function<void()> meanwhile_;
  std::thread thread_;
};

class ChatScreen : public CorrespondenceListener {
 public:
  ChatScreen(const ChatPlan& plan, const Context& context, TalkSession& session, OpenBook& open, CursesScreen& screen)
      : plan_(plan),
        context_(context),
        session_(session),
        screen_(screen),
        model_(absl::LocalTimeZone(), plan.ascii),
        correspondence_(session, open, *this) {}

  void Start() {
    model_.SetSize(screen_.rows(), screen_.columns());
    model_.SetTime(absl::Now());
    correspondence_.Start();
    const auto order = model_.Order();
    model_.Open(plan_.who ? ChatModel::ThreadId{ChatModel::Kind::kContact, *plan_.who} : order.front());
    if (order.size() == 1) {
      model_.AddNotice({}, "no contacts yet:  /invite  makes a code for somebody,  /accept CODE NAME  takes one up,  F1 helps");
    }
    waiter_.emplace(session_.loop(), [this](bool gone) { OnKeys(gone); });
    Draw();
  }
  void Stop() { waiter_.reset(); }

 private:
  void OnPeople(const std::vector<PersonShown>& people, size_t requests) override { model_.SetPeople(people, requests); }
  void OnMessage(const chat::Message& message, bool unseen, const std::string& sender) override {
    const size_t before = Unseen();
    model_.AddMessage(message, unseen, sender);
    if (waiter_ && Unseen() > before) Notify();
    DrawSoon();
  }
  void OnGone(const chat::MessageId& id) override {
    model_.Forget(id);
    DrawSoon();
  }
  void OnState(const keys::PublicKey& to, const chat::StateChange& change, bool under_way) override {
    model_.SetState(to, change, under_way);
    DrawSoon();
  }
  void OnNotice(const std::optional<keys::PublicKey>& about, const std::string& text) override {
    model_.AddNotice(about, text);
    DrawSoon();
  }
  void OnUnsent(const chat::Message& message, const std::string& notice) override { OnNotice(message.from, notice); }
  void OnStatus(const StatusShown& status) override { model_.SetStatus(status); }
  void OnTick() override {
    const ChatModel::ThreadId& open = model_.open();
    correspondence_.SetFocus(open.kind == ChatModel::Kind::kContact ? std::optional(open.key) : std::nullopt);
    if (suspended_) return;
    screen_.FollowSize();  // ncurses may have done so itself
    model_.SetSize(screen_.rows(), screen_.columns());
    Draw();
  }

  void Notify() {
    screen_.Ring();
    const std::string command = context_.config.notify_command.value_or("");
    if (!command.empty()) notify_.Start(command, absl::Now());
  }
  size_t Unseen() const {
    size_t unseen = 0;
    for (const auto& [id, thread] : model_.threads()) unseen += thread.unseen;
    return unseen;
  }
  // Once for all that the loop has to say at the moment.
  void DrawSoon() {
    if (!waiter_ || std::exchange(draws_soon_, true)) return;
    session_.loop().Post([this] {
      draws_soon_ = false;
      Draw();
    });
  }
  void Draw() {
    if (suspended_) return;
    model_.SetTime(absl::Now());
    auto seen = model_.TakeSeen();
    screen_.Draw(DrawChat(model_));
    if (!seen.empty()) correspondence_.Seen(std::move(seen));
  }

  void OnKeys(bool gone) {
    if (gone) {  // the terminal is closed
      Quit();
      return waiter_->Go();
    }
    while (const std::optional<Key> key = screen_.ReadKey()) {
      for (const ChatAction& action : model_.OnKey(*key)) {
        std::visit([this](const auto& one) { Do(one); }, action);
      }
      if (suspended_) break;
    }
    Draw();
    waiter_->Go();
  }

  void Do(const SendText& send) { correspondence_.Send(send.to, send.text); }
  void Do(const SendAgain& again) { correspondence_.SendAgain(again.to, again.id); }
  void Do(const RunCommand& command) {
    if (command.words.front() == "/poll") return correspondence_.PollNow();
    correspondence_.WithBook([this, command](OpenBook& open) {
      const auto reply = RunChatCommand(open, plan_.network, command.words, command.about);
      if (!reply.ok()) return model_.AddNotice(command.about, ErrorLine(reply.status()));
      if (reply->cleared && command.about) model_.ClearThread(*command.about);
      if (reply->page) {
        model_.ShowPage(reply->text);
      } else {
        model_.AddNotice(command.about, reply->text);
      }
    });
  }
  void Do(const EditText& edit) {
    suspended_ = true;
    screen_.Suspend();
    waiter_->Meanwhile([this, text = edit.text] {
      Edited edited = Edit(context_.home.RuntimeDirectory(), text);
      session_.loop().Post([this, edited = std::move(edited)] {
        model_.SetDraft(edited.text.substr(0, chat::kTextMax));
        if (!edited.kept.empty()) model_.AddNotice({}, absl::StrCat("too long for a message; all of it is in ", edited.kept));
        screen_.Resume();
        suspended_ = false;
        OnTick();
      });
    });
  }
  void Do(const QuitChat&) { Quit(); }
  void Quit() {
    correspondence_.End([this] { session_.End(); });
  }

  const ChatPlan& plan_;
  const Context& context_;
  TalkSession& session_;
  CursesScreen& screen_;
  ChatModel model_;
  Correspondence correspondence_;
  std::optional<KeyWaiter> waiter_;
  BackgroundShell notify_;
  bool suspended_ = false, draws_soon_ = false;
};

}  // namespace

absl::Status RunChatScreen(const ChatPlan& plan, const Context& context, TalkSession& session, OpenBook& open) {
  ASSIGN_OR_RETURN(const auto terminal, CursesScreen::Open(plan.color));
  spdlog::set_level(spdlog::level::off);  // a line of log in the middle of the screen helps nobody
  ChatScreen screen(plan, context, session, open, *terminal);
  const absl::Status ran = session.Run([&] { screen.Start(); });
  screen.Stop();
  return ran;
}

}  // namespace cli
