// SPDX-License-Identifier: Apache-2.0
// cli/poll_loop.h — one poll (the door, then every conversation), polls until something comes (--wait), or polls without end
// (--watch), printing as messages arrive.
//
// Waiting is a whole poll at the start and every kWholePollEvery, and between them polls of today's door alone. Where there are
// no conversations to look at, those wait at the door for what comes (Poller::Options::waits), one after the other. Else there is
// a pause between two, counted from their beginnings, that grows with the time waited, a fiftieth of it: what comes soon is read
// soon, and a long wait costs the network little. When a poll begins never depends on what is in the mailbox, until something is.
// A message is printed as soon as it is kept, before the inbox is told that it was shown: an end in between, or an output that
// cannot be written, shows it again rather than never. Between two polls the book is let go: at once by a watch, else if another
// command waits for it, for which a poll that waits is given up.
// With --exec a command is run for each message, its JSON on stdin, when the poll is over and the book is let go: so it may send.
// A message counts as shown once its command has ended with 0; else the loop ends, and the next one begins with that message.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/open_book.h"
#include "cli/talk_screens.h"
#include "cli/talk_session.h"

namespace cli {

struct PollPlan {
  std::string mailbox;                 // the identity's name
  std::optional<absl::Duration> wait;  // until the first message, or this long
  bool watch = false;
  bool json = false;
  std::string exec;  // --exec: run for every message instead of printing it
};

inline constexpr absl::Duration kWaitPauseMin = absl::Milliseconds(40), kWaitPauseMax = absl::Seconds(3);
inline constexpr int kWaitedPerPause = 50;
inline constexpr absl::Duration kWholePollEvery = absl::Seconds(10);  // and as long as a poll waits
inline constexpr absl::Duration kWaitLook = absl::Milliseconds(100);  // between two looks whether to give up a poll that waits
// Between polls of --watch: exponential, so that the moment of a poll tells nothing; cut on both sides.
inline constexpr absl::Duration kWatchMean = absl::Seconds(45), kWatchMin = absl::Seconds(5), kWatchMax = absl::Minutes(3);

// From the beginning of one to that of the next if it waits, else between them. `waited`: since the first poll began.
absl::Duration PauseBetweenPolls(const PollPlan& plan, absl::Duration waited, base::Rng& rng);

class PollLoop {
 public:
  // All outlive the loop.
  PollLoop(PollPlan plan, TalkSession& session, OpenBook& open);
  // Blocks. kTime if --wait saw nothing; the last failure if every poll failed.
  absl::Status Run();

 private:
  void OnTimer();
  void Poll();
  void GiveUpWaiting();
  void EndWaiting();
  Sender SenderOf(const chat::Message& message) const;
  absl::Status OnMessage(const chat::Message& message);
  void Execute(chat::PollResult result);
  void AfterExecution(size_t done, int code, chat::PollResult result);
  void Conclude(const chat::PollResult& result);
  void Converse(absl::StatusOr<chat::PollResult> result);
  absl::Status OnChange(const chat::ContactBook::Change& change);
  void OnDone(absl::StatusOr<chat::PollResult> result);
  void AgainOr(absl::Status outcome);
  void Finish(absl::Status outcome);

  const PollPlan plan_;
  TalkSession& session_;
  OpenBook& open_;
  base::Timer timer_;
  struct Execution {
    chat::NoteId id{};
    std::string json;
  };
  std::vector<Execution> executions_;  // of this poll
  absl::Time start_, end_;
  absl::Time whole_poll_due_, poll_began_;
  bool waited_ = false;      // this poll, or the last one, is one that waits
  bool is_waiting_ = false;  // it does so now: nothing has come
  absl::Time may_wait_from_ = absl::InfinitePast();
  bool has_conversations_ = true;  // the last exchange had something to do
  absl::Status outcome_;
  absl::Status print_failed_;
};

}  // namespace cli
