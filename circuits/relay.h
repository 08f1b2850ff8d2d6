// SPDX-License-Identifier: Apache-2.0
// circuits/relay.h — all circuits that a node carries for others: which links they join, caps, times. A core.
//
// CREATE is refused with DESTROY beyond a cap; one with a wrong top bit, id 0 or an id in use closes its link (protocol.md 3).
// Cells for circuits that are not there are counted and dropped. A link that goes takes its circuits with it, on both sides.
// Hostile peers can fill their own caps and no others: of what is left of the node's, a link may have as much as is still free
// (dynamic thresholds: Choudhury and Hahne, 1998), so k greedy ones leave one part in k + 1 to all others. A circuit that does
// not settle within kSettleMax goes. What hops say and nobody acknowledges is bounded by kWaitingMax for all circuits together:
// then the one that has been stuck longest goes first. Handshakes and signatures are slow: they leave as actions and come back as
// events.
#pragma once

#include <memory>
#include <set>

#include "circuits/circuit_table.h"
#include "circuits/relay_circuit.h"
#include "circuits/skin_filter.h"
#include "circuits/token_bucket.h"

namespace circuits {

inline constexpr size_t kCarriedMax = 32768;       // circuits of a node in all; about 3 KiB each
inline constexpr size_t kClientCircuitsMax = 512;  // over one client link: a poll after two weeks away needs 51 circuits
inline constexpr size_t kWaitingMax = 16384;       // cells that wait for windows, of all circuits together: 32 MiB
// Circuits with a handshake or an extend under way, of a node. A link gets no more of them than it leaves free for others; of
// handshakes at most as many as stand below.
inline constexpr size_t kUnsettledMax = 4096;
inline constexpr size_t kUnsettledPerNodeLink = 1024;
inline constexpr size_t kUnsettledPerClientLink = 64;
inline constexpr absl::Duration kSettleMax = absl::Seconds(10);  // for a handshake, and for an extend
inline constexpr absl::Duration kIdleMax = absl::Hours(1);       // clients leave theirs after 30 minutes at most

struct SendCell {
  overlay::LinkId link;
  overlay::Cell cell;
};
struct CloseLink {
  overlay::LinkId link;
};
struct ReplyToSkin {  // slow: keys::ServerReply; the result comes back in OnHandshake
  uint64_t circuit;
  base::Bytes onion_skin;
};
struct CheckTarget {  // slow: overlay::DecodeDescriptor; OnTarget
  uint64_t circuit;
  base::Bytes descriptor;
};
struct Dial {  // Links::Connect; OnDialing
  uint64_t circuit;
  overlay::Descriptor target;
};
struct AskEndpoint {  // OnAnswer
  uint64_t circuit;
  std::array<uint8_t, 32> channel_binding;
  base::Bytes payload;
};
using RelayAction = std::variant<SendCell, CloseLink, ReplyToSkin, CheckTarget, Dial, AskEndpoint>;
using RelayActions = std::vector<RelayAction>;

struct RelayStats {
  uint64_t created = 0, cells_relayed = 0, cells_unknown = 0;
  uint64_t refused = 0;   // CREATEs beyond a cap or a rate
  uint64_t replayed = 0;  // CREATEs with an onion skin that was seen before
  uint64_t stuck = 0;     // circuits given up for what waited in them
};

class Relay {
 public:
  struct Options {
    overlay::Network network;
    bool enabled = true;  // false: a client only; every CREATE is refused
    keys::PublicKey own_key;
    bool answers_requests = false;
    NodeRecords records;
  };

  Relay(Options options, CircuitTable& table, base::Rng& rng)
      : options_(std::move(options)), table_(table), rng_(rng), skins_(rng) {}

