// SPDX-License-Identifier: Apache-2.0
#include "overlay/learned_peers.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace overlay {
namespace {

constexpr int kTopSlot = 256 * static_cast<int>(kSlotsPerOctave) - 1;
constexpr int kSlotBits = 3;
static_assert(kSlotsPerOctave == size_t{1} << kSlotBits);
constexpr double kDeadShare = 0.03;                                   // of those that are asked at the end of the span of trust
constexpr double kDeathsFirst = 0.5;                                  // before any was seen
constexpr double kDeathsFading = 0.75;                                // at each further one: about the last four count
constexpr double kSilenceMaxS = 60 * 60 * kDeathsFirst / kDeadShare;  // enough for kTrustMax if nobody died
constexpr size_t kSlotBytes = sizeof(LearnedPeers::Slot) + kAddressMax;

// The distance 2^(number / 8) (1 + (number % 8) / 8): where the slot begins. Octaves below the third have no eighths; nobody is
// that near.
NodeId BeginOf(int number) {
  const int octave = number / static_cast<int>(kSlotsPerOctave), part = number % static_cast<int>(kSlotsPerOctave);
  NodeId distance = NodeId().PlusPowerOfTwo(octave);
  for (int bit = 0; bit < kSlotBits; ++bit) {
    if (part >> bit & 1 && octave - kSlotBits + bit >= 0) distance = distance.PlusPowerOfTwo(octave - kSlotBits + bit);
  }
  return distance;
}

bool BitOf(const NodeId& distance, int exponent) {
  return exponent >= 0 && distance.bytes[static_cast<size_t>(31 - exponent / 8)] >> (exponent % 8) & 1;
}

// Not for a distance of 0.
uint16_t NumberOf(const NodeId& distance) {
  int octave = 255;
  for (size_t i = 0; i < 4; ++i, octave -= 64) {
    if (distance.Word(i) == 0) continue;
    octave -= std::countl_zero(distance.Word(i));
    break;
  }
  int part = 0;
  for (int bit = 1; bit <= kSlotBits; ++bit) part = 2 * part + (BitOf(distance, octave - bit) ? 1 : 0);
  return static_cast<uint16_t>(octave * static_cast<int>(kSlotsPerOctave) + part);
}

// A distance within the slot: its high bits, and anything below them.
NodeId RandomIn(int number, base::Rng& rng) {
  NodeId distance = NodeId::Random(rng);
  const NodeId begin = BeginOf(number);
  const int free_bits = std::max(number / static_cast<int>(kSlotsPerOctave) - kSlotBits, 0);
  for (size_t i = 0; i < 32; ++i) {
    const int free_here = std::clamp(free_bits - 8 * static_cast<int>(31 - i), 0, 8);  // of this byte, from the lowest
    const auto mask = static_cast<uint8_t>((1 << free_here) - 1);
    distance.bytes[i] = static_cast<uint8_t>((distance.bytes[i] & mask) | begin.bytes[i]);
  }
  return distance;
}

}  // namespace

LearnedPeers::LearnedPeers(const NodeId& self, size_t bytes_max)
    : self_(self),
      slots_max_(bytes_max / kSlotBytes),
      silence_s_(absl::ToDoubleSeconds(kTrustFirst) * kDeathsFirst / kDeadShare),
      deaths_(kDeathsFirst) {}

// --- The span of trust ---

void LearnedPeers::Outlived(absl::Duration silence) {
  silence_s_ = std::min(silence_s_ + std::max(absl::ToDoubleSeconds(silence), 0.0), kSilenceMaxS);
  Reckon();
}

void LearnedPeers::Reckon() { trust_ = std::clamp(absl::Seconds(kDeadShare * silence_s_ / deaths_), kTrustMin, kTrustMax); }

// --- Slots ---

std::vector<LearnedPeers::Slot>::iterator LearnedPeers::At(uint16_t number) {
  return std::lower_bound(slots_.begin(), slots_.end(), number, [](const Slot& slot, uint16_t n) { return slot.number < n; });
}

