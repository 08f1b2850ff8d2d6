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
      nodes_(static_cast<size_t>(options_.network.virtual_nodes)),
      health_watches_(options_.network, client, loop, [this](const keys::PublicKey& process) { OnDoubt(process); }),
      tick_(loop, [this] { OnTick(); }),
      renew_timer_(loop, [this] { Renew(); }),
      directory_timer_(loop, [this] { RefreshDirectory(); }),
      meet_timer_(loop, [this] { MeetBootstrap(); }),
      deadline_timer_(loop, [this] { CheckJoinDeadline(); }) {
  CHECK(options_.network.virtual_nodes >= 1 && options_.network.virtual_nodes <= kVirtualNodesMax);
  // If it is not known, earlier tables were still issued kTablesAhead and a second after this one at the latest, unless the clock went
  // back too. Then a run signs for later ones only, and not before their time has come: another run will have begun later.
  const absl::Time second = absl::FromUnixSeconds(absl::ToUnixSeconds(loop_.WallNow()));
  const bool is_known = options_.tables_until.has_value() || !options_.keep_tables_until;
  tables_saved_ = options_.tables_until.value_or(absl::UnixEpoch());
  tables_from_ = loop_.Now() + (is_known ? absl::ZeroDuration() : kTablesUnknown);
  for (size_t index = 0; index < nodes_.size(); ++index) {
    nodes_[index].ring = MakeRing(index);
    nodes_[index].table_issued = is_known ? std::max(tables_saved_, second) : second + kTablesUnknown - absl::Seconds(1);
  }
  if (is_known) KeepTablesUntil(tables_issued() + absl::Seconds(1));
  Renew();
  Serve(server);
}

RingDriver::~RingDriver() = default;

std::unique_ptr<Ring> RingDriver::MakeRing(size_t index) const {
  Ring::Options options = Ring::Options::Of(options_.network, options_.role);
  options.founds = index == 0;
  Peer self = MakePeer(options_.network, node_key_.public_key(), static_cast<uint8_t>(index), options_.role, options_.address,
                       options_.admission);
  return std::make_unique<Ring>(std::move(self), options, rng_);
}

void RingDriver::Create() { Apply(0, nodes_[0].ring->Create(loop_.Now())); }

void RingDriver::Leave(std::function<void()> done) {
  leave_done_ = std::move(done);
  for (size_t index = 0; index < nodes_.size(); ++index) Apply(index, nodes_[index].ring->Leave(loop_.Now()));
  Later([this] {
    if (open_calls_ == 0 && leave_done_) std::exchange(leave_done_, nullptr)();
  });
  deadline_timer_.Reset(loop_.Now() + kLeaveGrace);
}

// Whoever of us stands closest before the point has the shortest way.
void RingDriver::Lookup(const NodeId& point, std::function<void(absl::StatusOr<LookupResult>)> done) {
  const LookupId id = ++last_lookup_;
  lookups_.emplace(id, std::move(done));
  size_t best = 0;
  for (size_t index = 1; index < nodes_.size(); ++index) {
    const Ring& ring = *nodes_[index].ring;
    if (ring.IsMember() && Distance(ring.self().point, point) < Distance(nodes_[best].ring->self().point, point)) best = index;
  }
  Apply(best, nodes_[best].ring->StartLookup(id, point, loop_.Now()));
}

// --- For the cores ---

void RingDriver::Later(std::function<void()> task) {
  loop_.Post([alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (alive.lock()) task();
  });
}

void RingDriver::OnTick() {
  for (size_t index = 0; index < nodes_.size(); ++index) {
    Ring& ring = *nodes_[index].ring;
    if (index == 0 || ring.NextTick() <= loop_.Now()) Apply(index, ring.OnTick(loop_.Now()));
  }
}

