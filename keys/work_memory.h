// SPDX-License-Identifier: Apache-2.0
// keys/work_memory.h — what looking at proofs of work showed (work_proof.h), so that each is looked at once.
//
// By a hash that binds the proof and all it is for. The last kWorkMemoryMax and up to as many before them; the oldest are
// forgotten, and cost another look. From any thread: workers look, the loop asks.
#pragma once

#include <mutex>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "keys/hash.h"

namespace keys {

inline constexpr size_t kWorkMemoryMax = 8192;  // 1 MB in all; ten doors full of stamps

class WorkMemory {
 public:
  std::optional<bool> Find(const Digest& what) const;
  void Remember(const Digest& what, bool is_true);

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<Digest, bool> recent_, older_;
};

}  // namespace keys
