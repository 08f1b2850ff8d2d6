// SPDX-License-Identifier: Apache-2.0
// overlay/health_watch_driver.h — a grpc.health.v1 Watch on each neighbouring process: its end is noticed when it happens.
//
// A process that dies on a living machine, or leaves the ring, ends its streams or says NOT_SERVING within milliseconds; Check
// (ring.h) would ask only after seconds, and remains for machines that fall silent and for servers that refuse to be watched.
// Whatever is heard here is a doubt and no more: the ring looks for itself.
// Bounded: one stream a process, which the ring's neighbours limit to two for each virtual node of ours; after one has ended, or
// was refused, kWatchPause without; one that talks more than kWatchMessagesMax is ended.
// All calls and callbacks on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "overlay/peer.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr absl::Duration kWatchPause = absl::Seconds(15);  // Check asks three times meanwhile
inline constexpr int kWatchMessagesMax = 64;                      // of one stream: each costs us a look; members change rarely

class HealthWatchDriver {
 public:
  // `on_doubt`: that process was heard to be serving and may be no more, or says that it is not. It may call Follow.
  HealthWatchDriver(const Network& network, RpcClient& client, base::EventLoop& loop,
                    std::function<void(const keys::PublicKey& process)> on_doubt);
  HealthWatchDriver(const HealthWatchDriver&) = delete;

  // From here on these processes are watched and no others. A peer may be named twice, and several of one process. Who comes back
  // within the pause after its last stream waits for its end like any other.
  void Follow(const std::vector<Peer>& neighbours);

 private:
  struct Watch {
    Peer peer;
    bool followed = true;                     // false: only its pause is remembered, until that is over
    std::unique_ptr<RpcSubscription> stream;  // null: between two
    bool serving = false;                     // the last thing it said
    int messages = 0;
    absl::Time again;  // of a null stream: when to open one
  };
  void Open(Watch& watch);
  void OpenDue();
  void OnMessage(const keys::PublicKey& process, const std::string& message);
  void OnEnd(const keys::PublicKey& process);
  void Close(Watch& watch);

  const Network& network_;
  RpcClient& client_;
  base::EventLoop& loop_;
  const std::function<void(const keys::PublicKey&)> on_doubt_;
  std::map<keys::PublicKey, Watch> watches_;
  base::Timer timer_;
};

}  // namespace overlay
