// SPDX-License-Identifier: Apache-2.0
// circuits/circuits_driver.h — binds the cores of this room to event loop, links and directory: relaying for others, and the
// circuits and operations of one's own user. The only listener of the links.
//
// A node or relay gives its own key, descriptor, table and onion keys; a client none of them, but bootstrap addresses.
// Cells of carried and of own circuits go over the same links in the same way; nobody on a link can tell them apart.
#pragma once

#include <memory>

#include "base/event_loop.h"
#include "circuits/circuit_operations_driver.h"
#include "circuits/contradiction_reports_driver.h"
#include "circuits/endpoint.h"
#include "circuits/pool_filler_driver.h"
#include "circuits/relay.h"
#include "keys/work_memory.h"
#include "overlay/directory.h"
#include "overlay/link.h"

namespace circuits {

struct CircuitsOptions {
  overlay::Network network;
  IntroduceFunction introduce;  // IntroduceOver(...), introduce_over.h
  size_t ready_circuits = 0;    // own clean circuits kept built ahead: 2 for a node, 0 for one-shot
  absl::Duration build_mean = absl::Seconds(2);  // between two ticks at which one may be built

  // Of a node or relay; own_key set means there is one.
  std::optional<keys::PublicKey> own_key;
  EndpointHandler* endpoint = nullptr;                               // null: requests are answered by DESTROY
  std::function<base::Bytes()> own_descriptor;                       // encoded
  OwnTable own_table;                                                // null while no member of the ring; may be unsigned
  OwnTable signed_table;                                             // what others are shown; null also: none is signed
  std::function<std::span<const keys::X25519KeyPair>()> onion_keys;  // the current one first

  std::vector<std::string> bootstrap;  // of a client; tried in turn

  // Guards and pool over restarts, for a process that runs for long; it fills the pool in the background, and reports members whose
  // tables contradict each other. Empty: none of these.
  base::Bytes kept_relays;                        // what keep_relays was last given; empty at the first start
  std::function<void(base::Bytes)> keep_relays;  // after the first guard and every kKeepRelaysEvery, if changed; to be sealed
};

inline constexpr absl::Duration kKeepRelaysEvery = absl::Minutes(1);
inline constexpr absl::Duration kFirstGuardLook = absl::Seconds(1);  // until there is a guard to be kept

struct CircuitsStats {
  size_t own = 0, ready = 0;  // own user's circuits; of these the clean ones that wait
  size_t carried = 0;         // circuits of others
  uint64_t cells_relayed = 0, cells_unknown = 0;
  uint64_t built = 0, failed = 0;  // own circuits so far
  size_t known_nodes = 0;          // processes besides the own one
  size_t known_prefixes = 0;       // distinct /16 (v6 /32) among these and the own one
  size_t pooled_relays = 0;        // in the secret pool
};

class CircuitsDriver : private overlay::LinkListener {
 public:
  // Everything handed in must outlive the driver. Sets itself as the links' listener. `rng` must be usable from any thread.
  CircuitsDriver(CircuitsOptions options, base::EventLoop& loop, overlay::Links& links, overlay::Directory& directory,
                 base::Rng& rng);
  ~CircuitsDriver() override;

  Operations& operations() { return operations_; }
  ReadyOperations& ready_operations() { return operations_; }
  CircuitsStats stats() const;
  // As for keep_relays: for whoever stops.
  base::Bytes EncodeRelays() const;

 private:
  void OnLinkUp(const overlay::LinkInfo& link) override;
  void OnCell(overlay::LinkId link, overlay::Cell& cell) override;
  void OnLinkDown(overlay::LinkId link) override;
  void OnEvicted(overlay::LinkId link, overlay::CircuitId id) override;

  void Apply(RelayActions actions);
  void Do(SendCell& action);
  void Do(CloseLink& action);
  void Do(ReplyToSkin& action);
  void Do(CheckTarget& action);
  void Do(Dial& action);
  void Do(AskEndpoint& action);
  Relay::Options RelayOptions();
  base::Bytes TableOf(uint8_t index) const;
  base::Bytes DescriptorOf(const keys::PublicKey& node_key) const;
  void RestoreRelays();
  void KeepRelays();

  const CircuitsOptions options_;
  base::EventLoop& loop_;
  overlay::Links& links_;
  overlay::Directory& directory_;
  base::Rng& rng_;
  CircuitTable table_;
  RingView view_;
  PeerBook book_;
  RelayPool pool_;
  GuardSet guards_;
  Relay relay_;
  OwnCircuits own_;
  CircuitBuilder builder_;
  StartTables start_;
  CircuitOperations operations_;
  std::optional<ContradictionReports> reports_;
  std::optional<PoolFiller> filler_;
  base::Bytes kept_;
  base::Timer keep_timer_;
  base::Timer timer_;
  // What workers saw of admissions in EXTENDs: a false one costs its look once. Shared: a look may outlive this.
  std::shared_ptr<keys::WorkMemory> work_seen_ = std::make_shared<keys::WorkMemory>();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
