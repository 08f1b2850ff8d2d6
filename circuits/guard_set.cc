// SPDX-License-Identifier: Apache-2.0
#include "circuits/guard_set.h"

#include <algorithm>
#include <cmath>

#include "base/byte_reader.h"
#include "base/byte_writer.h"

namespace circuits {
namespace {

using overlay::Peer;

constexpr int kCountMax = 1000;  // then both counters are halved: what happened long ago counts less

absl::Status Lost() { return absl::DataLossError("no guards"); }

}  // namespace

bool IsBiased(int tried, int died) {
  const double slack = kBiasDeviations * std::sqrt(tried * kBiasFailures * (1 - kBiasFailures));
  return tried >= kBiasBuildsMin && died > kBiasFailures * tried + slack;
}

GuardSet::Guard* GuardSet::Find(const keys::PublicKey& node_key) {
  const auto found =
      std::find_if(guards_.begin(), guards_.end(), [&](const Guard& guard) { return guard.peer.node_key == node_key; });
  return found == guards_.end() ? nullptr : &*found;
}

// Over is also what would last longer than any guard does: it was drawn while the clock was ahead.
void GuardSet::DropOver(absl::Time now, absl::Time wall_now) {
  for (Guard& guard : guards_) {
    const bool is_over = guard.until <= wall_now || guard.until > wall_now + kGuardLife + kGuardLifeJitter;
    guard.over_since = is_over ? std::min(guard.over_since, now) : absl::InfiniteFuture();
  }
  std::erase_if(guards_, [&](const Guard& guard) { return now - guard.over_since >= kGuardOver; });
}

std::optional<Peer> GuardSet::Choose(const std::vector<Peer>& choices, const HopRules& rules, bool provisional, absl::Time now,
                                     absl::Time wall_now) {
  DropOver(now, wall_now);
  const auto allowed = [&](const Guard& guard) {
    return !rules.never.contains(guard.peer.node_key) && (guard.silent == 0 || guard.again <= now);
  };
  for (const bool shunning : {true, false}) {
    for (const Guard& guard : guards_) {
      if (allowed(guard) && !(shunning && rules.shun.contains(guard.peer.node_key))) return guard.peer;
    }
  }
  HopRules fresh = rules;
  for (const Guard& guard : guards_) fresh.never.insert(guard.peer.node_key);
  std::optional<Peer> chosen = ChooseHop(choices, fresh, rng_);
  if (!chosen.has_value()) return std::nullopt;
  if (guards_.size() >= kGuardsMax) guards_.pop_back();
  const absl::Duration life = kGuardLife + kGuardLifeJitter * (2 * rng_.Unit() - 1);
  guards_.push_back({.peer = *chosen, .until = wall_now + life, .provisional = provisional});
  return chosen;
}

void GuardSet::OnAnswer(const keys::PublicKey& node_key) {
  if (Guard* guard = Find(node_key)) guard->silent = 0;
}

void GuardSet::OnSilence(const keys::PublicKey& node_key, absl::Time now) {
  Guard* guard = Find(node_key);
  if (guard == nullptr) return;
  const int doublings = std::min(guard->silent++, 16);
  guard->again = now + std::min(kGuardAgain * (int64_t{1} << doublings), kGuardAgainMax);
}

bool GuardSet::OnCircuit(const keys::PublicKey& node_key, bool stood, absl::Time wall_now) {
  Guard* guard = Find(node_key);
  if (guard == nullptr) return false;
  ++guard->tried;
  guard->died += !stood;
  if (guard->tried >= kCountMax) {
    guard->tried /= 2;
    guard->died /= 2;
  }
  const bool is_soon = dropped_ <= wall_now && wall_now - dropped_ < kBiasDropEvery;  // one in the future is a wrong clock's
  if (!IsBiased(guard->tried, guard->died) || is_soon) return false;
  dropped_ = wall_now;
  guards_.erase(guards_.begin() + (guard - guards_.data()));
  return true;
}

void GuardSet::DropProvisional() {
  std::erase_if(guards_, [](const Guard& guard) { return guard.provisional; });
}

base::Bytes GuardSet::Encode() const {
  base::ByteWriter writer;
  writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(dropped_))).U8(static_cast<uint8_t>(guards_.size()));
  for (const Guard& guard : guards_) {
    writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(guard.until))).U8(guard.provisional);
    writer.U16(static_cast<uint16_t>(guard.tried)).U16(static_cast<uint16_t>(guard.died));
    overlay::EncodePeer(guard.peer, writer);
  }
  return writer.Take();
}

absl::Status GuardSet::Decode(const overlay::Network& network, base::ByteView bytes) {
  base::ByteReader reader(bytes);
  const absl::Time dropped = absl::FromUnixSeconds(static_cast<int64_t>(reader.U64()));
  const size_t count = reader.U8();
  if (count > kGuardsMax) return Lost();
  std::vector<Guard> guards;
  for (size_t i = 0; i < count; ++i) {
    Guard guard;
    guard.until = absl::FromUnixSeconds(static_cast<int64_t>(reader.U64()));
    guard.provisional = reader.U8() != 0;
    guard.tried = reader.U16();
    guard.died = reader.U16();
    absl::StatusOr<Peer> peer = overlay::DecodePeer(network, reader);
    if (!peer.ok()) return Lost();
    guard.peer = *std::move(peer);
    guards.push_back(std::move(guard));
  }
  if (!reader.Done()) return Lost();
  guards_ = std::move(guards);
  dropped_ = dropped;
  return absl::OkStatus();
}

}  // namespace circuits
