// SPDX-License-Identifier: Apache-2.0
#include "cli/run_options.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr size_t kBootstrapMax = 16;  // each is tried in turn; more only make a failure slow
constexpr char kNone[] = "none";

// What was asked for, before the rules: nullopt where nobody said anything.
std::optional<std::vector<std::string>> AskedBootstrap(const Invocation& invocation, const Context& context) {
  if (!invocation.run.bootstrap.empty()) return invocation.run.bootstrap;
  const std::string variable = context.environment("BULBIL_BOOTSTRAP");
  if (!variable.empty()) return absl::StrSplit(variable, absl::ByAnyChar(", "), absl::SkipEmpty());
  return context.config.bootstrap;
}

absl::StatusOr<std::vector<overlay::RpcTarget>> ParseList(const std::vector<std::string>& texts) {
  if (texts.size() > kBootstrapMax) {
    return BadValue("--bootstrap", texts.back(), absl::StrCat("accepted: at most ", kBootstrapMax, " are tried"));
  }
  if (texts.size() == 1 && texts.front() == kNone) return std::vector<overlay::RpcTarget>{};
  std::vector<overlay::RpcTarget> targets;
  for (const std::string& text : texts) {
    std::optional<overlay::RpcTarget> target = ParseBootstrap(text);
    if (!target) return BadValue("--bootstrap", text, "HOST:PORT, HOST:PORT/NODEKEY or, alone, none");
    targets.push_back(std::move(*target));
  }
  return targets;
}

absl::StatusOr<HostPort> Listen(const RunFlags& flags, const Context& context) {
  const std::string port_text = Setting(context, flags.port, "BULBIL_PORT", std::nullopt, "");
  const bool port_wins = !port_text.empty() && flags.listen.empty();
  const std::string text =
      Setting(context, flags.listen, nullptr, context.config.listen, absl::StrCat("localhost:", kDefaultPort));
  std::optional<HostPort> listen = ParseHostPort(text);
  if (!listen || !IsIpLiteral(listen->host)) return BadValue("--listen", text, "IP:PORT or localhost:PORT");
  const std::optional<uint16_t> port = ParsePort(port_text);
  if (!port_text.empty() && !port) return BadValue("--port", port_text, "a port: a number from 0 (any free one) to 65535");
  if (port_wins) listen->port = *port;
  if (!flags.port.empty() && listen->port != *port) {
    return Fail({.exit = Exit::kUsage, .what = "--port and --listen name different ports", .fix = {"give only one of them"}});
  }
  return *listen;
}

// Descriptors carry IP literals; a name is resolved once, here.
absl::StatusOr<std::string> Resolve(const HostPort& address) {
  if (IsIpLiteral(address.host)) return address.Text();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &found); error != 0) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("cannot resolve \"", address.host, "\" of --advertise"),
                 .why = {gai_strerror(error)},
                 .fix = {"give the IP address:  --advertise IP:PORT"}});
  }
  char host[NI_MAXHOST] = "";
  getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  freeaddrinfo(found);
  return HostPort{.host = host, .port = address.port}.Text();
}

absl::StatusOr<std::string> Advertise(const RunFlags& flags, const Context& context) {
  const std::string text = Setting(context, flags.advertise, nullptr, context.config.advertise, "");
  if (text.empty()) return std::string();
  const std::optional<HostPort> address = ParseHostPort(text);
  if (!address || address->port == 0) return BadValue("--advertise", text, "HOST:PORT");
  return Resolve(*address);
}

bool IsAnyAddress(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

// Outside `local`, what others are told has to be an address that the network allows; whatever the port is, it may still be 0.
absl::Status CheckPublic(const NodeOptions& options) {
  const std::string& told = options.advertise.empty() ? options.listen : options.advertise;
  const HostPort with_port{.host = ParseHostPort(told)->host, .port = 1};
  if (overlay::CheckAddress(options.network, with_port.Text()).ok()) return absl::OkStatus();
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat("the network \"", options.network.name, "\" needs a public address, and ", told, " is none"),
               .fix = {"listen on one:                        --listen IP:PORT",
                       "or say where others reach this node:  --advertise HOST:PORT"}});
}

