// SPDX-License-Identifier: Apache-2.0
// chat/place_store.h — port: what a mailbox needs of the store of its node. The composition root binds it to dht/'s driver
// (PutHere, SyncPlace, store().ForEach).
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "dht/dht_messages.h"
#include "dht/record.h"
#include "overlay/node_id.h"

namespace chat {

class PlaceStore {
 public:
  virtual ~PlaceStore() = default;

  // A client's record with all its copies, only if this node is responsible for its point.
  virtual void Put(dht::Record record, std::function<void(absl::StatusOr<dht::PutReply>)> done) = 0;
  // Brings in what another responsible replica holds at a place. False: no other one answered, or this node is not
  // responsible, so a listing would be incomplete.
  virtual void SyncPlace(const overlay::NodeId& point, std::function<void(bool complete)> done) = 0;
  // The records of a kind held here at a point, in any order, those expired left out. Unavailable: they cannot be read just now.
  virtual absl::Status ForEach(const overlay::NodeId& point, dht::Kind kind,
                               const std::function<void(const dht::Record&)>& visit) const = 0;
};

}  // namespace chat
