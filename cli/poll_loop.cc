// SPDX-License-Identifier: Apache-2.0
#include "cli/poll_loop.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "chat/mailbox_endpoint.h"
#include "cli/errors.h"
#include "cli/people_screens.h"
#include "cli/shell_command.h"
#include "cli/talk_errors.h"
#include "cli/talk_screens.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {

absl::Duration PauseBetweenPolls(const PollPlan& plan, absl::Duration waited, base::Rng& rng) {
  if (!plan.watch) return std::clamp(waited / kWaitedPerPause, kWaitPauseMin, kWaitPauseMax) * (0.5 + rng.Unit() / 2);
  return std::clamp(-std::log(1.0 - rng.Unit()) * kWatchMean, kWatchMin, kWatchMax);
}

PollLoop::PollLoop(PollPlan plan, TalkSession& session, OpenBook& open)
    : plan_(std::move(plan)), session_(session), open_(open), timer_(session.loop(), [this] { OnTimer(); }) {}

absl::Status PollLoop::Run() {
  start_ = whole_poll_due_ = session_.loop().Now();
  end_ = start_ + plan_.wait.value_or(absl::ZeroDuration());
  RETURN_IF_ERROR(session_.Run([this] { Poll(); }));
  return outcome_;
}

void PollLoop::OnTimer() { is_waiting_ ? GiveUpWaiting() : Poll(); }

// If there is a reason to. Its circuits stay with the storing nodes until these answer: until then none waits at others.
void PollLoop::GiveUpWaiting() {
  const absl::Time now = session_.loop().Now();
  const bool has_reason = now >= end_ || open_.Wanted();
  if (!has_reason || !session_.client().DropPolls()) return timer_.Reset(now + kWaitLook);
  EndWaiting();
  may_wait_from_ = now + chat::kListWait;
  if (now >= end_) return Poll();
  AgainOr(absl::OkStatus());
}

void PollLoop::EndWaiting() {
  if (is_waiting_) timer_.Stop();
  is_waiting_ = false;
}

// Between two polls other commands may have the book; the next one waits until it is free again.
void PollLoop::Poll() {
  const absl::Status resumed = open_.Resume();
  const absl::Time now = session_.loop().Now();
  if (absl::IsUnavailable(resumed) && plan_.wait && now >= end_) {
    return Finish(
        Fail({.exit = Exit::kTime,
              .what = absl::StrCat("no message came within ", ShownDuration(*plan_.wait), ", and another command has the book"),
              .fix = {"bulbil poll"}}));
  }
  if (absl::IsUnavailable(resumed)) return timer_.Reset(now + kBookRetry);
  if (!resumed.ok()) return Finish(resumed);
  const bool whole = plan_.watch || now >= std::min(whole_poll_due_, end_);
  if (whole) whole_poll_due_ = now + kWholePollEvery;
  poll_began_ = now;
  waited_ = is_waiting_ = !whole && !has_conversations_ && now >= may_wait_from_;
  if (is_waiting_) timer_.Reset(now + kWaitLook);
  const keys::LoadedKey& identity = open_.identity();
  const chat::PollRequest request{.identity = &identity.key,
                                  .inbox = &open_.inbox(),
                                  .created = identity.info.created,
                                  .imported = identity.info.imported,
                                  .today_only = !whole,
                                  .waits = is_waiting_,
                                  .mark_shown = plan_.exec.empty()};
  session_.client().Poll(
      request, [this](const chat::Message& message) { return OnMessage(message); },
      [this](absl::StatusOr<chat::PollResult> result) { Converse(std::move(result)); });
}

// What a message's sender is called here.
Sender PollLoop::SenderOf(const chat::Message& message) const {
  if (!message.from) return {};
  const auto& contacts = open_.book().contacts();
  const auto it = contacts.find(*message.from);
  if (message.group) {
    const bool is_verified = it != contacts.end() && it->second.verified && !it->second.changed_key;
    return {open_.NameOf(*message.from, message.group), is_verified, message.from, open_.NameOf(*message.group)};
  }
  if (it == contacts.end() || it->second.name.empty()) return {};
  return {it->second.name, it->second.verified && !it->second.changed_key, it->second.address()};
}

absl::Status PollLoop::OnMessage(const chat::Message& message) {
  EndWaiting();
  const Sender sender = SenderOf(message);
  if (!plan_.exec.empty()) {
    const bool known = std::any_of(executions_.begin(), executions_.end(), [&](const auto& one) { return one.id == message.id; });
    if (!known) executions_.push_back({message.id, MessageJson(message, plan_.mailbox, sender)});
    return absl::OkStatus();
  }
  print_failed_ = WriteStdout(plan_.json ? MessageJson(message, plan_.mailbox, sender)
                                         : MessageText(message, absl::Now(), absl::LocalTimeZone(), sender));
  return print_failed_;
}

