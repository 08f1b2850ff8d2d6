// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_listen.h — what gRPC does not say or do about a listener: who holds the port, whose socket file that is.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace overlay {

inline constexpr size_t kSocketPathMax = 107;  // sockaddr_un, without its final zero

// Why `address` ("IP:port") could not be listened on, found by trying once more ourselves: AlreadyExists if somebody has it,
// PermissionDenied, InvalidArgument if it is no address of this machine. Unavailable if it would work now.
absl::Status WhyNotBound(const std::string& address);

// Makes `path` free to listen on: removes a socket file behind which nobody answers. AlreadyExists if somebody does,
// FailedPrecondition if it is no socket, InvalidArgument if it is too long. gRPC alone would take the file of a running node.
absl::Status FreeSocketPath(const std::string& path);

}  // namespace overlay
