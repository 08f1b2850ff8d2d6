// SPDX-License-Identifier: Apache-2.0
#include "cli/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace cli {
namespace {

struct Unit {
  const char* name;
  absl::Duration length;
};

bool OnlyDigits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

std::string WithOneDigit(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

bool InPrivateV4(uint32_t ip) {
  const auto in = [ip](uint32_t network, int bits) { return (ip >> (32 - bits)) == (network >> (32 - bits)); };
  return in(0x7f000000, 8) || in(0x0a000000, 8) || in(0xac100000, 12) || in(0xc0a80000, 16) || in(0xa9fe0000, 16);
}

}  // namespace

std::optional<absl::Duration> ParseDuration(std::string_view text) {
  static const Unit kUnits[] = {{"ms", absl::Milliseconds(1)}, {"s", absl::Seconds(1)}, {"m", absl::Minutes(1)},
                                {"h", absl::Hours(1)},         {"d", absl::Hours(24)},  {"", absl::Seconds(1)}};
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  int64_t number = 0;
  if (digits == 0 || !absl::SimpleAtoi(std::string(text.substr(0, digits)), &number)) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (text.substr(digits) != unit.name) continue;
    const absl::Duration duration = number * unit.length;
    if (duration > absl::Hours(24 * 366)) return std::nullopt;
    return duration;
  }
  return std::nullopt;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  static const std::pair<std::string_view, int> kUnits[] = {{"", 0},     {"B", 0},    {"KiB", 10},
                                                            {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  constexpr uint64_t kMost = 1ull << 50;
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t number = 0;
  if (digits == 0 || !absl::SimpleAtoi(std::string(text.substr(0, digits)), &number)) return std::nullopt;
  std::string_view name = text.substr(digits);
  if (name.size() > 1 && name.front() == ' ') name.remove_prefix(1);
  for (const auto& [unit, bits] : kUnits) {
    if (name == unit && number <= kMost >> bits) return number << bits;
  }
  return std::nullopt;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint32_t port = 0;
  if (!OnlyDigits(text) || text.size() > 5 || !absl::SimpleAtoi(std::string(text), &port) || port > 0xffff) return std::nullopt;
  return static_cast<uint16_t>(port);
}

std::string HostPort::Text() const {
  return host.find(':') == std::string::npos ? absl::StrCat(host, ":", port) : absl::StrCat("[", host, "]:", port);
}

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() > 260) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find_first_of(":[]/ ") != std::string_view::npos) return std::nullopt;
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  if (!port) return std::nullopt;
  return HostPort{.host = host == "localhost" ? "127.0.0.1" : std::string(host), .port = *port};
}

std::optional<overlay::RpcTarget> ParseBootstrap(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<HostPort> address = ParseHostPort(text.substr(0, slash));
  if (!address || address->port == 0) return std::nullopt;
  overlay::RpcTarget target{.address = address->Text()};
  if (slash == std::string_view::npos) return target;
  const std::optional<base::Bytes> key = base::FromHex(text.substr(slash + 1));
  if (!key || key->size() != 32) return std::nullopt;
  target.node_key.emplace();
  std::copy(key->begin(), key->end(), target.node_key->bytes.begin());
  return target;
}

bool IsIpLiteral(const std::string& host) {
  in6_addr ip;
  return inet_pton(AF_INET, host.c_str(), &ip) == 1 || inet_pton(AF_INET6, host.c_str(), &ip) == 1;
}

bool IsPrivateIp(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return InPrivateV4(ntohl(v4.s_addr));
  in6_addr v6;
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc;
}

std::string ShownAddress(const std::string& address) {
  constexpr std::string_view kLoopback = "127.0.0.1:";
  if (address.rfind(kLoopback, 0) != 0) return address;
  return absl::StrCat("localhost:", address.substr(kLoopback.size()));
}

std::string ShownDuration(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  if (seconds < 10) return WithOneDigit(seconds) + " s";
  const int64_t whole = absl::ToInt64Seconds(duration);
  if (whole < 100) return absl::StrCat(whole, " s");
  if (whole < 3600) return absl::StrCat(whole / 60, " m");
  if (whole < 24 * 3600) return absl::StrCat(whole / 3600, " h ", whole / 60 % 60, " m");
  return absl::StrCat(whole / (24 * 3600), " d ", whole / 3600 % 24, " h");
}

std::string ShownBytes(double bytes) {
  if (bytes < 1024) return absl::StrCat(static_cast<int64_t>(bytes), " B");
  const char* const kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit < 3; ++unit) bytes /= 1024;
  return absl::StrCat(WithOneDigit(bytes), " ", kUnits[unit]);
}

std::string ShownCount(uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string ShellQuoted(const std::string& word) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  if (!word.empty() && word[0] != '-' && std::all_of(word.begin(), word.end(), is_plain)) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string Cut(const std::string& text) {
  constexpr size_t kHead = 14, kTail = 6;
  if (text.size() <= kHead + kTail + 4) return text;
  return absl::StrCat(text.substr(0, kHead), "…", text.substr(text.size() - kTail));
}

size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xc2 && first < 0xe0   ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool beyond = (first == 0xed && at(1) >= 0xa0) || (first == 0xf4 && at(1) >= 0x90);  // surrogates, above U+10FFFF
  return overlong || beyond ? 0 : length;
}

}  // namespace cli
