// SPDX-License-Identifier: Apache-2.0
#include "overlay/ring_wire.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/overloaded.h"
#include "base/status_macros.h"
#include "overlay/contradiction.h"
#include "overlay/routing_table.h"
#include "proto/health.pb.h"
#include "proto/overlay.pb.h"

namespace overlay {
namespace {

namespace v1 = bulbil::v1;
namespace health = grpc::health::v1;
using Repeated = google::protobuf::RepeatedPtrField<std::string>;

template <typename Message>
absl::StatusOr<Message> Parse(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) return absl::InvalidArgumentError("malformed message");
  return message;
}

std::string ToWire(const Peer& peer) { return base::ToString(EncodePeer(peer)); }

void AddPeers(const std::vector<Peer>& peers, Repeated* out) {
  for (const Peer& peer : peers) *out->Add() = ToWire(peer);
}

absl::StatusOr<Peer> PeerFrom(const Network& network, const std::string& bytes) { return DecodePeer(network, base::AsBytes(bytes)); }

absl::Status PeersFrom(const Network& network, const Repeated& from, std::vector<Peer>& peers) {
  if (from.size() > WireListMax(network)) return absl::InvalidArgumentError(absl::StrCat("list of ", from.size(), " peers"));
  for (const std::string& bytes : from) {
    ASSIGN_OR_RETURN(Peer peer, PeerFrom(network, bytes));
    peers.push_back(std::move(peer));
  }
  return absl::OkStatus();
}

std::string HealthService(int index) { return absl::StrCat(kRingService, "/", index); }

absl::StatusOr<uint8_t> IndexFrom(const Network& network, uint32_t index) {
  if (index >= static_cast<uint32_t>(network.virtual_nodes)) return absl::InvalidArgumentError("no such virtual node");
  return static_cast<uint8_t>(index);
}

// --- Requests ---

absl::StatusOr<IndexedRequest> StateFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::StateRequest>(bytes));
  ASSIGN_OR_RETURN(const uint8_t index, IndexFrom(network, message.index()));
  return IndexedRequest{index, StateRequest{}};
}

absl::StatusOr<IndexedRequest> RectifyFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::RectifyRequest>(bytes));
  ASSIGN_OR_RETURN(const uint8_t index, IndexFrom(network, message.index()));
  RectifyRequest notice;
  ASSIGN_OR_RETURN(notice.candidate, PeerFrom(network, message.candidate()));
  RETURN_IF_ERROR(PeersFrom(network, message.predecessors(), notice.predecessors));
  RETURN_IF_ERROR(PeersFrom(network, message.storing_predecessors(), notice.storing_predecessors));
  notice.seeking = message.seeking();
  return IndexedRequest{index, std::move(notice)};
}

absl::StatusOr<IndexedRequest> NextHopFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::NextHopRequest>(bytes));
  ASSIGN_OR_RETURN(const uint8_t index, IndexFrom(network, message.index()));
  NextHopRequest ask;
  if (message.point().size() != ask.point.bytes.size()) return absl::InvalidArgumentError("no point");
  std::copy(message.point().begin(), message.point().end(), ask.point.bytes.begin());
  return IndexedRequest{index, ask};
}

absl::StatusOr<IndexedRequest> LeavingFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::LeavingRequest>(bytes));
  ASSIGN_OR_RETURN(const uint8_t index, IndexFrom(network, message.index()));
  ASSIGN_OR_RETURN(Peer leaver, PeerFrom(network, message.leaver()));
  return IndexedRequest{index, LeavingRequest{std::move(leaver)}};
}

absl::StatusOr<IndexedRequest> HealthFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<health::HealthCheckRequest>(bytes));
  if (message.service().empty() || message.service() == kRingService) return IndexedRequest{0, HealthRequest{}};
  for (int index = 0; index < network.virtual_nodes; ++index) {
    if (message.service() == HealthService(index)) return IndexedRequest{static_cast<uint8_t>(index), HealthRequest{}};
  }
  return absl::NotFoundError("unknown service");
}

// --- Replies ---

std::string Encode(const StateReply& state, const Peer& self) {
  v1::StateReply message;
  message.set_pending(state.pending);
  message.set_member(state.member);
  message.set_detached(state.detached);
  message.set_open(state.open);
  message.set_self(ToWire(self));
  if (state.predecessor) message.set_predecessor(ToWire(*state.predecessor));
  AddPeers(state.successors, message.mutable_successors());
  AddPeers(state.more_successors, message.mutable_more_successors());
  AddPeers(state.storing_successors, message.mutable_storing_successors());
  AddPeers(state.predecessors, message.mutable_predecessors());
  AddPeers(state.storing_predecessors, message.mutable_storing_predecessors());
  return message.SerializeAsString();
}

