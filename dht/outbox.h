// SPDX-License-Identifier: Apache-2.0
// dht/outbox.h — what the parts of the replicator want done, collected until the event that caused it is over.
//
// Calls and lookups carry a continuation: it runs inside the later event that brings the answer (OnReply, OnOwners), never
// inside the call that asked. A part that lost interest keeps an id of its own and lets the continuation find nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dht/dht_messages.h"

namespace dht {

using RequestId = uint64_t;  // chosen by the driver for a put, get or request that wants an answer
using CallId = uint64_t;     // chosen here, never used twice
using WriteId = uint64_t;

// The time of an event: `now` for what is waited for, `wall_now` for expiries (style.md 1).
struct Moment {
  absl::Time now, wall_now;
};

struct Call {  // answer with OnReply, DeadlineExceeded after `timeout`
  CallId id;
  overlay::Peer to;
  DhtRequest request;
  absl::Duration timeout;
};
struct Lookup {  // answer with OnOwners
  CallId id;
  overlay::NodeId point;
};
struct Respond {
  RequestId id;
  absl::StatusOr<DhtReply> reply;
};
struct Write {  // run on a worker, answer with OnApplied
  WriteId id;
  WriteBatch batch;
};
struct PlaceSynced {
  RequestId id;
  bool complete;
};
struct JoinReady {
  absl::Status status;
};
struct HandedOver {
  bool complete;
};
struct ClearSuspect {};  // RecordStore::ClearSuspect on a worker

using DhtAction = std::variant<Call, Lookup, Respond, Write, PlaceSynced, JoinReady, HandedOver, ClearSuspect>;
using DhtActions = std::vector<DhtAction>;

inline constexpr absl::Duration kCallTimeout = absl::Seconds(4);  // under the 5 s a put may take in all

class Outbox {
 public:
  using ReplyHandler = std::function<void(const absl::StatusOr<DhtReply>&, const Moment&)>;
  using OwnersHandler = std::function<void(const absl::StatusOr<std::vector<overlay::Peer>>&, const Moment&)>;

  void Add(DhtAction action) { actions_.push_back(std::move(action)); }
  void Ask(const overlay::Peer& to, DhtRequest request, ReplyHandler handler) {
    replies_.emplace(++last_id_, std::move(handler));
    Add(Call{last_id_, to, std::move(request), kCallTimeout});
  }
  void AskOwners(const overlay::NodeId& point, OwnersHandler handler) {
    owners_.emplace(++last_id_, std::move(handler));
    Add(Lookup{last_id_, point});
  }
  void Reply(RequestId id, absl::StatusOr<DhtReply> reply) { Add(Respond{id, std::move(reply)}); }
  uint64_t NextId() { return ++last_id_; }

  // An unknown or already answered id is ignored.
  void Deliver(CallId id, const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
    if (auto node = replies_.extract(id)) node.mapped()(reply, moment);
  }
  void DeliverOwners(CallId id, const absl::StatusOr<std::vector<overlay::Peer>>& owners, const Moment& moment) {
    if (auto node = owners_.extract(id)) node.mapped()(owners, moment);
  }
  DhtActions Take() { return std::exchange(actions_, {}); }

 private:
  uint64_t last_id_ = 0;
  absl::flat_hash_map<CallId, ReplyHandler> replies_;
  absl::flat_hash_map<CallId, OwnersHandler> owners_;
  DhtActions actions_;
};

// The answer of the expected shape, or null: a peer that answers with another one counts as silent.
template <typename T>
const T* AnswerAs(const absl::StatusOr<DhtReply>& reply) {
  return reply.ok() ? std::get_if<T>(&*reply) : nullptr;
}

// What a holder says of its one copy; nothing as above.
inline std::optional<CopyReply> CopyAnswer(const absl::StatusOr<DhtReply>& reply) {
  const auto* answer = AnswerAs<CopiesReply>(reply);
  return answer != nullptr && answer->copies.size() == 1 ? std::optional(answer->copies.front()) : std::nullopt;
}

}  // namespace dht
