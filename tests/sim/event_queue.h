// SPDX-License-Identifier: Apache-2.0
// tests/sim/event_queue.h — what is still to happen in a simulated world: by time, and what was put in first of two at one time.
//
// What runs is kept beside the heap, so that ordering moves 32 bytes an entry however much a message carries.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace sim {

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  absl::Time next_at() const { return heap_.front().at; }  // not if empty

  void Add(absl::Time at, absl::AnyInvocable<void()> run) {
    if (free_.empty()) {
      free_.push_back(runs_.size());
      runs_.emplace_back();
    }
    const size_t place = free_.back();
    free_.pop_back();
    runs_[place] = std::move(run);
    heap_.push_back({at, ++last_number_, place});
    std::push_heap(heap_.begin(), heap_.end());
  }

  // The next one, out of the queue: `*at` is its time. Not if empty.
  absl::AnyInvocable<void()> Take(absl::Time* at) {
    *at = next_at();
    std::pop_heap(heap_.begin(), heap_.end());
    const size_t place = heap_.back().place;
    heap_.pop_back();
    free_.push_back(place);
    return std::move(runs_[place]);
  }

 private:
  struct Entry {
    absl::Time at;
    uint64_t number;
    size_t place;
    bool operator<(const Entry& other) const { return at != other.at ? at > other.at : number > other.number; }
  };

  std::vector<Entry> heap_;
  std::vector<absl::AnyInvocable<void()>> runs_;
  std::vector<size_t> free_;
  uint64_t last_number_ = 0;
};

}  // namespace sim
