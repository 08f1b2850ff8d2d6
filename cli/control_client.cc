// SPDX-License-Identifier: Apache-2.0
#include "cli/control_client.h"

#include <spdlog/spdlog.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/values.h"
#include "keys/system_rng.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"

namespace cli {
namespace {

absl::Status NotRunning(const std::string& which) {
  return Fail({.exit = Exit::kNetwork,
               .what = absl::StrCat("no node answers at ", which),
               .fix = {"see which run:  bulbil status", "or start one:   bulbil"}});
}

absl::StatusOr<std::string> ChosenNode(const std::string& chosen, const Home& home) {
  const std::optional<uint16_t> port = ParsePort(chosen);
  if (!port && chosen.find('/') == std::string::npos)
    return BadValue("--node", chosen, "the port of a local node or the path of its socket");
  std::error_code error;
  std::string path = port ? "" : std::filesystem::absolute(chosen, error).string();
  if (port) {
    RETURN_IF_ERROR(home.CheckRuntimeDirectory());
    ASSIGN_OR_RETURN(path, home.SocketPath(*port));
  }
  if (!SocketAnswers(path)) return NotRunning(port ? absl::StrCat("port ", *port, " for this user and home") : ShownPath(path));
  return path;
}

}  // namespace

absl::StatusOr<std::optional<std::string>> FindNode(const Context& context) {
  const std::string chosen = Setting(context, context.flags.node, "BULBIL_NODE", std::nullopt, "");
  std::optional<std::string> path;
  if (!chosen.empty()) {
    ASSIGN_OR_RETURN(path, ChosenNode(chosen, context.home));
    return path;
  }
  RETURN_IF_ERROR(context.home.CheckRuntimeDirectory());
  const std::vector<uint16_t> running = context.home.RunningNodes();
  if (running.empty()) return path;
  if (running.size() > 1)
    spdlog::debug("control: {} nodes run here, asking the lowest port, {}", running.size(), running.front());
  ASSIGN_OR_RETURN(path, context.home.SocketPath(running.front()));
  return path;
}

absl::StatusOr<std::string> RequireNode(const Context& context) {
  ASSIGN_OR_RETURN(const std::optional<std::string> socket, FindNode(context));
  if (socket) return *socket;
  return Fail({.exit = Exit::kNetwork,
               .what = "no node is running for this user",
               .fix = {"start one:       bulbil", "or just try it:  bulbil demo"}});
}

absl::Status ExplainCall(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return status;
    case absl::StatusCode::kUnavailable:
      return Fail(
          {.exit = Exit::kNetwork, .what = "the node does not answer, or is not part of a ring yet", .fix = {"bulbil status"}});
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return Fail({.exit = Exit::kTime,
                   .what = "the node did not answer in time",
                   .fix = {"wait longer:  --timeout 2m", "or look:      bulbil status"}});
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return Fail({.exit = Exit::kRefused,
                   .what = "this node does not do that: it is a relay, or an older bulbil",
                   .why = {"a relay forwards cells and serves no client commands"},
                   .fix = {"use another node:  --node PORT", "or none:           --bootstrap HOST:PORT"}});
    case absl::StatusCode::kResourceExhausted:
      return Fail({.exit = Exit::kRefused, .what = "the node has too much to do", .fix = {"try again in a moment"}});
    default:
      return status;
  }
}

std::string ControlMethod(std::string_view method) {
  if (!method.empty() && method.front() == '/') return std::string(method);
  return "/bulbil.v1.Control/" + std::string(method);
}

overlay::RpcTarget ControlTarget(const std::string& socket) { return {.address = "unix:" + socket}; }

absl::StatusOr<std::string> CallNode(const std::string& socket, std::string_view method, std::string request,
                                     absl::Duration timeout) {
  overlay::GrpcEventLoop loop({.workers = 1});
  keys::SystemRng rng;
  overlay::GrpcClient client(loop, rng, {});
  absl::StatusOr<std::string> result = absl::InternalError("the call never ended");
  loop.Post([&] {
    client.Call(ControlTarget(socket), ControlMethod(method), std::move(request), timeout,
                [&](absl::StatusOr<overlay::RpcAnswer> answer) {
                  if (answer.ok()) {
                    result = std::move(answer->message);
                  } else {
                    result = ExplainCall(answer.status());
                  }
                  loop.Stop();
                });
  });
  loop.Run();
  return result;
}

}  // namespace cli
