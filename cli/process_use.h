// SPDX-License-Identifier: Apache-2.0
// cli/process_use.h — what this process takes of the machine.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace cli {

struct Use {
  absl::Duration cpu;     // of all threads, in the program and the kernel, since the start
  uint64_t resident = 0;  // bytes; 0 if /proc does not say
};
Use ProcessUse();

}  // namespace cli
