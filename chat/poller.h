// SPDX-License-Identifier: Apache-2.0
// chat/poller.h — fetches what waits for an identity: lists, opens, keeps, shows, deletes (protocol.md 7, 8, 9).
//
// Every day of DaysToPoll, each of its three places under an isolation value of its own. When all three places of a day are
// listed (or failed), its envelopes are opened and put together; what is new goes to the inbox, and only when that is durable
// the messages are shown and the envelopes deleted at all three places. Whatever does not open is junk and deleted too. A crash
// between any two steps loses nothing and shows nothing twice: the inbox knows what was finished.
// A poll of today alone (Options::today_only) is for whoever waits for a note between whole polls: a note sent now lies in
// today's door, whatever else there is the next whole poll finds. It may wait (Options::waits): then its three listings do, and
// the first envelope that comes ends the waiting of all three; what lies behind it at its place is read too, the rest by the next
// poll. Where one is refused, as a node of an earlier version does, what is asked from then on does not wait.
// A core: one object is one poll. Drive it with the returned actions until done().
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "chat/assembler.h"
#include "chat/door.h"
#include "chat/envelope.h"
#include "chat/inbox.h"
#include "chat/mailbox_messages.h"
#include "chat/operation_lanes.h"

namespace chat {

struct KeepMail {  // Inbox::Apply; its result comes back as OnKept, before the poll is done
  InboxChange change;
};
struct ShowMessages {  // show them, then tell the inbox (InboxChange::shown)
  std::vector<Message> messages;
};
using PollAction = std::variant<OpenOp, RunOp, KeepMail, ShowMessages>;
using PollActions = std::vector<PollAction>;

// Where a part was read, for those who may know (demo).
struct PartOutcome {
  Day day = 0;
  uint8_t place = 0;
  bool answered = false;  // listed to the end, out of the union of two replicas
  int envelopes = 0;
  std::vector<keys::PublicKey> path;  // of the last operation; may be empty
  keys::PublicKey storage_node;
};
struct PollResult {
  int parts_asked = 0;
  int parts_answered = 0;
  int new_messages = 0;
  int handshakes = 0;                       // kept for the contact book
  int junk = 0;                             // envelopes thrown away: not for us, or no note
  int deletions_failed = 0;                 // tried again by the next poll
  std::vector<Assembler::Expired> expired;  // notes of which some fragments never came
  std::vector<PartOutcome> parts;
};

class Poller : private OperationOwner {
 public:
  struct Options {
    std::string network = "local";
    absl::Duration deadline = absl::Minutes(4);  // 51 parts of an imported identity, some of them with dead replicas
    OperationLanes::Options lanes;
    bool today_only = false;       // never counts as a complete poll
    bool waits = false;            // of today_only
    base::Bytes isolation_secret;  // polls of one identity that share it share circuits, place by place; empty: a fresh one
  };

  // `identity` outlives the poller.
  Poller(Options options, const keys::SigningKey& identity, base::Rng& rng);

  // Once. `history.last_complete` is taken from `state`.
  absl::StatusOr<PollActions> Start(PollHistory history, const InboxState& state, absl::Time wall_now, absl::Time now);
  PollActions OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now);
  PollActions OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now);
  PollActions OnKept(const absl::Status& status, absl::Time now);  // of the KeepMail actions, in their order
  PollActions OnTick(absl::Time now);
  absl::Time NextTick() const;

  bool done() const { return done_; }
  // Once done(). FailedPrecondition: too few nodes; Unavailable: no part answered; else what the inbox failed with.
  absl::StatusOr<PollResult> result() const;

 private:
  struct Item {
    uint8_t place = 0;  // where it was listed: the stamp is for that one
    uint32_t effort = 0;
    std::array<uint8_t, kStampSize> stamp{};
    base::Bytes sealed;
  };
  struct Part {
    size_t day_index = 0;
    std::optional<ListCursor> cursor;
    int pages = 0;
    int listings = 1;
    bool incomplete = false;  // some page was not the union of two replicas
    bool listed = false;
    PartOutcome outcome;
  };
  struct DayWork {
    Door door;
    int parts_open = kPlaceCount;
    std::map<dht::RecordId, Item> items;   // by their id at place 0: the same envelope lies at two places
    std::vector<dht::RecordId> done_with;  // items to delete once the inbox has what was in them
    std::vector<Message> messages;
  };
  struct Job {
    size_t part = 0;
    base::Bytes deletion;  // empty: a listing
  };

  base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) override;
  Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened, base::ByteView answer) override;
  void GiveUp(const Operation& operation, const absl::Status& last) override;

  absl::Status AddDay(Day day, base::ByteView secret);
  void Recall(const InboxState& state, absl::Time wall_now);
  void SubmitList(size_t part);
  Next TakePage(size_t part, const circuits::OpenedOperation& opened, const MailboxAnswer& page);
  Next TakeDeletion(const MailboxAnswer& answer);
  void EndWaits(size_t but);
  void EndListing(size_t part, const circuits::OpenedOperation* last);
  void EndPart(size_t part, bool answered);
  void FinishDay(size_t day_index);
  void Take(DayWork& day, const dht::RecordId& name, const Item& item, InboxChange& change,
            std::map<NoteId, std::vector<dht::RecordId>>& of_note);
  void TakeHandshake(DayWork& day, const dht::RecordId& name, const Item& item, const Fragment& fragment, absl::Time expiry,
                     InboxChange& change);
  void Delete(size_t day_index);
  void SubmitDeletions(size_t day_index, uint8_t place);
  void Keep(InboxChange change, size_t day_index);
  PollActions AfterEvent(const OperationActions& operations);

  const Options options_;
  const keys::SigningKey& identity_;
  base::Rng& rng_;
  OperationLanes lanes_;
  Assembler assembler_;
  std::vector<DayWork> days_;
  std::vector<Part> parts_;  // three a day; the part's number is its lane
  std::vector<Job> jobs_;
  std::vector<size_t> keeping_;  // days whose KeepMail is under way, in order; kNoDay for others
  PollActions pending_;
  PollResult totals_;
  absl::Status fatal_;
  absl::Status last_error_;
  absl::Time started_at_;  // wall clock
  absl::Time deadline_ = absl::InfiniteFuture();
  bool waits_ = false;    // nothing has come yet
  bool closing_ = false;  // time ran out: nothing new is asked
  bool marked_ = false;   // the poll was complete and the inbox was told
  bool done_ = false;
};

}  // namespace chat
