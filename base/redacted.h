// SPDX-License-Identifier: Apache-2.0
// base/redacted.h — how logs name what they must not name (style.md 6): at most its first four hex digits.
#pragma once

#include <string>

#include "base/bytes.h"

namespace base {

// "41d0…": enough to follow one thing through a log, too little to find it. Whole under --unsafe-log.
std::string Redacted(ByteView id);

// Process-wide, set once by the command line before anything is logged.
void SetUnsafeLog(bool unsafe);

}  // namespace base
