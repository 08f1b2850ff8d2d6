// SPDX-License-Identifier: Apache-2.0
// chat/sender.h — leaves one note in a door: seals, puts every envelope at two places, counts receipts (protocol.md 7, 8, 9).
//
// An envelope goes to its first place j* and to the next one, each (day, place) under an isolation value of its own. A copy
// counts when a distinct node that is responsible by verified tables signed a receipt for it; the note is stored when every
// envelope has W such receipts at one place or more. A storing node that fails, or has too few receipts, is passed by.
// Where both places are full, the first of them is bought into: with a stamp of twice the effort that two replicas say it needs,
// within kSendEffortMax. A network that asks for effort at any door gets it before the first put.
// A core: one object is one send. Drive it with the returned actions until done().
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "chat/door.h"
#include "chat/envelope.h"
#include "chat/note.h"
#include "chat/operation_lanes.h"
#include "chat/work_driver.h"
#include "dht/receipt.h"
#include "keys/identity.h"

namespace chat {

struct SendRequest {
  keys::PublicKey recipient;
  base::Bytes text;                          // at most kNoteTextMax bytes, sent as they are
  const keys::SigningKey* signer = nullptr;  // null: anonymous. Used in Start only
  std::optional<NoteReply> reply;            // where an answer is looked for; not together with a signer
};

// What became of one envelope at one of its two places.
struct PlaceOutcome {
  uint8_t place = 0;
  overlay::NodeId point;
  std::vector<keys::PublicKey> path;     // guard, middle, last of the operation that stored it; may be empty
  keys::PublicKey storage_node;          // contacted last
  std::vector<keys::PublicKey> holders;  // distinct nodes whose receipts count
};
struct EnvelopeOutcome {
  std::vector<PlaceOutcome> places;  // j* first
};
struct SendResult {
  NoteId note_id{};
  Day day = 0;
  absl::Time expiry;
  std::vector<EnvelopeOutcome> envelopes;
};

using SendAction = std::variant<OpenOp, RunOp, WorkOp>;
using SendActions = std::vector<SendAction>;

class Sender : private OperationOwner {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
    int replica_count = 3;
    uint32_t door_effort = 0;                     // what the network asks for
    absl::Duration deadline = absl::Seconds(90);  // three opens that time out, one after the other
    absl::Duration grace = absl::Seconds(10);     // for the second place, once every envelope is stored at one
    OperationLanes::Options lanes;
  };

  Sender(Options options, base::Rng& rng);

  // Once. OutOfRange: the text is too long; InvalidArgument: the recipient is no valid point.
  absl::StatusOr<SendActions> Start(const SendRequest& request, absl::Time wall_now, absl::Time now);
  SendActions OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now);
  SendActions OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now);
  SendActions OnWorked(uint64_t ticket, const keys::WorkProof& proof, absl::Time now);
  SendActions OnTick(absl::Time now);
  absl::Time NextTick() const;

  bool done() const { return started_ && working_ == 0 && lanes_.Idle(); }
  // Once done(). Errors, and the exit code that the command gives them (cli.md 4):
  //   FailedPrecondition (4) too few nodes; Unavailable (4) no circuit or no storing node answered
  //   DeadlineExceeded (6)   some envelope has fewer than W copies everywhere
  //   ResourceExhausted, PermissionDenied (7) the door is full at both places, or refused it
  absl::StatusOr<SendResult> result() const;

 private:
  struct Put {
    dht::Record record;
    Envelope envelope;
    PlaceOutcome outcome;
    int refusals = 0;                     // by different replicas: one alone may lie
    bool full = true;                     // all of them said so
    uint32_t effort_needed = UINT32_MAX;  // the least that one said
    bool pending = true;                  // under way, or its stamp is being made
    absl::Status last;
  };

  base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) override;
  Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened, base::ByteView answer) override;
  void GiveUp(const Operation& operation, const absl::Status& last) override;

  absl::Status AddEnvelope(const Door& door, const keys::PublicKey& recipient, const Fragment& fragment);
  void AddPut(const Envelope& envelope);
  void Submit(size_t put);
  void Work(size_t put, uint32_t effort);
  void BuyIn();
  void CountReceipts(Put& put, const circuits::OpenedOperation& opened, const std::vector<dht::Receipt>& receipts) const;
  bool Stored(size_t envelope) const;  // W copies at one place or more
  bool AllStored() const;
  absl::Status WhyNotStored(size_t envelope) const;
  SendActions AfterEvent(const OperationActions& actions, absl::Time now);

  const Options options_;
  base::Rng& rng_;
  OperationLanes lanes_;
  SendResult head_;
  std::vector<Put> puts_;  // two for each envelope, j* first
  SendActions work_;       // to be asked for
  size_t working_ = 0;
  uint32_t effort_spent_ = 0;
  bool started_ = false;
  absl::Status fatal_;
  absl::Time deadline_ = absl::InfiniteFuture();
};

}  // namespace chat
