// SPDX-License-Identifier: Apache-2.0
#include "chat/operation_lanes.h"

#include <algorithm>

#include "base/check.h"

namespace chat {

namespace {

constexpr size_t kAvoidMax = 8;  // more than a place has replicas

}  // namespace

size_t OperationLanes::AddLane(const overlay::NodeId& point, base::Bytes isolation, circuits::Purpose purpose) {
  Lane lane;
  lane.request = {.point = point, .isolation = std::move(isolation), .purpose = purpose};
  lanes_.push_back(std::move(lane));
  return lanes_.size() - 1;
}

void OperationLanes::Avoid(size_t lane, const keys::PublicKey& node) {
  std::vector<keys::PublicKey>& avoid = lanes_[lane].request.avoid;
  if (std::find(avoid.begin(), avoid.end(), node) != avoid.end()) return;
  if (avoid.size() == kAvoidMax) avoid.erase(avoid.begin());
  avoid.push_back(node);
}

void OperationLanes::Submit(Operation operation) {
  CHECK(operation.lane < lanes_.size());
  lanes_[operation.lane].queue.push_back(operation);
}

void OperationLanes::Drop(size_t index) {
  Lane& lane = lanes_[index];
  tickets_.erase(lane.ticket);
  lane.queue.clear();
  lane.ticket = 0;
  lane.tries = 0;
}

OperationActions OperationLanes::Advance(absl::Time now) {
  OperationActions actions;
  for (size_t i = 0; i < lanes_.size() && static_cast<int>(tickets_.size()) < options_.parallel; ++i) {
    Lane& lane = lanes_[i];
    if (lane.queue.empty() || lane.ticket != 0 || lane.not_before > now) continue;
    lane.ticket = ++last_ticket_;
    tickets_[lane.ticket] = i;
    ++lane.tries;
    actions.push_back(OpenOp{lane.ticket, lane.request});
  }
  return actions;
}

OperationLanes::Lane* OperationLanes::Find(uint64_t ticket, size_t& index) {
  const auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return nullptr;
  index = it->second;
  return &lanes_[index];
}

void OperationLanes::Finish(Lane& lane) {
  tickets_.erase(lane.ticket);
  lane.ticket = 0;
  lane.tries = 0;
  lane.queue.pop_front();
}

void OperationLanes::Fail(Lane& lane, const absl::Status& status, absl::Time now) {
  const bool hopeless = status.code() == absl::StatusCode::kFailedPrecondition || lane.tries >= options_.attempts;
  if (hopeless) {
    const Operation operation = lane.queue.front();
    Finish(lane);
    owner_.GiveUp(operation, status);
    return;
  }
  tickets_.erase(lane.ticket);
  lane.ticket = 0;
  lane.not_before = now + options_.pause;
}

OperationActions OperationLanes::OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now) {
  size_t index = 0;
  Lane* lane = Find(ticket, index);
  if (lane == nullptr) return {};
  if (!opened.ok()) {
    lane->request.avoid.clear();  // perhaps all that are left are those to avoid
    Fail(*lane, opened.status(), now);
    return Advance(now);
  }
  lane->opened = *std::move(opened);
  return {RunOp{ticket, lane->opened.handle, owner_.MakeRequest(lane->queue.front(), lane->opened)}};
}

OperationActions OperationLanes::OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now) {
  size_t index = 0;
  Lane* lane = Find(ticket, index);
  if (lane == nullptr) return {};
  const Operation operation = lane->queue.front();
  absl::Status status = answer.status();
  if (answer.ok()) {
    if (owner_.TakeAnswer(operation, lane->opened, *answer) == OperationOwner::Next::kDone) {
      Finish(lanes_[index]);
      return Advance(now);
    }
    status = absl::UnavailableError("the storing node could not do it");
  }
  lane = &lanes_[index];
  Avoid(index, lane->opened.storage_node);
  Fail(*lane, status, now);
  return Advance(now);
}

void OperationLanes::Abort(const absl::Status& why) {
  std::vector<Operation> dropped;
  for (Lane& lane : lanes_) {
    dropped.insert(dropped.end(), lane.queue.begin(), lane.queue.end());
    lane.queue.clear();
    lane.ticket = 0;
    lane.tries = 0;
  }
  tickets_.clear();
  for (const Operation& operation : dropped) owner_.GiveUp(operation, why);
}

absl::Time OperationLanes::NextTick() const {
  absl::Time next = absl::InfiniteFuture();
  if (static_cast<int>(tickets_.size()) >= options_.parallel) return next;
  for (const Lane& lane : lanes_) {
    if (!lane.queue.empty() && lane.ticket == 0) next = std::min(next, lane.not_before);
  }
  return next;
}

bool OperationLanes::Idle() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.queue.empty(); });
}

}  // namespace chat
