// SPDX-License-Identifier: Apache-2.0
// chat/operation_lanes.h — storage operations of one send or poll: queued per lane, a few at once, tried again elsewhere.
//
// A lane is one isolation value (a door's (day, place)): its operations follow each other, since a circuit ends at one storing
// node at a time; different lanes run side by side, at most Options::parallel. An operation is Open, then Run with a request that
// the owner makes once the channel binding is known. What fails is tried at another replica, at most Options::attempts times in
// all, each time after Options::pause. A core: events and time in, actions out; the owner is called back from inside.
#pragma once

#include <deque>
#include <map>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "circuits/operations.h"
#include "overlay/node_id.h"

namespace chat {

struct OpenOp {  // circuits::Operations::Open; its result comes back as OnOpened
  uint64_t ticket = 0;
  circuits::OpenRequest request;
};
struct RunOp {  // circuits::Operations::Run; its result comes back as OnAnswer
  uint64_t ticket = 0;
  uint64_t handle = 0;
  base::Bytes request;
};
using OperationAction = std::variant<OpenOp, RunOp>;
using OperationActions = std::vector<OperationAction>;

// One operation as its owner knows it.
struct Operation {
  uint64_t id = 0;  // the owner's
  size_t lane = 0;
};

class OperationOwner {
 public:
  enum class Next { kDone, kElsewhere };  // kElsewhere: the same again at another replica, if attempts are left

  virtual ~OperationOwner() = default;
  virtual base::Bytes MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) = 0;
  virtual Next TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened, base::ByteView answer) = 0;
  // No attempt is left, or none will help (FailedPrecondition: too few nodes).
  virtual void GiveUp(const Operation& operation, const absl::Status& last) = 0;
};

class OperationLanes {
 public:
  struct Options {
    int parallel = 4;  // lanes at work at once: circuits a client opens side by side
    int attempts = 4;  // R replicas and one more
    absl::Duration pause = absl::Milliseconds(500);
  };

  OperationLanes(Options options, OperationOwner& owner) : options_(options), owner_(owner) {}

  // Lanes are served in the order of their numbers, 0 first.
  size_t AddLane(const overlay::NodeId& point, base::Bytes isolation, circuits::Purpose purpose);
  // The replica that the lane should not meet next; forgotten when nobody else is to be had.
  void Avoid(size_t lane, const keys::PublicKey& node);
  // Behind what waits in its lane. Nothing happens before the next Advance.
  void Submit(Operation operation);

  // Forgets what waits or is under way in that lane, without a word to the owner.
  void Drop(size_t lane);

  // Starts what may start. Call after Submit and at NextTick.
  OperationActions Advance(absl::Time now);
  OperationActions OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now);
  OperationActions OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now);
  // Gives up everything, waiting or under way; answers still to come are ignored.
  void Abort(const absl::Status& why);

  absl::Time NextTick() const;
  bool Idle() const;
  bool Idle(size_t lane) const { return lanes_[lane].queue.empty(); }

 private:
  struct Lane {
    circuits::OpenRequest request;
    std::deque<Operation> queue;  // the first one is under way if ticket != 0
    uint64_t ticket = 0;
    int tries = 0;  // of the first one
    absl::Time not_before = absl::InfinitePast();
    circuits::OpenedOperation opened;
  };

  Lane* Find(uint64_t ticket, size_t& index);
  void Finish(Lane& lane);
  void Fail(Lane& lane, const absl::Status& status, absl::Time now);

  const Options options_;
  OperationOwner& owner_;
  std::vector<Lane> lanes_;
  std::map<uint64_t, size_t> tickets_;  // ticket -> lane
  uint64_t last_ticket_ = 0;
};

}  // namespace chat
