// SPDX-License-Identifier: Apache-2.0
#include "circuits/skin_filter.h"

#include <utility>

namespace circuits {

bool SkinFilter::Admit(base::ByteView skin, absl::Time now) {
  if (young_.size() >= kSkinsPerGeneration || now - young_since_ >= kSkinGeneration) {
    old_ = std::exchange(young_, {});
    young_since_ = now;
  }
  const uint64_t hash = keys::ShortHash(key_, skin.subspan(keys::kOnionSkinNames, keys::kOnionSkinNamesSize));
  return !old_.contains(hash) && young_.insert(hash).second;
}

}  // namespace circuits
