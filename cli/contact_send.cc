// SPDX-License-Identifier: Apache-2.0
#include "cli/contact_send.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/book_errors.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/people_screens.h"
#include "cli/send_clock.h"
#include "cli/talk_errors.h"
#include "cli/talk_session.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr absl::Duration kSendRetry = absl::Seconds(2);  // between two rounds of --wait; what is due says the outbox

std::string ShortId(const chat::MessageId& id) { return base::ToHex(base::ByteView(id).first(2)); }

// A file's way, on stderr: a line that is drawn over itself on a terminal, an object at every tenth with --json.
class Progress {
 public:
  explicit Progress(const Context& context)
      : json_(context.flags.json), bar_(!json_ && !context.flags.quiet && IsTerminal(STDERR_FILENO)) {}
  ~Progress() {
    if (drawn_) WriteStderr("\n");
  }

  void Show(const chat::Outgoing& file) {
    const int percent = 100 * file.PiecesStored() / file.pieces, step = json_ ? percent / 10 : percent;
    if ((!json_ && !bar_) || step == last_) return;
    last_ = step;
    if (json_) return Say(file);
    const std::string done(static_cast<size_t>(percent) * kBarCells / 100, '#');
    WriteStderr(absl::StrCat("\r[", done, std::string(kBarCells - done.size(), '.'), "] ", percent, " %  ", file.PiecesStored(),
                             " of ", file.pieces, " boxes stored "));
    drawn_ = true;
  }

 private:
  static constexpr size_t kBarCells = 30;

  static void Say(const chat::Outgoing& file) {
    WriteStderr(JsonObject()
                    .Add("schema", 1)
                    .Add("type", "progress")
                    .Add("id", base::ToHex(file.id))
                    .Add("stored", int{file.PiecesStored()})
                    .Add("boxes", int{file.pieces})
                    .Line());
  }

  const bool json_, bar_;
  bool drawn_ = false;
  int last_ = -1;
};

// Rounds that only send, until the message is stored or the time is over; between two of them other commands may have the book.
class Rounds {
 public:
  Rounds(TalkSession& session, OpenBook& open, const keys::PublicKey& to, const chat::MessageId& id, absl::Duration patience,
         Progress& progress)
      : session_(session),
        open_(open),
        to_(to),
        id_(id),
        patience_(patience),
        until_(session.loop().Now() + patience),
        progress_(progress),
        timer_(session.loop(), [this] { Again(); }) {}

  absl::Status Run() {
    RETURN_IF_ERROR(session_.Run([this] { Again(); }));
    return outcome_;
  }
  bool used_network() const { return tasks_ > 0; }

 private:
  void Again() {
    const absl::Status resumed = open_.Resume();
    if (absl::IsUnavailable(resumed) && session_.loop().Now() < until_) return timer_.Reset(session_.loop().Now() + kBookRetry);
    if (absl::IsUnavailable(resumed)) {
      return End(Fail({.exit = Exit::kTime,
                       .what = "the message is kept here; whether it is stored cannot be told: another command has the book",
                       .fix = {"bulbil poll"}}));
    }
    if (!resumed.ok()) return End(resumed);
    session_.exchange().Run(
        // What arrives by this round is for the next poll to show.
        {.book = &open_.book(), .inbox = &open_.inbox(), .read = false, .mark_shown = false, .deadline = RoundMax()},
        [this](const chat::ContactBook::Change& change) {
          const chat::Outgoing* message = Find();
          if (message != nullptr && message->IsFile()) progress_.Show(*message);
          return open_.Tell(change.notices);
        },
        [this](const absl::StatusOr<chat::ExchangeResult>& result) {
          tasks_ += result.ok() ? result->tasks : 0;
          Judge(result.status());
        });
  }
  // On a clock one round is all there is to wait for, however long it takes.
  absl::Duration RoundMax() const {
    if (session_.profile() == chat::Profile::kOff) return chat::ExchangeRequest().deadline;
    return patience_ > absl::ZeroDuration() ? patience_ : chat::kTurnMax;
  }
  void Judge(const absl::Status& round) {
    const chat::Outgoing* message = Find();
    const bool waits = message != nullptr && message->state == chat::DeliveryState::kQueued;
    const bool advances = waits && message->PiecesStored() > std::exchange(pieces_stored_, message->PiecesStored());
    if (!waits || (!advances && session_.loop().Now() >= until_)) return End(round);
    open_.Release();
    timer_.Reset(advances ? session_.loop().Now() : std::min(until_, session_.loop().Now() + kSendRetry));
  }
  const chat::Outgoing* Find() const {
    const chat::Outbox* outbox = open_.OutboxOf(to_);
    return outbox == nullptr ? nullptr : outbox->Find(id_);
  }
  void End(const absl::Status& outcome) {
    outcome_ = outcome;
    session_.End();
  }

  TalkSession& session_;
  OpenBook& open_;
  const keys::PublicKey to_;
  const chat::MessageId id_;
  const absl::Duration patience_;
  const absl::Time until_;
  Progress& progress_;
  base::Timer timer_;
  uint16_t pieces_stored_ = 0;
  int tasks_ = 0;  // of all rounds
  absl::Status outcome_;
};

