// SPDX-License-Identifier: Apache-2.0
// keys/system_rng.h — the program's randomness: libsodium's randombytes. Any thread.
#pragma once

#include "base/rng.h"

namespace keys {

class SystemRng : public base::Rng {
 public:
  void Fill(std::span<uint8_t> bytes) override;
};

// sodium_init, and no core dumps of our memory; call first in main and in tests' main. CHECKs success.
void InitCrypto();

}  // namespace keys
