// SPDX-License-Identifier: Apache-2.0
#include "cli/screens.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "cli/values.h"

namespace cli {
namespace {

using bulbil::v1::RingLookupReply;
using bulbil::v1::RingMember;
using bulbil::v1::RingShowReply;
using bulbil::v1::StatusReply;

std::string ToJsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  CHECK(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  return json + "\n";
}

std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

std::string OrNone(const std::string& text) { return text.empty() ? "none" : text; }

std::string NodesText(uint32_t count, bool complete) {
  return absl::StrCat(count, count == 1 ? " node" : " nodes", complete ? "" : " (estimate)");
}

std::string HeadLine(const StatusReply& s) {
  return absl::StrCat("node ", PortOf(s.listening()), "   ", s.state(), "   ", s.role() == "relay" ? "relay" : "full node",
                      "   up ", ShownDuration(absl::Seconds(s.uptime_s())), "   v", s.version(),
                      s.network() == "local" ? "" : absl::StrCat("   network ", s.network()), "\n");
}

std::string WhoLine(const StatusReply& s) {
  const std::string listening = ShownAddress(s.listening()), advertised = ShownAddress(s.advertised());
  return absl::StrCat("  id        ", s.id(), "   listening ", listening, "   advertised ",
                      advertised.empty() || advertised == listening ? "the same" : advertised, "\n");
}

std::string RingLine(const bulbil::v1::RingStatus& ring) {
  return absl::StrCat(
      "  ring      ", NodesText(ring.size_estimate(), ring.complete()), "   pred ", OrNone(ShownAddress(ring.predecessor())),
      "   succ ", ring.successors().empty() ? "none" : ShownAddress(ring.successors(0)), "   fingers ", ring.fingers(),
      ring.virtual_nodes() > 1 ? absl::StrCat("   points ", ring.points_size(), "/", ring.virtual_nodes()) : "", "\n");
}

std::string StoreLine(const bulbil::v1::StoreStatus& store) {
  if (store.state() == "none") return "  store     none: a relay keeps no records\n";
  std::string line =
      absl::StrCat("  store     ", ShownCount(store.records()), store.records() == 1 ? " record, " : " records, ",
                   ShownBytes(store.bytes()), "   k=", store.replicas(), "   owned ", ShownCount(store.records_owned()));
  if (store.misplaced() > 0) absl::StrAppend(&line, "   held for others ", ShownCount(store.misplaced()));
  if (store.repairing() > 0) absl::StrAppend(&line, "   repairing ", ShownCount(store.repairing()));
  if (store.state() != "ok") absl::StrAppend(&line, "   ", store.state());
  return line + "\n";
}

std::string TrafficLine(const StatusReply& s) {
  const bulbil::v1::TrafficStatus& t = s.traffic();
  std::string line =
      absl::StrCat("  traffic   relayed ", ShownCount(static_cast<uint64_t>(s.circuits().cells_relayed())), " cells   clock ");
  if (t.tick_s() == 0) return line + "off\n";
  absl::StrAppend(&line, t.profile(), ", ", ShownBytes(t.bytes_per_day()), " a day   cover ",
                  absl::StrFormat("%.0f %%", t.cover_percent()));
  if (t.waiting() > 0) absl::StrAppend(&line, "   waiting ", t.waiting());
  return line + "\n";
}

std::string CircuitLines(const StatusReply& s) {
  const bulbil::v1::CircuitStatus& c = s.circuits();
  std::string lines =
      absl::StrCat("  circuits  ", c.own(), " own, ", c.relayed(), " relayed   ", c.links(), c.links() == 1 ? " link" : " links",
                   "   built ", c.built(), ", failed ", c.failed(), "\n", TrafficLine(s));
  if (c.pool() > 0) {
    absl::StrAppend(&lines, "  pool      ", c.pool(), " relays   ", c.networks(), c.networks() == 1 ? " network" : " networks",
                    " known\n");
  }
  return lines;
}

std::string MemberLine(const RingMember& member, size_t width, bool numbered) {
  const std::string address = ShownAddress(member.address());
  std::string line = absl::StrCat(" 0x", member.point().substr(0, 4), "…  ", address, std::string(width - address.size(), ' '));
  if (numbered) absl::StrAppend(&line, absl::StrFormat("  #%-2u", member.virtual_node()));
  if (member.role() == "relay") absl::StrAppend(&line, "  relay");
  if (!member.relation().empty()) absl::StrAppend(&line, "  ", member.relation() == "self" ? "this node" : member.relation());
  return line + "\n";
}

}  // namespace

std::string StatusScreen(const StatusReply& reply) {
  std::string text =
      absl::StrCat(HeadLine(reply), WhoLine(reply), RingLine(reply.ring()), StoreLine(reply.store()), CircuitLines(reply));
  if (!reply.anonymity().empty()) absl::StrAppend(&text, "\n! ", reply.anonymity(), "\n");
  return text;
}

std::string StatusJson(StatusReply reply) {
  reply.set_schema(1);
  reply.set_listening(ShownAddress(reply.listening()));
  reply.set_advertised(ShownAddress(reply.advertised()));
  for (std::string& address : *reply.mutable_ring()->mutable_successors()) address = ShownAddress(address);
  reply.mutable_ring()->set_predecessor(ShownAddress(reply.ring().predecessor()));
  reply.mutable_store();  // printed with its zeros also for a relay
  reply.mutable_circuits();
  reply.mutable_traffic();
  return ToJsonLine(reply);
}

std::string RingScreen(const RingShowReply& reply) {
  std::string text = absl::StrCat("ring of ", NodesText(reply.size_estimate(), reply.complete()), ", points of 2^256\n");
  size_t width = 0;
  for (const RingMember& member : reply.members()) width = std::max(width, ShownAddress(member.address()).size());
  for (const RingMember& member : reply.members()) text += MemberLine(member, width, reply.virtual_nodes() > 1);
  if (!reply.complete()) text += " (a node knows some of the ring, and finds the rest by lookups)\n";
  return text;
}

std::string RingJson(RingShowReply reply) {
  reply.set_schema(1);
  for (RingMember& member : *reply.mutable_members()) member.set_address(ShownAddress(member.address()));
  return ToJsonLine(reply);
}

std::string LookupScreen(const RingLookupReply& reply) {
  return absl::StrCat(ShownAddress(reply.address()), "   0x", reply.owner().substr(0, 16), "…   found in ", reply.hops(),
                      reply.hops() == 1 ? " hop\n" : " hops\n");
}

std::string LookupJson(RingLookupReply reply) {
  reply.set_address(ShownAddress(reply.address()));
  return ToJsonLine(reply);
}

}  // namespace cli
