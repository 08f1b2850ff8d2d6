// SPDX-License-Identifier: Apache-2.0
#include "circuits/table_walk.h"

#include "circuits/address_prefix.h"

namespace circuits {
namespace {

using overlay::Peer;
using overlay::RoutingTable;

constexpr int kQuestionsMax = 6;  // for descriptors, of one walk: two hops need one each, the rest is for answers without one

WalkFailed Failed(const char* why) { return {absl::UnavailableError(why)}; }

}  // namespace

std::optional<Peer> TableWalk::ChooseGuard(const std::vector<Peer>& known_guards,
                                           const std::vector<const RoutingTable*>& start_tables) {
  HopRules rules = options_.rules;
  options_.rules.shun.insert(options_.holders.begin(), options_.holders.end());
  for (const HopRules* allowed : {&options_.rules, &rules}) {
    for (const Peer& guard : known_guards) {
      if (!allowed->never.contains(guard.node_key) && !allowed->shun.contains(guard.node_key)) return guard;
    }
  }
  for (const RoutingTable* table : start_tables) {
    if (std::optional<Peer> guard = ChooseHop(*table, options_.rules, rng_)) return guard;
  }
  return std::nullopt;
}

WalkStep TableWalk::OnHop(const keys::PublicKey& node_key, const std::string& address) {
  path_.push_back(node_key);
  options_.rules.never.insert(node_key);
  options_.rules.prefixes.insert(PrefixOf(address));
  if (path_.size() == kRelayHops) return WalkReady{};
  return TableStep{path_.size() - 1, 0};
}

WalkStep TableWalk::OnTable(const RoutingTable& table, absl::Time now, absl::Time wall_now) {
  if (table.owner.node_key != path_.back()) return Failed("a hop showed another's table");
  table_ = table;
  if (path_.size() + 1 == kRelayHops && options_.not_last.has_value()) options_.rules.shun.insert(*options_.not_last);
  return Next(now, wall_now);
}

WalkStep TableWalk::Next(absl::Time now, absl::Time wall_now) {
  next_ = ChooseHop(*table_, options_.rules, rng_);
  if (!next_.has_value()) return Failed("no further hop in the table");
  if (const auto target = book_.Find(next_->node_key, now, wall_now)) return ExtendStep{*target, path_.size()};
  if (++questions_ > kQuestionsMax) return Failed("no descriptors to be had");
  return AskFor(*next_, now, wall_now);
}

DescriptorsStep TableWalk::AskFor(const Peer& next, absl::Time now, absl::Time wall_now) {
  DescriptorsStep question{path_.size() - 1, {next.node_key}};
  if (!table_->CoversRing()) return question;
  NodeKeys asked = {next.node_key};
  for (const Peer& peer : table_->Members()) {
    if (question.node_keys.size() >= kDescriptorKeysMax) break;
    if (book_.Find(peer.node_key, now, wall_now).has_value() || !asked.insert(peer.node_key).second) continue;
    question.node_keys.push_back(peer.node_key);
  }
  base::Shuffle(question.node_keys, rng_);
  return question;
}

WalkStep TableWalk::OnDescriptors(absl::Time now, absl::Time wall_now) {
  if (const auto target = book_.FindAny(next_->node_key, wall_now)) return ExtendStep{*target, path_.size()};
  options_.rules.never.insert(next_->node_key);  // nobody can be extended to without one
  return Next(now, wall_now);
}

}  // namespace circuits
