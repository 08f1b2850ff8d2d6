// SPDX-License-Identifier: Apache-2.0
// chat/courier.h — carries the tasks of a contact book to their places: one circuit for each, a few at once, tried again
// elsewhere.
//
// Every task has an isolation value of its own, so no two boxes, bundles or envelopes meet at one last relay. A put counts the
// receipts of distinct nodes that are responsible by verified tables (protocol.md 7); it is over when W of them came, or tries
// are used up. A reading is believed when the union of two replicas says it; an incomplete one is asked elsewhere. A contact
// request gets its stamp here, for each put anew: of the effort that its envelope claims, at least what the network asks for; and
// of twice what two replicas of a full place say it needs, within kSendEffortMax. A core on top of operation_lanes.h; the driver
// is exchange_driver.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "chat/contact_book.h"
#include "chat/operation_lanes.h"
#include "chat/work_driver.h"

namespace chat {

struct CourierResult {
  uint64_t task = 0;
  bool put = false;
  uint8_t copies = 0;                                              // of a put
  absl::StatusOr<std::optional<base::Bytes>> body = std::nullopt;  // of a reading
};

class Courier : private OperationOwner {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
    uint32_t door_effort = 0;  // what the network asks for
    OperationLanes::Options lanes;
  };

  Courier(Options options, base::Rng& rng) : options_(std::move(options)), rng_(rng), lanes_(options_.lanes, *this) {}

  OperationActions Carry(std::vector<BookTask> tasks, absl::Time now);
  OperationActions OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now);
  OperationActions OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now);
  OperationActions OnTick(absl::Time now) { return lanes_.Advance(now); }
  absl::Time NextTick() const { return lanes_.NextTick(); }
  // Gives up all that is under way.
  void Abort(const absl::Status& why);

  // Stamps to be searched for since the last call; each comes back as OnWorked.
  std::vector<WorkOp> TakeWork() { return std::exchange(work_, {}); }
  OperationActions OnWorked(uint64_t ticket, const keys::WorkProof& proof, absl::Time now);

  // What has come to an end since the last call.
  std::vector<CourierResult> TakeResults();
  size_t under_way() const { return jobs_.size(); }
  // Not OK once the network turned out to be too small for any operation.
  const absl::Status& fatal() const { return fatal_; }
  // What the last failure was, for a person.
  const absl::Status& last_failure() const { return last_failure_; }

 private:
  struct Job {
    BookTask task;
    size_t lane = 0;
    std::vector<keys::PublicKey> holders;
    int refusals = 0;                     // as full, by different replicas: one alone may lie
    uint32_t effort_needed = UINT32_MAX;  // the least that one said
    bool working = false;
  };

  base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) override;
  Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened, base::ByteView answer) override;
  void GiveUp(const Operation& operation, const absl::Status& last) override;

  void Finish(uint64_t id, CourierResult result);
  void Work(uint64_t id, uint32_t effort);
  bool BuyIn(uint64_t id, uint32_t needed);

  const Options options_;
  base::Rng& rng_;
  OperationLanes lanes_;
  std::map<uint64_t, Job> jobs_;  // by task
  std::vector<WorkOp> work_;      // to be asked for
  std::vector<CourierResult> results_;
  absl::Status fatal_, last_failure_;
};

}  // namespace chat
