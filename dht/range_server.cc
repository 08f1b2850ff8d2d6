// SPDX-License-Identifier: Apache-2.0
#include "dht/range_server.h"

#include <algorithm>

#include "base/status_macros.h"

namespace dht {

absl::Status RangeServer::Spend(const std::vector<overlay::Peer>& caller, const Moment& moment) {
  if (caller.empty()) return absl::PermissionDeniedError("a client asks for a range");
  if (budgets_.size() >= kRangeCallersMax) budgets_.clear();
  Budget& budget = budgets_.try_emplace(caller.front().node_key, Budget{.since = moment.now}).first->second;
  const double earned = absl::ToDoubleSeconds(moment.now - budget.since) * kRangeCallsPerSecond;
  budget.calls = std::min(kRangeCallsBurst, budget.calls + earned);
  budget.since = moment.now;
  if (budget.calls < 1) return absl::ResourceExhaustedError("range calls too fast");
  budget.calls -= 1;
  return absl::OkStatus();
}

bool RangeServer::MayHold(const std::vector<overlay::Peer>& caller, const overlay::NodeId& point) const {
  return std::any_of(caller.begin(), caller.end(), [&](const overlay::Peer& peer) { return replicas_.MayHold(peer, point); });
}

bool RangeServer::MayHoldAll(const std::vector<overlay::Peer>& caller, const overlay::RingRange& range) const {
  return std::any_of(caller.begin(), caller.end(), [&](const overlay::Peer& peer) { return replicas_.MayHoldAll(peer, range); });
}

absl::StatusOr<DhtReply> RangeServer::Digest(const std::vector<overlay::Peer>& caller, const DigestRequest& request, bool serving,
                                             const Moment& moment) {
  RETURN_IF_ERROR(Spend(caller, moment));
  if (!MayHoldAll(caller, request.range)) return absl::PermissionDeniedError("not a holder of this range");
  DigestReply reply{.responsible = serving && replicas_.IsResponsible(request.range.last)};
  reply.doubts = witness_.DoubtsIn(request.range, moment.now);
  reply.suspect = !reply.doubts.empty();
  index_.Expire(moment.wall_now);
  reply.print = index_.Print(request.range);
  return reply;
}

absl::StatusOr<DhtReply> RangeServer::Names(const std::vector<overlay::Peer>& caller, const NamesRequest& request,
                                            const Moment& moment) {
  RETURN_IF_ERROR(Spend(caller, moment));
  NamesReply reply;
  const bool may_hold_all = MayHoldAll(caller, request.range);
  RETURN_IF_ERROR(store_.Scan(request.range, request.cursor, moment.wall_now, [&](const HeldName& held) {
    if (!may_hold_all && !MayHold(caller, held.name.point)) return true;
    reply.more = reply.names.size() == kNamesPageMax;
    if (!reply.more) reply.names.push_back(held);
    return !reply.more;
  }));
  return reply;
}

// The arc from the first name to the last one, if the caller may hold all of it: names come in the order of the ring, and asking
// for each of them costs more than reading it.
std::optional<overlay::RingRange> RangeServer::RangeOf(const std::vector<overlay::Peer>& caller,
                                                       const std::vector<RecordName>& names) const {
  if (names.size() < 2 || names.front().point == names.back().point) return std::nullopt;
  const overlay::RingRange range{.after = names.front().point, .last = names.back().point};
  return MayHoldAll(caller, range) ? std::optional(range) : std::nullopt;
}

absl::StatusOr<DhtReply> RangeServer::Fetch(const std::vector<overlay::Peer>& caller, const FetchRequest& request,
                                            const Moment& moment, std::vector<HeldName>& damaged) {
  RETURN_IF_ERROR(Spend(caller, moment));
  FetchReply reply;
  size_t bytes = 0;
  const std::optional<overlay::RingRange> held_by_caller = RangeOf(caller, request.names);
  for (const RecordName& name : request.names) {
    const bool is_inside = held_by_caller && held_by_caller->Contains(name.point);
    if (!is_inside && !MayHold(caller, name.point)) continue;
    absl::StatusOr<Record> held = store_.Get(name, moment.wall_now);
    if (absl::IsDataLoss(held.status())) damaged.push_back({.name = name, .expiry = absl::InfinitePast()});
    if (!held.ok()) continue;
    const size_t size = held->body.size() + kRecordHeaderSize;
    if (bytes + size > kFetchBytesMax && !reply.records.empty()) break;
    bytes += size;
    reply.records.push_back(*std::move(held));
    if (bytes + size > kFetchBytesMax) break;  // neither will the next one, if it is as large: not read in vain
  }
  return reply;
}

}  // namespace dht
