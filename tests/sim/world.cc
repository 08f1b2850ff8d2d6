// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/overloaded.h"

namespace sim {

using overlay::Peer;
using overlay::Ring;

World::World(Options options) : options_(std::move(options)), rng_(options_.seed) {
  CHECK(2 * options_.delay_max < options_.ring.call_timeout);
}

size_t World::Add(overlay::Role role) { return AddAt(overlay::NodeId::Random(rng_), role); }

size_t World::AddAt(const overlay::NodeId& point, overlay::Role role) {
  const size_t index = nodes_.size();
  CHECK(by_point_.emplace(point, index).second);
  Node node;
  node.peer.point = point;
  node.peer.node_key.bytes = point.bytes;
  node.peer.role = role;
  node.peer.address = absl::StrCat("10.", index >> 16, ".", index >> 8 & 255, ".", index & 255, ":1");
  nodes_.push_back(std::move(node));
  return index;
}

Ring& World::Start(size_t index) {
  Node& node = nodes_[index];
  CHECK(node.ring == nullptr);
  ++node.life;
  node.ring = std::make_unique<Ring>(node.peer, options_.ring, rng_);
  return *node.ring;
}

void World::StartAlone(size_t node) { Apply(node, Start(node).Create(now_)); }

void World::StartJoin(size_t node, const std::vector<size_t>& contacts) {
  std::vector<Peer> peers;
  for (const size_t contact : contacts) peers.push_back(nodes_[contact].peer);
  Apply(node, Start(node).Join(std::move(peers), now_));
}

void World::Crash(size_t index) {
  Node& node = nodes_[index];
  node.ring.reset();
  node.tick_at = absl::InfiniteFuture();
  node.answered_call = 0;
  SetView(index, std::nullopt);
}

void World::Leave(size_t node) {
  Apply(node, nodes_[node].ring->Leave(now_));
  const uint64_t life = nodes_[node].life;
  At(now_ + 4 * options_.delay_max, [this, node, life] {
    if (nodes_[node].ring != nullptr && nodes_[node].life == life) Crash(node);
  });
}

void World::Tell(size_t node, size_t of) { Apply(node, nodes_[node].ring->AddContacts({nodes_[of].peer}, now_)); }

void World::Grow(size_t count) {
  const size_t first = Add();
  StartAlone(first);
  for (size_t i = 1; i < count; ++i) {
    const size_t node = Add();
    StartJoin(node, {first});
    RunUntil([&] { return ring(node)->IsMember(); }, absl::Seconds(60));
  }
  CHECK(RunUntilIdeal(absl::Minutes(5)));
}

absl::StatusOr<overlay::LookupResult> World::Lookup(size_t node, const overlay::NodeId& point) {
  const overlay::LookupId id = ++last_lookup_;
  Apply(node, nodes_[node].ring->StartLookup(id, point, now_));
  RunUntil([&] { return lookups_done_.contains(id); }, absl::Minutes(5));
  CHECK(lookups_done_.contains(id));
  return std::move(lookups_done_.extract(id).mapped());
}

bool World::Step() {
  if (events_.empty()) return false;
  Event event = events_.top();
  events_.pop();
  now_ = event.at;
  ++events_done_;
  event.run();
  if (std::exchange(views_changed_, false) && on_step) on_step();
  return true;
}

void World::RunFor(absl::Duration span) {
  const absl::Time end = now_ + span;
  while (!events_.empty() && events_.top().at <= end) Step();
  now_ = end;
}

bool World::RunUntil(const std::function<bool()>& condition, absl::Duration limit) {
  const absl::Time end = now_ + limit;
  while (!condition()) {
    if (now_ >= end) return false;
    RunFor(absl::Milliseconds(10));
  }
  return true;
}

bool World::RunUntilIdeal(absl::Duration limit) {
  return RunUntil([&] { return View().members.size() == LiveNodes().size() && CheckIdeal(View()).ok(); }, limit);
}

RingView World::View() const {
  RingView view;
  view.successor_count = options_.ring.successor_count;
  for (const Node& node : nodes_) {
    if (options_.watch_steps && node.view) view.members.push_back(*node.view);
    if (!options_.watch_steps && node.ring != nullptr && node.ring->IsMember())
      view.members.push_back(ViewOf(*node.ring, options_.ring.successor_count));
  }
  std::sort(view.members.begin(), view.members.end(), [](const auto& a, const auto& b) { return a.point < b.point; });
  return view;
}

std::vector<size_t> World::LiveNodes() const {
  std::vector<size_t> live;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].ring != nullptr) live.push_back(i);
  }
  return live;
}

std::string World::Dump() const {
  std::string text =
      absl::StrCat("seed ", options_.seed, ", ", events_done_, " events, ", absl::FormatTime(now_), "\n", Describe(View()));
  for (const size_t i : LiveNodes()) {
    if (!ring(i)->IsMember())
      absl::StrAppend(&text, nodes_[i].peer.point.ToHex().substr(0, 6), ": ", Name(ring(i)->state()), "\n");
  }
  return text;
}

// --- Messages ---

void World::At(absl::Time when, std::function<void()> run) { events_.push({when, ++last_event_, std::move(run)}); }

