// SPDX-License-Identifier: Apache-2.0
// circuits/introduce_over.h — the IntroduceFunction of the program: overlay::Introduce over mutual TLS.
#pragma once

#include "circuits/circuit_builder_driver.h"

namespace circuits {

// `own_descriptor` is empty for a client. Client and loop must outlive the function.
IntroduceFunction IntroduceOver(const overlay::Network& network, overlay::RpcClient& client,
                                std::function<base::Bytes()> own_descriptor, base::EventLoop& loop);

}  // namespace circuits
