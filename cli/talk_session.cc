// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/control_client.h"
#include "cli/errors.h"
#include "cli/run_options.h"

namespace cli {
namespace {

// The node whose circuits to use; nothing: none. --bootstrap asks for none.
absl::StatusOr<std::optional<std::string>> NodeFor(const Invocation& invocation, const Context& context) {
  if (!invocation.run.bootstrap.empty()) return std::optional<std::string>();
  return FindNode(context);
}

absl::StatusOr<chat::ChatClient::Options> ChatOptions(const overlay::Network& network, const Context& context) {
  chat::ChatClient::Options options;
  options.network = network.name;
  options.write_quorum = network.write_quorum;
  options.replica_count = network.replica_count;
  options.sender.door_effort = network.door_effort;
  if (context.flags.timeout.empty()) return options;  // a note and a mailbox have limits of their own
  ASSIGN_OR_RETURN(const absl::Duration timeout, TimeoutOf(context));
  options.sender.deadline = timeout;
  options.poller.deadline = timeout;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TalkSession>> TalkSession::Open(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  ASSIGN_OR_RETURN(const chat::ChatClient::Options options, ChatOptions(network, context));
  ASSIGN_OR_RETURN(const std::optional<std::string> socket, NodeFor(invocation, context));
  std::unique_ptr<TalkSession> session;
  if (socket) {
    session.reset(new TalkSession());
    session->UseNode(*socket);
  } else {
    ASSIGN_OR_RETURN(const std::vector<overlay::RpcTarget> bootstrap, ClientBootstrap(invocation, context));
    session.reset(new TalkSession());
    session->UseLightClient(network, bootstrap);
  }
  ASSIGN_OR_RETURN(session->limit_, TimeoutOf(context));
  circuits::Operations& operations = session->light_ ? session->light_->operations() : *session->control_;
  session->client_ = std::make_unique<chat::ChatClient>(options, operations, session->loop_, session->rng_);
  session->exchange_ = std::make_unique<chat::ExchangeDriver>(
      chat::Courier::Options{.network = network.name, .write_quorum = network.write_quorum}, operations, session->loop_,
      session->rng_);
  return session;
}

void TalkSession::UseNode(const std::string& socket) {
  spdlog::debug("client: through the circuits of the local node");
  way_ = absl::StrCat("node ", std::filesystem::path(socket).stem().string());
  calls_.emplace(loop_, rng_, overlay::GrpcClient::Options{});
  control_ = std::make_unique<ControlOperations>(*calls_, socket);
}

void TalkSession::UseLightClient(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap) {
  spdlog::debug("client: without a local node, as a client of {} bootstrap nodes", bootstrap.size());
  light_ = std::make_unique<LightClient>(network, bootstrap, loop_, rng_);
}

absl::Status TalkSession::Run(base::EventLoop::Task start) {
  absl::Status reached;
  loop_.Post([&] {
    if (!light_) return start();
    light_->Reach(std::min(kProbeMax, limit_), [&](absl::Status status) {
      if (status.ok()) return start();
      reached = std::move(status);
      End();
    });
  });
  loop_.Run();
  return reached;
}

}  // namespace cli
