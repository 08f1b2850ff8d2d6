// SPDX-License-Identifier: Apache-2.0
// dht/dht_wire.h — the store's messages as proto/dht.proto carries them.
//
// Records, names, receipts and peers travel in their own encodings inside. Decoders are strict: InvalidArgument for anything
// malformed, too many of anything, or a peer of another network's rules; nothing is half taken.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dht/dht_messages.h"
#include "overlay/network.h"

namespace dht {

// "/bulbil.v1.Dht/Put" and so on, by the index of the message in DhtRequest.
inline constexpr std::string_view kDhtMethods[] = {"/bulbil.v1.Dht/Put",      "/bulbil.v1.Dht/Get",    "/bulbil.v1.Dht/Replicate",
                                                   "/bulbil.v1.Dht/Fetch",    "/bulbil.v1.Dht/Digest", "/bulbil.v1.Dht/Names",
                                                   "/bulbil.v1.Dht/Reconcile"};
static_assert(std::size(kDhtMethods) == std::variant_size_v<DhtRequest>);

std::string EncodeDhtRequest(const DhtRequest& request);
std::string EncodeDhtReply(const DhtReply& reply);
// `method`: index into kDhtMethods.
absl::StatusOr<DhtRequest> DecodeDhtRequest(size_t method, const std::string& bytes);
absl::StatusOr<DhtReply> DecodeDhtReply(const overlay::Network& network, size_t method, const std::string& bytes);

}  // namespace dht
