// SPDX-License-Identifier: Apache-2.0
// base/check.h — CHECK: a bug in our own code ends the process, in every build. Never on bytes from outside.
#pragma once

namespace base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace base

#define CHECK(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::base::CheckFailed(__FILE__, __LINE__, #condition))
