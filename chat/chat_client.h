// SPDX-License-Identifier: Apache-2.0
// chat/chat_client.h — sending and polling on the event loop: binds Sender and Poller to circuits and to an inbox.
//
// Everything on the loop's thread; callbacks are never made from inside the call that asked. When the client goes, what is under
// way stops and its callbacks are dropped; what a poll had kept already is shown by the next one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "chat/inbox.h"
#include "chat/poller.h"
#include "chat/sender.h"
#include "circuits/operations.h"

namespace chat {

inline constexpr size_t kSessionsMax = 16;  // sends and polls at once; beyond it ResourceExhausted

struct PollRequest {
  const keys::SigningKey* identity = nullptr;  // outlives the poll
  Inbox* inbox = nullptr;                      // of that identity; outlives the poll and the loop's workers
  absl::Time created;                          // when the identity was made
  bool imported = false;                       // it may have mail from before
  bool today_only = false;                     // Poller::Options
  bool waits = false;                          // too
  bool mark_shown = true;                      // false: whoever asked tells the inbox when a person has seen a message
};

class ChatClient {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
    int replica_count = 3;
    Sender::Options sender;  // network and copies are taken from above
    Poller::Options poller;
  };

  // All references outlive the client.
  ChatClient(Options options, circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng);
  ~ChatClient();

  // `on_work`, if given: told of the effort of every stamp before it is made. Errors: Sender::Start and Sender::result.
  void Send(const SendRequest& request, std::function<void(absl::StatusOr<SendResult>)> done,
            std::function<void(uint32_t effort)> on_work = {});
  // `on_message` for every message not shown before, once it is kept; afterwards the inbox remembers that it was shown. If it
  // fails, that message and those after it stay unshown for the next poll, and its error is the poll's. `done` comes last, when
  // all is on disk. Errors: Inbox::Load and Apply, Poller::result. Polls of one identity by one client use the same circuits
  // again.
  void Poll(const PollRequest& request, std::function<absl::Status(const Message&)> on_message,
            std::function<void(absl::StatusOr<PollResult>)> done);
  // Ends all polls without a word, except those that write to the disk just now. True if none is left.
  bool DropPolls();

 private:
  struct SendSession;
  struct PollSession;
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace chat
