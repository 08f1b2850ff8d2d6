// SPDX-License-Identifier: Apache-2.0
// tests/support/onion_fixture.h — an onion without a network: one origin core and some relay cores, handed cells by the test.
//
// Node 0 is the client, 1..n are relays, all linked with all. Every cell passes through `tamper`, which sees it on its wire and
// says what arrives: itself, changed, nothing, or several. Handshakes and signatures are done on the spot.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/overloaded.h"
#include "circuits/origin_circuit.h"
#include "circuits/relay.h"
#include "tests/support/seeded_rng.h"

namespace support {

class OnionFixture {
 public:
  static constexpr size_t kClient = 0;
  using Tamper = std::function<std::vector<overlay::Cell>(size_t from, size_t to, const overlay::Cell& cell)>;

  explicit OnionFixture(size_t relays, uint64_t seed) : rng_(seed) {
    for (size_t i = 0; i <= relays; ++i) nodes_.push_back(MakeNode(i));
    for (size_t i = 1; i < nodes_.size(); ++i) MakeTable(i);
    for (size_t i = 1; i < nodes_.size(); ++i) StartRelay(i);
  }

  // A fresh circuit; the one before is forgotten. No hops yet.
  void NewCircuit() {
    wires_.clear();
    for (size_t i = 1; i < nodes_.size(); ++i) StartRelay(i);
    nodes_[kClient]->table = circuits::CircuitTable();
    origin_ = std::make_unique<circuits::OriginCircuit>(rng_);
    id_ = *nodes_[kClient]->table.Allocate(Link(kClient, 1), {circuits::CircuitEnd::kOrigin, 1}, 1000, rng_);
    delivered.clear();
    last_binding = {};
  }
  // Hops 1..count, in that order.
  bool Build(size_t count) {
    NewCircuit();
    for (size_t hop = 1; hop <= count; ++hop) {
      if (!Run(circuits::ExtendStep{descriptor(hop), hop - 1}).has_value()) return false;
    }
    return true;
  }

  // Nothing if the circuit closed, or if it closes at the step's time-out because no answer came.
  std::optional<circuits::StepResult> Run(circuits::CircuitStep step) {
    result_.reset();
    ApplyOrigin(origin_->Run(std::move(step), now_));
    Pump();
    if (!result_.has_value() && !origin_->closed()) {
      timed_out = true;
      ApplyOrigin(origin_->OnTick(now_ += circuits::kStepMax));
      Pump();
    }
    return std::move(result_);
  }
  // A request to the last hop, which echoes it in reverse.
  std::optional<base::Bytes> Echo(base::Bytes payload) {
    const auto result = Run(circuits::RequestStep{std::move(payload)});
    if (!result.has_value()) return std::nullopt;
    return std::get<circuits::Answered>(*result).payload;
  }
  void Inject(size_t from, size_t to, const overlay::Cell& cell) {
    wires_.push_back({from, to, cell});
    Pump();
  }

  const overlay::Descriptor& descriptor(size_t node) const { return nodes_[node]->descriptor; }
  const overlay::RoutingTable& table(size_t node) const { return nodes_[node]->routing_table; }
  circuits::OriginCircuit& origin() { return *origin_; }
  circuits::Relay& relay(size_t node) { return *nodes_[node]->relay; }
  overlay::CircuitId origin_id() const { return id_; }
  SeededRng& rng() { return rng_; }
  overlay::LinkInfo Link(size_t at, size_t peer) const {
    return {.id = 100 + peer,
            .peer_key = nodes_[peer]->descriptor.node_key,
            .is_node = peer != kClient,
            .high_ids = nodes_[at]->descriptor.node_key > nodes_[peer]->descriptor.node_key};
  }
  bool AllRelaysEmpty() const {
    for (size_t i = 1; i < nodes_.size(); ++i) {
      if (nodes_[i]->relay->circuit_count() != 0) return false;
    }
    return true;
  }

  Tamper tamper;
  std::vector<base::Bytes> delivered;  // requests that reached an endpoint
  std::array<uint8_t, 32> last_binding{};
  bool timed_out = false, answers = true;
  size_t cells_seen = 0;

 private:
  struct Node {
    keys::SigningKey signing_key;
    keys::X25519KeyPair onion_key;
    overlay::Descriptor descriptor;
    overlay::RoutingTable routing_table;
    circuits::CircuitTable table;
    std::unique_ptr<circuits::Relay> relay;
  };
  struct OnWire {
    size_t from, to;
    overlay::Cell cell;
  };

  std::unique_ptr<Node> MakeNode(size_t i) {
    keys::SigningKey signing_key = keys::SigningKey::Generate(rng_);
    keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(rng_);
    overlay::Descriptor descriptor = overlay::SignDescriptor(network_, signing_key, onion_key.public_key, overlay::Role::kStoring,
                                                             "127.0.0.1:" + std::to_string(10000 + i), {}, now_);
    return std::unique_ptr<Node>(new Node{std::move(signing_key), onion_key, std::move(descriptor), {}, {}, nullptr});
  }
  void MakeTable(size_t i) {
    overlay::RoutingTable& table = nodes_[i]->routing_table;
    table.owner = nodes_[i]->descriptor.ToPeer(network_);
    for (size_t k = 1; k < nodes_.size(); ++k) {
      if (k != i) table.successors.push_back(nodes_[k]->descriptor.ToPeer(network_));
    }
    std::sort(table.successors.begin(), table.successors.end(), [&](const auto& a, const auto& b) {
      return overlay::Distance(table.owner.point, a.point) < overlay::Distance(table.owner.point, b.point);
    });
    table.predecessors.assign(table.successors.rbegin(), table.successors.rend());
    overlay::SignTable(network_, nodes_[i]->signing_key, table, now_);
  }
  void StartRelay(size_t i) {
    Node& node = *nodes_[i];
    node.table = circuits::CircuitTable();
    circuits::NodeRecords records{
        .table = [&node](uint8_t index) { return index == 0 ? node.routing_table.encoded : base::Bytes(); },
        .descriptor =
            [this](const keys::PublicKey& key) {
              for (const auto& other : nodes_) {
                if (other->descriptor.node_key == key) return other->descriptor.encoded;
              }
              return base::Bytes();
            }};
    node.relay = std::make_unique<circuits::Relay>(
        circuits::Relay::Options{
            .network = network_, .own_key = node.descriptor.node_key, .answers_requests = answers, .records = records},
        node.table, rng_);
    for (size_t k = 0; k < nodes_.size(); ++k) {
      if (k != i) Apply(i, node.relay->OnLinkUp(Link(i, k), now_));
    }
  }

