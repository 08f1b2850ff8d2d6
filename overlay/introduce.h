// SPDX-License-Identifier: Apache-2.0
// overlay/introduce.h — first words with a node: its descriptor, proven to be that of the TLS key, and its routing table.
//
// For joiners and clients at a bootstrap address (any key is accepted, then checked against the descriptor, protocol.md 3) and
// for clients at a guard (key pinned). Nothing else is asked over a link before this succeeded.
#pragma once

#include <functional>

#include "base/event_loop.h"
#include "overlay/descriptor.h"
#include "overlay/routing_table.h"
#include "overlay/rpc.h"

namespace overlay {

struct Introduction {
  Descriptor descriptor;
  RoutingTable table;
};

inline constexpr absl::Duration kMeetTimeout = absl::Seconds(5);  // of each of its questions, a TLS handshake included

// The first half: who answers there? What a joiner needs; the node may still be outside the ring itself. Errors as below.
void Meet(const Network& network, RpcClient& client, const RpcTarget& target, base::Bytes own_descriptor, base::EventLoop& loop,
          std::function<void(absl::StatusOr<Descriptor>)> done);

// Unavailable: nobody answers there. FailedPrecondition: another network or protocol version, with a text for the user.
// Unauthenticated: the descriptor is not that of the TLS key. `own_descriptor` is empty for a client.
void Introduce(const Network& network, RpcClient& client, const RpcTarget& target, base::Bytes own_descriptor,
               base::EventLoop& loop, std::function<void(absl::StatusOr<Introduction>)> done);

}  // namespace overlay
