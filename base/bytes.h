// SPDX-License-Identifier: Apache-2.0
// base/bytes.h — byte strings as everybody here passes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

// Views a text as bytes and bytes as a text; neither copies, so the source must outlive the view.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string ToString(ByteView bytes) { return std::string(AsText(bytes)); }
inline Bytes ToBytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }

// Lower-case hexadecimal, two digits a byte. FromHex takes either case and refuses anything else.
std::string ToHex(ByteView bytes);
std::optional<Bytes> FromHex(std::string_view hex);

}  // namespace base
