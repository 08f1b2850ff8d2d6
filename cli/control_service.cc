// SPDX-License-Identifier: Apache-2.0
#include "cli/control_service.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "cli/control_client.h"
#include "proto/control.pb.h"

namespace cli {
namespace {

namespace v1 = bulbil::v1;
using overlay::RpcResponder;
using overlay::RpcStream;

constexpr char kRelayRefuses[] = "a relay serves no client commands", kMalformed[] = "malformed request";
constexpr uint64_t kOfClock = uint64_t{1} << 63;  // in a handle: who opened it

void Respond(const RpcResponder& respond, const google::protobuf::MessageLite& reply) { respond(reply.SerializeAsString()); }

const char* RoleName(overlay::Role role) { return role == overlay::Role::kRelay ? "relay" : "node"; }

// Keys of nodes, each 32 bytes; anything else in the list is left out.
std::vector<keys::PublicKey> NodeKeys(const google::protobuf::RepeatedPtrField<std::string>& fields) {
  std::vector<keys::PublicKey> node_keys;
  for (const std::string& field : fields) {
    if (field.size() == 32) node_keys.push_back({base::ByteReader(base::AsBytes(field)).Array<32>()});
  }
  return node_keys;
}

v1::OpenOperationReply OpenedReply(const circuits::OpenedOperation& opened) {
  v1::OpenOperationReply reply;
  reply.set_handle(base::ToString(base::ByteWriter().U64(opened.handle).bytes()));
  reply.set_channel_binding(base::ToString(opened.channel_binding));
  reply.set_storage_node(base::ToString(opened.storage_node.view()));
  for (const keys::PublicKey& key : opened.responsible) reply.add_responsible(base::ToString(key.view()));
  return reply;
}

const char* RelationTo(const overlay::RoutingTable& table, const overlay::Peer& peer) {
  if (!table.successors.empty() && peer == table.successors.front()) return "successor";
  if (!table.predecessors.empty() && peer == table.predecessors.front()) return "predecessor";
  const bool is_finger =
      std::any_of(table.fingers.begin(), table.fingers.end(), [&](const overlay::Finger& finger) { return finger.peer == peer; });
  return is_finger ? "finger" : "";
}

}  // namespace

template <class Request>
void ControlService::Register(const char* name, bool for_people, Action<Request> action) {
  const bool refused = for_people && is_relay_;
  server_.Handle(
      ControlMethod(name), overlay::Access::kControl,
      [refused, action = std::move(action)](const overlay::Caller&, const std::string& message, const RpcResponder& respond) {
        if (refused) return respond(absl::PermissionDeniedError(kRelayRefuses));
        Request request;
        if (!request.ParseFromString(message)) return respond(absl::InvalidArgumentError(kMalformed));
        action(request, respond);
      });
}

ControlService::ControlService(overlay::RpcServer& server, base::EventLoop& loop, overlay::RingDriver& ring, dht::DhtDriver& dht,
                               circuits::CircuitsDriver& circuits, circuits::Operations* clock, overlay::Role role,
                               std::function<void(v1::StatusReply&)> fill_status)
    : server_(server),
      loop_(loop),
      ring_(ring),
      dht_(dht),
      circuits_(circuits),
      clock_(clock),
      is_relay_(role == overlay::Role::kRelay) {
  Register<v1::StatusRequest>("Status", /*for_people=*/false, [fill_status](const auto&, const RpcResponder& respond) {
    v1::StatusReply reply;
    fill_status(reply);
    Respond(respond, reply);
  });
  Register<v1::RingShowRequest>("RingShow", /*for_people=*/false,
                                [this](const auto&, const RpcResponder& respond) { RingShow(respond); });
  Register<v1::RingLookupRequest>("RingLookup", /*for_people=*/false, [this](const auto& request, const RpcResponder& respond) {
    RingLookup(request.point(), respond);
  });
  Register<v1::DhtPutRequest>("DhtPut", /*for_people=*/true,
                              [this](const auto& request, const RpcResponder& respond) { DhtPut(request.value(), respond); });
  Register<v1::DhtGetRequest>("DhtGet", /*for_people=*/true,
                              [this](const auto& request, const RpcResponder& respond) { DhtGet(request.key(), respond); });
  server_.HandleStream(ControlMethod("OpenOperation"), overlay::Access::kControl,
                       [this](const overlay::Caller&, const std::string& message, const std::shared_ptr<RpcStream>& stream) {
                         v1::OpenOperationRequest request;
                         if (is_relay_) return stream->Finish(absl::PermissionDeniedError(kRelayRefuses));
                         if (!request.ParseFromString(message)) return stream->Finish(absl::InvalidArgumentError(kMalformed));
                         OpenOperation(request, stream);
                       });
  Register<v1::RunOperationRequest>("RunOperation", /*for_people=*/true,
                                    [this](const auto& request, const RpcResponder& respond) { RunOperation(request, respond); });
}

void ControlService::OpenOperation(const v1::OpenOperationRequest& message, const std::shared_ptr<RpcStream>& stream) {
  if (message.point().size() != 32) return stream->Finish(absl::InvalidArgumentError("no point"));
  if (message.purpose() > static_cast<uint32_t>(circuits::Purpose::kListing)) {
    return stream->Finish(absl::InvalidArgumentError("no purpose"));
  }
  circuits::OpenRequest request{.point = {base::ByteReader(base::AsBytes(message.point())).Array<32>()},
                                .isolation = base::ToBytes(base::AsBytes(message.isolation())),
                                .avoid = NodeKeys(message.avoid()),
                                .purpose = static_cast<circuits::Purpose>(message.purpose())};
  const bool clocked = clock_ != nullptr && !message.now();
  if (clocked) {
    request.wanted = [stream] {
      v1::OpenOperationReply reply;
      reply.set_waits(true);
      return stream->Write(reply.SerializeAsString());
    };
  }
  circuits::Operations& operations = clocked ? *clock_ : circuits_.operations();
  operations.Open(std::move(request), [this, clocked, stream](absl::StatusOr<circuits::OpenedOperation> opened) {
    v1::OpenOperationReply reply;
    if (absl::IsFailedPrecondition(opened.status())) {  // too few nodes: the number goes along
      reply.set_known_nodes(static_cast<uint32_t>(circuits_.stats().known_nodes));
    } else if (!opened.ok()) {
      return stream->Finish(opened.status());
    } else {
      if (clocked) opened->handle |= kOfClock;
      reply = OpenedReply(*opened);
    }
    stream->Write(reply.SerializeAsString());
    stream->Finish(absl::OkStatus());
  });
}

void ControlService::RunOperation(const v1::RunOperationRequest& message, const RpcResponder& respond) {
  if (message.handle().size() != 8) return respond(absl::InvalidArgumentError("no handle"));
  if (message.request().size() > circuits::kEndpointPayloadMax) return respond(absl::InvalidArgumentError("request too long"));
  const uint64_t handle = base::ByteReader(base::AsBytes(message.handle())).U64();
  const bool clocked = clock_ != nullptr && (handle & kOfClock) != 0;
  circuits::Operations& operations = clocked ? *clock_ : circuits_.operations();
  operations.Run(handle & ~kOfClock, base::ToBytes(base::AsBytes(message.request())),
                 [respond](absl::StatusOr<base::Bytes> answer) {
                   if (!answer.ok()) return respond(answer.status());
                   v1::RunOperationReply reply;
                   reply.set_answer(base::ToString(*answer));
                   Respond(respond, reply);
                 });
}

void ControlService::RingShow(const RpcResponder& respond) {
  v1::RingShowReply reply;
  reply.set_schema(1);
  const auto [size, exact] = ring_.SizeEstimate();
  reply.set_size_estimate(static_cast<uint32_t>(size + 0.5));
  reply.set_complete(exact);
  reply.set_virtual_nodes(static_cast<uint32_t>(ring_.virtual_nodes()));
  std::map<overlay::NodeId, v1::RingMember> members;  // in ring order; what the first virtual node says of one stands
  for (size_t index = 0; index < ring_.virtual_nodes(); ++index) {
    if (index > 0 && !ring_.virtual_node(index).IsMember()) continue;
    const overlay::RoutingTable& table = ring_.table(index);
    for (const overlay::Peer& peer : table.Members()) {
      v1::RingMember& member = members[peer.point];
      member.set_point(peer.point.ToHex());
      member.set_address(peer.address);
      member.set_role(RoleName(peer.role));
      member.set_virtual_node(peer.index);
      if (peer.SameProcess(ring_.self())) {
        member.set_relation("self");
      } else if (member.relation().empty()) {
        member.set_relation(RelationTo(table, peer));
      }
    }
  }
  for (auto& [point, member] : members) *reply.add_members() = std::move(member);
  Respond(respond, reply);
}

void ControlService::RingLookup(const std::string& point_hex, const RpcResponder& respond) {
  const std::optional<overlay::NodeId> point = overlay::NodeId::FromHex(point_hex);
  if (!point) return respond(absl::InvalidArgumentError("no point"));
  ring_.Lookup(*point, [respond](absl::StatusOr<overlay::LookupResult> result) {
    if (!result.ok()) return respond(result.status());
    v1::RingLookupReply reply;
    reply.set_owner(result->owner.point.ToHex());
    reply.set_address(result->owner.address);
    reply.set_hops(static_cast<uint32_t>(result->hops));
    Respond(respond, reply);
  });
}

void ControlService::DhtPut(const std::string& value, const RpcResponder& respond) {
  if (value.size() > dht::kRecordBodyMax) return respond(absl::InvalidArgumentError("value too long"));
  dht::Record record = dht::MakeBlob(base::AsBytes(value), loop_.WallNow() + dht::kTtlDefault);
  v1::DhtPutReply reply;
  reply.set_key(record.name.point.ToHex());
  reply.set_replicas(static_cast<uint32_t>(ring_.network().replica_count));
  reply.set_needed(static_cast<uint32_t>(ring_.network().write_quorum));
  dht_.Put(std::move(record), [reply, respond](absl::StatusOr<dht::PutOutcome> outcome) mutable {
    if (!outcome.ok()) return respond(outcome.status());
    reply.set_copies(static_cast<uint32_t>(outcome->receipts.size()));
    if (outcome->result == dht::PutResult::kFull || outcome->result == dht::PutResult::kNoSpace) {
      reply.set_error("full");
    } else if (outcome->result == dht::PutResult::kRefused) {
      reply.set_error("refused");
    } else if (outcome->result != dht::PutResult::kStored || reply.copies() < reply.needed()) {
      reply.set_error("quorum");
    }
    Respond(respond, reply);
  });
}

void ControlService::DhtGet(const std::string& key, const RpcResponder& respond) {
  const std::optional<overlay::NodeId> point = overlay::NodeId::FromHex(key);
  if (!point) return respond(absl::InvalidArgumentError("no key"));
  dht_.Get({dht::Kind::kBlob, *point, point->bytes}, [respond](absl::StatusOr<dht::GetOutcome> outcome) {
    if (!outcome.ok()) return respond(outcome.status());
    v1::DhtGetReply reply;
    reply.set_found(outcome->record.has_value());
    reply.set_complete(outcome->complete);
    if (outcome->record) reply.set_value(base::ToString(outcome->record->body));
    Respond(respond, reply);
  });
}

}  // namespace cli
