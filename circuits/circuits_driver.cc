// SPDX-License-Identifier: Apache-2.0
#include "circuits/circuits_driver.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "overlay/address_prefix.h"
#include "spdlog/spdlog.h"

namespace circuits {

using overlay::Cell;
using overlay::LinkId;

CircuitsDriver::CircuitsDriver(CircuitsOptions options, base::EventLoop& loop, overlay::Links& links,
                               overlay::Directory& directory, base::Rng& rng)
    : options_(std::move(options)),
      loop_(loop),
      links_(links),
      directory_(directory),
      rng_(rng),
      view_(options_.network),
      book_(directory),
      pool_(rng, options_.network.distinct_prefixes),
      guards_(rng),
      relay_(RelayOptions(), table_, rng),
      own_(options_.network, loop, links, table_, rng),
      builder_(options_.network, options_.own_key, loop, own_, view_, book_, pool_, guards_, options_.introduce, rng),
      start_(options_.own_table, options_.bootstrap, loop, view_, book_, options_.introduce),
      operations_({options_.network, options_.own_key, options_.ready_circuits, options_.build_mean,
                   static_cast<bool>(options_.keep_relays)},
                  loop, own_, builder_, start_, view_, book_, rng),
      keep_timer_(loop, [this] { KeepRelays(); }),
      timer_(loop, [this] { Apply(relay_.OnTick(loop_.Now())); }) {
  links_.SetListener(this);
  view_.on_table = [this](const overlay::RoutingTable& table) {
    directory_.convictions().Observe(table, directory_.IsProtected(table.owner.node_key), loop_.WallNow());
  };
  if (!options_.keep_relays) return;
  RestoreRelays();
  reports_.emplace(loop_, own_, builder_, start_, rng_);
  directory_.convictions().on_found = [this](const overlay::Contradiction& found) { reports_->Add(found); };
  filler_.emplace(options_.network, options_.own_key, loop_, own_, builder_, start_, view_, book_, pool_, rng_);
  keep_timer_.Reset(loop_.Now() + kFirstGuardLook);
}

//   len 2 guards ‖ pool    (GuardSet::Encode, RelayPool::Encode)
base::Bytes CircuitsDriver::EncodeRelays() const {
  return base::ByteWriter().Long(guards_.Encode()).Append(pool_.Encode()).Take();
}

// What cannot be read is as if it had never been: guards and pool begin anew.
void CircuitsDriver::RestoreRelays() {
  if (options_.kept_relays.empty()) return;
  kept_ = options_.kept_relays;
  base::ByteReader reader(options_.kept_relays);
  const base::ByteView guards = reader.Long(), pool = reader.Rest();
  const bool read = reader.ok() && guards_.Decode(options_.network, guards).ok() &&
                    pool_.Decode(options_.network, pool, loop_.Now(), loop_.WallNow()).ok();
  if (!read) spdlog::warn("circuits: the relays of earlier runs cannot be read; new ones are chosen");
}

// A guard that were forgotten would be replaced, and every guard is one more that may be hostile: so the first is kept at once.
void CircuitsDriver::KeepRelays() {
  keep_timer_.Reset(loop_.Now() + (guards_.guards().empty() ? kFirstGuardLook : kKeepRelaysEvery));
  base::Bytes now = EncodeRelays();
  if (now == kept_) return;
  kept_ = now;
  options_.keep_relays(std::move(now));
}

CircuitsDriver::~CircuitsDriver() {
  links_.SetListener(nullptr);
  directory_.convictions().on_found = nullptr;
}

Relay::Options CircuitsDriver::RelayOptions() {
  return {.network = options_.network,
          .enabled = options_.own_key.has_value(),
          .own_key = options_.own_key.value_or(keys::PublicKey{}),
          .answers_requests = options_.endpoint != nullptr,
          .records = {.table = [this](uint8_t index) { return TableOf(index); },
                      .descriptor = [this](const keys::PublicKey& node_key) { return DescriptorOf(node_key); }}};
}

base::Bytes CircuitsDriver::TableOf(uint8_t index) const {
  const overlay::RoutingTable* table = options_.signed_table(index);
  return table == nullptr ? base::Bytes() : table->encoded;
}

base::Bytes CircuitsDriver::DescriptorOf(const keys::PublicKey& node_key) const {
  if (node_key == options_.own_key) return options_.own_descriptor();
  const overlay::RoutingTable* table = options_.own_table(0);
  const overlay::Descriptor* held = directory_.Find(node_key, loop_.WallNow());
  if (table == nullptr || held == nullptr) return {};
  const std::vector<overlay::Peer> members = table->Members();
  const bool listed = std::any_of(members.begin(), members.end(), [&](const auto& peer) { return peer.node_key == node_key; });
  return listed ? held->encoded : base::Bytes();
}

void CircuitsDriver::OnLinkUp(const overlay::LinkInfo& link) {
  Apply(relay_.OnLinkUp(link, loop_.Now()));
  own_.OnLinkUp(link);
}

void CircuitsDriver::OnLinkDown(LinkId link) {
  const std::vector<CircuitEntry> circuits = table_.TakeLink(link);
  Apply(relay_.OnLinkDown(link, circuits));
  own_.OnLinkDown(link, circuits);
}

void CircuitsDriver::OnEvicted(LinkId link, overlay::CircuitId id) {
  const CircuitEntry* entry = table_.Find(link, id);
  if (entry == nullptr) return;
  if (entry->end == CircuitEnd::kOrigin) return own_.Close(entry->circuit);
  Apply(relay_.OnSendFailed(link, id));
}

void CircuitsDriver::OnCell(LinkId link, Cell& cell) {
  const CircuitEntry* entry = table_.Find(link, cell.circuit_id());
  const bool is_own = entry != nullptr && entry->end == CircuitEnd::kOrigin;
  if (is_own && cell.command() != overlay::CellCommand::kCreate) return own_.OnCell(entry->circuit, cell);
  RelayActions actions;
  const std::optional<LinkId> onward = relay_.OnCell(link, cell, loop_.Now(), actions);
  if (onward.has_value() && !links_.Send(*onward, cell)) actions = relay_.OnSendFailed(*onward, cell.circuit_id());
  if (!actions.empty()) Apply(std::move(actions));
}

// A cell that cannot be sent takes its circuit with it, and that means more actions:
// DESTROYs, which a link takes beyond its bounds, so this ends after one more round.
void CircuitsDriver::Apply(RelayActions actions) {
  for (RelayAction& action : actions) {
    std::visit([this](auto& a) { Do(a); }, action);
  }
  timer_.Reset(relay_.NextTick());
}

void CircuitsDriver::Do(SendCell& action) {
  if (links_.Send(action.link, action.cell)) return;
  Apply(relay_.OnSendFailed(action.link, action.cell.circuit_id()));
}

void CircuitsDriver::Do(CloseLink& action) {
  spdlog::debug("circuits: a link broke the rules of circuit ids and is closed");
  links_.Close(action.link);
}

void CircuitsDriver::Do(ReplyToSkin& action) {
  const std::span<const keys::X25519KeyPair> held = options_.onion_keys();
  auto result = std::make_shared<absl::StatusOr<keys::ServerReplyResult>>(absl::UnknownError(""));
  loop_.RunBrief(
      [result, own_key = *options_.own_key, onion_keys = std::vector<keys::X25519KeyPair>(held.begin(), held.end()),
       skin = std::move(action.onion_skin), name = options_.network.name, &rng = rng_] {
        *result = keys::ServerReply({name, overlay::kProtocolVersion}, own_key, onion_keys, skin, rng);
      },
      [this, result, circuit = action.circuit, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) Apply(relay_.OnHandshake(circuit, *result, loop_.Now()));
      });
}

