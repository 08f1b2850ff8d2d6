// SPDX-License-Identifier: Apache-2.0
#include "dht/reconcile_server.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace dht {

using overlay::NodeId;
using overlay::Peer;

void ReconcileServer::Answer(RequestId request, const std::vector<Peer>& caller, ReconcileRequest message, bool serving,
                             const Moment& moment) {
  ++calls_;
  if (message.print) return out_.Reply(request, Open(caller, message, serving, moment));
  if (message.symbols.empty()) return out_.Reply(request, GiveRecords(message.exchange, caller, moment));
  TakeSymbols(request, caller, std::move(message), moment);
}

absl::StatusOr<DhtReply> ReconcileServer::Open(const std::vector<Peer>& caller, const ReconcileRequest& message, bool serving,
                                               const Moment& moment) {
  RETURN_IF_ERROR(ranges_.Spend(caller, moment));
  const std::optional<NodeId> after = replicas_.PointOf(message.after), last = replicas_.PointOf(message.last);
  if (!after || !last) return ReconcileReply{.state = ReconcileState::kUnknownRange};
  const overlay::RingRange range{.after = *after, .last = *last};
  if (!ranges_.MayHoldAll(caller, range)) return absl::PermissionDeniedError("not a holder of this range");
  if (!serving || !replicas_.IsResponsible(range.last)) return ReconcileReply{};
  index_.Expire(moment.wall_now);
  const RangePrint print = index_.Print(range);
  const std::vector<overlay::RingRange> doubts = witness_.DoubtsIn(range, moment.now);
  const bool suspect = !doubts.empty();
  if (ShortPrint(print) == *message.print) {
    return ReconcileReply{.state = ReconcileState::kEqual, .suspect = suspect, .doubts = doubts};
  }
  return ReconcileReply{.state = ReconcileState::kDiffers,
                        .exchange = NewExchange(caller.front().node_key, range),
                        .count = print.count,
                        .salt = index_.ids().salt(),
                        .suspect = suspect,
                        .doubts = doubts};
}

uint32_t ReconcileServer::NewExchange(const keys::PublicKey& caller, const overlay::RingRange& range) {
  if (exchanges_.size() == kExchangesMax) {
    exchanges_.erase(std::min_element(exchanges_.begin(), exchanges_.end(),
                                      [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  do {
    last_id_ = last_id_ % kExchangeIds + 1;
  } while (exchanges_.contains(last_id_));
  Exchange& exchange = exchanges_[last_id_];
  exchange.caller = caller;
  exchange.range = range;
  exchange.used = calls_;
  return last_id_;
}

ReconcileServer::Exchange* ReconcileServer::Find(uint32_t id, const std::vector<Peer>& caller) {
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end() || found->second.caller != caller.front().node_key) return nullptr;
  found->second.used = calls_;
  return &found->second;
}

void ReconcileServer::TakeSymbols(RequestId request, const std::vector<Peer>& caller, ReconcileRequest message,
                                  const Moment& moment) {
  const absl::Status in_time = ranges_.Spend(caller, moment);
  if (!in_time.ok()) return out_.Reply(request, in_time);
  const Exchange* exchange = Find(message.exchange, caller);
  const size_t total = message.first + message.symbols.size();
  if (exchange == nullptr || exchange->decoded || message.first != exchange->decoder.size()) {
    return out_.Reply(request, ReconcileReply{.state = ReconcileState::kUnknownRange});
  }
  if (total > kSymbolsMax) return out_.Reply(request, ReconcileReply{.state = ReconcileState::kFailed});
  const std::shared_ptr<SymbolRow> row = symbols_.Open(exchange->range, index_.ids().salt());
  if (row == nullptr) return out_.Reply(request, absl::ResourceExhaustedError("too many ranges are compared"));
  symbols_.Await(
      row, total,
      [this, request, caller, row, message = std::move(message)](const Moment& then) {
        Exchange* waiting = Find(message.exchange, caller);
        if (waiting != nullptr && waiting->view == nullptr) waiting->view = std::make_unique<SymbolView>(row);
        out_.Reply(request, Decode(message.exchange, caller, message, then));
      },
      moment);
}

absl::StatusOr<DhtReply> ReconcileServer::Decode(uint32_t id, const std::vector<Peer>& caller, const ReconcileRequest& message,
                                                 const Moment& moment) {
  Exchange* exchange = Find(id, caller);
  const bool is_next = exchange != nullptr && !exchange->decoded && message.first == exchange->decoder.size();
  if (!is_next || exchange->view->lost()) return ReconcileReply{.state = ReconcileState::kUnknownRange};
  std::vector<CodedSymbol> difference = exchange->view->Read(message.first, message.first + message.symbols.size());
  for (size_t i = 0; i < difference.size(); ++i) difference[i].Toggle(message.symbols[i]);
  exchange->decoder.Add(difference);
  if (exchange->decoder.failed()) return ReconcileReply{.state = ReconcileState::kFailed};
  if (!exchange->decoder.done()) return ReconcileReply{.state = ReconcileState::kMoreSymbols};
  exchange->decoded = true;
  exchange->view.reset();
  for (const uint64_t short_id : exchange->decoder.ids()) {
    const std::optional<RecordName> name = index_.Find(short_id);
    if (name && exchange->range.Contains(name->point)) exchange->names.push_back(*name);
  }
  exchange->decoder = SymbolDecoder();
  return GiveRecords(id, caller, moment);
}

absl::StatusOr<DhtReply> ReconcileServer::GiveRecords(uint32_t id, const std::vector<Peer>& caller, const Moment& moment) {
  Exchange* exchange = Find(id, caller);
  if (exchange == nullptr || !exchange->decoded) return ReconcileReply{.state = ReconcileState::kUnknownRange};
  const auto begin = exchange->names.begin() + static_cast<ptrdiff_t>(exchange->sent);
  const size_t count = std::min(exchange->names.size() - exchange->sent, kFetchNamesMax);
  const FetchRequest page{{begin, begin + static_cast<ptrdiff_t>(count)}};
  std::vector<HeldName> damaged;
  ASSIGN_OR_RETURN(DhtReply fetched, ranges_.Fetch(caller, page, moment, damaged));
  if (!damaged.empty()) admitter_.Remove(damaged, moment);
  ReconcileReply reply{.state = ReconcileState::kRecords, .records = std::move(std::get<FetchReply>(fetched).records)};
  const auto last =
      reply.records.empty() ? page.names.end() : std::find(page.names.begin(), page.names.end(), reply.records.back().name) + 1;
  exchange->sent += static_cast<size_t>(last - page.names.begin());
  reply.remaining = static_cast<uint32_t>(exchange->names.size() - exchange->sent);
  if (reply.remaining == 0) exchanges_.erase(id);
  return reply;
}

}  // namespace dht