absl::StatusOr<RingReply> StateReplyFrom(const Network& network, const Peer& to, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::StateReply>(bytes));
  ASSIGN_OR_RETURN(const Peer self, PeerFrom(network, message.self()));
  if (self.point != to.point) return absl::InvalidArgumentError("the state of somebody else");
  StateReply state;
  state.pending = message.pending();
  state.member = message.member();
  state.detached = message.detached();
  state.open = message.open();
  if (!message.predecessor().empty()) {
    ASSIGN_OR_RETURN(state.predecessor, PeerFrom(network, message.predecessor()));
  }
  RETURN_IF_ERROR(PeersFrom(network, message.successors(), state.successors));
  RETURN_IF_ERROR(PeersFrom(network, message.more_successors(), state.more_successors));
  RETURN_IF_ERROR(PeersFrom(network, message.storing_successors(), state.storing_successors));
  RETURN_IF_ERROR(PeersFrom(network, message.predecessors(), state.predecessors));
  RETURN_IF_ERROR(PeersFrom(network, message.storing_predecessors(), state.storing_predecessors));
  return RingReply(std::move(state));
}

std::string Encode(const NextHopReply& hop) {
  v1::NextHopReply message;
  message.set_member(hop.member);
  message.set_found(hop.found);
  AddPeers(hop.owners, message.mutable_owners());
  AddPeers(hop.storing, message.mutable_storing());
  AddPeers(hop.closer, message.mutable_closer());
  return message.SerializeAsString();
}

absl::StatusOr<RingReply> NextHopReplyFrom(const Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::NextHopReply>(bytes));
  NextHopReply hop;
  hop.member = message.member();
  hop.found = message.found();
  RETURN_IF_ERROR(PeersFrom(network, message.owners(), hop.owners));
  RETURN_IF_ERROR(PeersFrom(network, message.storing(), hop.storing));
  RETURN_IF_ERROR(PeersFrom(network, message.closer(), hop.closer));
  return RingReply(std::move(hop));
}

std::string Encode(const HealthReply& reply) {
  health::HealthCheckResponse message;
  message.set_status(reply.serving ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING);
  return message.SerializeAsString();
}

absl::StatusOr<RingReply> HealthReplyFrom(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<health::HealthCheckResponse>(bytes));
  return RingReply(HealthReply{message.status() == health::HealthCheckResponse::SERVING});
}

}  // namespace

int WireListMax(const Network& network) {
  return std::max(kWireListMax, (network.successor_count + 1) * network.virtual_nodes + static_cast<int>(kTableNeighbours));
}

std::string_view MethodOf(const RingRequest& request) {
  return std::visit(base::Overloaded{[](const StateRequest&) { return kMethodState; }, [](const RectifyRequest&) { return kMethodRectify; },
                                     [](const NextHopRequest&) { return kMethodNextHop; },
                                     [](const LeavingRequest&) { return kMethodLeaving; },
                                     [](const HealthRequest&) { return kMethodHealthCheck; }},
                    request);
}

std::string EncodeRequest(const RingRequest& request, uint8_t index) {
  return std::visit(base::Overloaded{[&](const StateRequest&) {
                                       v1::StateRequest message;
                                       message.set_index(index);
                                       return message.SerializeAsString();
                                     },
                                     [&](const RectifyRequest& notice) {
                                       v1::RectifyRequest message;
                                       message.set_index(index);
                                       message.set_candidate(ToWire(notice.candidate));
                                       AddPeers(notice.predecessors, message.mutable_predecessors());
                                       AddPeers(notice.storing_predecessors, message.mutable_storing_predecessors());
                                       message.set_seeking(notice.seeking);
                                       return message.SerializeAsString();
                                     },
                                     [&](const NextHopRequest& ask) {
                                       v1::NextHopRequest message;
                                       message.set_index(index);
                                       message.set_point(base::ToString(ask.point.view()));
                                       return message.SerializeAsString();
                                     },
                                     [&](const LeavingRequest& hint) {
                                       v1::LeavingRequest message;
                                       message.set_index(index);
                                       message.set_leaver(ToWire(hint.leaver));
                                       return message.SerializeAsString();
                                     },
                                     [&](const HealthRequest&) {
                                       health::HealthCheckRequest message;
                                       if (index > 0) message.set_service(HealthService(index));
                                       return message.SerializeAsString();
                                     }},
                    request);
}

