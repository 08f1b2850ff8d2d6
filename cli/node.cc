// SPDX-License-Identifier: Apache-2.0
#include "cli/node.h"

#include <arpa/inet.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/admission_file.h"
#include "cli/errors.h"
#include "cli/local_node.h"
#include "cli/stop_signals.h"
#include "cli/values.h"
#include "keys/key_store.h"
#include "keys/system_rng.h"
#include "overlay/admission.h"
#include "proto/control.pb.h"

namespace cli {
namespace {

constexpr absl::Duration kLeaveMax =
    absl::Seconds(10);  // of the 30 s that a stop may take; others make the copies that are missing then
constexpr absl::Duration kWorkAhead = absl::Hours(12);      // of an epoch's end, for the next one's work
constexpr absl::Duration kEpochLook = absl::Minutes(10);    // at the wall clock, which may be set
constexpr absl::Duration kJoinReminder = absl::Seconds(5);  // a line for whoever waits

uint16_t PortOf(const std::string& address) { return ParsePort(address.substr(address.rfind(':') + 1)).value_or(0); }

std::string Names(const std::vector<overlay::RpcTarget>& targets) {
  return absl::StrJoin(targets, ", ",
                       [](std::string* out, const overlay::RpcTarget& target) { absl::StrAppend(out, target.address); });
}

absl::Status PortTaken(const NodeOptions& options) {
  const uint16_t port = PortOf(options.listen);
  CommandError error{.exit = Exit::kLocal, .what = absl::StrCat("port ", port, " is already in use")};
  const absl::StatusOr<std::string> socket = options.home.SocketPath(port);
  error.why = {socket.ok() && SocketAnswers(*socket) ? "a bulbil node is running there" : "another program listens there"};
  error.fix = {absl::StrCat("join it with a second node:   bulbil --port ", port == 65535 ? 10002 : port + 1)};
  return Fail(std::move(error));
}

absl::Status NobodyAnswered(const NodeOptions& options) {
  return Fail({.exit = Exit::kNetwork,
               .what = absl::StrCat("no bootstrap node answered at ", Names(options.bootstrap), " (tried for ",
                                    absl::FormatDuration(options.join_timeout), ")"),
               .fix = {"start one in another terminal:   bulbil", "or point to one that runs:       --bootstrap HOST:PORT"}});
}

// All of it is about this machine; that a port is refused below 1024 and a file to its reader, too.
absl::Status ExplainStart(const absl::Status& status, const NodeOptions& options) {
  const auto local = [&](const char* fix) {
    return Fail({.exit = Exit::kLocal, .what = std::string(status.message()), .fix = {fix}});
  };
  if (absl::IsAlreadyExists(status)) return PortTaken(options);
  if (absl::IsFailedPrecondition(status)) return local("use that node, or another --home");
  if (absl::IsUnimplemented(status)) return local("run the version that wrote it, or use another --home");
  if (absl::IsPermissionDenied(status)) return local("use a --home of yours, and a --port above 1023");
  if (absl::IsResourceExhausted(status)) return local("make room, or use another --home");
  return status;
}

absl::Status ExplainJoin(const absl::Status& status, const NodeOptions& options) {
  if (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status)) return NobodyAnswered(options);
  if (absl::IsFailedPrecondition(status) || absl::IsUnauthenticated(status)) {
    return Fail({.exit = Exit::kNetwork, .what = std::string(status.message()), .fix = {"check --bootstrap and --network"}});
  }
  return status;
}

// One node in the foreground: from start over ready to stop, or to the end of the epoch that its admission is good for.
class Foreground {
 public:
  // `contacts`: known at the place before, if there was one; then this is a return.
  Foreground(const NodeOptions& options, const LocalNodeOptions& local, LocalNode& node, std::vector<overlay::RpcTarget> contacts)
      : options_(options),
        local_(local),
        node_(node),
        contacts_(std::move(contacts)),
        reminder_(node.loop(), [this] { Remind(); }),
        epoch_timer_(node.loop(), [this] { LookAtEpoch(); }),
        stop_([this](int) { OnStopSignal(); }, [this] { node_.loop().Post([this] { LogStatus(); }); }) {}

