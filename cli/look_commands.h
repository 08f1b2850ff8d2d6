// SPDX-License-Identifier: Apache-2.0
// cli/look_commands.h — bulbil status, ring show|lookup, dht put|get, health: single questions to the local node.
#pragma once

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "proto/control.pb.h"

namespace cli {

absl::Status ShowStatus(const Context& context);
absl::StatusOr<bulbil::v1::StatusReply> AskStatus(const Context& context);
absl::Status ShowRing(const Context& context);
absl::Status LookUpPoint(const LookFlags& flags, const Context& context);
// stdin, up to dht::kRecordBodyMax bytes; prints the key.
absl::Status DhtPut(const Context& context);
// The bytes to stdout. kTime if no replica has it (yet), or too few answered to tell.
absl::Status DhtGet(const LookFlags& flags, const Context& context);
// Prints nothing but with --json; kNetwork unless the node serves.
absl::Status CheckHealth(const Context& context);

}  // namespace cli
