// SPDX-License-Identifier: Apache-2.0
// cli/talk_session.h — an event loop and a chat client on it, for the length of one command.
//
// Its operations go through the local node's circuits or, with --bootstrap or without a node, through a client in this process.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "chat/chat_client.h"
#include "chat/exchange_driver.h"
#include "cli/context.h"
#include "cli/control_operations.h"
#include "cli/grammar.h"
#include "cli/light_client.h"
#include "keys/system_rng.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"

namespace cli {

// What a chat needs of a session. Tests put their own clock and circuits behind it.
class TalkPorts {
 public:
  virtual ~TalkPorts() = default;
  virtual chat::ChatClient& client() = 0;
  virtual chat::ExchangeDriver& exchange() = 0;
  virtual base::EventLoop& loop() = 0;
  virtual base::Rng& rng() = 0;
  // Of the clock that the operations wait for; kOff: they do not wait.
  virtual chat::Profile profile() const = 0;
  // "node 10001", or that there is none.
  virtual const std::string& way() const = 0;
};

class TalkSession : public TalkPorts {
 public:
  // kNetwork if the chosen node does not run. That it is a relay is found out by the first operation (kNodeRefuses).
  // When operations happen: at once; at the ticks of the node's clock, if there is a node and it has one; or of that clock, else
  // of one in this process (--profile, [chat] profile).
  enum class When { kNow, kOnNodesClock, kOnClock };
  static absl::StatusOr<std::unique_ptr<TalkSession>> Open(const Invocation& invocation, const Context& context, When when);

  chat::ChatClient& client() override { return *client_; }
  chat::ExchangeDriver& exchange() override { return *exchange_; }
  base::EventLoop& loop() override { return loop_; }
  base::Rng& rng() override { return rng_; }
  chat::Profile profile() const override { return profile_; }
  const std::string& way() const override { return way_; }
  // Runs `start` on the loop, and the loop until End(). Once. kNetwork, without having started, if no bootstrap node answers.
  absl::Status Run(base::EventLoop::Task start);
  void End() { loop_.Stop(); }

 private:
  TalkSession() = default;
  absl::Status UseNode(const std::string& socket, When when);
  void UseLightClient(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap);

  std::string way_ = "no node here";
  chat::Profile profile_ = chat::Profile::kOff;
  absl::Duration limit_;  // for the first contact with the network
  keys::SystemRng rng_;
  overlay::GrpcEventLoop loop_{{}};
  std::optional<overlay::GrpcClient> calls_;
  std::unique_ptr<circuits::Operations> control_;
  std::unique_ptr<LightClient> light_;
  std::unique_ptr<chat::ChatClient> client_;
  std::unique_ptr<chat::ExchangeDriver> exchange_;
};

}  // namespace cli
