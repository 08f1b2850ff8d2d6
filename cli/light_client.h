// SPDX-License-Identifier: Apache-2.0
// cli/light_client.h — a client of the network in this process: no member of the ring, a fresh key for every guard, gone when
// done.
//
// The composition root of `send` and `poll` without a node: links, directory and circuits on one event loop.
#pragma once

#include <optional>
#include <vector>

#include "base/rng.h"
#include "chat/clocked_operations_driver.h"
#include "circuits/circuits_driver.h"
#include "cli/bootstrap_probe.h"
#include "overlay/directory.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_link.h"
#include "overlay/network.h"
#include "overlay/rpc.h"

namespace cli {

class LightClient {
 public:
  // `bootstrap` is tried in turn; a target with a key is taken only if it proves it. Loop and rng outlive the client.
  // `profile`: of its clock; kOff, as for what ends soon: none.
  LightClient(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap, overlay::GrpcEventLoop& loop,
              base::Rng& rng, chat::Profile profile = chat::Profile::kOff);

  circuits::Operations& operations() { return clock_ ? static_cast<circuits::Operations&>(*clock_) : circuits_.operations(); }
  // Whether a bootstrap node answers at all within the time: without one, operations would only wait. Once; posted.
  void Reach(absl::Duration limit, std::function<void(absl::Status)> done) { probe_.Start(limit, std::move(done)); }

 private:
  overlay::GrpcClient calls_;
  overlay::Directory directory_;
  overlay::GrpcLinks links_;
  circuits::CircuitsDriver circuits_;
  std::optional<chat::ClockedOperations> clock_;
  BootstrapProbe probe_;
};

}  // namespace cli
