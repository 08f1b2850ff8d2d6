// SPDX-License-Identifier: Apache-2.0
// The core's driver: calls, answers, joining. What the node publishes is in ring_publisher.cc.
#include "overlay/ring_driver.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/overloaded.h"
#include "base/redacted.h"
#include "overlay/introduce.h"
#include "overlay/ring_wire.h"

namespace overlay {

RingDriver::RingDriver(Options options, const keys::SigningKey& node_key, base::EventLoop& loop, RpcServer& server, RpcClient& client,
                       Directory& directory, base::Rng& rng)
    : options_(std::move(options)),
      node_key_(node_key),
      loop_(loop),
      client_(client),
      directory_(directory),
      rng_(rng),
      onion_keys_(std::exchange(options_.onion_keys, {})),
      ring_(MakePeer(options_.network, node_key.public_key(), 0, options_.role, options_.address, options_.admission),
            Ring::Options::Of(options_.network, options_.role), rng),
      tick_(loop, [this] { Apply(ring_.OnTick(loop_.Now())); }),
      renew_timer_(loop, [this] { Renew(); }),
      directory_timer_(loop, [this] { RefreshDirectory(); }),
      meet_timer_(loop, [this] { MeetBootstrap(); }),
      deadline_timer_(loop, [this] { CheckJoinDeadline(); }) {
  CHECK(options_.network.virtual_nodes == 1);
  Renew();
  Serve(server);
}

RingDriver::~RingDriver() = default;

void RingDriver::Create() { Apply(ring_.Create(loop_.Now())); }

void RingDriver::Leave(std::function<void()> done) {
  leave_done_ = std::move(done);
  Apply(ring_.Leave(loop_.Now()));
  Later([this] {
    if (open_calls_ == 0 && leave_done_) std::exchange(leave_done_, nullptr)();
  });
  deadline_timer_.Reset(loop_.Now() + kLeaveGrace);
}

void RingDriver::Lookup(const NodeId& point, std::function<void(absl::StatusOr<LookupResult>)> done) {
  const LookupId id = ++last_lookup_;
  lookups_.emplace(id, std::move(done));
  Apply(ring_.StartLookup(id, point, loop_.Now()));
}

// --- For the core ---

void RingDriver::Later(std::function<void()> task) {
  loop_.Post([alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (alive.lock()) task();
  });
}

void RingDriver::Apply(RingActions actions) {
  for (RingAction& action : actions) {
    std::visit(base::Overloaded{[&](overlay::Call& call) { Post(std::move(call)); },
                                [&](LookupDone& finished) {
                                  if (finished.result.ok()) {
                                    spdlog::trace("ring: lookup ended after {} hops", finished.result->hops);
                                  } else {
                                    spdlog::trace("ring: lookup failed");
                                  }
                                  auto done = std::move(lookups_.extract(finished.id).mapped());
                                  Later([done = std::move(done), result = std::move(finished.result)] { done(result); });
                                },
                                [&](NeighbourhoodChanged& changed) {
                                  spdlog::trace("ring: storing neighbours: {} after, {} before",
                                                changed.neighbourhood.successors.size(), changed.neighbourhood.predecessors.size());
                                  if (on_neighbourhood) on_neighbourhood(changed.neighbourhood);
                                  directory_timer_.Reset(loop_.Now());
                                },
                                [&](JoinPrepared& prepared) { OnJoinPrepared(prepared.neighbourhood); },
                                [&](StateChanged& changed) { OnStateChanged(changed.state); },
                                [&](ContactsWanted&) { MeetBootstrap(); }},
               action);
  }
  TracePointers();
  tick_.Reset(ring_.NextTick());
}

void RingDriver::TracePointers() {
  const auto trace = [](const char* what, const std::optional<Peer>& now, std::optional<Peer>& before) {
    if (now == before) return;
    before = now;
    spdlog::trace("ring: {} {}", what, now ? base::Redacted(now->point.view()) : "none");
  };
  const std::vector<Peer>& list = ring_.successors();
  trace("successor", list.empty() ? std::nullopt : std::optional(list.front()), traced_successor_);
  trace("predecessor", ring_.predecessor(), traced_predecessor_);
}

void RingDriver::Post(overlay::Call call) {
  ++open_calls_;
  const absl::Time deadline = loop_.Now() + call.timeout;
  Ask(std::move(call), deadline, /*introduced=*/false);
}

// A node that does not know us yet says so (FailedPrecondition): then our descriptor first, and the question once more.
void RingDriver::Ask(overlay::Call call, absl::Time deadline, bool introduced) {
  const RpcTarget target = {call.to.address, call.to.node_key};
  const std::string_view method = MethodOf(call.request);
  std::string bytes = EncodeRequest(call.request, call.to.index);
  client_.Call(target, method, std::move(bytes), deadline - loop_.Now(),
               [this, deadline, introduced, alive = std::weak_ptr<char>(alive_), call = std::move(call)](const absl::StatusOr<RpcAnswer>& answer) {
                 if (!alive.lock()) return;
                 if (absl::IsFailedPrecondition(answer.status()) && !introduced) return ShowSelf(call, deadline);
                 --open_calls_;
                 absl::StatusOr<RingReply> reply =
                     answer.ok() ? DecodeReply(options_.network, call.request, call.to, answer->message) : answer.status();
                 if (!reply.ok()) {
                   spdlog::debug("ring: {} to {} failed: {}", MethodOf(call.request), base::Redacted(call.to.point.view()),
                                 absl::StatusCodeToString(reply.status().code()));
                 }
                 Apply(ring_.OnReply(call.id, std::move(reply), loop_.Now()));
                 if (open_calls_ == 0 && leave_done_) std::exchange(leave_done_, nullptr)();
               });
}

void RingDriver::ShowSelf(overlay::Call call, absl::Time deadline) {
  const RpcTarget target = {call.to.address, call.to.node_key};
  client_.Call(target, kMethodDescribe, EncodeDescribe({descriptor_.encoded, std::nullopt}), deadline - loop_.Now(),
               [this, deadline, alive = std::weak_ptr<char>(alive_), call = std::move(call)](const absl::StatusOr<RpcAnswer>&) {
                 if (alive.lock()) Ask(call, deadline, /*introduced=*/true);
               });
}

void RingDriver::OnStateChanged(RingState state) {
  spdlog::debug("ring: {}", Name(state));
  std::erase_if(health_watchers_, [&](const auto& watcher) { return !watcher->Write(HealthNow()); });
  if (on_state) on_state(state);
  if (state == RingState::kMember) FinishJoin(absl::OkStatus());
}

void RingDriver::OnJoinPrepared(const Neighbourhood& future) {
  const uint64_t preparation = ++preparation_;
  spdlog::trace("ring: a place is found; what falls to it is fetched");
  const auto ready = [this, preparation, alive = std::weak_ptr<char>(alive_)](const absl::Status& status) {
    if (!alive.lock() || preparation != preparation_) return;
    ++preparation_;
    Apply(status.ok() ? ring_.OnRangeReady(loop_.Now()) : ring_.OnRangeFailed(loop_.Now()));
  };
  if (!on_join_prepared) return Later([ready] { ready(absl::OkStatus()); });
  Later([this, future, ready] { on_join_prepared(future, ready); });
}

// --- Joining ---

void RingDriver::Join(std::vector<RpcTarget> bootstrap, absl::Duration timeout, std::function<void(absl::Status)> done) {
  bootstrap_ = std::move(bootstrap);
  joining_ = Joining{loop_.Now() + timeout, std::move(done)};
  deadline_timer_.Reset(joining_->deadline);
  MeetBootstrap();
}

// One round at a time, with pauses. Members look now and then whether another ring has grown there.
void RingDriver::MeetBootstrap() {
  const absl::Time next = met_at_ + (ring_.IsMember() ? kMeetPauseMember : kMeetPause);
  const bool too_soon = loop_.Now() < next;
  if (bootstrap_.empty() || meeting_ > 0 || ring_.state() == RingState::kLeft) return;
  if (too_soon) {
    if (!ring_.IsMember()) meet_timer_.Reset(next);
    return;
  }
  met_at_ = loop_.Now();
  meeting_ = bootstrap_.size();
  refused_ = 0;
  for (const RpcTarget& target : bootstrap_) {
    Meet(options_.network, client_, target, descriptor_.encoded, loop_,
         [this, alive = std::weak_ptr<char>(alive_), of = bootstrap_.size()](const absl::StatusOr<Descriptor>& met) {
           if (alive.lock()) OnMet(met, of);
         });
  }
}

void RingDriver::OnMet(const absl::StatusOr<Descriptor>& met, size_t of) {
  --meeting_;
  if (met.ok() && met->node_key != node_key_.public_key()) {
    directory_.Keep(*met);
    const std::vector<Peer> contact = {met->ToPeer(options_.network)};
    Apply(ring_.state() == RingState::kIdle ? ring_.Join(contact, loop_.Now()) : ring_.AddContacts(contact, loop_.Now()));
  } else if (!met.ok() && !absl::IsUnavailable(met.status())) {
    ++refused_;
    refusal_ = met.status();
  }
  if (meeting_ > 0 || ring_.IsMember()) return;
  if (refused_ == of && ring_.state() == RingState::kIdle) return FinishJoin(refusal_);
  if (joining_) meet_timer_.Reset(loop_.Now() + kMeetPause);
}

// The one timer of two deadlines: joining and, after that, leaving.
void RingDriver::CheckJoinDeadline() {
  if (joining_) FinishJoin(absl::DeadlineExceededError("no bootstrap node let this one in"));
  if (leave_done_) std::exchange(leave_done_, nullptr)();
}

void RingDriver::FinishJoin(absl::Status status) {
  if (!joining_) return;
  auto done = std::move(std::exchange(joining_, std::nullopt)->done);
  deadline_timer_.Stop();
  if (!status.ok()) Apply(ring_.Leave(loop_.Now()));
  Later([done = std::move(done), status = std::move(status)] { done(status); });
}

}  // namespace overlay
