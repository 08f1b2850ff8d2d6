// SPDX-License-Identifier: Apache-2.0
#include "circuits/introduce_over.h"

namespace circuits {

IntroduceFunction IntroduceOver(const overlay::Network& network, overlay::RpcClient& client,
                                std::function<base::Bytes()> own_descriptor, base::EventLoop& loop) {
  return [network, &client, own_descriptor = std::move(own_descriptor), &loop](
             const overlay::RpcTarget& target, std::function<void(absl::StatusOr<overlay::Introduction>)> done) {
    overlay::Introduce(network, client, target, own_descriptor ? own_descriptor() : base::Bytes(), loop, std::move(done));
  };
}

}  // namespace circuits
