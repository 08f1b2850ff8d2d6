// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_pool.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "overlay/address_prefix.h"

namespace circuits {
namespace {

using overlay::Descriptor;

constexpr absl::Duration kTryAgain = absl::Seconds(15);  // mean, before a failed point is looked up again

bool IsOf(const RelayPool::Relay& relay, const keys::PublicKey& node_key) { return relay.descriptor.node_key == node_key; }

absl::Status Lost() { return absl::DataLossError("no pool of relays"); }

}  // namespace

double AcceptChance(double arc, double mean_gap) { return arc <= 0 ? 1 : std::min(1.0, kAcceptShare * mean_gap / arc); }

bool RelayPool::IsSettled() const {
  const auto settled = std::count_if(relays_.begin(), relays_.end(), [](const Relay& relay) { return !relay.provisional; });
  return static_cast<size_t>(settled) >= kPoolUsable;
}

absl::Duration RelayPool::Pause() {
  const absl::Duration mean = relays_.size() >= kPoolSize ? kDrawFull : IsSettled() ? kDrawFilling : kDrawFirst;
  return mean * -std::log(1 - rng_.Unit());
}

std::vector<RelayPool::Draw> RelayPool::OnTick(absl::Time now) {
  std::vector<Draw> due;
  for (Committed& draw : draws_) {
    if (draw.again > now) continue;
    draw.again = absl::InfiniteFuture();
    due.push_back({draw.id, draw.point});
  }
  if (next_draw_ == absl::InfinitePast()) next_draw_ = now + Pause();
  if (now < next_draw_) return due;
  next_draw_ = now + Pause();
  if (draws_.size() >= kDrawsMax) return due;
  draws_.push_back({++last_draw_, overlay::NodeId::Random(rng_), rng_.Unit(), kDrawTries, absl::InfiniteFuture()});
  due.push_back({last_draw_, draws_.back().point});
  return due;
}

absl::Time RelayPool::NextTick() const {
  absl::Time next = next_draw_;
  for (const Committed& draw : draws_) next = std::min(next, draw.again);
  return next;
}

RelayPool::Committed* RelayPool::Find(uint64_t id) {
  const auto found = std::find_if(draws_.begin(), draws_.end(), [&](const Committed& draw) { return draw.id == id; });
  return found == draws_.end() ? nullptr : &*found;
}

void RelayPool::End(uint64_t id) {
  std::erase_if(draws_, [&](const Committed& draw) { return draw.id == id; });
}

bool RelayPool::OnFound(uint64_t id, double arc, double mean_gap, const Descriptor& descriptor, bool provisional, absl::Time wall_now) {
  const Committed* draw = Find(id);
  if (draw == nullptr) return false;
  const bool kept = draw->coin < AcceptChance(arc, mean_gap);
  End(id);
  if (!kept) return false;
  if (Contains(descriptor.node_key)) {
    Renew(descriptor);
    for (Relay& relay : relays_) relay.provisional &= provisional || !IsOf(relay, descriptor.node_key);
  } else {
    if (!PrefixHasRoom(descriptor.address)) return false;
    if (relays_.size() >= kPoolSize) relays_.erase(relays_.begin());  // the oldest
    relays_.push_back({descriptor, wall_now, provisional});
  }
  if (IsSettled()) std::erase_if(relays_, [](const Relay& relay) { return relay.provisional; });
  return true;
}

bool RelayPool::PrefixHasRoom(const std::string& address) const {
  if (!distinct_prefixes_ || !IsUsable()) return true;  // else one large prefix could leave it unusable for ever
  std::map<std::string, size_t> held;
  for (const Relay& relay : relays_) ++held[overlay::PrefixOf(relay.descriptor.address)];
  const auto own = held.find(overlay::PrefixOf(address));
  return held.size() < kPrefixesMin || own == held.end() || own->second < std::max(relays_.size(), kPoolUsable) / kPrefixPart;
}

bool RelayPool::OnFailed(uint64_t id, absl::Time now) {
  Committed* draw = Find(id);
  if (draw == nullptr) return false;
  if (--draw->tries_left <= 0) {
    End(id);
    return false;
  }
  draw->again = now + kTryAgain * -std::log(1 - rng_.Unit());
  return true;
}

void RelayPool::Renew(const Descriptor& descriptor) {
  for (Relay& relay : relays_) {
    if (IsOf(relay, descriptor.node_key) && descriptor.issued > relay.descriptor.issued) relay.descriptor = descriptor;
  }
}

void RelayPool::Remove(const keys::PublicKey& node_key) {
  std::erase_if(relays_, [&](const Relay& relay) { return IsOf(relay, node_key); });
}

void RelayPool::DropExpired(absl::Time wall_now) {
  std::erase_if(relays_, [&](const Relay& relay) {
    return wall_now - relay.since > kRelayAge || relay.descriptor.expires <= wall_now;
  });
}

bool RelayPool::Contains(const keys::PublicKey& node_key) const {
  return std::any_of(relays_.begin(), relays_.end(), [&](const Relay& relay) { return IsOf(relay, node_key); });
}

base::Bytes RelayPool::Encode() const {
  base::ByteWriter writer;
  writer.U8(static_cast<uint8_t>(relays_.size()));
  for (const Relay& relay : relays_) {
    writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(relay.since))).U8(relay.provisional).Long(relay.descriptor.encoded);
  }
  writer.U8(static_cast<uint8_t>(draws_.size()));
  for (const Committed& draw : draws_) {
    writer.Append(draw.point.view()).U64(std::bit_cast<uint64_t>(draw.coin)).U8(static_cast<uint8_t>(draw.tries_left));
  }
  return writer.Take();
}

absl::Status RelayPool::Decode(const overlay::Network& network, base::ByteView bytes, absl::Time now, absl::Time wall_now) {
  base::ByteReader reader(bytes);
  std::vector<Relay> relays;
  std::vector<Committed> draws;
  const size_t relay_count = reader.U8();
  if (relay_count > kPoolSize) return Lost();
  for (size_t i = 0; i < relay_count; ++i) {
    const absl::Time since = absl::FromUnixSeconds(static_cast<int64_t>(reader.U64()));
    const bool provisional = reader.U8() != 0;
    const absl::StatusOr<Descriptor> descriptor = overlay::DecodeDescriptor(network, reader.Long(), wall_now);
    if (descriptor.ok() && since <= wall_now) relays.push_back({*descriptor, since, provisional});
  }
  const size_t draw_count = reader.U8();
  if (draw_count > kDrawsMax) return Lost();
  for (size_t i = 0; i < draw_count; ++i) {
    const overlay::NodeId point = {reader.Array<32>()};
    const double coin = std::bit_cast<double>(reader.U64());
    draws.push_back({++last_draw_, point, coin, reader.U8(), now});
  }
  if (!reader.Done()) return Lost();
  relays_ = std::move(relays);
  draws_ = std::move(draws);
  return absl::OkStatus();
}

}  // namespace circuits
