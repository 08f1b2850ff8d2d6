// SPDX-License-Identifier: Apache-2.0
#include "circuits/table_walk.h"

#include "overlay/address_prefix.h"
#include "circuits/table_check.h"

namespace circuits {
namespace {

using overlay::Peer;
using overlay::RoutingTable;

constexpr int kQuestionsMax = 6;  // for descriptors, of one walk: two hops need one each, the rest is for answers without one

WalkFailed Failed(const char* why) { return {absl::UnavailableError(why)}; }

}  // namespace

TableWalk::TableWalk(Options options, const PeerBook& book, base::Rng& rng) : options_(std::move(options)), book_(book), rng_(rng) {
  options_.rules.shun.insert(options_.holders.begin(), options_.holders.end());
}

HopRules TableWalk::GuardRules() const { return options_.rules; }

WalkStep TableWalk::OnHop(const keys::PublicKey& node_key, const std::string& address, absl::Time now, absl::Time wall_now) {
  path_.push_back(node_key);
  options_.rules.never.insert(node_key);
  options_.rules.prefixes.insert(overlay::PrefixOf(address));
  if (path_.size() == kRelayHops) return WalkReady{};
  if (path_.size() == 1) options_.rules.shun.insert(options_.refusing.begin(), options_.refusing.end());
  if (path_.size() + 1 == kRelayHops && options_.not_last.has_value()) options_.rules.shun.insert(*options_.not_last);
  if (!options_.choices.empty()) return Next(now, wall_now);
  return TableStep{path_.size() - 1, 0};
}

WalkStep TableWalk::OnTable(const RoutingTable& table, absl::Time now, absl::Time wall_now) {
  if (table.owner.node_key != path_.back()) return Failed("a hop showed another's table");
  if (options_.mean_gap.has_value() && !CheckTable(table, *options_.mean_gap).ok()) return Failed("a table that cannot be true");
  table_ = table;
  return Next(now, wall_now);
}

std::optional<Peer> TableWalk::ChooseNext() {
  if (options_.last.has_value() && path_.size() + 1 == kRelayHops) {
    const bool once = !options_.rules.never.contains(options_.last->node_key);
    return once ? options_.last : std::nullopt;
  }
  return options_.choices.empty() ? ChooseHop(*table_, options_.rules, rng_) : ChooseHop(options_.choices, options_.rules, rng_);
}

WalkStep TableWalk::Next(absl::Time now, absl::Time wall_now) {
  next_ = ChooseNext();
  if (!next_.has_value()) return Failed("no further hop to be had");
  if (const auto target = book_.Find(next_->node_key, now, wall_now)) return ExtendStep{*target, path_.size()};
  if (++questions_ > kQuestionsMax) return Failed("no descriptors to be had");
  return AskFor(*next_, now, wall_now);
}

DescriptorsStep TableWalk::AskFor(const Peer& next, absl::Time now, absl::Time wall_now) {
  DescriptorsStep question{path_.size() - 1, {next.node_key}};
  if (!options_.is_ring && !(table_.has_value() && table_->CoversRing())) return question;
  NodeKeys asked = {next.node_key};
  for (const Peer& peer : options_.is_ring ? options_.choices : table_->Members()) {
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