  void Pump() {
    while (!wires_.empty()) {
      const OnWire next = wires_.front();
      wires_.pop_front();
      ++cells_seen;
      const std::vector<overlay::Cell> arriving = tamper ? tamper(next.from, next.to, next.cell) : std::vector{next.cell};
      for (const overlay::Cell& cell : arriving) Deliver(next.from, next.to, cell);
    }
  }
  void Deliver(size_t from, size_t to, overlay::Cell cell) {
    if (!overlay::CheckCell(cell).ok()) return LinkDown(from, to);
    if (to != kClient) return Relay(from, to, cell);
    const circuits::CircuitEntry* entry = nodes_[kClient]->table.Find(100 + from, cell.circuit_id());
    if (entry != nullptr && cell.command() == overlay::CellCommand::kCreate) return LinkDown(from, to);
    if (entry != nullptr) ApplyOrigin(origin_->OnCell(cell, now_));
  }
  void Relay(size_t from, size_t to, overlay::Cell cell) {
    circuits::RelayActions actions;
    const std::optional<overlay::LinkId> onward = nodes_[to]->relay->OnCell(100 + from, cell, now_, actions);
    if (onward.has_value()) wires_.push_back({to, *onward - 100, cell});
    Apply(to, std::move(actions));
  }
  void LinkDown(size_t a, size_t b) {
    for (const auto& [at, peer] : {std::pair(a, b), std::pair(b, a)}) {
      const auto circuits = nodes_[at]->table.TakeLink(100 + peer);
      if (at != kClient) {
        Apply(at, nodes_[at]->relay->OnLinkDown(100 + peer, circuits));
      } else if (!circuits.empty()) {
        ApplyOrigin(origin_->Close(/*tell_guard=*/false));
      }
    }
  }
  void Apply(size_t at, circuits::RelayActions actions) {
    Node& node = *nodes_[at];
    for (auto& action : actions) {
      std::visit(
          base::Overloaded{
              [&](circuits::SendCell& a) {
                wires_.push_back({at, a.link - 100, a.cell});
              },
              [&](circuits::CloseLink& a) { LinkDown(at, a.link - 100); },
              [&](circuits::ReplyToSkin& a) {
                Apply(at, node.relay->OnHandshake(
                              a.circuit,
                              keys::ServerReply({}, node.descriptor.node_key, {&node.onion_key, 1}, a.onion_skin, rng_), now_));
              },
              [&](circuits::CheckTarget& a) {
                Apply(at, node.relay->OnTarget(a.circuit, overlay::DecodeDescriptor(network_, a.descriptor, now_), now_));
              },
              [&](circuits::Dial& a) { Apply(at, node.relay->OnDialing(a.circuit, 100 + IndexOf(a.target), now_)); },
              [&](circuits::AskEndpoint& a) {
                delivered.push_back(a.payload);
                last_binding = a.channel_binding;
                Apply(at, node.relay->OnAnswer(a.circuit, base::Bytes(a.payload.rbegin(), a.payload.rend()), now_));
              }},
          action);
    }
  }
  size_t IndexOf(const overlay::Descriptor& target) const {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i]->descriptor.node_key == target.node_key) return i;
    }
    return kClient;
  }
  void ApplyOrigin(circuits::OriginActions actions) {
    for (auto& action : actions) {
      std::visit(
          base::Overloaded{
              [&](circuits::SendToGuard& a) {
                a.cell.SetCircuitId(id_);
                wires_.push_back({kClient, 1, a.cell});
              },
              [&](circuits::StartHandshake& a) {
                ApplyOrigin(origin_->OnStarted(keys::ClientStart({}, a.relay_id, a.relay_onion_key, rng_), now_));
              },
              [&](circuits::FinishHandshake& a) { ApplyOrigin(origin_->OnFinished(keys::ClientFinish({}, a.state, a.reply))); },
              [&](circuits::StepDone& a) { result_ = std::move(a.result); },
              [&](circuits::CircuitClosed& a) {
                if (a.tell_guard) {
                  wires_.push_back({kClient, 1, overlay::Cell(id_, overlay::CellCommand::kDestroy)});
                }
                nodes_[kClient]->table.Erase(101, id_);
              }},
          action);
    }
  }

  SeededRng rng_;
  const overlay::Network network_ = overlay::Network::Local();
  absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<circuits::OriginCircuit> origin_;
  overlay::CircuitId id_ = 0;
  std::deque<OnWire> wires_;
  std::optional<circuits::StepResult> result_;
};

}  // namespace support
