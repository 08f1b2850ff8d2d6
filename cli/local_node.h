// SPDX-License-Identifier: Apache-2.0
// cli/local_node.h — one whole node, composed: which shell serves which core. Decides nothing.
//
// `bulbil`, `bulbil relay`, `demo` and `up` are one or several of these. Create builds and listens; Run drives the node's loop on
// the calling thread until Stop. All else is called on the loop's thread (Post gets there).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "chat/traffic_clock.h"
#include "overlay/network.h"
#include "overlay/peer.h"
#include "overlay/rpc.h"

namespace bulbil::v1 {
class StatusReply;
}

namespace dht {
class DhtDriver;
}

namespace cli {

struct LocalNodeOptions {
  overlay::Network network;
  overlay::Role role = overlay::Role::kStoring;
  std::string listen = "127.0.0.1:0";       // "IP:port"; port 0: a free one
  std::string advertise;                    // "IP:port"; empty: what it listens on
  std::string directory;                    // node key and store, owner-only; made if missing
  base::Bytes admission;                    // what the network asks for a place (overlay/admission.h)
  std::string socket_path;                  // of the control socket; empty: none
  std::optional<uint64_t> store_bytes_max;  // of records; nothing: the store's own bound
  chat::Profile profile = chat::Profile::kOff;  // of the clock of this node's user; a relay has none
  int workers = 0;                          // threads for slow work; 0: by the number of cores
};

class LocalNode {
 public:
  // AlreadyExists: the port is taken. FailedPrecondition: the store is held by another process, or not ours to use.
  static absl::StatusOr<std::unique_ptr<LocalNode>> Create(const LocalNodeOptions& options);
  ~LocalNode();

  void Run();
  void Stop();  // from any thread: ends Run at once, without leaving the ring
  base::EventLoop& loop();
  dht::DhtDriver& dht();  // the node's store, as its own user has it

  uint16_t port() const;
  const keys::PublicKey& node_key() const;
  const std::string& advertised() const;
  // Some of the members it knows, from all around the ring, without itself: ways back.
  std::vector<overlay::RpcTarget> Contacts() const;

  // Founds a ring, or joins through the first target that answers; `done` once the node is ready, or DeadlineExceeded.
  void CreateRing();
  void Join(std::vector<overlay::RpcTarget> bootstrap, absl::Duration timeout, std::function<void(absl::Status)> done);
  // The same after a moment outside, at another place: tries for ever, and founds no second ring (overlay/ring_driver.h).
  void Return(std::vector<overlay::RpcTarget> ways, std::function<void()> done);
  // Hands records over, tells the neighbours, ends Run. Bounded by the duration.
  void Leave(absl::Duration at_most);

  std::string state() const;  // "joining", "ready", "detached", "leaving"
  void FillStatus(bulbil::v1::StatusReply& status) const;

 private:
  struct Parts;
  explicit LocalNode(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace cli
