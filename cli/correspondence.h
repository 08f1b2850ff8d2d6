// SPDX-License-Identifier: Apache-2.0
// cli/correspondence.h — an identity's conversations while a chat runs: reads, sends what is written, and tells.
//
// Two things go on side by side: the door is polled, as by `poll --watch`, and the boxes of contacts are read. On a clock
// (TalkSession::profile) there is always somebody's turn (reading_turns.h), the contact in focus each second time, and everything
// waits for a tick, what is written too. Without one all contacts are read in rounds, whose moments are exponential around
// kPaceOffClock: when something is read tells nothing of what was typed or came; what is written leaves at once. When another
// command wants the book it may have it (open_book.h): off the clock while nothing is under way; on it, what waits for a tick is
// given up and asked for again later. What is written meanwhile waits here, and so it does while a book cannot be read again
// after a write that failed: what is on disk alone may go on. Everything on the session's loop; the listener is called from it,
// and after Start only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/chat_model.h"
#include "cli/open_book.h"
#include "cli/talk_session.h"

namespace cli {

inline constexpr absl::Duration kTick = absl::Milliseconds(200);            // how often it looks what is due
inline constexpr absl::Duration kSweepEvery = absl::Seconds(5);             // looks what disappears
inline constexpr absl::Duration kTroublePause = absl::Seconds(5);           // after a round that failed
inline constexpr absl::Duration kPaceOffClock = absl::Seconds(2);           // between two rounds
inline constexpr absl::Duration kPacePerContact = absl::Milliseconds(500);  // a round of many contacts takes longer
inline constexpr absl::Duration kEndPatience = absl::Seconds(5);            // for what is being written when the chat ends

class CorrespondenceListener {
 public:
  virtual ~CorrespondenceListener() = default;
  virtual void OnPeople(const std::vector<PersonShown>& people, size_t requests) = 0;
  // Once for each message; those of before first, in their order. `sender`: its name, if it was written to a group.
  virtual void OnMessage(const chat::Message& message, bool unseen, const std::string& sender) = 0;
  // It has disappeared: show nothing of it.
  virtual void OnGone(const chat::MessageId& id) = 0;
  virtual void OnState(const keys::PublicKey& to, const chat::StateChange& change, bool under_way) = 0;
  virtual void OnNotice(const std::optional<keys::PublicKey>& about, const std::string& text) = 0;
  // A message of one's own that did not reach the disk: it is not kept, and does not leave. `notice`: why, and its text.
  virtual void OnUnsent(const chat::Message& message, const std::string& notice) = 0;
  virtual void OnStatus(const StatusShown& status) = 0;
  virtual void OnTick() = 0;  // after all the others, every kTick
};

class Correspondence {
 public:
  // All outlive it.
  Correspondence(TalkPorts& session, OpenBook& open, CorrespondenceListener& listener);

  void Start();
  // Does it with the book, now or as soon as another command gives it back; what changed leaves at once.
  void WithBook(std::function<void(OpenBook& open)> job);
  // What does not reach the disk comes back (OnUnsent): here, and of what a job of WithBook has written.
  void Send(const keys::PublicKey& to, const std::string& text);
  // The text of an own message once more, as long as it is kept.
  void SendAgain(const keys::PublicKey& to, const chat::MessageId& id);
  // A person has looked at these.
  void Seen(std::vector<chat::MessageId> ids);
  void PollNow();
  // The contact, or the group, that a person looks at; nobody: none.
  void SetFocus(const std::optional<keys::PublicKey>& peer) { focus_ = peer; }
  // Calls `done` once nothing is half written; then the session may end.
  void End(std::function<void()> done);

 private:
  void Tick();
  // Another command has it, or it could not be read again after a write that failed: nothing is done with it.
  bool HasBook() const { return !open_.released() && !is_stale_; }
  void TakeBook();
  bool Reread();
  bool Idle() const { return !polling_ && !session_.exchange().running(); }
  void PollDoor();
  bool OnClock() const { return session_.profile() != chat::Profile::kOff; }
  bool Yield();
  void SaveAll();
  void ReadNext();
  void Exchange(const chat::ExchangeRequest& request);
  void Converse(bool read);
  void OnChange(const chat::ContactBook::Change& change);
  void AfterRound(const absl::Status& outcome);
  void ReloadIfDue();
  void SweepIfDue();
  void Work(const std::function<void(OpenBook&)>& job);
  void Queue(const keys::PublicKey& to, base::Bytes text);
  std::optional<keys::PublicKey> FocusChain(absl::Time wall_now);
  void TellPeople();
  void Tell(const chat::Message& message, bool unseen);
  void TellStatesOf(const keys::PublicKey& peer, const chat::Outbox& outbox);
  void TellHistory();
  void TellStates();
  void TellStatus();
  absl::Duration Pause(absl::Duration mean);

  TalkPorts& session_;
  OpenBook& open_;
  CorrespondenceListener& listener_;
  base::Timer timer_;
  chat::ReadingTurns turns_;
  std::optional<keys::PublicKey> focus_;
  size_t focus_turn_ = 0;  // of a group: whose chain in it
  absl::Time door_due_, round_due_, puts_due_, sweep_due_;
  bool polling_ = false;
  bool is_stale_ = false;    // the book here is not what is on disk
  bool reload_due_ = false;  // a poll has kept handshakes
  bool read_due_ = false;
  std::deque<std::function<void(OpenBook&)>> jobs_;  // wait for the book
  std::vector<chat::MessageId> seen_;                // wait for it too
  std::vector<chat::Message> unsaved_;               // written, and not on disk yet
  std::set<chat::MessageId> disappearing_;           // told, and will
  struct Told {
    chat::DeliveryState state = chat::DeliveryState::kQueued;
    uint8_t copies = 0;
    uint16_t pieces_stored = 0;
    bool under_way = false;
    bool operator==(const Told&) const = default;
  };
  std::map<chat::MessageId, Told> told_;
  std::string trouble_;
  std::function<void()> end_;
  absl::Time end_by_;
};

}  // namespace cli
