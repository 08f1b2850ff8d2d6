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

namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'795'000'000);

}  // namespace

World::World(Options options) : options_(std::move(options)), rng_(options_.seed), now_(kStart) {
  CHECK(2 * options_.delay_max < options_.ring.call_timeout);
}

size_t World::Add(overlay::Role role) { return AddAt(overlay::NodeId::Random(rng_), role); }

size_t World::AddAt(const overlay::NodeId& point, overlay::Role role) {
  Peer peer;
  peer.point = point;
  peer.node_key.bytes = point.bytes;
  peer.role = role;
  return AddPeer(std::move(peer));
}

size_t World::AddTwin(size_t node) { return AddPeer(nodes_[node].peer); }

size_t World::AddPeer(Peer peer) {
  const size_t index = nodes_.size();
  Node node;
  node.peer = std::move(peer);
  node.peer.address = absl::StrCat("10.", index >> 16, ".", index >> 8 & 255, ".", index & 255, ":1");
  if (options_.clock_drift > 0) {
    node.rate = 1 + options_.clock_drift * (2 * rng_.Unit() - 1);
    node.offset = absl::Hours(1) * (2 * rng_.Unit() - 1);
  }
  CHECK(by_address_.emplace(node.peer.address, index).second);
  nodes_.push_back(std::move(node));
  return index;
}

absl::Time World::Clock(size_t node) const { return kStart + (now_ - kStart) * nodes_[node].rate + nodes_[node].offset; }

absl::Time World::FromClock(size_t node, absl::Time reading) const {
  if (reading == absl::InfiniteFuture()) return reading;
  if (nodes_[node].rate == 1) return reading - nodes_[node].offset;
  // A moment later, so that rounding never has a timer fire before its time.
  return kStart + (reading - nodes_[node].offset - kStart) / nodes_[node].rate + absl::Microseconds(1);
}

Ring& World::Start(size_t index) {
  Node& node = nodes_[index];
  CHECK(node.ring == nullptr);
  ++node.life;
  Trace(index, "starts");
  node.ring = std::make_unique<Ring>(node.peer, options_.ring, rng_);
  return *node.ring;
}

void World::StartAlone(size_t node) { Apply(node, Start(node).Create(Clock(node))); }

void World::StartJoin(size_t node, const std::vector<size_t>& contacts) {
  std::vector<Peer> peers;
  for (const size_t contact : contacts) peers.push_back(nodes_[contact].peer);
  Apply(node, Start(node).Join(std::move(peers), Clock(node)));
}

void World::Crash(size_t index) {
  Node& node = nodes_[index];
  node.ring.reset();
  node.tick_at = absl::InfiniteFuture();
  node.answered_call = 0;
  node.paused = false;
  node.held.clear();
  Trace(index, "dies");
  SetView(index, std::nullopt);
  if (options_.watches && rng_.Unit() >= options_.silent) EndWatches(index);
}

void World::EndWatches(size_t gone) {
  const overlay::NodeId point = nodes_[gone].peer.point;
  for (const size_t index : LiveNodes()) {
    const Ring& ring = *nodes_[index].ring;
    const bool follows = !ring.successors().empty() && ring.successors().front().point == point;
    if (!follows && !(ring.predecessor() && ring.predecessor()->point == point)) continue;
    At(now_ + Delay(), [this, index, point, life = nodes_[index].life] {
      Node& node = nodes_[index];
      if (node.ring != nullptr && node.life == life) Apply(index, node.ring->OnDoubt(point, Clock(index)));
    });
  }
}

void World::Heal() {
  for (Node& node : nodes_) node.side = 0;
  ways_.clear();
}

void World::Resume(size_t index) {
  Trace(index, "goes on");
  nodes_[index].paused = false;
  for (auto& run : std::exchange(nodes_[index].held, {})) run();
}

void World::RestartWithOldState(size_t index) {
  std::vector<Peer> known = ring(index)->FarSuccessors();
  for (const Peer& peer : ring(index)->FarPredecessors()) known.push_back(peer);
  Crash(index);
  Apply(index, Start(index).Join(std::move(known), Clock(index)));
}

