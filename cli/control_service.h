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
class OpenOperationRequest;
class RunOperationRequest;
class StatusReply;
}  // namespace bulbil::v1

namespace cli {

class ControlService {
 public:
  // All references outlive the service, and the service outlives every handler that `server` may still run.
  // `clock`: takes operations that are not asked for at once; null where there is none.
  ControlService(overlay::RpcServer& server, base::EventLoop& loop, overlay::RingDriver& ring, dht::DhtDriver& dht,
                 circuits::CircuitsDriver& circuits, circuits::Operations* clock, overlay::Role role,
                 std::function<void(bulbil::v1::StatusReply&)> fill_status);

 private:
  template <class Request>
  using Action = std::function<void(const Request&, overlay::RpcResponder)>;
  // Parses, refuses what is malformed, and calls. `for_people`: not on a relay.
  template <class Request>
  void Register(const char* name, bool for_people, Action<Request> action);

  void OpenOperation(const bulbil::v1::OpenOperationRequest& request, const std::shared_ptr<overlay::RpcStream>& stream);
  void RunOperation(const bulbil::v1::RunOperationRequest& request, const overlay::RpcResponder& respond);
  void RingShow(const overlay::RpcResponder& respond);
  void RingLookup(const std::string& point, const overlay::RpcResponder& respond);
  void DhtPut(const std::string& value, const overlay::RpcResponder& respond);
  void DhtGet(const std::string& key, const overlay::RpcResponder& respond);

  overlay::RpcServer& server_;
  base::EventLoop& loop_;
  overlay::RingDriver& ring_;
  dht::DhtDriver& dht_;
  circuits::CircuitsDriver& circuits_;
  circuits::Operations* const clock_;
  const bool is_relay_;
};

}  // namespace cli
