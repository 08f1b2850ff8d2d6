// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/control_client.h"
#include "cli/finding.h"
#include "cli/identities.h"
#include "cli/look_commands.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "keys/key_store.h"
#include "keys/system_rng.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/introduce.h"
#include "overlay/signed_record.h"

namespace cli {
namespace {

using Level = Finding::Level;

constexpr size_t kNeighboursAsked = 5;

// Directories that others must not see into; those that are not there yet are made so.
Finding LookAtHome(const Home& home) {
  for (const std::string& directory : {home.KeysDirectory(), home.BookDirectory(), home.RuntimeDirectory()}) {
    struct stat found {};
    if (stat(directory.c_str(), &found) != 0) continue;
    const absl::Status is_private = EnsurePrivateDirectory(directory);
    if (!is_private.ok()) return FindingOf("home", is_private);
  }
  const auto socket = home.SocketPath(kDefaultPort);
  if (!socket.ok()) return FindingOf("home", socket.status());
  return {Level::kOk, "home", absl::StrCat("directories are private, sockets in ", ShownPath(home.RuntimeDirectory())), ""};
}

Finding LookAtKeys(const Home& home) {
  std::error_code error;
  if (!std::filesystem::exists(home.KeysDirectory(), error)) return {Level::kWarn, "keys", "no identity yet", "bulbil keys new"};
  const auto all = keys::FileKeyStore(home.KeysDirectory()).List();
  if (!all.ok()) return FindingOf("keys", ExplainKeyStore(all.status(), ""));
  if (all->empty()) return {Level::kWarn, "keys", "no identity yet", "bulbil keys new"};
  return {Level::kOk, "keys",
          absl::StrCat(all->size(), all->size() == 1 ? " identity" : " identities", ", readable by their owner only"), ""};
}

Finding LookAtLimits(const std::string& directory) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  std::filesystem::path path = directory;
  std::error_code error;
  while (!std::filesystem::exists(path, error) && path.has_parent_path() && path != path.parent_path()) path = path.parent_path();
  struct statvfs disk {};
  if (statvfs(path.c_str(), &disk) != 0) return {Level::kWarn, "limits", "the disk cannot be looked at", ""};
  return JudgeLimits(files.rlim_cur, uint64_t{disk.f_bavail} * disk.f_frsize);
}

// Whether a node could listen where one would by default.
Finding LookAtPort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kDefaultPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool free = fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  if (free) return {Level::kOk, "port", absl::StrCat(kDefaultPort, " is free"), ""};
  return {Level::kWarn, "port", absl::StrCat(kDefaultPort, " is in use by another program, or a node of another home"),
          "bulbil --port 10002"};
}

// What neighbours answered.
struct Answers {
  std::vector<NeighbourSeen> seen;
  size_t refused_for_time = 0;
  absl::Status last_failure;
};

// Asks all at once; each answers or fails within a few seconds.
Answers Introduce(const overlay::Network& network, std::vector<overlay::RpcTarget> targets) {
  Answers answers;
  if (targets.size() > kNeighboursAsked) targets.resize(kNeighboursAsked);
  if (targets.empty()) return answers;
  overlay::GrpcEventLoop loop({.workers = 1});
  keys::SystemRng rng;
  overlay::GrpcClient client(loop, rng, {});
  size_t left = targets.size();
  loop.Post([&] {
    for (const overlay::RpcTarget& target : targets) {
      overlay::Introduce(network, client, target, {}, loop, [&](absl::StatusOr<overlay::Introduction> introduction) {
        if (introduction.ok()) {
          answers.seen.push_back({std::move(introduction->table), absl::Now()});
        } else {
          answers.last_failure = introduction.status();
          const std::string why(introduction.status().message());
          answers.refused_for_time += why == overlay::kLifetimeOutOfBounds || why == overlay::kRecordExpired ? 1 : 0;
        }
        if (--left == 0) loop.Stop();
      });
    }
  });
  loop.Run();
  return answers;
}

// The nearest neighbours name this node as theirs.
Finding JudgeNeighbours(const bulbil::v1::StatusReply& status, const Answers& answers) {
  const std::string& own = status.advertised();
  for (const NeighbourSeen& one : answers.seen) {
    const overlay::RoutingTable& table = one.table;
    const bool is_successor = status.ring().successors_size() > 0 && table.owner.address == status.ring().successors(0);
    const bool is_predecessor = table.owner.address == status.ring().predecessor();
    const bool agrees = (!is_successor || (!table.predecessors.empty() && table.predecessors.front().address == own)) &&
                        (!is_predecessor || (!table.successors.empty() && table.successors.front().address == own));
    if (!agrees) {
      return {Level::kWarn, "ring", absl::StrCat(ShownAddress(table.owner.address), " names another neighbour than this node"),
              "wait: the ring repairs itself in seconds"};
    }
  }
  if (answers.seen.empty()) return {Level::kFail, "ring", "no neighbour answers", "bulbil status", Exit::kNetwork};
  return {Level::kOk, "ring", absl::StrCat(answers.seen.size(), " neighbours answer; successor and predecessor agree"), ""};
}

