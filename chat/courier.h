// SPDX-License-Identifier: Apache-2.0
// chat/courier.h — carries the tasks of a contact book to their places: one circuit for each, a few at once, tried again
// elsewhere.
//
// Every task has an isolation value of its own, so no two boxes, bundles or envelopes meet at one last relay. A put counts the
// receipts of distinct nodes that are responsible by verified tables (protocol.md 7); it is over when W of them came, or tries
// are used up. A reading is believed when the union of two replicas says it; an incomplete one is asked elsewhere. A core on top
// of operation_lanes.h; the driver is chat_client.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "chat/contact_book.h"
#include "chat/operation_lanes.h"

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
    OperationLanes::Options lanes;
  };

  Courier(Options options, base::Rng& rng) : options_(std::move(options)), rng_(rng), lanes_(options_.lanes, *this) {}

  OperationActions Carry(std::vector<BookTask> tasks, absl::Time now);
  OperationActions OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now);
  OperationActions OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now);
  OperationActions OnTick(absl::Time now) { return lanes_.Advance(now); }
  absl::Time NextTick() const { return lanes_.NextTick(); }
  // Gives up all that is under way.
  void Abort(const absl::Status& why) { lanes_.Abort(why); }

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
    std::vector<keys::PublicKey> holders;
  };

  base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) override;
  Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened, base::ByteView answer) override;
  void GiveUp(const Operation& operation, const absl::Status& last) override;

  void Finish(uint64_t id, CourierResult result);

  const Options options_;
  base::Rng& rng_;
  OperationLanes lanes_;
  std::map<uint64_t, Job> jobs_;  // by task
  std::vector<CourierResult> results_;
  absl::Status fatal_, last_failure_;
};

}  // namespace chat
