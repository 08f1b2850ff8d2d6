// SPDX-License-Identifier: Apache-2.0
#include "cli/light_client.h"

#include <utility>

#include "circuits/introduce_over.h"

namespace cli {
namespace {

// The circuits know bootstrap nodes by address; where the user pinned a key, it is added here.
circuits::IntroduceFunction Pinning(std::vector<overlay::RpcTarget> bootstrap, circuits::IntroduceFunction introduce) {
  return [bootstrap = std::move(bootstrap), introduce = std::move(introduce)](const overlay::RpcTarget& target, auto done) {
    overlay::RpcTarget pinned = target;
    for (const overlay::RpcTarget& known : bootstrap) {
      if (!pinned.node_key && known.address == pinned.address) pinned.node_key = known.node_key;
    }
    introduce(pinned, std::move(done));
  };
}

circuits::CircuitsOptions OptionsFor(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap,
                                     overlay::RpcClient& calls, base::EventLoop& loop, chat::Profile profile) {
  circuits::CircuitsOptions options;
  options.network = network;
  options.introduce = Pinning(bootstrap, circuits::IntroduceOver(network, calls, /*own_descriptor=*/nullptr, loop));
  if (profile != chat::Profile::kOff) {
    options.ready_circuits = chat::RatesOf(profile).ready;
    options.build_mean = chat::RatesOf(profile).build_mean;
  }
  for (const overlay::RpcTarget& target : bootstrap) options.bootstrap.push_back(target.address);
  return options;
}

}  // namespace

LightClient::LightClient(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap,
                         overlay::GrpcEventLoop& loop, base::Rng& rng, chat::Profile profile)
    : calls_(loop, rng, {}),
      directory_(network),
      links_(loop, rng, &directory_, {}),
      circuits_(OptionsFor(network, bootstrap, calls_, loop, profile), loop, links_, directory_, rng),
      probe_(bootstrap, circuits::IntroduceOver(network, calls_, /*own_descriptor=*/nullptr, loop), loop) {
  if (profile != chat::Profile::kOff) clock_.emplace(profile, circuits_.ready_operations(), loop, rng, rng);
}

}  // namespace cli
