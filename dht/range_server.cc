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

std::vector<overlay::RingRange> RangeServer::ArcsOf(const std::vector<overlay::Peer>& caller) const {
  std::vector<overlay::RingRange> arcs;
  for (const overlay::Peer& peer : caller) {
    if (const auto arc = replicas_.ArcOf(peer)) arcs.push_back(*arc);
  }
  return arcs;
}

bool RangeServer::Contain(const std::vector<overlay::RingRange>& arcs, const overlay::NodeId& point) {
  return std::any_of(arcs.begin(), arcs.end(), [&](const overlay::RingRange& arc) { return arc.Contains(point); });
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

// Where the arc begins that comes next behind a gap in what the caller may hold, before `last`.
std::optional<overlay::NodeId> RangeServer::NextArc(const std::vector<overlay::RingRange>& arcs, const overlay::NodeId& gap,
                                                    const overlay::NodeId& last) {
  std::optional<overlay::NodeId> next;
  overlay::NodeId least = overlay::Distance(gap, last);
  for (const overlay::RingRange& arc : arcs) {
    if (!(overlay::Distance(gap, arc.after) < least)) continue;
    least = overlay::Distance(gap, arc.after);
    next = arc.after;
  }
  return next;
}

absl::StatusOr<DhtReply> RangeServer::Names(const std::vector<overlay::Peer>& caller, const NamesRequest& request,
                                            const Moment& moment) {
  RETURN_IF_ERROR(Spend(caller, moment));
  const std::vector<overlay::RingRange> arcs = ArcsOf(caller);
  NamesReply reply;
  overlay::RingRange rest = request.range;
  std::optional<RecordName> cursor = request.cursor;
  while (true) {
    std::optional<overlay::NodeId> gap;
    RETURN_IF_ERROR(store_.Scan(rest, cursor, moment.wall_now, [&](const HeldName& held) {
      if (!Contain(arcs, held.name.point)) {
        gap = held.name.point;
        return false;
      }
      reply.more = reply.names.size() == kNamesPageMax;
      if (!reply.more) reply.names.push_back(held);
      return !reply.more;
    }));
    const std::optional<overlay::NodeId> next = gap ? NextArc(arcs, *gap, rest.last) : std::nullopt;
    if (!next) return reply;
    rest.after = *next;
    cursor.reset();
  }
}

absl::StatusOr<DhtReply> RangeServer::Fetch(const std::vector<overlay::Peer>& caller, const FetchRequest& request,
                                            const Moment& moment, std::vector<HeldName>& damaged) {
  RETURN_IF_ERROR(Spend(caller, moment));
  FetchReply reply;
  size_t bytes = 0;
  const std::vector<overlay::RingRange> arcs = ArcsOf(caller);
  for (const RecordName& name : request.names) {
    if (!Contain(arcs, name.point)) continue;
    absl::StatusOr<Record> held = store_.Get(name, moment.wall_now);
    if (absl::IsDataLoss(held.status())) damaged.push_back({.name = name, .expiry = absl::InfinitePast()});
    if (absl::IsUnavailable(held.status())) return held.status();
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
