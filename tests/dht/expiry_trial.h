// SPDX-License-Identifier: Apache-2.0
// tests/dht/expiry_trial.h — a ring of five whose clocks are up to an hour off, and a book of what it acknowledged, over
// simulated hours in which most of it expires.
//
// Every ten seconds some records are put, each with hours to live. What has more than the tolerance left must be found by
// whoever asks; what expired longer ago than that must not be; a stamp beyond every clock's tolerance must not be taken. And what
// the nodes hold stays near what is alive: expired records go.
#pragma once

#include <algorithm>
#include <deque>

#include "tests/dht/store_world.h"

namespace dht {

struct ExpiryTotals {
  uint64_t acknowledged = 0;
  uint64_t checked_alive = 0, gone = 0;      // gone: had more than an hour to live, and was not found
  uint64_t checked_expired = 0, served = 0;  // served: expired more than an hour ago, and was found
  uint64_t far_future_taken = 0;             // stamped beyond 30 days and the tolerance of the slowest clock
  double held_over_alive_max = 0;            // records held by all nodes / (3 * those that are alive), once some expired
};

class ExpiryTrial {
 public:
  static constexpr int kNodes = 5, kChecks = 20;
  static constexpr absl::Duration kStep = absl::Seconds(10), kCheckEvery = absl::Minutes(10);
  static constexpr absl::Duration kLeastTtl = absl::Minutes(75), kMostTtl = absl::Minutes(150);

  explicit ExpiryTrial(uint64_t seed) : world_(seed) {
    const absl::Duration off[kNodes] = {absl::ZeroDuration(), kClockTolerance, -kClockTolerance, absl::Minutes(20),
                                        -absl::Minutes(50)};
    for (const absl::Duration skew : off) world_.AddMember().skew = skew;
    world_.RunFor(absl::Seconds(5));
  }

  ExpiryTotals Run(absl::Duration span) {
    const absl::Time start = world_.now();
    absl::Time next_check = start + kCheckEvery;
    while (world_.now() < start + span) {
      for (int i = 0; i < 2; ++i) PutOne();
      world_.RunFor(kStep);
      if (world_.now() < next_check) continue;
      next_check = world_.now() + kCheckEvery;
      Check();
      if (world_.now() > start + kMostTtl + kClockTolerance) Measure();
      while (!book_.empty() && book_.front().expiry < world_.now() - 2 * kMostTtl) book_.pop_front();
    }
    return totals_;
  }

 private:
  absl::Time Random(absl::Duration least, absl::Duration most) {
    const auto seconds = static_cast<uint64_t>(absl::ToInt64Seconds(most - least));
    return world_.now() + least + absl::Seconds(static_cast<int64_t>(world_.rng().Below(seconds)));
  }
  Record NewRecord(absl::Time expiry) {
    base::Bytes body(20 + world_.rng().Below(200));
    world_.rng().Fill(body);
    return MakeBlob(body, absl::FromUnixSeconds(absl::ToUnixSeconds(expiry)));
  }
  void PutOne() {
    const Record record = NewRecord(Random(kLeastTtl, kMostTtl));
    world_.Put(world_.Pick(/*storing_only=*/true), record, /*pass_on=*/true,
               [this, record](const absl::StatusOr<DhtReply>& reply) {
                 const auto* answer = AnswerAs<PutReply>(reply);
                 if (answer == nullptr || answer->result != PutResult::kStored || answer->receipts.size() < 2) return;
                 ++totals_.acknowledged;
                 book_.push_back(record);
               });
  }
  void Check() {
    for (int i = 0; i < kChecks && !book_.empty(); ++i) {
      const Record& record = book_[world_.rng().Below(book_.size())];
      const absl::Duration left = record.expiry - world_.now();
      if (left > kClockTolerance + absl::Minutes(1)) Ask(record, /*alive=*/true);
      if (left < -kClockTolerance) Ask(record, /*alive=*/false);
    }
    const Record far = NewRecord(world_.now() + kTtlMax + 3 * kClockTolerance);
    world_.Put(world_.Pick(/*storing_only=*/true), far, /*pass_on=*/true, [this](const absl::StatusOr<DhtReply>& reply) {
      const auto* answer = AnswerAs<PutReply>(reply);
      totals_.far_future_taken += answer != nullptr && answer->result == PutResult::kStored ? 1 : 0;
    });
    world_.RunFor(absl::Seconds(15));
  }
  void Ask(const Record& record, bool alive) {
    world_.Get(world_.Pick(/*storing_only=*/true), record.name, /*pass_on=*/true,
               [this, record, alive](const absl::StatusOr<DhtReply>& reply) {
                 const auto* answer = AnswerAs<GetReply>(reply);
                 const bool found = answer != nullptr && answer->record == record;
                 (alive ? totals_.checked_alive : totals_.checked_expired) += 1;
                 totals_.gone += alive && !found ? 1 : 0;
                 totals_.served += !alive && answer != nullptr && answer->record ? 1 : 0;
               });
  }
  void Measure() {
    uint64_t held = 0;
    for (const auto& node : world_.nodes()) held += node->store->counts().records;
    const auto alive = std::count_if(book_.begin(), book_.end(), [&](const Record& each) { return each.expiry > world_.now(); });
    totals_.held_over_alive_max =
        std::max(totals_.held_over_alive_max, static_cast<double>(held) / (3.0 * static_cast<double>(alive)));
  }

  StoreWorld world_;
  std::deque<Record> book_;
  ExpiryTotals totals_;
};

}  // namespace dht
