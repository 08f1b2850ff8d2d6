// SPDX-License-Identifier: Apache-2.0
#include "circuits/start_tables_driver.h"

#include <algorithm>

namespace circuits {
namespace {

constexpr size_t kMembersTried = 8;  // when no bootstrap address answers

}  // namespace

StartTables::StartTables(OwnTable own_table, std::vector<std::string> bootstrap, base::EventLoop& loop, RingView& view,
                         PeerBook& book, IntroduceFunction introduce)
    : own_table_(std::move(own_table)),
      bootstrap_(std::move(bootstrap)),
      loop_(loop),
      view_(view),
      book_(book),
      introduce_(std::move(introduce)) {}

std::vector<const overlay::RoutingTable*> StartTables::tables() const {
  const overlay::RoutingTable* table = own_table_ ? own_table_(0) : fetched_.has_value() ? &*fetched_ : nullptr;
  return table == nullptr ? std::vector<const overlay::RoutingTable*>() : std::vector<const overlay::RoutingTable*>{table};
}

bool StartTables::RefreshOwn() {
  const overlay::RoutingTable* table = own_table_(0);
  if (table != nullptr) view_.AddStart(*table, /*trusted=*/true, loop_.Now());
  return table != nullptr;
}

void StartTables::Refresh(std::function<void(absl::Status)> done) {
  if (own_table_ || loop_.Now() - fetched_at_ < kRefreshEvery) {
    const bool known = !own_table_ || RefreshOwn();
    loop_.Post([done = std::move(done), known] {
      done(known ? absl::OkStatus() : absl::UnavailableError("this node is no member of the ring yet"));
    });
    return;
  }
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1) return;
  auto attempt = std::make_shared<Attempt>();
  for (const std::string& address : bootstrap_) attempt->targets.push_back({address, std::nullopt});
  for (const overlay::Peer& peer : view_.Members(loop_.Now())) {
    if (attempt->targets.size() >= bootstrap_.size() + kMembersTried) break;
    attempt->targets.push_back({peer.address, peer.node_key});
  }
  loop_.Post([this, attempt, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) TryNext(attempt);
  });
}

void StartTables::TryNext(std::shared_ptr<Attempt> attempt) {
  if (attempt->next >= attempt->targets.size()) return Finish(attempt->why);
  const overlay::RpcTarget target = attempt->targets[attempt->next++];
  introduce_(target, [this, attempt, target, alive = std::weak_ptr(alive_)](absl::StatusOr<overlay::Introduction> answer) {
    if (alive.expired()) return;
    if (!answer.ok()) {
      if (absl::IsFailedPrecondition(answer.status())) attempt->why = answer.status();
      return TryNext(attempt);
    }
    const auto found = std::find(bootstrap_.begin(), bootstrap_.end(), target.address);
    const bool named_by_user = found != bootstrap_.end();
    if (named_by_user) std::rotate(bootstrap_.begin(), found, found + 1);
    book_.Add(answer->descriptor.encoded, loop_.Now(), loop_.WallNow());
    view_.OnMet(answer->descriptor.node_key, loop_.Now());
    view_.AddStart(answer->table, named_by_user, loop_.Now());
    fetched_ = answer->table;
    fetched_at_ = loop_.Now();
    Finish(absl::OkStatus());
  });
}

void StartTables::Finish(absl::Status status) {
  const std::vector<std::function<void(absl::Status)>> waiting = std::exchange(waiting_, {});
  for (const auto& done : waiting) done(status);
}

}  // namespace circuits
