// SPDX-License-Identifier: Apache-2.0
// tests/keys/scripted_rng.h — "randomness" that hands out given bytes in order, for vectors. Fails the test when they run out.
#pragma once

#include <gtest/gtest.h>

#include "base/rng.h"

namespace support {

class ScriptedRng : public base::Rng {
 public:
  explicit ScriptedRng(base::Bytes script) : script_(std::move(script)) {}

  void Fill(std::span<uint8_t> bytes) override {
    if (bytes.size() > script_.size() - used_) ADD_FAILURE() << "the script is too short";
    for (uint8_t& byte : bytes) byte = used_ < script_.size() ? script_[used_++] : 0;
  }

 private:
  base::Bytes script_;
  size_t used_ = 0;
};

}  // namespace support