// The same few nodes are asked for again and again: a descriptor is verified once.
void CircuitsDriver::Do(CheckTarget& action) {
  if (const overlay::Descriptor* known = directory_.FindEncoded(action.descriptor, loop_.WallNow())) {
    return Apply(relay_.OnTarget(action.circuit, *known, loop_.Now()));
  }
  auto result = std::make_shared<absl::StatusOr<overlay::Descriptor>>(absl::UnknownError(""));
  const auto check = [result, network = options_.network, descriptor = std::move(action.descriptor), wall_now = loop_.WallNow(),
                      work_seen = work_seen_] {
    *result = overlay::DecodeDescriptor(network, descriptor, wall_now);
    if (!result->ok()) return;
    const overlay::Descriptor& target = **result;
    if (!overlay::VerifyAdmissionOnce(network, target.node_key, target.address, target.admission, *work_seen)) {
      *result = absl::PermissionDeniedError("a place without work");
    }
  };
  const auto done = [this, result, circuit = action.circuit, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    if (result->ok() && directory_.convictions().IsConvicted((*result)->node_key, loop_.WallNow())) {
      *result = absl::PermissionDeniedError("convicted");
    }
    if (result->ok()) directory_.Keep(**result);
    Apply(relay_.OnTarget(circuit, *result, loop_.Now()));
  };
  if (options_.network.admission_effort > 0) return loop_.RunSlow(check, done);
  loop_.RunBrief(check, done);
}

void CircuitsDriver::Do(Dial& action) {
  const LinkId link = links_.Connect(action.target, overlay::LinkFor::kRelayed);
  Apply(relay_.OnDialing(action.circuit, link, loop_.Now()));
}

void CircuitsDriver::Do(AskEndpoint& action) {
  EndpointRequest request{.channel_binding = action.channel_binding, .payload = std::move(action.payload), .answer = nullptr};
  request.answer = [this, circuit = action.circuit, alive = std::weak_ptr(alive_)](base::Bytes payload) {
    if (!alive.expired()) Apply(relay_.OnAnswer(circuit, std::move(payload), loop_.Now()));
  };
  options_.endpoint->OnEndpointRequest(std::move(request));
}

CircuitsStats CircuitsDriver::stats() const {
  std::set<std::string> prefixes;
  for (const overlay::Peer& peer : view_.Members(loop_.Now())) prefixes.insert(overlay::PrefixOf(peer.address));
  return {.own = own_.size(),
          .ready = operations_.ready(),
          .carried = relay_.circuit_count(),
          .cells_relayed = relay_.stats().cells_relayed,
          .cells_unknown = relay_.stats().cells_unknown,
          .built = builder_.built(),
          .failed = builder_.failed(),
          .known_nodes = operations_.OthersKnown(),
          .known_prefixes = prefixes.size(),
          .pooled_relays = pool_.relays().size()};
}

}  // namespace circuits
