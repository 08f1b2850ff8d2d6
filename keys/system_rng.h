// SPDX-License-Identifier: Apache-2.0
// keys/system_rng.h — the program's randomness: libsodium's randombytes, drawn from the system once a thread and stretched there
// (ChaCha20 with key erasure after every draw, three times as fast as asking the kernel for a cell's padding). Any thread. A
// child of fork that draws ends at once: it would repeat its parent's bytes.
#pragma once

#include "base/rng.h"

namespace keys {

class SystemRng : public base::Rng {
 public:
  void Fill(std::span<uint8_t> bytes) override;
};

// libsodium and its source of randomness, and no core dumps of our memory; call first in main and in tests' main. CHECKs success.
void InitCrypto();

}  // namespace keys
