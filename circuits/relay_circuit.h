// SPDX-License-Identifier: Apache-2.0
// circuits/relay_circuit.h — one circuit as a relay sees it: between the link it came over and perhaps a next one. A core.
//
//   kCreating --handshake--> kOpen --EXTEND--> kVerifying --descriptor good--> kDialing --link up--> kCreatingNext --CREATED-->
//   kRelaying
//                              ^                    | |
//                              +---- (never back) --+<--------------------------- EXTEND recognised here again
//                              ------------------+
//
// Whoever the cell is for is told by the layer: recognised here, or for a hop behind (protocol.md 5). A relay learns its two
// neighbours and nothing else; it looks nothing up and takes no address outside a valid descriptor (protocol.md 6).
// Any cell the state does not expect destroys the circuit, with no reason given. Knows no links: relay.h does.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "circuits/flow_window.h"
#include "circuits/relay_crypto.h"
#include "overlay/descriptor.h"

namespace circuits {

inline constexpr int kRelayEarlyMax = 8;  // extends of one circuit: hops 2 and 3 and six storage nodes

// What the node says of itself and of its neighbours; empty: there is none.
struct NodeRecords {
  std::function<base::Bytes(uint8_t index)> table;
  std::function<base::Bytes(const keys::PublicKey& node_key)> descriptor;  // only own table's members and itself
};

struct ToPrevious {
  overlay::Cell cell;  // its circuit id is for the owner to fill in
};
struct ToNext {
  overlay::Cell cell;
};
struct DropNext {};  // another next hop will be asked for: DESTROY to the one there is
struct VerifyTarget {
  base::Bytes descriptor;
};
struct DialTarget {
  overlay::Descriptor target;
};
struct HandOver {
  std::array<uint8_t, 32> channel_binding;
  base::Bytes payload;
};
struct DestroyBoth {};  // the last action of a circuit
using RelayCircuitAction = std::variant<ToPrevious, ToNext, DropNext, VerifyTarget, DialTarget, HandOver, DestroyBoth>;
using RelayCircuitActions = std::vector<RelayCircuitAction>;

class RelayCircuit {
 public:
  enum class State : uint8_t { kCreating, kOpen, kVerifying, kDialing, kCreatingNext, kRelaying };
  struct Options {
    keys::PublicKey own_key;
    keys::PublicKey previous_key;   // TLS key of the hop before; of a client: its fresh one
    bool answers_requests = false;  // there is an endpoint
    const NodeRecords* records = nullptr;
  };

  RelayCircuit(const Options& options, base::Rng& rng) : options_(options), rng_(rng) {}

  RelayCircuitActions OnHandshake(const absl::StatusOr<keys::ServerReplyResult>& result);
  // A cell from the client's side, or from the hop behind. DESTROY is for the owner.
  // Puts the layer on or takes it off in place. True: the cell goes on in its direction as it is now, and nothing else happens
  // (the path of nearly all cells: no copy, no action). False: it went no further, and `actions` follow from it.
  bool OnForward(overlay::Cell& cell, absl::Time now, RelayCircuitActions& actions);
  bool OnBackward(overlay::Cell& cell, absl::Time now, RelayCircuitActions& actions);
  RelayCircuitActions OnTarget(const absl::StatusOr<overlay::Descriptor>& target);
  RelayCircuitActions OnDialed(bool up);
  RelayCircuitActions OnAnswer(base::Bytes payload, absl::Time now);

  State state() const { return state_; }
  // In a state that must end soon: the owner sets a time.
  bool IsUnsettled() const { return state_ != State::kOpen && state_ != State::kRelaying; }
  bool request_pending() const { return request_pending_; }
  size_t waiting() const { return queue_.size(); }  // cells that wait for the window

 private:
  RelayCircuitActions OnRecognised(overlay::CellCommand command, RelayBodyView body, absl::Time now);
  RelayCircuitActions OnExtend(const RelayCell& cell);
  RelayCircuitActions OnSendme(const RelayCell& cell, absl::Time now);
  RelayCircuitActions OnDescriptorQuestion(const RelayCell& cell, absl::Time now);
  RelayCircuitActions OnTableQuestion(const RelayCell& cell, absl::Time now);
  RelayCircuitActions OnRequest(RelayCell cell);
  // Queues what this hop says, and sends as far as the window goes.
  RelayCircuitActions Say(RelayCommand command, std::vector<base::Bytes> payloads, absl::Time now);
  void Flush(RelayCircuitActions& actions, absl::Time now);
#ifdef BULBIL_BULK_STREAMS
  RelayCircuitActions OnBulkAsk(const RelayCell& cell, absl::Time now);
  RelayCircuitActions OnBulk(absl::Time now);
  void FlushBulk(RelayCircuitActions& actions, absl::Time now);
#endif
  overlay::Cell Seal(RelayCommand command, base::ByteView payload);

  const Options options_;
  base::Rng& rng_;
  State state_ = State::kCreating;
  std::optional<HopLayer> layer_;
  std::array<uint8_t, 32> channel_binding_{};
  base::Bytes next_skin_;
  int early_seen_ = 0;
  bool request_pending_ = false;
  SendWindow send_window_;
  ReceiveWindow receive_window_;
  RelayTail last_tail_{};
  std::vector<RelayCell> queue_;  // at most kHopQueueMax; an empty deque would cost every circuit 576 bytes
#ifdef BULBIL_BULK_STREAMS
  uint32_t bulk_down_ = 0, bulk_up_ = 0;  // cells still to be sent, and to come
#endif
};

}  // namespace circuits
