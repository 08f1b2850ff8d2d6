// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/step_world.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace sim {

using overlay::Peer;
using overlay::Ring;

namespace {

constexpr int kSettleRounds = 60;         // far more than a handful of nodes needs; each fires every timer once
constexpr int kTimersUntilSomething = 8;  // finger and seek timers may fire in vain before the one that asks

// No jitter: the order of things is the caller's choice.
class NoChance : public base::Rng {
 public:
  void Fill(std::span<uint8_t> bytes) override { std::fill(bytes.begin(), bytes.end(), uint8_t{0}); }
};
NoChance no_chance;

bool IsState(const overlay::RingRequest& request) { return std::holds_alternative<overlay::StateRequest>(request); }
bool IsRectify(const overlay::RingRequest& request) { return std::holds_alternative<overlay::RectifyRequest>(request); }

void AppendReply(const absl::StatusOr<overlay::RingReply>& reply, std::string& print) {
  const auto add = [&](const overlay::NodeId& point) { print.append(point.bytes.begin(), point.bytes.end()); };
  if (!reply.ok()) {
    print += "dead";
  } else if (const auto* state = std::get_if<overlay::StateReply>(&*reply)) {
    absl::StrAppend(&print, state->pending, state->member, state->detached, state->open, ":");
    if (state->predecessor) add(state->predecessor->point);
    print.push_back(':');
    for (const Peer& peer : state->successors) add(peer.point);
  } else if (const auto* health = std::get_if<overlay::HealthReply>(&*reply)) {
    absl::StrAppend(&print, "serves", health->serving);
  }
}

}  // namespace

StepWorld::StepWorld(size_t nodes, int successor_count, Lookups lookups) : lookups_(lookups) {
  CHECK(nodes > 0 && nodes < 255);
  options_.successor_count = successor_count;
  options_.stabilize_min = options_.stabilize_max = absl::Minutes(1);
  options_.check_min = options_.reunion_every = lookups == Lookups::kAtOnce ? absl::Minutes(10) : absl::Hours(24 * 3650);
  options_.prepares = false;
  nodes_.resize(nodes);
  for (size_t i = 0; i < nodes; ++i) {
    Peer& peer = nodes_[i].peer;
    peer.point.bytes[0] = static_cast<uint8_t>(i + 1);
    peer.node_key.bytes = peer.point.bytes;
    peer.role = overlay::Role::kRelay;
  }
}

Ring& StepWorld::Own(size_t node) {
  std::shared_ptr<Ring>& ring = nodes_[node].ring;
  if (ring.use_count() > 1) ring = std::make_shared<Ring>(*ring);
  return *ring;
}

void StepWorld::Create(size_t node) {
  nodes_[node].ring = std::make_shared<Ring>(nodes_[node].peer, options_, no_chance);
  Apply(node, Own(node).Create(nodes_[node].now));
}

void StepWorld::Join(size_t node, size_t contact) {
  nodes_[node].ring = std::make_shared<Ring>(nodes_[node].peer, options_, no_chance);
  Apply(node, Own(node).Join({nodes_[contact].peer}, nodes_[node].now));
}

void StepWorld::Crash(size_t node) {
  nodes_[node].ring = nullptr;
  nodes_[node].died = true;
  std::erase_if(messages_, [&](const Message& message) {
    return message.from == node && (message.answered || !IsRectify(message.call.request));
  });
}

// --- Choices ---

bool StepWorld::IsWaiting(size_t node) const {
  return std::any_of(messages_.begin(), messages_.end(),
                     [&](const Message& message) { return message.from == node && !IsRectify(message.call.request); });
}

std::vector<Choice> StepWorld::Choices() const {
  std::vector<Choice> choices;
  for (size_t i = 0; i < messages_.size(); ++i) {
    choices.push_back({messages_[i].answered ? Choice::Kind::kAnswer : Choice::Kind::kQuestion, i});
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (IsRunning(i) && !IsWaiting(i)) choices.push_back({Choice::Kind::kTimer, i});
  }
  return choices;
}

void StepWorld::Do(const Choice& choice) {
  switch (choice.kind) {
    case Choice::Kind::kQuestion:
      return DeliverQuestion(choice.index);
    case Choice::Kind::kAnswer:
      return DeliverAnswer(choice.index);
    case Choice::Kind::kTimer:
      return FireTimer(choice.index);
    case Choice::Kind::kCrash:
      return Crash(choice.index);
    case Choice::Kind::kJoin: {
      for (size_t contact = 0; contact < nodes_.size(); ++contact) {
        if (IsRunning(contact) && ring(contact).IsMember()) return Join(choice.index, contact);
      }
    }
  }
}

std::string StepWorld::Text(const Choice& choice) const {
  const auto message = [&](absl::string_view verb) {
    const Message& m = messages_[choice.index];
    const absl::string_view what = IsState(m.call.request) ? "State" : IsRectify(m.call.request) ? "Rectify" : "Health";
    return absl::StrCat(what, " ", verb, " n", m.from, " -> n", m.to);
  };
  switch (choice.kind) {
    case Choice::Kind::kQuestion:
      return message("asked");
    case Choice::Kind::kAnswer:
      return message("answered");
    case Choice::Kind::kTimer:
      return absl::StrCat("timer of n", choice.index);
    case Choice::Kind::kCrash:
      return absl::StrCat("n", choice.index, " dies");
    case Choice::Kind::kJoin:
      return absl::StrCat("n", choice.index, " joins");
  }
  return "";
}