bool World::Reaches(size_t from, size_t to) const {
  const std::pair<int, int> way = {nodes_[from].side, nodes_[to].side};
  return way.first == way.second || std::find(ways_.begin(), ways_.end(), way) != ways_.end();
}

void World::Trace(size_t node, absl::string_view what) {
  if (options_.trace_max == 0) return;
  if (trace_.size() == options_.trace_max) trace_.pop_front();
  const absl::Duration at = now_ - kStart;
  trace_.push_back(absl::StrCat(absl::ToInt64Milliseconds(at), " ms  ", nodes_[node].peer.point.ToHex().substr(0, 6), " ", what));
}

void World::Leave(size_t node) {
  Trace(node, "leaves");
  Apply(node, nodes_[node].ring->Leave(Clock(node)));
  const uint64_t life = nodes_[node].life;
  At(now_ + 4 * options_.delay_max, [this, node, life] {
    if (nodes_[node].ring != nullptr && nodes_[node].life == life) Crash(node);
  });
}

void World::Tell(size_t node, size_t of) { Apply(node, nodes_[node].ring->AddContacts({nodes_[of].peer}, Clock(node))); }

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
  Apply(node, nodes_[node].ring->StartLookup(id, point, Clock(node)));
  RunUntil([&] { return lookups_done_.contains(id); }, absl::Minutes(5));
  CHECK(lookups_done_.contains(id));
  return std::move(lookups_done_.extract(id).mapped());
}

void World::StartLookup(size_t node, const overlay::NodeId& point, LookupHandler done) {
  const overlay::LookupId id = ++last_lookup_;
  lookup_handlers_.emplace(id, std::move(done));
  Apply(node, nodes_[node].ring->StartLookup(id, point, Clock(node)));
}

void World::FinishPreparation(size_t node, bool ready) {
  Ring& ring = *nodes_[node].ring;
  Apply(node, ready ? ring.OnRangeReady(Clock(node)) : ring.OnRangeFailed(Clock(node)));
}

bool World::Step() {
  if (events_.empty()) return false;
  absl::AnyInvocable<void()> run = events_.Take(&now_);
  ++events_done_;
  run();
  if (std::exchange(views_changed_, false) && on_step) on_step();
  return true;
}

void World::RunFor(absl::Duration span) {
  const absl::Time end = now_ + span;
  while (!events_.empty() && events_.next_at() <= end) Step();
  now_ = end;
}

bool World::RunUntil(const std::function<bool()>& condition, absl::Duration limit, absl::Duration look_every) {
  const absl::Time end = now_ + limit;
  while (!condition()) {
    if (now_ >= end) return false;
    RunFor(look_every);
  }
  return true;
}