absl::Status CheckReach(const NodeOptions& options) {
  const std::string host = ParseHostPort(options.listen)->host;
  if (IsAnyAddress(host) && options.advertise.empty()) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat(host, " is no address that others could use"),
                 .fix = {absl::StrCat("bulbil --listen ", options.listen, " --advertise HOST:PORT")}});
  }
  if (!options.network.private_addresses) return CheckPublic(options);
  const bool advertises_private = options.advertise.empty() || IsPrivateIp(ParseHostPort(options.advertise)->host);
  if (IsPrivateIp(host) && advertises_private) return absl::OkStatus();
  return Fail({.exit = Exit::kUsage,
               .what = "the network \"local\" is for this machine and private networks, and this address is public",
               .why = {absl::StrCat("listening on ", options.listen,
                                    options.advertise.empty() ? "" : absl::StrCat(", advertised as ", options.advertise))},
               .fix = {"name the network the node belongs to:  --network NAME",
                       "or listen on a private address:        --listen 127.0.0.1:10001"}});
}

absl::StatusOr<int> Count(const std::string& option, const std::string& text, int fallback, int least, int most) {
  if (text.empty()) return fallback;
  int value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < least || value > most) {
    return BadValue(option, text, absl::StrCat("a number from ", least, " to ", most));
  }
  return value;
}

absl::StatusOr<absl::Duration> JoinTimeout(const RunFlags& flags, const Context& context) {
  const std::string text = Setting(context, flags.join_timeout, nullptr, context.config.join_timeout, "30s");
  const std::optional<absl::Duration> timeout = ParseDuration(text);
  if (!timeout || *timeout <= absl::ZeroDuration()) return BadValue("--join-timeout", text, "a duration as 30s or 5m");
  return *timeout;
}

absl::Status NeedsBootstrap(const overlay::Network& network) {
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat("the network \"", network.name, "\" has no bootstrap address known here"),
               .fix = {"name one of its nodes:  --bootstrap HOST:PORT", "or begin it:            --bootstrap none"}});
}

// The seed's rules: who says nothing creates a ring on 10001 and joins it from every other port.
absl::StatusOr<std::vector<overlay::RpcTarget>> NodeBootstrap(const Invocation& invocation, const Context& context,
                                                              const overlay::Network& network, const HostPort& listen) {
  const auto asked = AskedBootstrap(invocation, context);
  if (!asked && network.bootstrap.empty()) return NeedsBootstrap(network);
  ASSIGN_OR_RETURN(std::vector<overlay::RpcTarget> targets, ParseList(asked ? *asked : network.bootstrap));
  std::erase_if(targets, [&](const overlay::RpcTarget& target) { return target.address == listen.Text(); });
  return targets;
}

constexpr char kNetworkLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr size_t kNetworkNameMax = 32;
constexpr uint32_t kAdmissionEffortMax = 1'000'000;  // ten minutes of a core

// What NAME+vN and NAME+wN add to a name; parts of it: nodes that disagree on them are of different networks.
bool ReadMark(std::string_view mark, int64_t least, int64_t most, std::string& name, int64_t& value) {
  const size_t at = name.rfind(mark);
  if (at == std::string::npos) return true;
  const std::string number = name.substr(at + mark.size());
  name.resize(at);
  return absl::SimpleAtoi(number, &value) && absl::StrCat(value) == number && value >= least && value <= most;
}

}  // namespace

absl::StatusOr<overlay::Network> ResolveNetwork(const Invocation& invocation, const Context& context) {
  overlay::Network network = overlay::Network::Local();
  const std::string name = Setting(context, invocation.run.network, nullptr, context.config.network, network.name);
  std::string base = name;
  int64_t points = network.virtual_nodes, effort = network.admission_effort;
  const bool marks_fit =
      ReadMark("+w", 1, kAdmissionEffortMax, base, effort) && ReadMark("+v", 2, overlay::kVirtualNodesMax, base, points);
  if (!marks_fit) {
    return BadValue(
        "--network", name,
        absl::StrCat("a name, then +vN for N points of each node (2 to 32), then +wN for N tries of work a place (1 to ",
                     kAdmissionEffortMax, ")"));
  }
  const bool fits =
      !base.empty() && name.size() <= kNetworkNameMax && base.find_first_not_of(kNetworkLetters) == std::string::npos;
  if (!fits) return BadValue("--network", name, "a name of a-z, 0-9 and -, at most 32 of them");
  network.virtual_nodes = static_cast<int>(points);
  network.admission_effort = static_cast<uint32_t>(effort);
  const bool is_local = base == network.name;
  network.name = name;
  if (is_local) return network;
  network.bootstrap.clear();
  network.private_addresses = false;
  network.distinct_prefixes = true;
  return network;
}

