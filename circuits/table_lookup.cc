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
  if (std::optional<std::vector<Peer>> found = view_.Responsible(options_.point, now)) return Finish(*std::move(found), now, wall_now);
  const std::optional<Peer> next = Closest(now, wall_now);
  if (!next.has_value()) return Failed("nobody closer to the point");
  if (const auto target = book_.FindAny(next->node_key, wall_now)) return ExtendStep{*target, kRelayHops};
  if (++questions_ > kQuestionsMax) return Failed("no descriptors to be had");
  asked_.insert(next->node_key);
  return DescriptorsStep{hop_, {next->node_key}};
}

// Their descriptors are asked for together, so that the answerer does not learn which will be used.
LookupStep TableLookup::Finish(std::vector<Peer> responsible, absl::Time now, absl::Time wall_now) {
  DescriptorsStep question{hop_, {}};
  for (const Peer& peer : responsible) {
    if (!book_.Find(peer.node_key, now, wall_now).has_value()) question.node_keys.push_back(peer.node_key);
  }
  if (question.node_keys.empty() || asked_responsible_) return LookupFound{std::move(responsible)};
  asked_responsible_ = true;
  return question;
}

bool TableLookup::MayAsk(const Peer& peer, bool named_here, absl::Time now, absl::Time wall_now) const {
  if (options_.never.contains(peer.node_key) || options_.shun.contains(peer.node_key)) return false;
  if (view_.Find(peer.point, now) != nullptr) return false;  // its table is known and did not tell
  return (named_here && !asked_.contains(peer.node_key)) || book_.FindAny(peer.node_key, wall_now).has_value();
}

std::optional<Peer> TableLookup::Closest(absl::Time now, absl::Time wall_now) const {
  std::optional<Peer> best;
  const auto consider = [&](const Peer& peer, bool named_here) {
    if (!MayAsk(peer, named_here, now, wall_now)) return;
    if (best.has_value() && overlay::Distance(best->point, options_.point) <= overlay::Distance(peer.point, options_.point)) return;
    best = peer;
  };
  for (const Peer& peer : table_->Members()) consider(peer, /*named_here=*/true);
  for (const Peer& peer : view_.Members(now)) consider(peer, /*named_here=*/false);
  return best;
}

}  // namespace circuits