bool World::RunUntilIdeal(absl::Duration limit, absl::Duration look_every) {
  const auto is_ideal = [&] {
    const RingView view = View();
    return view.members.size() == LiveNodes().size() && CheckIdeal(view).ok();
  };
  return RunUntil(is_ideal, limit, look_every);
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

namespace {

std::string Pointers(const MemberView& view) {
  std::string text = view.predecessor ? absl::StrCat(view.predecessor->ToHex().substr(0, 6), " <- ->") : "- <- ->";
  for (const overlay::NodeId& next : view.successors) absl::StrAppend(&text, " ", next.ToHex().substr(0, 6));
  return text;
}

}  // namespace

std::string World::Dump() const {
  std::string text =
      absl::StrCat("seed ", options_.seed, ", ", events_done_, " events, ", absl::FormatTime(now_), "\n", Describe(View()));
  for (const size_t i : LiveNodes()) {
    if (!ring(i)->IsMember())
      absl::StrAppend(&text, nodes_[i].peer.point.ToHex().substr(0, 6), ": ", Name(ring(i)->state()), "\n");
  }
  absl::StrAppend(&text, "the latest events:\n");
  for (const std::string& line : trace_) absl::StrAppend(&text, "  ", line, "\n");
  return text;
}

// --- Messages ---

void World::At(absl::Time when, absl::AnyInvocable<void()> run) { events_.Add(when, std::move(run)); }

absl::Duration World::Delay() {
  if (options_.late > 0 && rng_.Unit() < options_.late) return options_.ring.call_timeout * 0.49 * rng_.Unit();
  return options_.delay_min + (options_.delay_max - options_.delay_min) * rng_.Unit();
}

void World::Apply(size_t index, overlay::RingActions actions) {
  const uint64_t life = nodes_[index].life;
  for (overlay::RingAction& action : actions) {
    std::visit(base::Overloaded{[&](overlay::Call& call) { Deliver(index, std::move(call)); },
                                [&](overlay::LookupDone& done) { FinishLookup(std::move(done)); },
                                [&](overlay::JoinPrepared& prepared) {
                                  if (on_join_prepared) return on_join_prepared(index, prepared.neighbourhood);
                                  At(now_ + options_.prepare_max * rng_.Unit(), [this, index, life] {
                                    Node& node = nodes_[index];
                                    if (node.ring != nullptr && node.life == life)
                                      Apply(index, node.ring->OnRangeReady(Clock(index)));
                                  });
                                },
                                [&](overlay::ContactsWanted&) { FindContact(index); },
                                [&](overlay::NeighbourhoodChanged& changed) {
                                  if (on_neighbourhood) on_neighbourhood(index, changed.neighbourhood);
                                },
                                [&](overlay::StateChanged& changed) { Trace(index, absl::StrCat("is ", Name(changed.state))); }},
               action);
  }
  Look(index);
  Rearm(index);
}

void World::FinishLookup(overlay::LookupDone done) {
  auto handler = lookup_handlers_.extract(done.id);
  if (!handler) return static_cast<void>(lookups_done_.emplace(done.id, std::move(done.result)));
  At(now_, [handle = std::move(handler.mapped()), result = std::move(done.result)] { handle(result); });
}

// What a driver finds at a bootstrap address: for who is outside, some live member of its side.
void World::FindContact(size_t index) {
  std::vector<size_t> members;
  if (!options_.bootstrap_knows_members || ring(index)->IsMember()) return;
  for (const size_t other : LiveNodes()) {
    if (other != index && Connected(index, other) && ring(other)->IsMember()) members.push_back(other);
  }
  if (members.empty()) return;
  Apply(index, nodes_[index].ring->AddContacts({nodes_[members[rng_.Below(members.size())]].peer}, Clock(index)));
}

void World::Deliver(size_t from, overlay::Call call) {
  const size_t to = by_address_.at(call.to.address);
  const uint64_t life = nodes_[from].life;
  const absl::Time sent = now_;
  if (options_.loss > 0 && rng_.Unit() < options_.loss) {
    const overlay::CallId id = call.id;
    At(sent + call.timeout, [=, this] { Reply(from, life, id, absl::DeadlineExceededError("lost")); });
    return;
  }
  if (options_.duplicate > 0 && rng_.Unit() < options_.duplicate) {
    At(now_ + Delay(), [=, this, request = call.request] {
      if (nodes_[to].ring == nullptr || nodes_[to].paused || !Reaches(from, to)) return;
      Apply(to, nodes_[to].ring->OnRequest(request, Clock(to)).actions);
    });
  }
  At(now_ + Delay(), [=, this, call = std::move(call)]() mutable { Request(from, life, to, std::move(call), sent); });
}

void World::Request(size_t from, uint64_t life, size_t to, overlay::Call call, absl::Time sent) {
  const overlay::CallId id = call.id;
  const bool watched = options_.watch_steps && nodes_[from].ring != nullptr && nodes_[from].life == life;
  if (nodes_[to].ring == nullptr || nodes_[to].paused || !Reaches(from, to)) {
    if (watched) Foresee(from, call, absl::UnavailableError("dead"));
    return Fail(from, life, to, call, sent);
  }
  Ring::Answered answered = nodes_[to].ring->OnRequest(call.request, Clock(to));
  const bool heard = Reaches(to, from);
  if (watched)
    Foresee(from, call, heard ? absl::StatusOr<overlay::RingReply>(answered.reply) : absl::UnavailableError("not heard"));
  if (!heard) Fail(from, life, to, call, sent);
  if (heard)
    At(now_ + Delay(), [=, this, reply = std::move(answered.reply)]() mutable { Reply(from, life, id, std::move(reply)); });
  Apply(to, std::move(answered.actions));
}

// Silence until the timeout, or a refusal by the machine of a dead process.
void World::Fail(size_t from, uint64_t life, size_t to, const overlay::Call& call, absl::Time sent) {
  const bool silent = nodes_[to].ring != nullptr || rng_.Unit() < options_.silent;
  const absl::Time when = silent ? sent + call.timeout : now_ + Delay();
  At(when, [this, from, life, id = call.id] { Reply(from, life, id, absl::UnavailableError("dead")); });
}

void World::Reply(size_t index, uint64_t life, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply) {
  Node& node = nodes_[index];
  if (node.ring == nullptr || node.life != life) return;
  if (node.paused) {
    node.held.push_back([=, this, reply = std::move(reply)]() mutable { Reply(index, life, id, std::move(reply)); });
    return;
  }
  if (node.answered_call == id) node.answered_call = 0;
  Apply(index, node.ring->OnReply(id, std::move(reply), Clock(index)));
}

void World::Rearm(size_t index) {
  Node& node = nodes_[index];
  if (node.ring == nullptr) return;
  const absl::Time next = std::max(FromClock(index, node.ring->NextTick()), now_);
  if (next >= node.tick_at || next == absl::InfiniteFuture()) return;
  node.tick_at = next;
  At(next, [this, index, next, life = node.life] {
    Node& due = nodes_[index];
    if (due.ring == nullptr || due.life != life || due.tick_at != next) return;
    due.tick_at = absl::InfiniteFuture();
    if (due.paused) return due.held.push_back([this, index] { Apply(index, nodes_[index].ring->OnTick(Clock(index))); });
    Apply(index, due.ring->OnTick(Clock(index)));
  });
}

// --- Views ---

// What the asker is about to write, out of a copy of it that has the answer, or knows that there is none, already.
void World::Foresee(size_t index, const overlay::Call& call, const absl::StatusOr<overlay::RingReply>& reply) {
  if (!std::holds_alternative<overlay::StateRequest>(call.request)) return;
  Ring ahead(*nodes_[index].ring);
  ahead.OnReply(call.id, reply, Clock(index));
  nodes_[index].answered_call = call.id;
  SetView(index, ahead.IsMember() ? std::optional(ViewOf(ahead, options_.ring.successor_count)) : std::nullopt);
}

// Whether that is the view of a ring whose list is not open. It builds nothing: nearly always it is.
bool World::Shows(const std::optional<MemberView>& view, const Ring& ring) {
  if (!view || !ring.IsMember()) return !view && !ring.IsMember();
  const std::vector<Peer>& list = ring.successors();
  const bool same_predecessor =
      view->predecessor ? ring.predecessor() && ring.predecessor()->point == *view->predecessor : !ring.predecessor();
  return same_predecessor && !ring.HasOpenList() &&
         std::equal(list.begin(), list.end(), view->successors.begin(), view->successors.end(),
                    [](const Peer& peer, const overlay::NodeId& point) { return peer.point == point; });
}

void World::Look(size_t index) {
  const Node& node = nodes_[index];
  if (!options_.watch_steps || node.ring == nullptr || node.answered_call != 0 || Shows(node.view, *node.ring)) return;
  SetView(index, node.ring->IsMember() ? std::optional(ViewOf(*node.ring, options_.ring.successor_count)) : std::nullopt);
}

void World::SetView(size_t index, std::optional<MemberView> view) {
  if (nodes_[index].view == view) return;
  nodes_[index].view = std::move(view);
  if (options_.trace_max > 0 && nodes_[index].view) Trace(index, absl::StrCat("points to ", Pointers(*nodes_[index].view)));
  views_changed_ = true;
  if (on_view) on_view(index);
}

}  // namespace sim