  RelayActions OnLinkUp(const overlay::LinkInfo& link, absl::Time now);
  // `circuits`: what CircuitTable::TakeLink gave, of all owners.
  RelayActions OnLinkDown(overlay::LinkId link, const std::vector<CircuitEntry>& circuits);
  // A cell of a carried circuit, of none at all, or a CREATE. Circuits of our own user are not for this core.
  // With a value, the cell has been changed in place and goes on over that link as it is; else `actions` follow from it.
  std::optional<overlay::LinkId> OnCell(overlay::LinkId link, overlay::Cell& cell, absl::Time now, RelayActions& actions);
  RelayActions OnHandshake(uint64_t circuit, const absl::StatusOr<keys::ServerReplyResult>& result, absl::Time now);
  RelayActions OnTarget(uint64_t circuit, const absl::StatusOr<overlay::Descriptor>& target, absl::Time now);
  // The link that Dial gave, up already or yet to come up (OnLinkUp) or to fail (OnLinkDown).
  RelayActions OnDialing(uint64_t circuit, overlay::LinkId link, absl::Time now);
  RelayActions OnAnswer(uint64_t circuit, base::Bytes payload, absl::Time now);
  // A cell could not be sent, or waited too long: the circuit it belonged to has to go.
  RelayActions OnSendFailed(overlay::LinkId link, overlay::CircuitId id);
  RelayActions OnTick(absl::Time now);
  absl::Time NextTick() const;

  size_t circuit_count() const { return carried_.size(); }
  const RelayStats& stats() const { return stats_; }

 private:
  struct LinkState {
    overlay::LinkInfo info;
    size_t carried = 0;    // circuits that came over it
    size_t unsettled = 0;  // of these, the ones that are being built
    TokenBucket creates, dials;
  };
  struct Carried {
    RelayCircuit core;
    overlay::LinkId previous_link, next_link = 0;
    overlay::CircuitId previous_id, next_id = 0;
    absl::Time last_used, due;
    absl::Time stuck_since;  // when what waits began to, or last moved
    size_t waiting = 0;      // cells that wait for its window
    bool unsettled = true;
  };

  std::optional<overlay::LinkId> Pass(uint64_t circuit, Carried& carried, bool forward, overlay::Cell& cell, absl::Time now,
                                      RelayActions& actions);
  RelayActions OnUnknown(overlay::LinkId link, const overlay::Cell& cell, absl::Time now);
  RelayActions OnDestroy(overlay::LinkId link, const overlay::Cell& cell, const CircuitEntry& entry);
  RelayActions OnCreate(overlay::LinkId link, const overlay::Cell& cell, absl::Time now);
  size_t UnsettledLeft() const { return kUnsettledMax - unsettled_; }
  absl::Status AdmitCreate(LinkState& link, absl::Time now);
  bool AdmitDial(const Carried& carried, const overlay::Descriptor& target, absl::Time now);
  RelayActions Translate(uint64_t circuit, RelayCircuitActions actions, absl::Time now);
  void DropNext(Carried& carried, RelayActions& actions);
  void Destroy(uint64_t circuit, RelayActions& actions);
  void Settle(uint64_t circuit, Carried& carried, absl::Time now);
  void CountWaiting(Carried& carried, absl::Time now);
  void DropStuck(RelayActions& actions);
  RelayActions StartNext(uint64_t circuit, Carried& carried, absl::Time now);
  size_t CircuitsMaxOn(const overlay::LinkInfo& link) const;

  const Options options_;
  CircuitTable& table_;
  base::Rng& rng_;
  uint64_t last_circuit_ = 0;
  size_t unsettled_ = 0;
  size_t waiting_ = 0;
  SkinFilter skins_;
  absl::flat_hash_map<overlay::LinkId, LinkState> links_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Carried>> carried_;
  absl::flat_hash_map<overlay::LinkId, std::vector<uint64_t>> dialing_;  // circuits that wait for a link
  absl::flat_hash_map<std::string, TokenBucket> prefixes_;
  std::set<std::pair<absl::Time, uint64_t>> due_;
  RelayStats stats_;
};

}  // namespace circuits