void RingDriver::Apply(size_t index, RingActions actions) {
  for (RingAction& action : actions) {
    std::visit(base::Overloaded{[&](overlay::Call& call) { Post(index, std::move(call)); },
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
                                [&](JoinPrepared& prepared) { OnJoinPrepared(index, prepared.neighbourhood); },
                                [&](StateChanged& changed) {
                                  OnStateChanged(index, changed.state);
                                  WatchNeighbours();
                                },
                                [&](ContactsWanted&) { MeetBootstrap(); }},
               action);
  }
  if (TracePointers(nodes_[index])) WatchNeighbours();
  if (nodes_.size() > 1 && !actions.empty()) Later([this] { FollowFirst(); });
  absl::Time next = absl::InfiniteFuture();
  for (const VirtualNode& node : nodes_) next = std::min(next, node.ring->NextTick());
  tick_.Reset(next);
}

bool RingDriver::TracePointers(VirtualNode& node) {
  bool changed = false;
  const auto trace = [&](const char* what, const std::optional<Peer>& now, std::optional<Peer>& before) {
    if (now == before) return;
    changed = true;
    before = now;
    spdlog::trace("ring: {} {}", what, now ? base::Redacted(now->point.view()) : "none");
  };
  const std::vector<Peer>& list = node.ring->successors();
  trace("successor", list.empty() ? std::nullopt : std::optional(list.front()), node.traced_successor);
  trace("predecessor", node.ring->predecessor(), node.traced_predecessor);
  return changed;
}

void RingDriver::WatchNeighbours() {
  std::vector<Peer> neighbours;
  const auto add = [&](const Peer& peer) {
    if (!peer.SameProcess(self())) neighbours.push_back(peer);
  };
  for (const VirtualNode& node : nodes_) {
    if (!node.ring->IsMember()) continue;
    if (!node.ring->successors().empty()) add(node.ring->successors().front());
    if (node.ring->predecessor()) add(*node.ring->predecessor());
  }
  health_watches_.Follow(neighbours);
}

// Of all neighbours of that process, and never more: the rest of the lists is none of a Watch's business.
void RingDriver::OnDoubt(const keys::PublicKey& process) {
  spdlog::debug("ring: a neighbour's health stream ended or says that it is no member");
  for (size_t index = 0; index < nodes_.size(); ++index) {
    Ring& ring = *nodes_[index].ring;
    const std::vector<Peer>& list = ring.successors();
    std::vector<Peer> doubted;
    if (!list.empty() && list.front().node_key == process) doubted.push_back(list.front());
    if (ring.predecessor() && ring.predecessor()->node_key == process) doubted.push_back(*ring.predecessor());
    for (const Peer& peer : doubted) Apply(index, ring.OnDoubt(peer.point, loop_.Now()));
  }
}

void RingDriver::Post(size_t index, overlay::Call call) {
  const Asker asker = {index, nodes_[index].life};
  if (call.to.node_key == node_key_.public_key()) return PostHere(asker, std::move(call));
  const absl::Time wall_now = loop_.WallNow();
  // That there was no time to look at somebody's work says nothing against him: the ring must not take him for dead.
  const absl::Status admitted = directory_.CheckAdmitted(call.to, wall_now);
  const bool is_refused = !admitted.ok() && !absl::IsResourceExhausted(admitted);
  if (is_refused || directory_.convictions().IsConvicted(call.to.node_key, wall_now)) {
    return Later([this, asker, call = std::move(call)] { OnReply(asker, call, absl::UnavailableError("not welcome")); });
  }
  ++open_calls_;
  const absl::Time deadline = loop_.Now() + call.timeout;
  Ask(asker, std::move(call), deadline, /*introduced=*/false);
}

// To another virtual node of this process. Its answer comes at once, but never from inside the question.
void RingDriver::PostHere(Asker asker, overlay::Call call) {
  Later([this, asker, call = std::move(call)] {
    Ring& asked = *nodes_[call.to.index].ring;  // a peer's index is below v (DecodePeer)
    Ring::Answered answered = asked.OnRequest(call.request, loop_.Now());
    Apply(call.to.index, std::move(answered.actions));
    OnReply(asker, call, std::move(answered.reply));
  });
}

