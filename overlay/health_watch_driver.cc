// SPDX-License-Identifier: Apache-2.0
#include "overlay/health_watch_driver.h"

#include <algorithm>
#include <utility>

#include "overlay/ring_wire.h"

namespace overlay {

HealthWatchDriver::HealthWatchDriver(const Network& network, RpcClient& client, base::EventLoop& loop,
                                     std::function<void(const keys::PublicKey&)> on_doubt)
    : network_(network), client_(client), loop_(loop), on_doubt_(std::move(on_doubt)), timer_(loop, [this] { OpenDue(); }) {}

void HealthWatchDriver::Follow(const std::vector<Peer>& neighbours) {
  const auto is_named = [&](const Watch& watch) {
    return std::any_of(neighbours.begin(), neighbours.end(),
                       [&](const Peer& peer) { return peer.SameProcess(watch.peer) && peer.address == watch.peer.address; });
  };
  for (auto& [process, watch] : watches_) watch.followed = watch.followed && is_named(watch);
  std::erase_if(watches_, [&](const auto& entry) {
    const Watch& watch = entry.second;
    return !watch.followed && (watch.stream != nullptr || watch.again <= loop_.Now());
  });
  for (const Peer& peer : neighbours) {
    const auto [at, is_new] = watches_.try_emplace(peer.node_key);
    Watch& watch = at->second;
    if (!is_new && watch.followed) continue;
    watch.followed = true;
    watch.peer = peer;
    if (is_new) watch.again = loop_.Now();
  }
  OpenDue();
}

// The whole process: service "", as any tool would ask. Its first virtual node speaks for it.
void HealthWatchDriver::Open(Watch& watch) {
  const keys::PublicKey process = watch.peer.node_key;
  watch.serving = false;
  watch.messages = 0;
  watch.stream = client_.Subscribe(
      {watch.peer.address, process}, kMethodHealthWatch, EncodeRequest(HealthRequest{}, 0),
      [this, process](const std::string& message) { OnMessage(process, message); },
      [this, process](const absl::Status&) { OnEnd(process); });
}

void HealthWatchDriver::OpenDue() {
  absl::Time next = absl::InfiniteFuture();
  for (auto& [process, watch] : watches_) {
    if (watch.stream != nullptr || !watch.followed) continue;
    if (watch.again <= loop_.Now()) {
      Open(watch);
    } else {
      next = std::min(next, watch.again);
    }
  }
  timer_.Reset(next);
}

void HealthWatchDriver::Close(Watch& watch) {
  watch.stream = nullptr;
  watch.again = loop_.Now() + kWatchPause;
  OpenDue();
}

void HealthWatchDriver::OnMessage(const keys::PublicKey& process, const std::string& message) {
  Watch& watch = watches_.at(process);
  const absl::StatusOr<RingReply> reply = DecodeReply(network_, HealthRequest{}, watch.peer, message);
  const HealthReply* health = reply.ok() ? std::get_if<HealthReply>(&*reply) : nullptr;
  watch.serving = health != nullptr && health->serving;
  const bool is_doubt = !watch.serving;
  if (++watch.messages >= kWatchMessagesMax) Close(watch);
  if (is_doubt) on_doubt_(process);
}

void HealthWatchDriver::OnEnd(const keys::PublicKey& process) {
  Watch& watch = watches_.at(process);
  const bool is_doubt = watch.serving;
  Close(watch);
  if (is_doubt) on_doubt_(process);
}

}  // namespace overlay