  absl::Status Run() {
    spdlog::info("boot: [ 20%] listening on port {}", node_.port());
    node_.loop().Post([this] { Enter(); });
    if (!local_.admission.empty()) node_.loop().Post([this] { LookAtEpoch(); });
    node_.Run();
    return result_;
  }
  // Ended because its epoch did: ways back into the ring, for the next place. The last that were known: it may be offline just
  // then.
  bool ends_epoch() const { return ends_epoch_ && signals_ == 0 && result_.ok(); }
  const std::vector<overlay::RpcTarget>& contacts() const { return contacts_; }

 private:
  void Enter() {
    if (!contacts_.empty()) {
      std::vector<overlay::RpcTarget> ways = contacts_;
      ways.insert(ways.end(), options_.bootstrap.begin(), options_.bootstrap.end());
      return node_.Return(std::move(ways), [this] { OnReady(); });
    }
    if (options_.bootstrap.empty()) {
      node_.CreateRing();
      return OnReady();
    }
    Remind();
    node_.Join(options_.bootstrap, options_.join_timeout, [this](const absl::Status& status) {
      reminder_.Stop();
      if (status.ok()) return OnReady();
      result_ = ExplainJoin(status, options_);
      node_.Stop();
    });
  }

  void Remind() {
    spdlog::info("boot: [ 40%] joining; bootstrap addresses to ask: {}", options_.bootstrap.size());
    reminder_.Reset(node_.loop().Now() + kJoinReminder);
  }

  void OnReady() {
    RememberContacts();
    bulbil::v1::StatusReply status;
    node_.FillStatus(status);
    const uint32_t size = status.ring().size_estimate();
    if (size < 5) {
      spdlog::info("boot: [100%] joined; {} more nodes needed for circuits", 5 - size);
    } else {
      spdlog::info("boot: [100%] joined; circuits can be built");
    }
    spdlog::info("node: ready: ring of {}, control socket {}.sock", size, node_.port());
    const bool is_relay = options_.role == overlay::Role::kRelay;
    if (options_.json) {
      std::fprintf(stderr, "{\"schema\":1,\"type\":\"ready\",\"port\":%u,\"role\":\"%s\"}\n", unsigned{node_.port()},
                   is_relay ? "relay" : "node");
    } else if (is_relay) {
      std::fprintf(stderr,
                   "relay %u: in the ring, forwards cells; stores no record, holds no identity.\n"
                   "It cannot read what it carries. Stop with Ctrl-C.\n",
                   unsigned{node_.port()});
    }
  }

  void RememberContacts() {
    std::vector<overlay::RpcTarget> known = node_.Contacts();
    if (!known.empty()) contacts_ = std::move(known);
  }

  // Epochs end by the wall clock, timers go by the steady one: over days, and after a sleep, they part.
  void LookAtEpoch() {
    RememberContacts();
    const absl::Duration left =
        overlay::AdmissionLeft(options_.network, node_.node_key(), local_.admission, node_.loop().WallNow());
    if (left <= -absl::Seconds(1)) return OnEpochEnd();  // surely behind it
    const absl::Duration before_work = left - std::min(kWorkAhead, options_.network.admission_epoch / 2);
    absl::Duration wait = std::min(left + absl::Seconds(1), kEpochLook);
    if (!work_ && before_work > absl::ZeroDuration()) {
      wait = std::min(wait, before_work);
    } else if (!work_) {
      work_.emplace(local_.directory, options_.network, node_.node_key(), node_.advertised(),
                    overlay::EpochOf(local_.admission) + 1);
    }
    epoch_timer_.Reset(node_.loop().Now() + wait);
  }

  // In order, as on a stop; each node at a time of its own, so there is no wave.
  void OnEpochEnd() {
    if (signals_ > 0) return;
    spdlog::info("node: its place is good no longer; leaving it for the next one");
    ends_epoch_ = true;
    RememberContacts();
    reminder_.Stop();
    node_.Leave(kLeaveMax);
  }