// A node that does not know us yet says so (FailedPrecondition): then our descriptor first, and the question once more.
void RingDriver::Ask(Asker asker, overlay::Call call, absl::Time deadline, bool introduced) {
  const RpcTarget target = {call.to.address, call.to.node_key};
  const std::string_view method = MethodOf(call.request);
  std::string bytes = EncodeRequest(call.request, call.to.index);
  client_.Call(target, method, std::move(bytes), deadline - loop_.Now(),
               [this, asker, deadline, introduced, alive = std::weak_ptr<char>(alive_),
                call = std::move(call)](const absl::StatusOr<RpcAnswer>& answer) {
                 if (!alive.lock()) return;
                 if (absl::IsFailedPrecondition(answer.status()) && !introduced) return ShowSelf(asker, call, deadline);
                 --open_calls_;
                 absl::StatusOr<RingReply> reply =
                     answer.ok() ? DecodeReply(options_.network, call.request, call.to, answer->message) : answer.status();
                 if (!reply.ok()) {
                   spdlog::debug("ring: {} to {} failed: {}", MethodOf(call.request), base::Redacted(call.to.point.view()),
                                 absl::StatusCodeToString(reply.status().code()));
                 }
                 OnReply(asker, call, std::move(reply));
                 if (open_calls_ == 0 && leave_done_) std::exchange(leave_done_, nullptr)();
               });
}

void RingDriver::ShowSelf(Asker asker, overlay::Call call, absl::Time deadline) {
  const RpcTarget target = {call.to.address, call.to.node_key};
  client_.Call(
      target, kMethodDescribe, EncodeDescribe(descriptor_.encoded), deadline - loop_.Now(),
      [this, asker, deadline, alive = std::weak_ptr<char>(alive_), call = std::move(call)](const absl::StatusOr<RpcAnswer>&) {
        if (alive.lock()) Ask(asker, call, deadline, /*introduced=*/true);
      });
}

void RingDriver::OnReply(Asker asker, const overlay::Call& call, absl::StatusOr<RingReply> reply) {
  VirtualNode& node = nodes_[asker.index];
  if (node.life != asker.life) return;
  Apply(asker.index, node.ring->OnReply(call.id, std::move(reply), loop_.Now()));
}

void RingDriver::OnStateChanged(size_t index, RingState state) {
  if (index > 0) {
    spdlog::debug("ring: virtual node {}: {}", index, Name(state));
    return TellWatchers(index);
  }
  spdlog::debug("ring: {}", Name(state));
  TellWatchers(index);
  if (on_state) on_state(state);
  if (state == RingState::kMember) FinishJoin(absl::OkStatus());
  if (state == RingState::kDetached) Later([this] { DropOthers(); });
}

void RingDriver::OnJoinPrepared(size_t index, const Neighbourhood& future) {
  spdlog::trace("ring: a place is found; what falls to it is fetched");
  const Asker asker = {index, nodes_[index].life};
  const bool busy = !preparations_.empty() && preparations_.front().asker.index != index;
  std::erase_if(preparations_, [&](const Preparation& waiting) { return waiting.asker.index == index; });
  preparations_.push_back({asker, future});
  if (busy) return;
  ++preparation_;  // an answer to the one before says nothing of this one
  Later([this] { PrepareNext(); });
}

// One download at a time: the store has one place for it.
void RingDriver::PrepareNext() {
  if (preparations_.empty()) return;
  const auto [asker, future] = preparations_.front();
  const uint64_t preparation = ++preparation_;
  const auto ready = [this, preparation, asker = asker, alive = std::weak_ptr<char>(alive_)](const absl::Status& status) {
    if (!alive.lock() || preparation != preparation_) return;
    ++preparation_;
    preparations_.erase(preparations_.begin());
    VirtualNode& node = nodes_[asker.index];
    if (node.life == asker.life) {
      Apply(asker.index, status.ok() ? node.ring->OnRangeReady(loop_.Now()) : node.ring->OnRangeFailed(loop_.Now()));
    }
    PrepareNext();
  };
  if (!on_join_prepared) return Later([ready] { ready(absl::OkStatus()); });
  on_join_prepared(future, ready);
}

