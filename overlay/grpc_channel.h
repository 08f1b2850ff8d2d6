// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_channel.h — channels to other nodes and to the control socket, with every setting that matters in one place.
//
// Every channel has a connection of its own, never shared with another's credentials. No proxy of the environment, no retries, no
// service configuration out of DNS, no session resumption. A call on a channel that cannot connect fails at once.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>

#include "keys/certificate.h"

namespace overlay {

enum class ChannelUse {
  kCalls,  // questions with an answer; the server closes it when idle
  kLink,   // one stream of cells; kept alive, so that a silent peer is noticed within kKeepaliveEvery + kKeepaliveTimeout
};

inline constexpr int kKeepaliveEveryMs = 10'000;
inline constexpr int kKeepaliveTimeoutMs = 5'000;
inline constexpr char kLocalPrefix[] = "unix:";  // address of a control socket: "unix:" and its path

bool IsLocalAddress(const std::string& address);

// To "IP:port" or, for a bootstrap address out of the configuration, "host:port". Connects with the first call.
std::shared_ptr<grpc::Channel> MakeTlsChannel(const std::string& address, const keys::TlsIdentity& own,
                                              std::optional<keys::PublicKey> pinned, ChannelUse use);
// To a control socket, in clear: its file permissions are what protects it.
std::shared_ptr<grpc::Channel> MakeLocalChannel(const std::string& address);

// What gRPC is told to connect to: the scheme follows from the form of the address, so that none can choose its own.
std::string GrpcTarget(const std::string& address);

}  // namespace overlay
