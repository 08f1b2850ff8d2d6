// SPDX-License-Identifier: Apache-2.0
// cli/values.h — values as people type and read them: durations, ports, addresses, sizes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "overlay/rpc.h"

namespace cli {

// "250ms", "30s", "5m", "24h", "7d"; a bare number means seconds. Nothing below 0, at most a year.
std::optional<absl::Duration> ParseDuration(std::string_view text);
// "2 GiB", "512MiB", "100 KiB", "17 B"; a bare number means bytes. At most 2^50.
std::optional<uint64_t> ParseBytes(std::string_view text);
// 0 to 65535.
std::optional<uint16_t> ParsePort(std::string_view text);

struct HostPort {
  std::string host;  // as typed, brackets of IPv6 taken off; "localhost" becomes 127.0.0.1
  uint16_t port = 0;

  std::string Text() const;  // "127.0.0.1:10001", "[::1]:10001"
  bool operator==(const HostPort&) const = default;
};
std::optional<HostPort> ParseHostPort(std::string_view text);

// "HOST:PORT" or "HOST:PORT/NODEKEY", the key in 64 hex digits: then only the node that proves it is taken (protocol.md 3).
std::optional<overlay::RpcTarget> ParseBootstrap(std::string_view text);

bool IsIpLiteral(const std::string& host);
// Loopback, private (RFC 1918, 4193) or link-local.
bool IsPrivateIp(const std::string& host);

// "127.0.0.1:10001" is shown as "localhost:10001"; other addresses as they are.
std::string ShownAddress(const std::string& address);

// "0.3 s", "42 s", "6 m", "2 h 14 m", "3 d 4 h".
std::string ShownDuration(absl::Duration duration);
// "17 B", "6.2 MiB".
std::string ShownBytes(double bytes);
// 1184 as "1,184".
std::string ShownCount(uint64_t count);

// A long word with its middle left out: "bulb1qrljgwej0…r384zi".
std::string Cut(const std::string& text);

// A word of a command line as a shell takes it, whoever chose it: as it is, or between quotes.
std::string ShellQuoted(const std::string& word);

// Bytes of the UTF-8 character the text begins with; 0 if it does not begin with a valid one (or is empty).
size_t Utf8Length(std::string_view text);

}  // namespace cli
