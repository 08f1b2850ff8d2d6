// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/interleavings.h"

#include <algorithm>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/sim/step_world.h"

namespace sim {
namespace {

struct Frame {
  StepWorld world;
  RingView view;
  std::vector<overlay::NodeId> principals;
  std::vector<Choice> choices;
  size_t next = 0;
  int rounds_left = 0;
  std::string came_by;
};

class Searcher {
 public:
  explicit Searcher(const Interleavings& bounds) : bounds_(bounds) {}

  InterleavingsResult Run() {
    Visit(Ideal(), {}, bounds_.rounds, "ideal ring");
    while (!stack_.empty() && result_.broken.empty() && result_.states < bounds_.states_max) {
      Frame& top = stack_.back();
      if (top.next == top.choices.size()) {
        stack_.pop_back();
        continue;
      }
      const Choice choice = top.choices[top.next++];
      StepWorld world = top.world;
      std::string text = world.Text(choice);
      std::vector<overlay::NodeId> principals = top.principals;
      if (choice.kind == Choice::Kind::kCrash) std::erase(principals, world.point(choice.index));
      world.Do(choice);
      ++result_.steps;
      const int rounds_left = top.rounds_left - (choice.kind == Choice::Kind::kTimer);
      Visit(std::move(world), std::move(principals), rounds_left, std::move(text));
    }
    result_.complete = stack_.empty() && result_.broken.empty();
    return result_;
  }

 private:
  // Members and joiners alternate on the circle, so that joiners fall between members.
  bool StartsAsMember(size_t node) const {
    const size_t joiners = static_cast<size_t>(bounds_.joiners);
    return node % 2 == 0 ? node / 2 < static_cast<size_t>(bounds_.members) : node / 2 >= joiners;
  }

  StepWorld Ideal() const {
    const size_t count = static_cast<size_t>(bounds_.members + bounds_.joiners);
    StepWorld world(count, bounds_.successor_count, StepWorld::Lookups::kNever);
    world.Create(0);
    for (size_t i = 1; i < count; ++i) {
      if (!StartsAsMember(i)) continue;
      world.Join(i, 0);
      world.Settle();
    }
    CHECK(CheckIdeal(world.View()).ok());
    CHECK(world.View().members.size() == static_cast<size_t>(bounds_.members));
    return world;
  }

  void Visit(StepWorld world, std::vector<overlay::NodeId> principals_before, int rounds_left, std::string came_by) {
    const auto [seen, is_new] = seen_.try_emplace(world.Print(), rounds_left);
    if (!is_new && seen->second >= rounds_left) return;
    seen->second = rounds_left;
    if (is_new) ++result_.states;
    const RingView view = world.View();
    std::vector<overlay::NodeId> principals = Principals(view);
    if (!stack_.empty()) CheckPredecessors(stack_.back().view, view, came_by);
    Check(world, view, principals_before, principals, came_by);
    std::vector<Choice> choices = world.Choices();
    if (rounds_left == 0) std::erase_if(choices, [](const Choice& choice) { return choice.kind == Choice::Kind::kTimer; });
    Offer(world, view, choices);
    stack_.push_back({std::move(world), view, std::move(principals), std::move(choices), 0, rounds_left, std::move(came_by)});
    result_.deepest = std::max(result_.deepest, stack_.size());
  }

  // Rectify: another predecessor is taken only if it is nearer, or the old one is no member any more.
  void CheckPredecessors(const RingView& before, const RingView& now, const std::string& came_by) {
    for (const MemberView& member : now.members) {
      const MemberView* was = before.Find(member.point);
      if (was == nullptr || !was->predecessor || !member.predecessor || was->predecessor == member.predecessor) continue;
      const bool nearer = overlay::InOpen(*member.predecessor, *was->predecessor, member.point);
      if (!nearer && now.Find(*was->predecessor) != nullptr) Break("Rectify took a farther predecessor", now, came_by);
    }
  }

  void Check(const StepWorld& world, const RingView& view, const std::vector<overlay::NodeId>& before,
             const std::vector<overlay::NodeId>& now, const std::string& came_by) {
    const absl::Status status = CheckInvariant(view, bounds_.principals_min);
    if (!status.ok()) return Break(std::string(status.message()), view, came_by);
    if (!std::includes(now.begin(), now.end(), before.begin(), before.end())) {
      return Break("a principal was lost without dying", view, came_by);
    }
    if (result_.states % bounds_.settle_every != 0) return;
    ++result_.settled;
    StepWorld later = world;
    later.Settle();
    const absl::Status ideal = CheckIdeal(later.View());
    if (!ideal.ok()) Break(absl::StrCat("does not become ideal: ", ideal.message()), later.View(), came_by);
  }

  void Offer(const StepWorld& world, const RingView& view, std::vector<Choice>& choices) const {
    int dead = 0;
    for (size_t i = 0; i < world.size(); ++i) dead += world.HasDied(i);
    for (size_t i = 0; i < world.size(); ++i) {
      if (!world.IsRunning(i) && !world.HasDied(i)) choices.push_back({Choice::Kind::kJoin, i});
      const bool may_die = world.IsRunning(i) && dead < bounds_.crashes && MayFail(view, world.point(i), bounds_.principals_min);
      if (may_die) choices.push_back({Choice::Kind::kCrash, i});
    }
  }

  void Break(const std::string& what, const RingView& view, const std::string& last) {
    result_.broken = absl::StrCat(what, " after\n");
    for (const Frame& frame : stack_) absl::StrAppend(&result_.broken, "  ", frame.came_by, "\n");
    absl::StrAppend(&result_.broken, "  ", last, "\n", Describe(view));
  }

  const Interleavings bounds_;
  InterleavingsResult result_;
  std::vector<Frame> stack_;
  absl::flat_hash_map<uint64_t, int> seen_;  // print of the world, most rounds left
};

}  // namespace

InterleavingsResult Search(const Interleavings& bounds) { return Searcher(bounds).Run(); }

}  // namespace sim