  void LogStatus() const {
    bulbil::v1::StatusReply status;
    node_.FillStatus(status);
    spdlog::info("node: {}; ring of {}, {} records, {} own circuits, {} relayed, {} links, {} cells relayed", node_.state(),
                 status.ring().size_estimate(), status.store().records(), status.circuits().own(), status.circuits().relayed(),
                 status.circuits().links(), status.circuits().cells_relayed());
  }

  // The first signal leaves the ring, the second ends at once.
  void OnStopSignal() {
    if (++signals_ > 1) return node_.Stop();
    node_.loop().Post([this] {
      reminder_.Stop();
      epoch_timer_.Stop();
      work_.reset();
      spdlog::info("node: leaving; a second signal ends at once");
      node_.Leave(kLeaveMax);
    });
  }

  const NodeOptions& options_;
  const LocalNodeOptions& local_;
  LocalNode& node_;
  std::vector<overlay::RpcTarget> contacts_;
  base::Timer reminder_, epoch_timer_;
  std::optional<AdmissionWork> work_;  // for the next epoch, whose start finds it in the file; stays there once it is done
  absl::Status result_;
  bool ends_epoch_ = false;
  std::atomic<int> signals_ = 0;
  StopSignals stop_;  // last: its thread calls OnStopSignal
};

// A port nobody listens on just now: the node's folder and socket bear its number, so it has to be known before they are made.
absl::StatusOr<uint16_t> FreePort() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool found = probe >= 0 && bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (probe >= 0) close(probe);
  if (!found) return Fail({.exit = Exit::kLocal, .what = "no free port was found", .fix = {"name one:  --port PORT"}});
  return ntohs(address.sin_port);
}

// This epoch's; done while there is nothing to hand over. Cancelled by a signal, which at the start is not even blocked.
absl::StatusOr<base::Bytes> Admission(const NodeOptions& options, const LocalNodeOptions& local) {
  keys::SystemRng rng;
  ASSIGN_OR_RETURN(const keys::SigningKey key, keys::LoadOrCreateNodeKey(local.directory, rng));
  const uint32_t epoch = overlay::AdmissionEpoch(options.network, key.public_key(), absl::Now());
  const std::string& address = local.advertise.empty() ? local.listen : local.advertise;
  return AdmissionFile(local.directory).Obtain(options.network, key.public_key(), address, epoch, rng, StopSignalWaits);
}

absl::Status Serve(const NodeOptions& options) {
  LocalNodeOptions local;
  local.network = options.network;
  local.role = options.role;
  local.listen = options.listen;
  local.store_bytes_max = options.store_bytes_max;
  local.advertise = options.advertise;
  local.profile = options.profile;
  uint16_t port = PortOf(options.listen);
  if (port == 0) {
    ASSIGN_OR_RETURN(port, FreePort());
    local.listen = absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port);
  }
  local.directory = options.home.NodeDirectory(port);
  ASSIGN_OR_RETURN(local.socket_path, options.home.SocketPath(port));
  if (SocketAnswers(local.socket_path)) return PortTaken(options);  // before its store says that it is locked
  RETURN_IF_ERROR(EnsurePrivateDirectory(local.directory));
  RETURN_IF_ERROR(EnsurePrivateDirectory(options.home.RuntimeDirectory()));
  std::vector<overlay::RpcTarget> contacts;
  for (;;) {
    absl::StatusOr<base::Bytes> admission = Admission(options, local);
    if (absl::IsCancelled(admission.status())) return absl::OkStatus();
    if (!admission.ok()) return ExplainStart(admission.status(), options);
    local.admission = *std::move(admission);
    BlockStopSignals();
    absl::StatusOr<std::unique_ptr<LocalNode>> node = LocalNode::Create(local);
    if (!node.ok()) return ExplainStart(node.status(), options);
    Foreground foreground(options, local, **node, std::move(contacts));
    const absl::Status result = foreground.Run();
    if (!foreground.ends_epoch()) return result;
    contacts = foreground.contacts();
  }
}

}  // namespace

int RunNode(const NodeOptions& options) { return Report(Serve(options), options.json); }

}  // namespace cli
