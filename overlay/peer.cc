// SPDX-License-Identifier: Apache-2.0
#include "overlay/peer.h"

#include <arpa/inet.h>

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"
#include "overlay/admission.h"

namespace overlay {
namespace {

struct Prefix {
  uint32_t network;
  int bits;
};
constexpr char kAddressCharacters[] = "0123456789abcdefABCDEF.:[]";

// Not reachable on the internet (IANA's special-purpose registry): refused where a network has public addresses only.
constexpr Prefix kPrivateV4[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16}, {0xac100000, 12},
    {0xc0000000, 24}, {0xc0000200, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24}, {0xcb007100, 24},
    {0xe0000000, 3},
};

bool IsPublicV4(uint32_t address) {
  for (const Prefix& prefix : kPrivateV4) {
    if ((address ^ prefix.network) >> (32 - prefix.bits) == 0) return false;
  }
  return true;
}

// Global unicast (2000::/3) without documentation, Teredo and 6to4, which carry other addresses inside.
bool IsPublicV6(const uint8_t (&address)[16]) {
  if (address[0] >> 5 != 1) return false;
  const unsigned first = static_cast<unsigned>(address[0]) << 8 | address[1], second = static_cast<unsigned>(address[2]) << 8 | address[3];
  if (first == 0x2002) return false;
  return first != 0x2001 || (second != 0x0db8 && second >= 0x0200);
}

absl::Status CheckHost(const Network& network, const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    if (!network.private_addresses && !IsPublicV4(ntohl(v4.s_addr))) return absl::InvalidArgumentError("private address");
    return absl::OkStatus();
  }
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return absl::InvalidArgumentError("no IP address");
  in6_addr v6;
  if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) != 1) return absl::InvalidArgumentError("no IP address");
  if (!network.private_addresses && !IsPublicV6(v6.s6_addr)) return absl::InvalidArgumentError("private address");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAddress(const Network& network, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (address.size() > kAddressMax || colon == std::string::npos) return absl::InvalidArgumentError("no address");
  // Nothing that inet_pton would not read, as what stands behind a zero byte: it would be shown to people.
  if (address.find_first_not_of(kAddressCharacters) != std::string::npos) return absl::InvalidArgumentError("no address");
  const std::string port_text = address.substr(colon + 1);
  uint32_t port = 0;
  if (port_text.empty() || port_text.find_first_not_of("0123456789") != std::string::npos || port_text.front() == '0' ||
      !absl::SimpleAtoi(port_text, &port) || port > 65535) {
    return absl::InvalidArgumentError("no port");
  }
  return CheckHost(network, address.substr(0, colon));
}

NodeId PointOf(const Network& network, const keys::PublicKey& node_key, base::ByteView admission, uint8_t index) {
  return {keys::Hash("node", {base::AsBytes(network.name), node_key.view(), admission, base::ByteView(&index, 1)})};
}

Peer MakePeer(const Network& network, const keys::PublicKey& node_key, uint8_t index, Role role, std::string address,
              base::Bytes admission) {
  const NodeId point = PointOf(network, node_key, admission, index);
  return {node_key, index, role, std::move(address), std::move(admission), point};
}

void EncodePeer(const Peer& peer, base::ByteWriter& writer) {
  writer.Append(peer.node_key.view()).U8(peer.index).U8(static_cast<uint8_t>(peer.role));
  writer.Short(base::AsBytes(peer.address)).Short(peer.admission);
}

absl::StatusOr<Peer> DecodePeer(const Network& network, base::ByteReader& reader) {
  const keys::PublicKey node_key{reader.Array<32>()};
  const uint8_t index = reader.U8(), role = reader.U8();
  std::string address = base::ToString(reader.Short());
  const base::ByteView admission = reader.Short();
  if (!reader.ok()) return absl::InvalidArgumentError("peer cut short");
  if (index >= network.virtual_nodes) return absl::InvalidArgumentError(absl::StrCat("virtual node ", index));
  if (role != static_cast<uint8_t>(Role::kStoring) && role != static_cast<uint8_t>(Role::kRelay)) {
    return absl::InvalidArgumentError(absl::StrCat("role ", role));
  }
  RETURN_IF_ERROR(CheckAddress(network, address));
  RETURN_IF_ERROR(CheckAdmission(network, node_key, address, admission));
  return MakePeer(network, node_key, index, static_cast<Role>(role), std::move(address), base::ToBytes(admission));
}

base::Bytes EncodePeer(const Peer& peer) {
  base::ByteWriter writer;
  EncodePeer(peer, writer);
  return writer.Take();
}

absl::StatusOr<Peer> DecodePeer(const Network& network, base::ByteView bytes) {
  base::ByteReader reader(bytes);
  ASSIGN_OR_RETURN(Peer peer, DecodePeer(network, reader));
  if (!reader.Done()) return absl::InvalidArgumentError("bytes after a peer");
  return peer;
}

}  // namespace overlay
