// SPDX-License-Identifier: Apache-2.0
// overlay/address_prefix.h — the part of an address that one operator is taken to have whole: /16 of IPv4, /32 of IPv6.
#pragma once

#include <string>

namespace overlay {

// "10.1.2.3:7" -> "10.1", "[2001:db8:5::1]:7" -> "2001:db8". Addresses in descriptors have been checked (overlay/peer.h).
std::string PrefixOf(const std::string& address);

}  // namespace overlay
