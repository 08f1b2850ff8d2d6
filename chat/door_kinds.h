// SPDX-License-Identifier: Apache-2.0
// chat/door_kinds.h — what a storing node accepts at a door place, and what gives way to what (protocol.md 8).
//
// Envelopes: a place holds the first kDoorEnvelopesMax in the order of Rank (envelope.h), deleted ids left out. A client's
// envelope that finds the place full is stored only if its effort is greater than the least one held, which then gives way
// ("outbid"); at equal effort it is refused with the effort needed. Copies between replicas are truncated by the same order,
// so replicas that exchange what they hold come to hold the same.
// Tombstones: beat the envelopes they name in every merge, also those not there yet. A place keeps the first ones in the order
// (fewer ids, smaller record id) whose ids together are at most kDoorDeletedMax; with the smaller ones first this truncation
// of a union does not depend on the order of merging. A client's tombstone beyond it is refused as full.
// Both are pure functions of what is held and what comes; the union of two replicas is the merge. Where a full place and
// deletions meet, an envelope outranked earlier comes back only from a replica that still holds it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "chat/envelope.h"
#include "chat/tombstone.h"
#include "dht/record.h"
#include "keys/work_memory.h"

namespace chat {

inline constexpr size_t kDoorEnvelopesMax = 768;  // 1.5 MB a place
inline constexpr size_t kDoorDeletedMax = 4096;   // ids a place; more deletions than that in one day wait for expiry

// Whether the stamp proves the claimed effort, or nothing: JudgeStamp (envelope.h) for a network; tests that fill doors have
// cheaper ones.
using StampCheck = std::function<std::optional<bool>(const Envelope&)>;

class EnvelopeKind : public dht::RecordKind {
 public:
  // least_effort: what the network asks of a client's envelope at any door, full or not (overlay/network.h).
  explicit EnvelopeKind(StampCheck stamp_check, uint32_t least_effort = 0)
      : stamp_check_(std::move(stamp_check)), least_effort_(least_effort) {}

  // A client's envelope must be for yesterday's, today's or tomorrow's door; a replica's for any door not expired.
  absl::Status Acceptable(const dht::Record& record, dht::Source source, absl::Time wall_now) const override;
  dht::Admission Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const override;
  // A stamp that was not looked at yet: half a millisecond.
  bool IsSlow(const dht::Record& record) const override;

 private:
  bool ProvesEffort(const Envelope& envelope, const dht::RecordId& id) const;

  const StampCheck stamp_check_;
  const uint32_t least_effort_;
  mutable keys::WorkMemory stamps_;
};

class TombstoneKind : public dht::RecordKind {
 public:
  explicit TombstoneKind(std::string network) : network_(std::move(network)) {}

  absl::Status Acceptable(const dht::Record& record, dht::Source source, absl::Time wall_now) const override;
  dht::Admission Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const override;

 private:
  const std::string network_;
};

// Both into `kinds`, for the composition root.
void RegisterDoorKinds(dht::RecordKinds& kinds, const std::string& network, uint32_t least_effort = 0);

}  // namespace chat