// The door is empty: requests that were in it are opened, boxes are read, what waits is sent.
void PollLoop::Converse(absl::StatusOr<chat::PollResult> result) {
  EndWaiting();
  if (!print_failed_.ok() || !result.ok()) return OnDone(std::move(result));
  const absl::Status reloaded = open_.Reload();
  if (!reloaded.ok()) return Finish(reloaded);
  session_.exchange().Run(
      {.book = &open_.book(), .inbox = &open_.inbox(), .mark_shown = plan_.exec.empty()},
      [this](const chat::ContactBook::Change& change) { return OnChange(change); },
      [this, result](const absl::StatusOr<chat::ExchangeResult>& exchanged) mutable {
        if (!exchanged.ok()) return OnDone(exchanged.status());
        result->new_messages += exchanged->messages;
        has_conversations_ = exchanged->tasks > 0;
        OnDone(std::move(result));
      });
}

absl::Status PollLoop::OnChange(const chat::ContactBook::Change& change) {
  RETURN_IF_ERROR(open_.Tell(change.notices));
  for (const chat::ContactBook::Change::State& state : change.states) {
    const bool is_group = open_.book().groups().Find(state.peer) != nullptr;
    if (plan_.json) RETURN_IF_ERROR(WriteStdout(StateJson(state, open_.NameOf(state.peer), is_group)));
  }
  for (const chat::Message& message : change.inbox.messages) RETURN_IF_ERROR(OnMessage(message));
  return absl::OkStatus();
}

void PollLoop::OnDone(absl::StatusOr<chat::PollResult> result) {
  if (!print_failed_.ok()) return Finish(print_failed_);
  if (!result.ok()) return AgainOr(ExplainTalk(result.status()));
  if (!executions_.empty()) return Execute(*std::move(result));
  Conclude(*result);
}

// One after the other, while other commands, and they themselves, may have the book.
void PollLoop::Execute(chat::PollResult result) {
  open_.Release();
  struct Outcome {
    std::vector<Execution> all;
    size_t done = 0;
    int code = 0;
  };
  auto outcome = std::make_shared<Outcome>();
  outcome->all = executions_;
  session_.loop().RunSlow(
      [outcome, script = plan_.exec] {
        while (outcome->done < outcome->all.size() && outcome->code == 0) {
          outcome->code = RunShell(script, "", outcome->all[outcome->done].json);
          outcome->done += outcome->code == 0 ? 1 : 0;
        }
      },
      [this, outcome, result = std::move(result)] { AfterExecution(outcome->done, outcome->code, result); });
}

void PollLoop::AfterExecution(size_t done, int code, chat::PollResult result) {
  const absl::Status resumed = open_.Resume();
  if (absl::IsUnavailable(resumed)) {
    session_.loop().At(session_.loop().Now() + kBookRetry,
                       [this, done, code, result = std::move(result)] { AfterExecution(done, code, result); });
    return;
  }
  if (!resumed.ok()) return Finish(resumed);
  chat::InboxChange change;
  for (size_t i = 0; i < done; ++i) change.shown.push_back(executions_[i].id);
  executions_.clear();
  const absl::Status kept = open_.inbox().Apply(change);
  if (!kept.ok()) return Finish(kept);
  if (code == 0) return Conclude(result);
  Finish(Fail({.exit = Exit::kLocal,
               .what = absl::StrCat("the command of --exec ended with ", code),
               .why = {"the next poll begins with its message"}}));
}

void PollLoop::Conclude(const chat::PollResult& result) {
  const bool nothing = result.new_messages == 0;
  const bool last = !plan_.watch && (!plan_.wait || !nothing || session_.loop().Now() >= end_);
  if ((last || (plan_.watch && !nothing)) && plan_.exec.empty()) {
    const absl::Status printed =
        WriteStdout(plan_.json ? SummaryJson(result, plan_.mailbox) : SummaryText(result, plan_.mailbox));
    if (!printed.ok()) return Finish(printed);
  }
  if (!last) return AgainOr(absl::OkStatus());
  if (!plan_.wait || !nothing) return Finish(absl::OkStatus());
  Finish(Fail({.exit = Exit::kTime, .what = absl::StrCat("no message came within ", ShownDuration(*plan_.wait))}));
}

// After a poll that failed, or saw nothing: another one if there is to be one.
void PollLoop::AgainOr(absl::Status outcome) {
  const bool may_go_on = outcome.ok() || IsPassing(outcome);
  const bool goes_on = plan_.watch || (plan_.wait && session_.loop().Now() < end_);
  if (!may_go_on || !goes_on) return Finish(std::move(outcome));
  if (!outcome.ok() && plan_.watch) Report(outcome, plan_.json);
  if (plan_.watch || open_.Wanted()) open_.Release();
  const absl::Time now = session_.loop().Now();
  const absl::Duration pause = PauseBetweenPolls(plan_, now - start_, session_.rng());
  const absl::Time next = (waited_ ? poll_began_ : now) + pause;
  timer_.Reset(plan_.wait ? std::min(next, end_) : next);
}

void PollLoop::Finish(absl::Status outcome) {
  outcome_ = std::move(outcome);
  session_.End();
}

}  // namespace cli