// --- Messages ---

void StepWorld::Apply(size_t node, overlay::RingActions actions) {
  for (overlay::RingAction& action : actions) {
    if (auto* call = std::get_if<overlay::Call>(&action)) OnCall(node, std::move(*call));
  }
}

void StepWorld::OnCall(size_t from, overlay::Call call) {
  if (std::holds_alternative<overlay::LeavingRequest>(call.request)) return;
  if (!std::holds_alternative<overlay::NextHopRequest>(call.request)) return Post(from, std::move(call));
  if (ring(from).IsMember() && lookups_ == Lookups::kNever) return;
  Give(from, call.id, AskNow(IndexOf(call.to.point), call.request));
}

void StepWorld::Post(size_t from, overlay::Call call) {
  const size_t to = IndexOf(call.to.point);
  const auto same = std::find_if(messages_.begin(), messages_.end(), [&](const Message& old) {
    return old.from == from && old.to == to && IsRectify(old.call.request) && IsRectify(call.request);
  });
  if (same != messages_.end()) return Give(from, call.id, overlay::RingReply(overlay::RectifyReply{}));
  messages_.push_back({from, to, std::move(call), false, absl::UnknownError("")});
}

absl::StatusOr<overlay::RingReply> StepWorld::AskNow(size_t to, const overlay::RingRequest& request) {
  if (!IsRunning(to)) return absl::UnavailableError("dead");
  Ring::Answered answered = Own(to).OnRequest(request, nodes_[to].now);
  Apply(to, std::move(answered.actions));
  return std::move(answered.reply);
}

void StepWorld::Give(size_t node, overlay::CallId id, absl::StatusOr<overlay::RingReply> reply) {
  if (IsRunning(node)) Apply(node, Own(node).OnReply(id, std::move(reply), nodes_[node].now));
}

void StepWorld::DeliverQuestion(size_t index) {
  const Message message = messages_[index];
  if (IsRectify(message.call.request)) {
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(index));
    return Give(message.from, message.call.id, AskNow(message.to, message.call.request));
  }
  messages_[index].answered = true;  // what it makes the other one send comes behind it
  absl::StatusOr<overlay::RingReply> reply = AskNow(message.to, message.call.request);
  messages_[index].reply = std::move(reply);
}

void StepWorld::DeliverAnswer(size_t index) {
  Message message = std::move(messages_[index]);
  messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(index));
  Give(message.from, message.call.id, std::move(message.reply));
}

void StepWorld::FireTimer(size_t node) {
  for (int i = 0; i < kTimersUntilSomething && IsRunning(node) && !IsWaiting(node); ++i) {
    const absl::Time next = nodes_[node].ring->NextTick();
    if (next > nodes_[node].now + absl::Hours(24)) return;
    nodes_[node].now = std::max(nodes_[node].now, next);
    Apply(node, Own(node).OnTick(nodes_[node].now));
  }
}

// --- Whole steps ---

// Something of that node, or a sign of life that a rectify waits for.
bool StepWorld::DeliverOne(size_t node) {
  for (size_t i = 0; i < messages_.size(); ++i) {
    const bool is_ping = !IsState(messages_[i].call.request) && !IsRectify(messages_[i].call.request);
    if (messages_[i].from != node && !is_ping) continue;
    Do({messages_[i].answered ? Choice::Kind::kAnswer : Choice::Kind::kQuestion, i});
    return true;
  }
  return false;
}

void StepWorld::Stabilize(size_t node) {
  if (!IsRunning(node)) return;
  if (!IsWaiting(node)) FireTimer(node);
  for (int i = 0; i < kSettleRounds && DeliverOne(node); ++i) {
  }
}

void StepWorld::Settle() {
  for (int round = 0; round < kSettleRounds; ++round) {
    for (size_t node = 0; node < nodes_.size(); ++node) Stabilize(node);
  }
}

// --- Views ---

RingView StepWorld::View() const {
  RingView view;
  view.successor_count = options_.successor_count;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!IsRunning(i)) continue;
    const auto step = std::find_if(messages_.begin(), messages_.end(), [&](const Message& message) {
      return message.from == i && message.answered && IsState(message.call.request);
    });
    if (step == messages_.end()) {
      if (ring(i).IsMember()) view.members.push_back(ViewOf(ring(i), options_.successor_count));
      continue;
    }
    Ring ahead(ring(i));
    ahead.OnReply(step->call.id, step->reply, nodes_[i].now);
    if (ahead.IsMember()) view.members.push_back(ViewOf(ahead, options_.successor_count));
  }
  return view;
}

uint64_t StepWorld::Print() const {
  std::string print;
  for (const Node& node : nodes_) {
    print.push_back(node.died ? 'd' : node.ring ? 'r' : '-');
    if (node.ring) print += node.ring->MaintenancePrint();
  }
  std::vector<std::string> under_way;
  for (const Message& message : messages_) {
    std::string text = absl::StrCat(message.from, ">", message.to, ",", message.call.request.index(), ",", message.answered, ",");
    if (message.answered) AppendReply(message.reply, text);
    under_way.push_back(std::move(text));
  }
  std::sort(under_way.begin(), under_way.end());
  for (const std::string& text : under_way) absl::StrAppend(&print, "/", text);
  return absl::HashOf(print);
}

}  // namespace sim
