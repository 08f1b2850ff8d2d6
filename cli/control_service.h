// SPDX-License-Identifier: Apache-2.0
// cli/control_service.h — what the command line may ask of its own node (proto/control.proto), over the UNIX socket only.
//
// A relay answers what shows it (Status, RingShow, RingLookup) and refuses everything a person would do (PermissionDenied): a
// relay machine that is taken has no history of anybody to give away.
#pragma once

#include <functional>

#include "chat/place_store.h"
#include "circuits/circuits_driver.h"
#include "dht/dht_driver.h"
#include "overlay/ring_driver.h"
#include "overlay/rpc.h"

namespace bulbil::v1 {
class StatusReply;
}

namespace cli {

class ControlService {
 public:
  // All references outlive the service, and the service outlives every handler that `server` may still run.
  ControlService(overlay::RpcServer& server, base::EventLoop& loop, overlay::RingDriver& ring, dht::DhtDriver& dht,
                 circuits::CircuitsDriver& circuits, overlay::Role role, std::function<void(bulbil::v1::StatusReply&)> fill_status);

 private:
  template <class Request>
  using Action = std::function<void(const Request&, overlay::RpcResponder)>;
  // Parses, refuses what is malformed, and calls. `for_people`: not on a relay.
  template <class Request>
  void Register(const char* name, bool for_people, Action<Request> action);

  void RingShow(const overlay::RpcResponder& respond);
  void RingLookup(const std::string& point, const overlay::RpcResponder& respond);
  void DhtPut(const std::string& value, const overlay::RpcResponder& respond);
  void DhtGet(const std::string& key, const overlay::RpcResponder& respond);

  overlay::RpcServer& server_;
  base::EventLoop& loop_;
  overlay::RingDriver& ring_;
  dht::DhtDriver& dht_;
  circuits::CircuitsDriver& circuits_;
  const bool is_relay_;
};

}  // namespace cli
