// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_listen.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace overlay {
namespace {

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status FromErrno(int error, const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return absl::InvalidArgumentError(text);
    default:
      return absl::UnavailableError(text);
  }
}

struct BoundAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::optional<BoundAddress> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) return std::nullopt;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  BoundAddress parsed;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&parsed.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&parsed.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    parsed.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    parsed.size = sizeof(sockaddr_in6);
  } else {
    return std::nullopt;
  }
  return parsed;
}

// Whether somebody accepts connections behind the socket file. A full backlog is somebody, too.
bool SomebodyAnswers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const Socket probe(AF_UNIX);
  const int result = connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

}  // namespace

absl::Status WhyNotBound(const std::string& address) {
  const std::string what = absl::StrCat("cannot listen on ", address);
  const std::optional<BoundAddress> parsed = ParseAddress(address);
  if (!parsed) return absl::InvalidArgumentError(absl::StrCat(what, ": no IP address with a port"));
  const Socket probe(parsed->storage.ss_family);
  const int on = 1;
  setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(probe.fd(), reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->size) != 0 || listen(probe.fd(), 1) != 0) {
    return FromErrno(errno, what);
  }
  return absl::UnavailableError(what);
}

absl::Status FreeSocketPath(const std::string& path) {
  if (path.empty() || path.size() > kSocketPathMax) {
    return absl::InvalidArgumentError(absl::StrCat("socket path of ", path.size(), " bytes, at most ", kSocketPathMax));
  }
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FromErrno(errno, absl::StrCat("cannot use ", path));
  }
  if (!S_ISSOCK(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, " is no socket"));
  if (SomebodyAnswers(path)) return absl::AlreadyExistsError(absl::StrCat("somebody answers on ", path));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FromErrno(errno, absl::StrCat("cannot remove ", path));
  return absl::OkStatus();
}

}  // namespace overlay
