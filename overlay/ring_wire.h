// SPDX-License-Identifier: Apache-2.0
// overlay/ring_wire.h — what ring_messages.h says, and the questions of proto/overlay.proto that are open to everybody, as bytes.
//
// Decoding recomputes every point (DecodePeer) and bounds every list; what breaks a bound or names an impossible peer is
// InvalidArgument as a whole. Order and freshness of what is named are for the ring to judge.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "overlay/ring_messages.h"

namespace overlay {

inline constexpr char kMethodDescribe[] = "/bulbil.v1.Overlay/Describe";
inline constexpr char kMethodTable[] = "/bulbil.v1.Overlay/Table";
inline constexpr char kMethodContradictions[] = "/bulbil.v1.Overlay/Contradictions";
inline constexpr char kMethodState[] = "/bulbil.v1.Ring/State";
inline constexpr char kMethodRectify[] = "/bulbil.v1.Ring/Rectify";
inline constexpr char kMethodNextHop[] = "/bulbil.v1.Ring/NextHop";
inline constexpr char kMethodLeaving[] = "/bulbil.v1.Ring/Leaving";
inline constexpr char kMethodHealthCheck[] = "/grpc.health.v1.Health/Check";
inline constexpr char kMethodHealthWatch[] = "/grpc.health.v1.Health/Watch";

inline constexpr int kWireListMax = 64;  // entries of any list with one virtual node per process: above r and the 16 of a table
inline constexpr char kRingService[] = "bulbil.v1.Ring";  // health of the process; with "/i" behind it that of virtual node i

// A run of virtual nodes that reaches r processes may meet every one of them, and its own, v times; what follows it may be named too.
int WireListMax(const Network& network);

// --- Between members ---

std::string_view MethodOf(const RingRequest& request);
std::string EncodeRequest(const RingRequest& request, uint8_t index);
struct IndexedRequest {
  uint8_t index = 0;  // which virtual node is meant
  RingRequest request;
};
// NotFound: a health check of a service that is not ours.
absl::StatusOr<IndexedRequest> DecodeRequest(const Network& network, std::string_view method, const std::string& bytes);

std::string EncodeReply(const RingReply& reply, const Peer& self);
// `to` is who was asked: a State that names somebody else as its owner is refused.
absl::StatusOr<RingReply> DecodeReply(const Network& network, const RingRequest& request, const Peer& to, const std::string& bytes);

// --- Open to everybody ---

// The asker's own descriptor, encoded; empty from a client. The answer is the answerer's own, never another's: which it holds
// would tell whom its user looked up.
std::string EncodeDescribe(base::ByteView asker);
absl::StatusOr<base::Bytes> DecodeDescribe(const std::string& bytes);
std::string EncodeDescribeReply(base::ByteView descriptor);
absl::StatusOr<base::Bytes> DecodeDescribeReply(const std::string& bytes);

std::string EncodeTableQuestion(uint8_t index);
absl::StatusOr<uint8_t> DecodeTableQuestion(const std::string& bytes);
std::string EncodeTableReply(base::ByteView table);
absl::StatusOr<base::Bytes> DecodeTableReply(const std::string& bytes);

inline constexpr int kProofsPerReply = 32;  // below 1 KiB each

struct ContradictionsQuestion {
  base::Bytes proof;                     // may be empty
  std::optional<keys::PublicKey> after;  // asks for proofs about the keys above it
};
std::string EncodeContradictions(const ContradictionsQuestion& question);
absl::StatusOr<ContradictionsQuestion> DecodeContradictions(const std::string& bytes);
std::string EncodeContradictionsReply(const std::vector<base::Bytes>& proofs);
absl::StatusOr<std::vector<base::Bytes>> DecodeContradictionsReply(const std::string& bytes);

}  // namespace overlay