absl::Duration World::Delay() { return options_.delay_min + (options_.delay_max - options_.delay_min) * rng_.Unit(); }

void World::Apply(size_t index, overlay::RingActions actions) {
  const uint64_t life = nodes_[index].life;
  for (overlay::RingAction& action : actions) {
    std::visit(base::Overloaded{[&](overlay::Call& call) { Deliver(index, std::move(call)); },
                                [&](overlay::LookupDone& done) { lookups_done_.emplace(done.id, std::move(done.result)); },
                                [&](overlay::JoinPrepared&) {
                                  At(now_ + options_.prepare_max * rng_.Unit(), [this, index, life] {
                                    Node& node = nodes_[index];
                                    if (node.ring != nullptr && node.life == life) Apply(index, node.ring->OnRangeReady(now_));
                                  });
                                },
                                [&](overlay::ContactsWanted&) { FindContact(index); }, [](overlay::NeighbourhoodChanged&) {},
                                [](overlay::StateChanged&) {}},
               action);
  }
  Look(index);
  Rearm(index);
}

// What a driver finds at a bootstrap address: for who is outside, some live member of its side.
void World::FindContact(size_t index) {
  std::vector<size_t> members;
  if (!options_.bootstrap_knows_members || ring(index)->IsMember()) return;
  for (const size_t other : LiveNodes()) {
    if (other != index && Connected(index, other) && ring(other)->IsMember()) members.push_back(other);
  }
  if (members.empty()) return;
  Apply(index, nodes_[index].ring->AddContacts({nodes_[members[rng_.Below(members.size())]].peer}, now_));
}

void World::Deliver(size_t from, overlay::Call call) {
  const size_t to = by_point_.at(call.to.point);
  const uint64_t life = nodes_[from].life;
  const absl::Time sent = now_;
  if (options_.loss > 0 && rng_.Unit() < options_.loss) {
    const overlay::CallId id = call.id;
    At(sent + call.timeout, [=, this] { Reply(from, life, id, absl::DeadlineExceededError("lost")); });
    return;
  }
  At(now_ + Delay(), [=, this, call = std::move(call)]() mutable { Request(from, life, to, std::move(call), sent); });
}

void World::Request(size_t from, uint64_t life, size_t to, overlay::Call call, absl::Time sent) {
  const overlay::CallId id = call.id;
  const bool watched = options_.watch_steps && nodes_[from].ring != nullptr && nodes_[from].life == life;
  if (!Connected(from, to)) {
    if (watched) Foresee(from, call, absl::UnavailableError("dead"));
    const bool silent = nodes_[to].ring != nullptr || rng_.Unit() < options_.silent;
    const absl::Time when = silent ? sent + call.timeout : now_ + Delay();
    At(when, [=, this] { Reply(from, life, id, absl::UnavailableError("dead")); });
    return;
  }
  Ring::Answered answered = nodes_[to].ring->OnRequest(call.request, now_);
  if (watched) Foresee(from, call, answered.reply);
  At(now_ + Delay(), [=, this, reply = std::move(answered.reply)]() mutable { Reply(from, life, id, std::move(reply)); });
  Apply(to, std::move(answered.actions));
}

void World::Reply(size_t index, uint64_t life, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply) {
  Node& node = nodes_[index];
  if (node.ring == nullptr || node.life != life) return;
  if (node.answered_call == id) node.answered_call = 0;
  Apply(index, node.ring->OnReply(id, std::move(reply), now_));
}

void World::Rearm(size_t index) {
  Node& node = nodes_[index];
  if (node.ring == nullptr) return;
  const absl::Time next = std::max(node.ring->NextTick(), now_);
  if (next >= node.tick_at || next == absl::InfiniteFuture()) return;
  node.tick_at = next;
  At(next, [this, index, next, life = node.life] {
    Node& due = nodes_[index];
    if (due.ring == nullptr || due.life != life || due.tick_at != next) return;
    due.tick_at = absl::InfiniteFuture();
    Apply(index, due.ring->OnTick(now_));
  });
}

// --- Views ---

// What the asker is about to write, out of a copy of it that has the answer, or knows that there is none, already.
void World::Foresee(size_t index, const overlay::Call& call, const absl::StatusOr<overlay::RingReply>& reply) {
  if (!std::holds_alternative<overlay::StateRequest>(call.request)) return;
  Ring ahead(*nodes_[index].ring);
  ahead.OnReply(call.id, reply, now_);
  nodes_[index].answered_call = call.id;
  SetView(index, ahead.IsMember() ? std::optional(ViewOf(ahead, options_.ring.successor_count)) : std::nullopt);
}

void World::Look(size_t index) {
  const Node& node = nodes_[index];
  if (!options_.watch_steps || node.ring == nullptr || node.answered_call != 0) return;
  SetView(index, node.ring->IsMember() ? std::optional(ViewOf(*node.ring, options_.ring.successor_count)) : std::nullopt);
}

void World::SetView(size_t index, std::optional<MemberView> view) {
  if (nodes_[index].view == view) return;
  nodes_[index].view = std::move(view);
  views_changed_ = true;
}

}  // namespace sim
