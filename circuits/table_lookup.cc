// SPDX-License-Identifier: Apache-2.0
#include "circuits/table_lookup.h"

#include <algorithm>

namespace circuits {
namespace {

using overlay::Peer;
using overlay::RoutingTable;

constexpr int kQuestionsMax = 16;  // for descriptors; six extends need one each, and the end one

LookupFailed Failed(const char* why) { return {absl::UnavailableError(why)}; }

}  // namespace

LookupStep TableLookup::Begin(absl::Time now, absl::Time wall_now) {
  if (options_.from_view) {
    responsible_ = view_.Responsible(options_.point, now + options_.ahead);
    const std::optional<Peer> next = Closest(now, wall_now);
    if (next.has_value()) return ExtendStep{*book_.FindAny(next->node_key, wall_now), kRelayHops};
  }
  return TableStep{kRelayHops - 1, 0};
}

LookupStep TableLookup::OnHop() {
  hop_ = kRelayHops;
  return TableStep{hop_, 0};
}

LookupStep TableLookup::OnTable(const RoutingTable& table, absl::Time now, absl::Time wall_now) {
  table_ = table;
  options_.never.insert(table.owner.node_key);
  return Step(now, wall_now);
}

LookupStep TableLookup::OnDescriptors(absl::Time now, absl::Time wall_now) { return Step(now, wall_now); }

LookupStep TableLookup::Step(absl::Time now, absl::Time wall_now) {
  responsible_ = view_.Responsible(options_.point, now + options_.ahead);
  if (!responsible_.has_value()) return GoOn(now, wall_now);
  const std::vector<keys::PublicKey> missing = Missing(now, wall_now);
  if (missing.empty()) return LookupFound{*responsible_};
  // Their descriptors are asked for together, so that the answerer does not learn which will be used; and of one whose table
  // names them, for no other would know.
  if (TableNames(missing)) {
    asked_.insert(missing.begin(), missing.end());
    return DescriptorsStep{hop_, missing};
  }
  const LookupStep step = GoOn(now, wall_now);
  if (std::holds_alternative<LookupFailed>(step)) return LookupFound{*responsible_};
  return step;
}

std::vector<keys::PublicKey> TableLookup::Missing(absl::Time now, absl::Time wall_now) const {
  std::vector<keys::PublicKey> missing;
  for (const Peer& peer : *responsible_) {
    if (!book_.Find(peer.node_key, now, wall_now).has_value() && !asked_.contains(peer.node_key))
      missing.push_back(peer.node_key);
  }
  return missing;
}

bool TableLookup::TableNames(const std::vector<keys::PublicKey>& node_keys) const {
  NodeKeys named;
  for (const Peer& peer : table_->Members()) named.insert(peer.node_key);
  return std::all_of(node_keys.begin(), node_keys.end(), [&](const auto& node_key) { return named.contains(node_key); });
}

LookupStep TableLookup::GoOn(absl::Time now, absl::Time wall_now) {
  const std::optional<Peer> next = Closest(now, wall_now);
  if (!next.has_value()) return Failed("nobody closer to the point");
  if (const auto target = book_.FindAny(next->node_key, wall_now)) return ExtendStep{*target, kRelayHops};
  if (++questions_ > kQuestionsMax) return Failed("no descriptors to be had");
  asked_.insert(next->node_key);
  return DescriptorsStep{hop_, {next->node_key}};
}

bool TableLookup::MayAsk(const Peer& peer, bool named_here, absl::Time now, absl::Time wall_now) const {
  if (options_.never.contains(peer.node_key) || options_.shun.contains(peer.node_key)) return false;
  // A table that is known did not tell who is responsible; where that is known, its owner may yet know their descriptors.
  if (!responsible_.has_value() && view_.Find(peer.point, now + options_.ahead) != nullptr) return false;
  return (named_here && !asked_.contains(peer.node_key)) || book_.FindAny(peer.node_key, wall_now).has_value();
}

std::optional<Peer> TableLookup::Closest(absl::Time now, absl::Time wall_now) const {
  std::optional<Peer> best;
  const auto consider = [&](const Peer& peer, bool named_here) {
    if (!MayAsk(peer, named_here, now, wall_now)) return;
    if (best.has_value() && overlay::Distance(best->point, options_.point) <= overlay::Distance(peer.point, options_.point))
      return;
    best = peer;
  };
  if (table_.has_value()) {
    for (const Peer& peer : table_->Members()) consider(peer, /*named_here=*/true);
  }
  for (const Peer& peer : view_.Members(now)) consider(peer, /*named_here=*/false);
  return best;
}

}  // namespace circuits