absl::StatusOr<IndexedRequest> DecodeRequest(const Network& network, std::string_view method, const std::string& bytes) {
  if (method == kMethodState) return StateFrom(network, bytes);
  if (method == kMethodRectify) return RectifyFrom(network, bytes);
  if (method == kMethodNextHop) return NextHopFrom(network, bytes);
  if (method == kMethodLeaving) return LeavingFrom(network, bytes);
  if (method == kMethodHealthCheck || method == kMethodHealthWatch) return HealthFrom(network, bytes);
  return absl::InvalidArgumentError("no such question");
}

std::string EncodeReply(const RingReply& reply, const Peer& self) {
  return std::visit(base::Overloaded{[&](const StateReply& state) { return Encode(state, self); },
                                     [](const RectifyReply&) { return v1::RectifyReply().SerializeAsString(); },
                                     [](const NextHopReply& hop) { return Encode(hop); },
                                     [](const LeavingReply&) { return v1::LeavingReply().SerializeAsString(); },
                                     [](const HealthReply& health_reply) { return Encode(health_reply); }},
                    reply);
}

absl::StatusOr<RingReply> DecodeReply(const Network& network, const RingRequest& request, const Peer& to, const std::string& bytes) {
  using Result = absl::StatusOr<RingReply>;
  return std::visit(base::Overloaded{[&](const StateRequest&) { return StateReplyFrom(network, to, bytes); },
                                     [](const RectifyRequest&) -> Result { return RingReply(RectifyReply{}); },
                                     [&](const NextHopRequest&) { return NextHopReplyFrom(network, bytes); },
                                     [](const LeavingRequest&) -> Result { return RingReply(LeavingReply{}); },
                                     [&](const HealthRequest&) { return HealthReplyFrom(bytes); }},
                    request);
}

// --- Open to everybody ---

std::string EncodeDescribe(base::ByteView asker) {
  v1::DescribeRequest message;
  message.set_node_descriptor(base::ToString(asker));
  return message.SerializeAsString();
}

absl::StatusOr<base::Bytes> DecodeDescribe(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::DescribeRequest>(bytes));
  return base::ToBytes(base::AsBytes(message.node_descriptor()));
}

std::string EncodeDescribeReply(base::ByteView descriptor) {
  v1::DescribeReply message;
  message.set_node_descriptor(base::ToString(descriptor));
  return message.SerializeAsString();
}

absl::StatusOr<base::Bytes> DecodeDescribeReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::DescribeReply>(bytes));
  return base::ToBytes(base::AsBytes(message.node_descriptor()));
}

std::string EncodeTableQuestion(uint8_t index) {
  v1::TableRequest message;
  message.set_index(index);
  return message.SerializeAsString();
}

absl::StatusOr<uint8_t> DecodeTableQuestion(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::TableRequest>(bytes));
  if (message.index() > 0xff) return absl::InvalidArgumentError("no such virtual node");
  return static_cast<uint8_t>(message.index());
}

std::string EncodeTableReply(base::ByteView table) {
  v1::TableReply message;
  message.set_table(base::ToString(table));
  return message.SerializeAsString();
}

absl::StatusOr<base::Bytes> DecodeTableReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::TableReply>(bytes));
  return base::ToBytes(base::AsBytes(message.table()));
}

std::string EncodeContradictions(const ContradictionsQuestion& question) {
  v1::ContradictionsRequest message;
  message.set_proof(base::ToString(question.proof));
  message.set_asks(question.after.has_value());
  if (question.after && *question.after != keys::PublicKey{}) message.set_after(base::ToString(question.after->view()));
  return message.SerializeAsString();
}

absl::StatusOr<ContradictionsQuestion> DecodeContradictions(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::ContradictionsRequest>(bytes));
  if (message.proof().size() > kContradictionMax) return absl::InvalidArgumentError("contradiction too long");
  ContradictionsQuestion question = {base::ToBytes(base::AsBytes(message.proof())), std::nullopt};
  if (!message.asks()) return question;
  question.after.emplace();
  if (message.after().empty()) return question;
  if (message.after().size() != question.after->bytes.size()) return absl::InvalidArgumentError("no node key");
  std::copy(message.after().begin(), message.after().end(), question.after->bytes.begin());
  return question;
}

std::string EncodeContradictionsReply(const std::vector<base::Bytes>& proofs) {
  v1::ContradictionsReply message;
  for (const base::Bytes& proof : proofs) message.add_proofs(base::ToString(proof));
  return message.SerializeAsString();
}

absl::StatusOr<std::vector<base::Bytes>> DecodeContradictionsReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const auto message, Parse<v1::ContradictionsReply>(bytes));
  if (message.proofs_size() > kProofsPerReply) return absl::InvalidArgumentError("too many proofs");
  std::vector<base::Bytes> proofs;
  for (const std::string& proof : message.proofs()) proofs.push_back(base::ToBytes(base::AsBytes(proof)));
  return proofs;
}

}  // namespace overlay
