// SPDX-License-Identifier: Apache-2.0
#include "cli/correspondence.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/errors.h"
#include "cli/people_screens.h"
#include "cli/poll_loop.h"
#include "cli/talk_errors.h"
#include "cli/values.h"

namespace cli {

Correspondence::Correspondence(TalkPorts& session, OpenBook& open, CorrespondenceListener& listener)
    : session_(session), open_(open), listener_(listener), timer_(session.loop(), [this] { Tick(); }), turns_(session.rng()) {}

void Correspondence::Start() {
  door_due_ = round_due_ = sweep_due_ = session_.loop().Now();
  puts_due_ = absl::InfinitePast();
  TellPeople();
  TellHistory();
  Tick();
}

absl::Duration Correspondence::Pause(absl::Duration mean) {
  return std::clamp(-std::log(1.0 - session_.rng().Unit()) * mean, mean / 10, 4 * mean);
}

void Correspondence::Tick() {
  const absl::Time now = session_.loop().Now();
  if (!HasBook()) {
    TakeBook();
  } else if (jobs_.empty() && !end_ && open_.Wanted() && (Idle() || Yield())) {
    SaveAll();
    if (Idle()) open_.Release();
  }
  if (HasBook() && !end_) {
    SweepIfDue();
    if (!polling_ && now >= door_due_ && !open_.Wanted()) PollDoor();
    if (OnClock()) ReadNext();
    if (!OnClock() && now >= round_due_) Converse(/*read=*/true);
    const bool puts = open_.book().NextDue() <= session_.loop().WallNow() && now >= puts_due_;
    if (puts && !session_.exchange().running()) Converse(/*read=*/false);
    TellStates();
  }
  TellStatus();
  listener_.OnTick();
  const bool unfinished = session_.exchange().writing() || !jobs_.empty();
  // Work that waits for another command is waited for; that the book cannot be opened is not.
  const bool is_given_up = now >= end_by_ && (jobs_.empty() || !trouble_.empty());
  if (end_ && (!unfinished || is_given_up)) return std::exchange(end_, nullptr)();
  timer_.Reset(now + (end_ || open_.released() ? kBookRetry : kTick));
}

// Another command may have changed anything, or what was written here did not reach the disk: all is read anew.
void Correspondence::TakeBook() {
  if (is_stale_ && session_.loop().Now() < puts_due_) return;
  const absl::Status taken = is_stale_ ? open_.Reload() : open_.Resume();
  if (!is_stale_ && absl::IsUnavailable(taken)) return;
  trouble_ = taken.ok() ? "" : ErrorOf(taken).what;
  if (!taken.ok()) {
    puts_due_ = session_.loop().Now() + kTroublePause;
    return;
  }
  is_stale_ = false;
  TellPeople();
  TellHistory();
  while (!jobs_.empty() && HasBook()) {
    const auto job = std::move(jobs_.front());
    jobs_.pop_front();
    Work(job);
  }
  if (!seen_.empty()) Seen({});
  Converse(/*read=*/false);
}

void Correspondence::WithBook(std::function<void(OpenBook&)> job) {
  if (!HasBook()) {
    jobs_.push_back(std::move(job));
    return timer_.Reset(session_.loop().Now());
  }
  Work(job);
  TellPeople();
  Converse(/*read=*/false);
}

void Correspondence::Work(const std::function<void(OpenBook&)>& job) {
  job(open_);
  for (const chat::Message& message : open_.book().written()) {
    const auto same = [&](const chat::Message& one) { return one.id == message.id; };
    if (std::none_of(unsaved_.begin(), unsaved_.end(), same)) unsaved_.push_back(message);
  }
}

void Correspondence::Send(const keys::PublicKey& to, const std::string& text) {
  WithBook([this, to, text](OpenBook&) { Queue(to, base::ToBytes(base::AsBytes(text))); });
}

void Correspondence::SendAgain(const keys::PublicKey& to, const chat::MessageId& id) {
  WithBook([this, to, id](OpenBook& open) {
    const auto messages = open.inbox().Messages();
    for (const chat::Message& message : messages.ok() ? *messages : std::vector<chat::Message>()) {
      if (message.id == id && message.own) return Queue(to, message.text);
    }
    listener_.OnNotice(to, "NOT sent: this text is not kept any more");
  });
}

void Correspondence::Queue(const keys::PublicKey& to, base::Bytes text) {
  const bool is_group = open_.book().groups().Find(to) != nullptr;
  const auto id = is_group ? open_.book().SendToGroup(to, text, absl::Now()) : open_.book().Send(to, text, absl::Now());
  if (id.ok()) return;
  const bool has_changed = absl::IsFailedPrecondition(id.status()) && !is_group;
  const std::string why = has_changed ? "the key has changed: /verify" : std::string(id.status().message());
  listener_.OnNotice(to, absl::StrCat("NOT sent: ", why, "\n", base::ToString(text)));
}

void Correspondence::Seen(std::vector<chat::MessageId> ids) {
  seen_.insert(seen_.end(), ids.begin(), ids.end());
  if (seen_.empty() || open_.released()) return;
  chat::InboxChange change;
  change.shown = std::exchange(seen_, {});
  const absl::Status written = open_.inbox().Apply(change);
  if (!written.ok()) trouble_ = "this disk does not take anything";
}

void Correspondence::PollNow() {
  door_due_ = round_due_ = session_.loop().Now();
  turns_.Restart();
  timer_.Reset(session_.loop().Now());
}

void Correspondence::End(std::function<void()> done) {
  end_ = std::move(done);
  end_by_ = session_.loop().Now() + kEndPatience;
  timer_.Reset(session_.loop().Now());
}

// ---- the door

void Correspondence::PollDoor() {
  polling_ = true;
  door_due_ = session_.loop().Now() + Pause(kWatchMean);
  const keys::LoadedKey& identity = open_.identity();
  session_.client().Poll(
      {.identity = &identity.key,
       .inbox = &open_.inbox(),
       .created = identity.info.created,
       .imported = identity.info.imported,
       .mark_shown = false},
      [this](const chat::Message& message) {
        listener_.OnMessage(message, /*unseen=*/true, "");  // notes: of no group
        return absl::OkStatus();
      },
      [this](const absl::StatusOr<chat::PollResult>& result) {
        polling_ = false;
        if (!result.ok()) trouble_ = ErrorOf(ExplainTalk(result.status())).what;
        reload_due_ = reload_due_ || (result.ok() && result->handshakes > 0);
        ReloadIfDue();
      });
}

// What the poll has kept of strangers is opened when no round works on the book. A poll works on the inbox alone; on a clock one
// is nearly always under way.
void Correspondence::ReloadIfDue() {
  if (!reload_due_ || is_stale_ || session_.exchange().running()) return;
  reload_due_ = false;
  if (Reread()) Converse(/*read=*/false);
}

// False: nothing is done with the book, which is not what is on disk, until it can be read. What is written waits.
bool Correspondence::Reread() {
  const absl::Status reloaded = open_.Reload();
  is_stale_ = !reloaded.ok();
  if (!is_stale_) return true;
  trouble_ = ErrorOf(reloaded).what;
  puts_due_ = session_.loop().Now() + kTroublePause;
  return false;
}

void Correspondence::SweepIfDue() {
  if (session_.exchange().running() || session_.loop().Now() < sweep_due_) return;
  sweep_due_ = session_.loop().Now() + kSweepEvery;
  const auto swept = open_.Sweep();
  if (!swept.ok()) {
    trouble_ = ErrorOf(swept.status()).what;
    Reread();
    return;
  }
  for (const chat::MessageId& id : *swept) {
    disappearing_.erase(id);
    listener_.OnGone(id);
  }
}

// ---- the boxes

// Gives up what waits for a tick. False if something is being written just now.
bool Correspondence::Yield() {
  if (!OnClock() || !session_.client().DropPolls()) return false;
  polling_ = false;
  return session_.exchange().Drop();
}

// What changed since a round last looked, as a text that was written just now.
void Correspondence::SaveAll() {
  const chat::ContactBook::Change change = open_.book().TakeChange(session_.loop().WallNow());
  if (change.empty()) return;
  const absl::Status saved = open_.inbox().Apply(change.inbox);
  saved.ok() ? OnChange(change) : AfterRound(saved);
}

// On a clock: the next turn begins when the last one is over, also while a file is on its way.
void Correspondence::ReadNext() {
  const absl::Time now = session_.loop().Now();
  const bool joins = session_.exchange().running();
  if ((joins && !session_.exchange().CanJoin()) || now < puts_due_ || open_.Wanted()) return;
  std::vector<keys::PublicKey> contacts;
  for (const auto& [key, conversation] : open_.book().conversations()) {
    if (conversation.has_session() && conversation.talks()) contacts.push_back(key);
  }
  const absl::Time wall_now = session_.loop().WallNow();
  const std::vector<keys::PublicKey> chains = open_.book().groups().Chains({}, wall_now);
  contacts.insert(contacts.end(), chains.begin(), chains.end());
  std::sort(contacts.begin(), contacts.end());
  const auto turn = turns_.Next(contacts, FocusChain(wall_now), now);
  if (!turn) return;
  open_.book().SetFocus(focus_);
  if (!joins) return Exchange({.turn = turn});
  session_.exchange().Join(turn);
}

// Of a group one chain after the other.
std::optional<keys::PublicKey> Correspondence::FocusChain(absl::Time wall_now) {
  if (!focus_ || open_.book().groups().Find(*focus_) == nullptr) return focus_;
  const std::vector<keys::PublicKey> chains = open_.book().groups().Chains(focus_, wall_now);
  return chains.empty() ? std::nullopt : std::optional(chains[focus_turn_++ % chains.size()]);
}

void Correspondence::Converse(bool read) {
  const size_t chains = open_.book().contacts().size() + open_.book().groups().Chains({}, session_.loop().WallNow()).size();
  const auto pace = std::max(kPaceOffClock, chains * kPacePerContact);
  if (read) round_due_ = session_.loop().Now() + Pause(pace);
  if (session_.exchange().Nudge()) {
    read_due_ = read_due_ || (read && !session_.exchange().Join(std::nullopt));
    return;
  }
  Exchange({.read = read});
}

void Correspondence::Exchange(const chat::ExchangeRequest& what) {
  chat::ExchangeRequest request = what;
  request.book = &open_.book();
  request.inbox = &open_.inbox();
  request.mark_shown = false;
  if (OnClock()) request.deadline = absl::Hours(24);  // its operations end by themselves
  session_.exchange().Run(
      request,
      [this](const chat::ContactBook::Change& change) {
        OnChange(change);
        return absl::OkStatus();
      },
      [this](const absl::StatusOr<chat::ExchangeResult>& result) {
        const bool is_late = result.ok() && result->ran_out_of_time;
        AfterRound(is_late ? absl::Status(absl::DeadlineExceededError("time ran out")) : absl::Status(result.status()));
      });
}

void Correspondence::OnChange(const chat::ContactBook::Change& change) {
  TellPeople();
  for (const chat::Message& message : change.inbox.history) {
    std::erase_if(unsaved_, [&](const chat::Message& one) { return one.id == message.id; });
    Tell(message, /*unseen=*/false);
  }
  for (const chat::Message& message : change.inbox.messages) Tell(message, /*unseen=*/true);
  for (const chat::BookNotice& notice : change.notices) {
    const std::string text =
        NoticeText(notice, open_.NameOf(notice.peer, notice.group), notice.group ? open_.NameOf(*notice.group) : "");
    listener_.OnNotice(notice.group ? notice.group : notice.peer, std::string(absl::StripAsciiWhitespace(text)));
  }
  TellStates();
}

void Correspondence::AfterRound(const absl::Status& outcome) {
  trouble_ = outcome.ok() ? "" : ErrorOf(ExplainTalk(outcome)).what;
  if (!outcome.ok()) {  // what could not be written must not leave; what was given out did not come back
    puts_due_ = session_.loop().Now() + kTroublePause;
    for (const chat::Message& message : std::exchange(unsaved_, {})) {
      const std::string what = message.file ? message.file->name : base::ToString(message.text);
      listener_.OnUnsent(message, absl::StrCat("NOT sent: ", trouble_, "\n", what));
    }
    Reread();
  }
  TellStates();
  ReloadIfDue();
  if (!outcome.ok() || open_.Wanted() || session_.exchange().running()) return;
  if (std::exchange(read_due_, false)) Converse(/*read=*/true);
}

// ---- telling

void Correspondence::TellPeople() {
  std::vector<PersonShown> people;
  size_t requests = 0;
  for (const auto& [key, contact] : open_.book().contacts()) {
    const chat::Conversation* conversation = open_.book().FindConversation(key);
    const auto standing = conversation == nullptr ? chat::Standing::kContact : conversation->standing();
    requests += contact.name.empty() && conversation != nullptr && conversation->asks() ? 1 : 0;
    if (contact.name.empty() || standing == chat::Standing::kBlocked) continue;
    people.push_back({key, contact.name, contact.changed_key ? '!' : contact.verified ? '+' : '?'});
  }
  for (const chat::Group* group : open_.book().groups().All()) {
    if (group->state != chat::Group::State::kInvited) people.push_back({group->id, open_.NameOf(group->id), ' '});
  }
  listener_.OnPeople(people, requests);
}

void Correspondence::Tell(const chat::Message& message, bool unseen) {
  if (message.life > 0) disappearing_.insert(message.id);
  listener_.OnMessage(message, unseen, message.group && message.from ? open_.NameOf(*message.from, message.group) : "");
}

void Correspondence::TellHistory() {
  auto messages = open_.inbox().Messages();
  const auto state = open_.inbox().Load(absl::Now());
  if (!messages.ok() || !state.ok()) {
    trouble_ = "what was said before cannot be read";
    return;
  }
  std::set<chat::MessageId> unseen;
  for (const chat::Message& message : state->unshown) unseen.insert(message.id);
  std::stable_sort(messages->begin(), messages->end(), [](const auto& a, const auto& b) { return a.received < b.received; });
  std::set<chat::MessageId> gone = std::exchange(disappearing_, {});  // while another command had the book
  for (const chat::Message& message : *messages) gone.erase(message.id);
  for (const chat::MessageId& id : gone) listener_.OnGone(id);
  for (const chat::Message& message : *messages) Tell(message, unseen.contains(message.id));
  told_.clear();
  TellStates();
}

void Correspondence::TellStates() {
  for (const auto& [peer, conversation] : open_.book().conversations()) TellStatesOf(peer, conversation.outbox());
  for (const chat::Group* group : open_.book().groups().All()) {
    TellStatesOf(group->id, *open_.book().groups().FindOutbox(group->id));
  }
}

void Correspondence::TellStatesOf(const keys::PublicKey& peer, const chat::Outbox& outbox) {
  for (const auto& [number, message] : outbox.messages()) {
    if (message.is_control) continue;
    const Told now{message.state, message.copies, message.PiecesStored(), outbox.UnderWay(message)};
    const auto [told, is_new] = told_.try_emplace(message.id, now);
    if (!is_new && told->second == now) continue;
    told->second = now;
    listener_.OnState(peer, chat::StateOf(message), now.under_way);
  }
}

void Correspondence::TellStatus() {
  StatusShown status;
  status.mailbox = open_.identity().info.name;
  status.node = session_.way();
  const absl::Duration left = std::max(absl::Seconds(1), round_due_ - session_.loop().Now());
  status.poll = Idle() ? absl::StrCat("poll in ~", absl::ToInt64Seconds(left), " s") : "polling";
  if (OnClock()) status.poll = absl::StrCat(chat::NameOf(session_.profile()), " clock");
  status.trouble = open_.released() ? "another command uses the book: what you write waits for it" : trouble_;
  if (is_stale_) absl::StrAppend(&status.trouble, ": what you write waits");
  listener_.OnStatus(status);
}

}  // namespace cli
