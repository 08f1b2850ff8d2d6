// SPDX-License-Identifier: Apache-2.0
// chat/exchange_driver.h — one round of a contact book over circuits: puts what is due, reads every chain, publishes bundles.
//
// Binds ContactBook and Courier to circuits::Operations, to an inbox and to the event loop, in the order that contact_book.h
// asks for: nothing leaves before what it follows from is on disk, nothing is shown before either. Everything on the loop's
// thread; callbacks are never made from inside Run. When the driver goes, what is under way stops; the next round takes it up.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/event_loop.h"
#include "chat/contact_book.h"
#include "chat/courier.h"
#include "chat/inbox.h"
#include "chat/reading_turns.h"
#include "circuits/operations.h"

namespace chat {

struct ExchangeRequest {
  ContactBook* book = nullptr;  // both outlive the round, and the loop's workers
  Inbox* inbox = nullptr;
  bool read = true;                 // false: only what is due to be sent, and the bundles it needs
  std::optional<ReadingTurn> turn;  // reads no more than this; else everything
  bool mark_shown = true;           // false: whoever asked tells the inbox when a person has seen a message
  absl::Duration deadline = absl::Minutes(2);
};
struct ExchangeResult {
  int messages = 0;
  int puts_failed = 0, reads_failed = 0;
  int tasks = 0;  // puts and readings, done or failed
  bool ran_out_of_time = false;
};

// Readings that join a round, at most; then it takes nothing new, and ends: what needs a book at rest has its turn.
inline constexpr int kJoinsMax = 16;

class ExchangeDriver {
 public:
  // All references outlive the driver.
  ExchangeDriver(Courier::Options options, circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng);
  ~ExchangeDriver();

  // `on_change`: after it is on disk, with messages that are to be shown now; if it fails they are shown by the next poll, and
  // its error is the round's. `done` comes last. One round at a time: FailedPrecondition while one runs. FailedPrecondition too:
  // fewer than four other nodes. Errors of Inbox::Apply.
  void Run(const ExchangeRequest& request, std::function<absl::Status(const ContactBook::Change&)> on_change,
           std::function<void(absl::StatusOr<ExchangeResult>)> done);

  // Something was queued: the round that runs, if there is one, takes it along. True if there is.
  bool Nudge();
  bool running() const;
  // A long file keeps a round going: readings may join it, each when the one before is over. The book gives out as many of its
  // tasks as of puts, so a file has every other operation while there is something to read.
  bool CanJoin() const;
  // False: not now.
  bool Join(const std::optional<ReadingTurn>& turn);
  // Ends the round without a word, unless it writes to the disk just now; what it had given out is known again after the book was
  // loaded anew. True if no round runs afterwards.
  bool Drop();
  // What changed is on its way to the disk: end nothing now.
  bool writing() const;

 private:
  struct Round;

  const Courier::Options options_;
  circuits::Operations& operations_;
  base::EventLoop& loop_;
  base::Rng& rng_;
  std::shared_ptr<Round> round_;
};

}  // namespace chat
