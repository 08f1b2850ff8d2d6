// SPDX-License-Identifier: Apache-2.0
// cli/doctor.h — bulbil doctor: looks at this home, this machine and the node, and says what is wrong and what mends it.
//
// Without a node it looks at the network as a client would: the bootstrap nodes stand for neighbours. Changes nothing; asks
// neighbours for what they show everybody.
#pragma once

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/grammar.h"

namespace cli {

// Prints the findings. OK if nothing failed, warnings or not; else the first failure: kNetwork, kLocal or kIdentity.
absl::Status Doctor(const Invocation& invocation, const Context& context);

}  // namespace cli
