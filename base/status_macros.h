// SPDX-License-Identifier: Apache-2.0
// base/status_macros.h — hand a failed absl::Status on to the caller.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define BULBIL_CONCAT_INNER(a, b) a##b
#define BULBIL_CONCAT(a, b) BULBIL_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                             \
  do {                                                          \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(BULBIL_CONCAT(status_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(holder, target, expression) \
  auto holder = (expression);                              \
  if (!holder.ok()) return std::move(holder).status();     \
  target = std::move(holder).value()
