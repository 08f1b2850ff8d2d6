// SPDX-License-Identifier: Apache-2.0
// cli/screens.h — a node's answers as text for people and as JSON for scripts. Addresses as people know them (localhost:10001).
//
// JSON is the protobuf message with its own field names, every number and flag printed also when it is 0: scripts rely on that.
#pragma once

#include <string>

#include "proto/control.pb.h"

namespace cli {

std::string StatusScreen(const bulbil::v1::StatusReply& reply);
std::string StatusJson(bulbil::v1::StatusReply reply);  // one line

std::string RingScreen(const bulbil::v1::RingShowReply& reply);
std::string RingJson(bulbil::v1::RingShowReply reply);

std::string LookupScreen(const bulbil::v1::RingLookupReply& reply);
std::string LookupJson(bulbil::v1::RingLookupReply reply);  // {"owner":"<64 hex>","address":"host:port","hops":N}

}  // namespace cli
