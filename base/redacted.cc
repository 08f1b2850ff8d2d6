// SPDX-License-Identifier: Apache-2.0
#include "base/redacted.h"

#include <atomic>

namespace base {
namespace {

std::atomic<bool> g_unsafe_log = false;

}  // namespace

std::string Redacted(ByteView id) {
  if (g_unsafe_log) return ToHex(id);
  return ToHex(id.first(id.size() < 2 ? id.size() : 2)) + "…";
}

void SetUnsafeLog(bool unsafe) { g_unsafe_log = unsafe; }

}  // namespace base