// --- Virtual nodes behind the first ---

void RingDriver::FollowFirst() {
  if (!first().IsMember()) return;
  std::vector<Peer> ways;
  for (const Peer& peer : first().successors()) {
    if (!peer.SameProcess(self())) ways.push_back(peer);
  }
  if (ways.empty()) return;
  for (size_t index = 1; index < nodes_.size(); ++index) {
    Ring& ring = *nodes_[index].ring;
    if (ring.state() == RingState::kJoining) return;
    if (ring.state() == RingState::kIdle) return Apply(index, ring.Join(std::move(ways), loop_.Now()));
  }
}

// The process is cut off: what the others still believe counts for nothing.
void RingDriver::DropOthers() {
  for (size_t index = 1; index < nodes_.size(); ++index) {
    VirtualNode& node = nodes_[index];
    if (node.ring->state() == RingState::kIdle || node.ring->state() == RingState::kLeft) continue;
    Apply(index, node.ring->Leave(loop_.Now()));
    node.ring = MakeRing(index);
    ++node.life;
  }
  if (preparations_.empty() || preparations_.front().asker.index == 0) return;
  preparations_.clear();
  ++preparation_;
}

// --- Joining ---

void RingDriver::Join(std::vector<RpcTarget> bootstrap, absl::Duration timeout, std::function<void(absl::Status)> done) {
  bootstrap_ = std::move(bootstrap);
  joining_ = Joining{loop_.Now() + timeout, std::move(done)};
  deadline_timer_.Reset(joining_->deadline);
  MeetBootstrap();
}

void RingDriver::Return(std::vector<RpcTarget> ways, std::function<void()> done) {
  bootstrap_ = std::move(ways);
  joining_ = Joining{absl::InfiniteFuture(), [done = std::move(done)](const absl::Status& returned) {
                if (returned.ok()) done();
              }};
  Apply(0, nodes_[0].ring->Return(loop_.Now()));  // which wants contacts
  if (bootstrap_.empty()) Apply(0, nodes_[0].ring->ContactsMet(loop_.Now()));
}

// One round at a time, with pauses. Members look now and then whether another ring has grown there.
void RingDriver::MeetBootstrap() {
  const absl::Time next = met_at_ + (first().IsMember() ? kMeetPauseMember : kMeetPause);
  const bool too_soon = loop_.Now() < next;
  if (bootstrap_.empty() || meeting_ > 0 || first().state() == RingState::kLeft) return;
  if (too_soon) {
    if (!first().IsMember()) meet_timer_.Reset(next);
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
  const bool is_other = met.ok() && met->node_key != node_key_.public_key();
  if (is_other && !directory_.convictions().IsConvicted(met->node_key, loop_.WallNow())) {
    directory_.Keep(*met);
    const std::vector<Peer> contact = {met->ToPeer(options_.network)};
    Ring& ring = *nodes_[0].ring;
    Apply(0, ring.state() == RingState::kIdle ? ring.Join(contact, loop_.Now()) : ring.AddContacts(contact, loop_.Now()));
    for (size_t index = 1; index < nodes_.size(); ++index) Apply(index, nodes_[index].ring->AddContacts(contact, loop_.Now()));
  } else if (!met.ok() && !absl::IsUnavailable(met.status())) {
    ++refused_;
    refusal_ = met.status();
  }
  if (meeting_ == 0) Apply(0, nodes_[0].ring->ContactsMet(loop_.Now()));
  if (meeting_ > 0 || first().IsMember()) return;
  if (refused_ == of && first().state() == RingState::kIdle) return FinishJoin(refusal_);
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
  if (!status.ok()) Apply(0, nodes_[0].ring->Leave(loop_.Now()));
  Later([done = std::move(done), status = std::move(status)] { done(status); });
}

}  // namespace overlay
