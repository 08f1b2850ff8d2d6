// SPDX-License-Identifier: Apache-2.0
// tests/support/status_matchers.h — EXPECT_OK and ASSERT_OK_AND_ASSIGN for absl::Status and StatusOr.
#pragma once

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace support {
inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}
}  // namespace support

#define EXPECT_OK(expression) EXPECT_EQ(::support::StatusOf(expression), absl::OkStatus())
#define ASSERT_OK(expression) ASSERT_EQ(::support::StatusOf(expression), absl::OkStatus())
#define ASSERT_OK_AND_ASSIGN_CONCAT(a, b) a##b
#define ASSERT_OK_AND_ASSIGN_NAME(a, b) ASSERT_OK_AND_ASSIGN_CONCAT(a, b)
#define ASSERT_OK_AND_ASSIGN(target, expression) \
  ASSERT_OK_AND_ASSIGN_INNER(ASSERT_OK_AND_ASSIGN_NAME(result_, __LINE__), target, expression)
#define ASSERT_OK_AND_ASSIGN_INNER(result, target, expression) \
  auto result = (expression);                                  \
  ASSERT_EQ(result.status(), absl::OkStatus());                \
  target = std::move(result).value()
#define EXPECT_STATUS(expression, expected_code) EXPECT_EQ(::support::StatusOf(expression).code(), absl::StatusCode::expected_code)
