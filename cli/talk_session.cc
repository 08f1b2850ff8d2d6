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
#include "proto/control.pb.h"

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

// With a clock everything takes as long as its ticks: what limits there are leave room for them.
void AllowForClock(chat::Profile profile, chat::ChatClient::Options& options, chat::Courier::Options& courier) {
  if (profile == chat::Profile::kOff) return;
  constexpr int kOnClockAtOnce = 8;  // the clock chooses among what waits there
  const absl::Duration tick = chat::RatesOf(profile).tick_mean;
  options.sender.deadline += 60 * tick;
  options.sender.grace += 20 * tick;
  options.poller.deadline = absl::Hours(24);
  options.sender.lanes.parallel = options.poller.lanes.parallel = courier.lanes.parallel = kOnClockAtOnce;
}

absl::StatusOr<chat::Profile> ProfileOfNode(const std::string& socket, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const std::string bytes, CallNode(socket, "Status", "", timeout));
  bulbil::v1::StatusReply reply;
  if (!reply.ParseFromString(bytes)) return absl::InternalError("the node's status makes no sense");
  return chat::ParseProfile(reply.traffic().profile()).value_or(chat::Profile::kOff);
}

}  // namespace

absl::StatusOr<std::unique_ptr<TalkSession>> TalkSession::Open(const Invocation& invocation, const Context& context, When when) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  ASSIGN_OR_RETURN(chat::ChatClient::Options options, ChatOptions(network, context));
  ASSIGN_OR_RETURN(const std::optional<std::string> socket, NodeFor(invocation, context));
  std::unique_ptr<TalkSession> session;
  if (socket) {
    session.reset(new TalkSession());
    ASSIGN_OR_RETURN(session->limit_, TimeoutOf(context));
    RETURN_IF_ERROR(session->UseNode(*socket, when));
  } else {
    ASSIGN_OR_RETURN(const std::vector<overlay::RpcTarget> bootstrap, ClientBootstrap(invocation, context));
    session.reset(new TalkSession());
    ASSIGN_OR_RETURN(session->limit_, TimeoutOf(context));
    if (when == When::kOnClock) {
      ASSIGN_OR_RETURN(session->profile_, ResolveProfile(invocation, context, chat::Profile::kNormal));
    }
    session->UseLightClient(network, bootstrap);
  }
  chat::Courier::Options courier{
      .network = network.name, .write_quorum = network.write_quorum, .door_effort = network.door_effort};
  AllowForClock(session->profile_, options, courier);
  circuits::Operations& operations = session->light_ ? session->light_->operations() : *session->control_;
  session->client_ = std::make_unique<chat::ChatClient>(options, operations, session->loop_, session->rng_);
  session->exchange_ = std::make_unique<chat::ExchangeDriver>(courier, operations, session->loop_, session->rng_);
  return session;
}

absl::Status TalkSession::UseNode(const std::string& socket, When when) {
  spdlog::debug("client: through the circuits of the local node");
  way_ = absl::StrCat("node ", std::filesystem::path(socket).stem().string());
  calls_.emplace(loop_, rng_, overlay::GrpcClient::Options{});
  control_ = std::make_unique<ControlOperations>(*calls_, socket, when == When::kNow);
  if (when == When::kNow) return absl::OkStatus();
  ASSIGN_OR_RETURN(profile_, ProfileOfNode(socket, limit_));
  return absl::OkStatus();
}

void TalkSession::UseLightClient(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap) {
  spdlog::debug("client: without a local node, as a client of {} bootstrap nodes", bootstrap.size());
  light_ = std::make_unique<LightClient>(network, bootstrap, loop_, rng_, profile_);
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
