// SPDX-License-Identifier: Apache-2.0
#include "cli/look_commands.h"

#include <unistd.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status_macros.h"
#include "cli/control_client.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/screens.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "dht/record.h"
#include "overlay/node_id.h"
#include "proto/control.pb.h"
#include "proto/health.pb.h"

namespace cli {
namespace {

template <class Reply>
absl::StatusOr<Reply> Ask(const Context& context, const char* method, const google::protobuf::Message& request) {
  ASSIGN_OR_RETURN(const absl::Duration timeout, TimeoutOf(context));
  ASSIGN_OR_RETURN(const std::string socket, RequireNode(context));
  ASSIGN_OR_RETURN(const std::string answer, CallNode(socket, method, request.SerializeAsString(), timeout));
  Reply reply;
  if (!reply.ParseFromString(answer)) return absl::InternalError("the node's answer makes no sense");
  return reply;
}

absl::StatusOr<std::string> HexPoint(const std::string& text, const char* what, const char* example) {
  const std::string lower = absl::AsciiStrToLower(text);
  if (overlay::NodeId::FromHex(lower)) return lower;
  return Fail({.exit = Exit::kUsage,
               .what = text.empty() ? absl::StrCat("which ", what, "?") : absl::StrCat("\"", Cut(text), "\" is not a ", what),
               .why = {"it has 64 hexadecimal digits"},
               .fix = {example}});
}

absl::Status ExplainPut(const bulbil::v1::DhtPutReply& reply) {
  if (reply.error().empty()) return absl::OkStatus();
  if (reply.error() == "full")
    return Fail({.exit = Exit::kRefused, .what = "the nodes responsible for these bytes have no room left"});
  if (reply.error() == "refused")
    return Fail({.exit = Exit::kRefused, .what = "the nodes responsible for these bytes refused them"});
  return Fail({.exit = Exit::kTime,
               .what = absl::StrCat("stored on ", reply.copies(), " of ", reply.replicas(), " replicas, needed ", reply.needed()),
               .fix = {"try again, or look:  bulbil status"}});
}

absl::Status NotFound(bool complete) {
  if (complete) return Fail({.exit = Exit::kTime, .what = "nothing is stored under this key"});
  return Fail(
      {.exit = Exit::kTime, .what = "not found, but too few replicas answered to be sure", .fix = {"try again in a moment"}});
}

}  // namespace

absl::StatusOr<bulbil::v1::StatusReply> AskStatus(const Context& context) {
  return Ask<bulbil::v1::StatusReply>(context, "Status", bulbil::v1::StatusRequest());
}

absl::Status ShowStatus(const Context& context) {
  ASSIGN_OR_RETURN(const bulbil::v1::StatusReply reply, AskStatus(context));
  return WriteStdout(context.flags.json ? StatusJson(reply) : StatusScreen(reply));
}

absl::Status ShowRing(const Context& context) {
  ASSIGN_OR_RETURN(const auto reply, Ask<bulbil::v1::RingShowReply>(context, "RingShow", bulbil::v1::RingShowRequest()));
  return WriteStdout(context.flags.json ? RingJson(reply) : RingScreen(reply));
}

absl::Status LookUpPoint(const LookFlags& flags, const Context& context) {
  bulbil::v1::RingLookupRequest request;
  ASSIGN_OR_RETURN(*request.mutable_point(), HexPoint(flags.argument, "point of the ring", "bulbil ring lookup POINT"));
  ASSIGN_OR_RETURN(const auto reply, Ask<bulbil::v1::RingLookupReply>(context, "RingLookup", request));
  return WriteStdout(context.flags.json ? LookupJson(reply) : LookupScreen(reply));
}

absl::Status DhtPut(const Context& context) {
  bulbil::v1::DhtPutRequest request;
  ASSIGN_OR_RETURN(*request.mutable_value(), ReadAll(STDIN_FILENO, dht::kRecordBodyMax));
  if (request.value().size() > dht::kRecordBodyMax) {
    return Fail({.exit = Exit::kRefused,
                 .what = absl::StrCat("the input is larger than ", ShownBytes(static_cast<double>(dht::kRecordBodyMax))),
                 .fix = {"put it in pieces"}});
  }
  ASSIGN_OR_RETURN(const auto reply, Ask<bulbil::v1::DhtPutReply>(context, "DhtPut", request));
  RETURN_IF_ERROR(ExplainPut(reply));
  if (!context.flags.json) return WriteStdout(reply.key() + "\n");
  return WriteStdout(JsonObject()
                         .Add("schema", 1)
                         .Add("type", "put")
                         .Add("key", reply.key())
                         .Add("copies", reply.copies())
                         .Add("replicas", reply.replicas())
                         .Line());
}

absl::Status DhtGet(const LookFlags& flags, const Context& context) {
  bulbil::v1::DhtGetRequest request;
  ASSIGN_OR_RETURN(*request.mutable_key(), HexPoint(flags.argument, "record key", "bulbil dht get KEY"));
  ASSIGN_OR_RETURN(const auto reply, Ask<bulbil::v1::DhtGetReply>(context, "DhtGet", request));
  if (!reply.found()) return NotFound(reply.complete());
  if (!context.flags.json) return WriteStdout(reply.value());
  return WriteStdout(JsonObject()
                         .Add("schema", 1)
                         .Add("type", "get")
                         .Add("key", request.key())
                         .Add("complete", reply.complete())
                         .Add("value_hex", base::ToHex(base::AsBytes(reply.value())))
                         .Line());
}

absl::Status CheckHealth(const Context& context) {
  ASSIGN_OR_RETURN(const auto reply, Ask<grpc::health::v1::HealthCheckResponse>(context, "/grpc.health.v1.Health/Check",
                                                                                grpc::health::v1::HealthCheckRequest()));
  const bool serving = reply.status() == grpc::health::v1::HealthCheckResponse::SERVING;
  if (!serving) return Fail({.exit = Exit::kNetwork, .what = "the node runs but does not serve yet", .fix = {"bulbil status"}});
  if (!context.flags.json) return absl::OkStatus();
  return WriteStdout(JsonObject().Add("schema", 1).Add("type", "health").Add("status", "SERVING").Line());
}

}  // namespace cli