std::vector<overlay::RpcTarget> NeighboursOf(const bulbil::v1::StatusReply& status) {
  std::vector<overlay::RpcTarget> targets;
  if (!status.ring().predecessor().empty()) targets.push_back({.address = status.ring().predecessor()});
  for (const std::string& address : status.ring().successors()) {
    const bool known = address == status.advertised() || (!targets.empty() && targets.front().address == address);
    if (!known) targets.push_back({.address = address});
  }
  return targets;
}

// A circuit to a random place; it is not used.
Finding TryCircuit(const Context& context) {
  keys::SystemRng rng;
  bulbil::v1::OpenOperationRequest request;
  const auto point = rng.Array<32>(), isolation = rng.Array<32>();
  request.set_point(base::ToString(point));
  request.set_isolation(base::ToString(isolation));
  request.set_now(true);  // a clock's pauses are no trouble of the circuit
  const absl::Time start = absl::Now();
  const auto timeout = TimeoutOf(context);
  const auto socket = RequireNode(context);
  if (!timeout.ok() || !socket.ok()) return FindingOf("circuit", timeout.ok() ? socket.status() : timeout.status());
  const auto answer = CallNode(*socket, "OpenOperation", request.SerializeAsString(), *timeout);
  if (!answer.ok()) return FindingOf("circuit", answer.status());
  bulbil::v1::OpenOperationReply reply;
  if (!reply.ParseFromString(*answer) || reply.handle().empty()) {
    return {Level::kFail, "circuit", "no circuit: too few nodes are known", "start more nodes:  bulbil --port 10003",
            Exit::kNetwork};
  }
  return {Level::kOk, "circuit", absl::StrCat("3 hops in ", ShownDuration(absl::Now() - start)), ""};
}

absl::Status LookAtNode(const bulbil::v1::StatusReply& status, const Invocation& invocation, const Context& context,
                        std::vector<Finding>& findings) {
  Invocation of_node = invocation;
  of_node.run.network = status.network();
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(of_node, context));
  for (Finding& finding : JudgeNode(status)) findings.push_back(std::move(finding));
  const Answers answers = Introduce(network, NeighboursOf(status));
  findings.push_back(JudgeClock(answers.seen, answers.refused_for_time));
  // With several points a process, the table that is asked for is another point's than the one whose neighbours are known.
  if (status.state() == "ready" && status.ring().size_estimate() > 1 && network.virtual_nodes == 1) {
    findings.push_back(JudgeNeighbours(status, answers));
  }
  if (status.role() != "relay") findings.push_back(TryCircuit(context));
  return absl::OkStatus();
}

// Nothing runs here: what a client would meet.
absl::Status LookAtNetwork(const Invocation& invocation, const Context& context, std::vector<Finding>& findings) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  ASSIGN_OR_RETURN(const std::vector<overlay::RpcTarget> bootstrap, ClientBootstrap(invocation, context));
  findings.push_back(LookAtPort());
  const Answers answers = Introduce(network, bootstrap);
  if (answers.seen.empty() && answers.refused_for_time == 0) {
    findings.push_back({Level::kFail, "node", "no node runs here, and no bootstrap node answers",
                        "start one:  bulbil      or name one that runs:  --bootstrap HOST:PORT", Exit::kNetwork});
    return absl::OkStatus();
  }
  findings.push_back({Level::kOk, "node", "no node runs here; commands join through a bootstrap node, which answers", ""});
  findings.push_back(JudgeClock(answers.seen, answers.refused_for_time));
  return absl::OkStatus();
}

}  // namespace

absl::Status Doctor(const Invocation& invocation, const Context& context) {
  std::vector<Finding> findings = {LookAtHome(context.home), LookAtKeys(context.home),
                                   LookAtLimits(context.home.BookDirectory())};
  const auto socket =
      invocation.run.bootstrap.empty() ? FindNode(context) : absl::StatusOr<std::optional<std::string>>(std::nullopt);
  RETURN_IF_ERROR(socket.status());
  if (*socket) {
    const auto status = AskStatus(context);
    if (status.ok()) {
      RETURN_IF_ERROR(LookAtNode(*status, invocation, context, findings));
    } else {
      findings.push_back(FindingOf("node", status.status()));
    }
  } else {
    RETURN_IF_ERROR(LookAtNetwork(invocation, context, findings));
  }
  RETURN_IF_ERROR(WriteStdout(context.flags.json ? FindingsJson(findings) : FindingsScreen(findings)));
  return OutcomeOf(findings);
}

}  // namespace cli
