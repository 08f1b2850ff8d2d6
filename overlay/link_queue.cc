// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_queue.h"

#include <cstring>

namespace overlay {

PushResult LinkQueue::Push(const Cell& cell, uint64_t order) {
  if (cell.command() == CellCommand::kDestroy) {
    if (destroys_.size() >= kDestroysMax) return PushResult::kLinkFull;
    Discard(cell.circuit_id());
    destroys_.push_back(cell.circuit_id());
    return PushResult::kQueued;
  }
  if (size_ >= kLinkQueueMax) return PushResult::kLinkFull;
  const auto [entry, was_quiet] = waiting_.try_emplace(cell.circuit_id());
  if (entry->second.size() >= kCircuitQueueMax) return PushResult::kCircuitFull;
  if (was_quiet) quiet_.push_back(cell.circuit_id());
  entry->second.push_back({order, cell});
  ++size_;
  return PushResult::kQueued;
}

// It stays on its list, as one that has nothing waiting.
void LinkQueue::Discard(CircuitId circuit) {
  const auto entry = waiting_.find(circuit);
  if (entry == waiting_.end()) return;
  size_ -= entry->second.size();
  entry->second.clear();
}

std::vector<LinkQueue::Oldest> LinkQueue::Heads() const {
  std::vector<Oldest> heads;
  for (const auto& [circuit, cells] : waiting_) {
    if (!cells.empty()) heads.push_back({circuit, cells.front().order});
  }
  return heads;
}

size_t LinkQueue::Pop(std::span<uint8_t> out) {
  const size_t room = out.size() / kCellSize;
  size_t quiet_left = (room + 1) / 2, destroys_left = (room + 3) / 4;
  size_t popped = 0;
  while (popped < room && !empty()) {
    uint8_t* const place = out.data() + popped * kCellSize;
    if (!destroys_.empty() && (destroys_left > 0 || size_ == 0)) {
      if (destroys_left > 0) --destroys_left;
      PopDestroy(place);
      ++popped;
      continue;
    }
    const bool from_quiet = !quiet_.empty() && (quiet_left > 0 || busy_.empty());
    if (from_quiet && quiet_left > 0) --quiet_left;
    if (PopOne(from_quiet, place)) ++popped;
  }
  if (size_ == 0) ForgetDrained();
  return popped;
}

void LinkQueue::PopDestroy(uint8_t* out) {
  const Cell cell(destroys_.front(), CellCommand::kDestroy);
  std::memcpy(out, cell.bytes.data(), kCellSize);
  destroys_.pop_front();
}

// Rounds end with the last cell. Circuits that had one cell and never another would be remembered until the link goes.
void LinkQueue::ForgetDrained() {
  while (busy_.size() > kDrainedMax) {
    waiting_.erase(busy_.front());
    busy_.pop_front();
  }
}

// Serves the first circuit of a list; false if that was a busy one that has nothing more, and is quiet from now on.
bool LinkQueue::PopOne(bool from_quiet, uint8_t* out) {
  std::deque<CircuitId>& list = from_quiet ? quiet_ : busy_;
  const CircuitId circuit = list.front();
  list.pop_front();
  const auto entry = waiting_.find(circuit);
  std::deque<Waiting>& cells = entry->second;
  if (cells.empty()) {
    waiting_.erase(entry);
    return false;
  }
  std::memcpy(out, cells.front().cell.bytes.data(), kCellSize);
  cells.pop_front();
  --size_;
  busy_.push_back(circuit);
  return true;
}

}  // namespace overlay
