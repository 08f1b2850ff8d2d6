// SPDX-License-Identifier: Apache-2.0
// circuits/skin_filter.h — onion skins that were seen already: a replayed one is refused before it costs a handshake. A core.
//
// Per onion key B and client key X (protocol.md 4). It only saves work: a relay's fresh key makes every handshake another one, so
// a replay that gets through gives its sender nothing. Two generations of short keyed hashes; the older is forgotten when the
// newer is full or kSkinGeneration old.
#pragma once

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "keys/onion_handshake.h"
#include "keys/short_hash.h"

namespace circuits {

inline constexpr size_t kSkinsPerGeneration = 32768;  // 9 to 18 bytes each, so 1.2 MiB at most; empty on an idle relay
inline constexpr absl::Duration kSkinGeneration = absl::Minutes(5);

class SkinFilter {
 public:
  explicit SkinFilter(base::Rng& rng) : key_(rng.Array<16>()) {}

  // False if one with this B and X came before and is remembered. `skin` has kOnionSkinSize bytes, checked or not.
  bool Admit(base::ByteView skin, absl::Time now);
  size_t size() const { return young_.size() + old_.size(); }

 private:
  const keys::ShortHashKey key_;
  absl::flat_hash_set<uint64_t> young_, old_;
  absl::Time young_since_ = absl::InfinitePast();
};

}  // namespace circuits
