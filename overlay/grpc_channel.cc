// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_channel.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "overlay/grpc_tls.h"
#include "overlay/rpc.h"

namespace overlay {
namespace {

bool IsIp(int family, const std::string& host) {
  in6_addr address;
  return inet_pton(family, host.c_str(), &address) == 1;
}

grpc::ChannelArguments CommonArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kRpcMessageMax));
  arguments.SetMaxSendMessageSize(static_cast<int>(kRpcMessageMax));
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 4096);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 4000);  // how long one attempt to connect may take, below a link's 5 s
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  return arguments;
}

void KeepAlive(grpc::ChannelArguments& arguments) {
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveEveryMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // by default keepalive stops on a quiet stream
}

}  // namespace

bool IsLocalAddress(const std::string& address) { return absl::StartsWith(address, kLocalPrefix); }

std::string GrpcTarget(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  if (IsIp(AF_INET, host)) return absl::StrCat("ipv4:", address);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed && IsIp(AF_INET6, host.substr(1, host.size() - 2))) return absl::StrCat("ipv6:", address);
  return absl::StrCat("dns:///", address);
}

std::shared_ptr<grpc::Channel> MakeTlsChannel(const std::string& address, const keys::TlsIdentity& own,
                                              std::optional<keys::PublicKey> pinned, ChannelUse use) {
  grpc::ChannelArguments arguments = CommonArguments();
  arguments.SetSslTargetNameOverride(keys::kCertificateName);
  if (use == ChannelUse::kLink) KeepAlive(arguments);
  return grpc::CreateCustomChannel(GrpcTarget(address), TlsChannelCredentials(own, pinned), arguments);
}

std::shared_ptr<grpc::Channel> MakeLocalChannel(const std::string& address) {
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), CommonArguments());
}

}  // namespace overlay
