// SPDX-License-Identifier: Apache-2.0
// libFuzzer's way in (preset fuzz, clang): the first byte picks the target.
#include <cstddef>
#include <cstdint>

#include "keys/system_rng.h"
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  keys::InitCrypto();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto& targets = fuzz::Targets();
  targets[data[0] % targets.size()].run(base::ByteView(data + 1, size - 1));
  return 0;
}
