// SPDX-License-Identifier: Apache-2.0
#include "overlay/introduce.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "overlay/admission.h"
#include "overlay/ring_wire.h"

namespace overlay {
namespace {

// What a caller can act upon; everything else counts as nobody having answered.
absl::Status Explain(const absl::Status& status) {
  if (absl::IsFailedPrecondition(status) || absl::IsUnauthenticated(status)) return status;
  return absl::UnavailableError(absl::StrCat("no node answered: ", status.message()));
}

absl::StatusOr<Descriptor> CheckDescriptor(const Network& network, const absl::StatusOr<RpcAnswer>& answer, absl::Time wall_now) {
  RETURN_IF_ERROR(answer.status());
  ASSIGN_OR_RETURN(const base::Bytes encoded, DecodeDescribeReply(answer->message));
  ASSIGN_OR_RETURN(Descriptor descriptor, DecodeDescriptor(network, encoded, wall_now));
  if (descriptor.node_key != answer->server_key) return absl::UnauthenticatedError("the descriptor is not of who answered");
  const std::optional<bool> worked = JudgeAdmission(network, descriptor.node_key, descriptor.address, descriptor.admission);
  if (!worked) return absl::UnavailableError("no memory to look at its work");
  if (!*worked) {
    return absl::UnauthenticatedError("who answered has not worked for its place in the network");
  }
  return descriptor;
}

absl::StatusOr<RoutingTable> CheckTable(const Network& network, const absl::StatusOr<RpcAnswer>& answer, const Descriptor& of,
                                        absl::Time wall_now) {
  RETURN_IF_ERROR(answer.status());
  ASSIGN_OR_RETURN(const base::Bytes encoded, DecodeTableReply(answer->message));
  ASSIGN_OR_RETURN(RoutingTable table, DecodeTable(network, encoded, wall_now));
  const bool is_its_own = table.owner.node_key == of.node_key && table.owner.admission == of.admission;
  if (!is_its_own) return absl::UnauthenticatedError("the table is not of who answered");
  return table;
}

}  // namespace

void Meet(const Network& network, RpcClient& client, const RpcTarget& target, base::Bytes own_descriptor, base::EventLoop& loop,
          std::function<void(absl::StatusOr<Descriptor>)> done) {
  client.Call(target, kMethodDescribe, EncodeDescribe(own_descriptor), kMeetTimeout,
              [network, &loop, done = std::move(done)](const absl::StatusOr<RpcAnswer>& answer) {
                absl::StatusOr<Descriptor> descriptor = CheckDescriptor(network, answer, loop.WallNow());
                if (!descriptor.ok()) return done(Explain(descriptor.status()));
                done(std::move(descriptor));
              });
}

void Introduce(const Network& network, RpcClient& client, const RpcTarget& target, base::Bytes own_descriptor, base::EventLoop& loop,
               std::function<void(absl::StatusOr<Introduction>)> done) {
  const auto ask_table = [network, &client, &loop, address = target.address,
                          done = std::move(done)](absl::StatusOr<Descriptor> met) {
    if (!met.ok()) return done(met.status());
    const RpcTarget pinned = {address, met->node_key};
    client.Call(pinned, kMethodTable, EncodeTableQuestion(0), kMeetTimeout,
                [network, &loop, done, descriptor = *std::move(met)](const absl::StatusOr<RpcAnswer>& answer) {
                  absl::StatusOr<RoutingTable> table = CheckTable(network, answer, descriptor, loop.WallNow());
                  if (!table.ok()) return done(Explain(table.status()));
                  done(Introduction{descriptor, *std::move(table)});
                });
  };
  Meet(network, client, target, std::move(own_descriptor), loop, ask_table);
}

}  // namespace overlay