// `conversation`: null for a group.
absl::Status Waits(const chat::Outgoing& message, const chat::Conversation* conversation, const std::string& name,
                   const absl::Status& outcome) {
  const absl::Status explained = outcome.ok() ? outcome : ExplainTalk(outcome);
  CommandError error{.exit = outcome.ok() ? Exit::kTime : ErrorOf(explained).exit};
  const std::string so_far =
      message.IsFile() ? absl::StrCat(": ", message.PiecesStored(), " of ", message.pieces, " boxes are") : "";
  error.what = absl::StrCat("message ", ShortId(message.id), " to ", name, " is kept here and not stored yet", so_far);
  if (!outcome.ok()) {
    error.why = {ErrorOf(explained).what};
  } else if (conversation != nullptr && !conversation->has_session()) {
    error.why = {absl::StrCat(name, " has published no keys yet: they come with the first poll of ", name)};
  } else {
    error.why = {"too few storing nodes took it"};
  }
  error.fix = {"the next send or poll tries again:  bulbil poll"};
  return Fail(std::move(error));
}

// --wait; without it one round is all.
absl::StatusOr<absl::Duration> PatienceOf(const TalkFlags& flags) {
  if (flags.wait.empty()) return absl::ZeroDuration();
  const std::optional<absl::Duration> patience = ParseDuration(flags.wait);
  return patience ? absl::StatusOr<absl::Duration>(*patience) : BadValue("--wait", flags.wait, "a duration as 30s or 5m");
}

// What became of the message `id`, now that the rounds ended with `outcome`. `to`: a contact or a group.
absl::Status TellOutcome(const Context& context, OpenBook& open, const keys::PublicKey& to, const chat::MessageId& id,
                         const absl::Status& outcome, absl::Time start) {
  const std::string name = open.NameOf(to);
  const chat::Outbox* outbox = open.OutboxOf(to);
  const chat::Outgoing* found = outbox == nullptr ? nullptr : outbox->Find(id);
  if (found == nullptr) {  // somebody forgot the contact while this waited
    return Fail({.exit = Exit::kIdentity, .what = absl::StrCat(name, " is not here any more; nothing was sent")});
  }
  const chat::Outgoing& message = *found;
  if (message.state == chat::DeliveryState::kQueued) return Waits(message, open.book().FindConversation(to), name, outcome);
  if (message.state == chat::DeliveryState::kRefused) {
    return Fail({.exit = Exit::kRefused, .what = absl::StrCat(name, " has no room for the file")});
  }
  if (message.state == chat::DeliveryState::kExpired) {
    return Fail({.exit = Exit::kTime,
                 .what = absl::StrCat("message ", ShortId(message.id), " to ", name, " expired before it was stored")});
  }
  const absl::Time end = absl::Now();
  if (context.flags.json) {
    return WriteStdout(JsonObject()
                           .Add("schema", 1)
                           .Add("type", "sent")
                           .Add("id", base::ToHex(message.id))
                           .Add(open.book().groups().Find(to) != nullptr ? "group" : "contact", name)
                           .Add("state", "stored")
                           .Add("copies", int{message.copies})
                           .Add("boxes", int{message.IsFile() ? message.pieces : message.parts})
                           .Add("seconds", absl::ToDoubleSeconds(end - start))
                           .Line());
  }
  if (context.flags.quiet) return absl::OkStatus();
  return WriteStdout(absl::StrCat("✓ stored on ", message.copies, " replicas in ", ShownDuration(end - start), " · expires in ",
                                  ShownDuration(message.expiry - end), " · message ", ShortId(message.id), "\n"));
}

// What is queued goes out, and the outcome is told. `to`: a contact or a group.
absl::Status Follow(const Invocation& invocation, const Context& context, OpenBook& open, const keys::PublicKey& to,
                    const chat::MessageId& id, size_t boxes, absl::Duration patience, absl::Time start) {
  RETURN_IF_ERROR(open.Save());
  const absl::StatusOr<std::unique_ptr<TalkSession>> session = OpenForSending(invocation, context, boxes);
  if (!session.ok()) return TellOutcome(context, open, to, id, session.status(), start);
  absl::Status outcome;
  bool used_network = false;
  {
    Progress progress(context);
    Rounds rounds(**session, open, to, id, patience, progress);
    outcome = rounds.Run();
    used_network = rounds.used_network();
  }
  // Not where the book could not be taken again.
  const absl::Status told = open.released() ? outcome : TellOutcome(context, open, to, id, outcome, start);
  if (used_network) SayWhatNowShows(told.ok() ? "Sent" : "Tried", **session, context);
  return told;
}

}  // namespace

absl::Status SendToContact(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Contact& contact,
                           base::Bytes bytes, std::string file_name) {
  ASSIGN_OR_RETURN(const absl::Duration patience, PatienceOf(invocation.talk));
  const absl::Time start = absl::Now();
  const size_t boxes = 1 + bytes.size() / chat::kBoxTextMax;
  const auto id = file_name.empty() ? open.book().Send(contact.key, std::move(bytes), start)
                                    : open.book().SendFile(contact.key, std::move(file_name), std::move(bytes), start);
  if (absl::IsFailedPrecondition(id.status())) return KeyChanged(contact.name);
  if (absl::IsPermissionDenied(id.status())) return Blocked(contact.name);
  if (!id.ok()) return Fail({.exit = Exit::kRefused, .what = std::string(id.status().message())});
  return Follow(invocation, context, open, contact.key, *id, boxes, patience, start);
}

absl::Status SendToGroup(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Group& group,
                         base::Bytes text) {
  ASSIGN_OR_RETURN(const absl::Duration patience, PatienceOf(invocation.talk));
  const absl::Time start = absl::Now();
  const size_t boxes = 1 + text.size() / chat::kGroupTextMax;
  const auto id = open.book().SendToGroup(group.id, std::move(text), start);
  if (!id.ok()) return ExplainGroup(id.status());
  return Follow(invocation, context, open, group.id, *id, boxes, patience, start);
}

}  // namespace cli
