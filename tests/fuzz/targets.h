// SPDX-License-Identifier: Apache-2.0
// tests/fuzz/targets.h — every decoder of bytes from outside, as a function that must survive any.
//
// Each target decodes; what it accepts it encodes again, and the two must agree: no two byte strings mean one thing unless the
// format allows it. The plain test (decoders_test.cc) and a libFuzzer program (fuzz_main.cc, clang) share them.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace fuzz {

struct Target {
  const char* name;
  void (*run)(base::ByteView bytes);         // aborts if something does not hold
  std::vector<base::Bytes> (*valid)();       // inputs it accepts, to start mutations from
};

const std::vector<Target>& Targets();

}  // namespace fuzz