// The slot, made if need be: if all are taken the nearest one gives way, for what is near the list knows. Null: that one is it.
LearnedPeers::Slot* LearnedPeers::Make(uint16_t number) {
  const auto at = At(number);
  if (at != slots_.end() && at->number == number) return &*at;
  if (slots_.size() < slots_max_) return &*slots_.insert(at, Slot{number, std::nullopt});
  if (at == slots_.begin()) return nullptr;
  std::move(slots_.begin() + 1, at, slots_.begin());
  *(at - 1) = Slot{number, std::nullopt};
  return &*(at - 1);
}

void LearnedPeers::Heard(const Peer& peer, bool learn, absl::Duration round_trip, absl::Time now) {
  if (peer.point == self_) return;
  const uint16_t number = NumberOf(Distance(self_, peer.point));
  const auto at = At(number);
  const bool known = at != slots_.end() && at->number == number && at->peer && at->peer->point == peer.point;
  if (known) Outlived(now - at->heard);
  if (!known && !learn) return;
  Slot* const slot = Make(number);
  if (slot == nullptr || (!known && Trusts(*slot, now) && slot->round_trip <= round_trip)) return;
  if (!known || slot->peer->address != peer.address) slot->peer = peer;
  slot->heard = now;
  slot->round_trip = round_trip;
}

void LearnedPeers::Failed(const NodeId& point, absl::Time now) {
  if (slots_.empty() || point == self_) return;
  const uint16_t number = NumberOf(Distance(self_, point));
  const auto at = At(number);
  if (at == slots_.end() || at->number != number || !at->peer || at->peer->point != point) return;
  Outlived(now - at->heard);
  silence_s_ *= kDeathsFading;
  deaths_ = kDeathsFading * deaths_ + 1;
  Reckon();
  slots_.erase(at);
}

void LearnedPeers::Trim(const NodeId& last) {
  const auto beyond = std::find_if(slots_.begin(), slots_.end(),
                                   [&](const Slot& slot) { return !InHalfOpen(Plus(self_, BeginOf(slot.number)), self_, last); });
  slots_.erase(slots_.begin(), beyond);
}

std::optional<LearnedPeers::Gap> LearnedPeers::NextGap(const NodeId& last, absl::Time now, base::Rng& rng) {
  if (slots_max_ == 0) return std::nullopt;
  const int nearest = NumberOf(Distance(self_, last)) + 1;  // the list ends inside the slot before
  for (int count = kTopSlot - nearest; count >= 0; --count, --cursor_) {
    const bool full = slots_.size() == slots_max_ && cursor_ < slots_.front().number;
    if (cursor_ < nearest || full) cursor_ = kTopSlot;
    const auto number = static_cast<uint16_t>(cursor_);
    const auto at = At(number);
    const bool is_new = at == slots_.end() || at->number != number;
    if (!is_new && now - std::max(at->heard, at->looked_for) <= trust_ / 2) continue;
    Slot* const slot = Make(number);
    if (slot == nullptr) return std::nullopt;
    slot->looked_for = now;
    --cursor_;
    if (slot->peer) return Gap{slot->peer->point.PlusOne(), slot->peer, is_new};
    return Gap{Plus(self_, RandomIn(number, rng)), std::nullopt, is_new};
  }
  return std::nullopt;
}
size_t LearnedPeers::Missing(const NodeId& last) const {
  const auto beyond = static_cast<size_t>(kTopSlot - NumberOf(Distance(self_, last)));
  const auto made = static_cast<size_t>(std::count_if(
      slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.number > NumberOf(Distance(self_, last)); }));
  return std::min(beyond, slots_max_) - std::min(made, std::min(beyond, slots_max_));
}

size_t LearnedPeers::bytes() const { return slots_.size() * kSlotBytes; }

}  // namespace overlay
