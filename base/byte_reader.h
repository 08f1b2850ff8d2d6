// SPDX-License-Identifier: Apache-2.0
// base/byte_reader.h — bounds-checked big-endian reads over bytes from outside.
//
// A read past the end returns zero (or an empty view) and makes ok() false for good, so a decoder reads
// all its fields in a row and asks once. Nothing is ever read outside the view.
#pragma once

#include <array>
#include <cstring>

#include "base/bytes.h"

namespace base {

class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : rest_(bytes) {}

  uint8_t U8() { return static_cast<uint8_t>(Number(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Number(2)); }
  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  uint64_t U64() { return Number(8); }

  // The next `size` bytes; empty, and ok() false, if fewer are left. Points into the source.
  ByteView Take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  template <size_t N>
  std::array<uint8_t, N> Array() {
    std::array<uint8_t, N> array{};
    const ByteView taken = Take(N);
    if (ok_) std::memcpy(array.data(), taken.data(), N);
    return array;
  }
  // A byte string with a one- or two-byte length in front.
  ByteView Short() { return Take(U8()); }
  ByteView Long() { return Take(U16()); }
  ByteView Rest() { return Take(rest_.size()); }

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }
  // True if every read succeeded and nothing is left over.
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  uint64_t Number(size_t size) {
    uint64_t value = 0;
    for (uint8_t byte : Take(size)) value = value << 8 | byte;
    return value;
  }

  ByteView rest_;
  bool ok_ = true;
};

}  // namespace base