absl::StatusOr<chat::Profile> ResolveProfile(const Invocation& invocation, const Context& context, chat::Profile fallback) {
  const std::string name = Setting(context, invocation.run.profile, nullptr, context.config.profile, chat::NameOf(fallback));
  const std::optional<chat::Profile> profile = chat::ParseProfile(name);
  return profile ? absl::StatusOr<chat::Profile>(*profile) : BadValue("--profile", name, "off, low, normal or fast");
}

absl::StatusOr<NodeOptions> ResolveNode(const Invocation& invocation, const Context& context) {
  NodeOptions options{.role = invocation.command == Command::kRelay ? overlay::Role::kRelay : overlay::Role::kStoring,
                      .home = context.home,
                      .json = context.flags.json};
  ASSIGN_OR_RETURN(options.network, ResolveNetwork(invocation, context));
  ASSIGN_OR_RETURN(const HostPort listen, Listen(invocation.run, context));
  options.listen = listen.Text();
  ASSIGN_OR_RETURN(options.advertise, Advertise(invocation.run, context));
  ASSIGN_OR_RETURN(options.bootstrap, NodeBootstrap(invocation, context, options.network, listen));
  ASSIGN_OR_RETURN(options.join_timeout, JoinTimeout(invocation.run, context));
  ASSIGN_OR_RETURN(options.profile, ResolveProfile(invocation, context, chat::Profile::kNormal));
  if (context.config.max_bytes) options.store_bytes_max = ParseBytes(*context.config.max_bytes);
  RETURN_IF_ERROR(CheckReach(options));
  return options;
}

absl::StatusOr<DemoOptions> ResolveDemo(const Invocation& invocation) {
  DemoOptions options{.json = invocation.global.json};
  ASSIGN_OR_RETURN(options.nodes, Count("--nodes", invocation.demo.nodes, options.nodes, kDemoNodesMin, kDemoNodesMax));
  ASSIGN_OR_RETURN(options.kill, Count("--kill", invocation.demo.kill, options.kill, 0, options.nodes - (kDemoNodesMin - 1)));
  return options;
}

absl::StatusOr<UpOptions> ResolveUp(const Invocation& invocation, const Context& context) {
  UpOptions options{.home = context.home, .json = context.flags.json};
  ASSIGN_OR_RETURN(options.nodes, Count("--nodes", invocation.demo.nodes, options.nodes, 1, kDemoNodesMax));
  const std::string text = Setting(context, invocation.run.port, "BULBIL_PORT", std::nullopt, absl::StrCat(kDefaultPort));
  const std::optional<uint16_t> port = ParsePort(text);
  if (!port || *port == 0 || *port + options.nodes - 1 > 0xffff)
    return BadValue("--port", text, "a port with room for all nodes");
  options.first_port = *port;
  if (!invocation.run.profile.empty()) {
    ASSIGN_OR_RETURN(options.profile, ResolveProfile(invocation, context, chat::Profile::kOff));
  }
  return options;
}

absl::StatusOr<std::vector<overlay::RpcTarget>> ClientBootstrap(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  const auto asked = AskedBootstrap(invocation, context);
  ASSIGN_OR_RETURN(std::vector<overlay::RpcTarget> targets, ParseList(asked ? *asked : network.bootstrap));
  if (targets.empty()) {
    return Fail({.exit = Exit::kUsage,
                 .what = "there is no node to begin with",
                 .fix = {absl::StrCat("bulbil ", NameOf(invocation.command), " --bootstrap HOST:PORT")}});
  }
  return targets;
}

}  // namespace cli
