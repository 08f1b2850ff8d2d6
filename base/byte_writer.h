// SPDX-License-Identifier: Apache-2.0
// base/byte_writer.h — the mirror of ByteReader: big-endian fields appended to a byte string.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

namespace base {

class ByteWriter {
 public:
  ByteWriter& U8(uint8_t value) { return Number(value, 1); }
  ByteWriter& U16(uint16_t value) { return Number(value, 2); }
  ByteWriter& U32(uint32_t value) { return Number(value, 4); }
  ByteWriter& U64(uint64_t value) { return Number(value, 8); }
  ByteWriter& Append(ByteView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // A byte string with its length in front, in one or in two bytes; a longer one is a bug of the caller.
  ByteWriter& Short(ByteView bytes) {
    CHECK(bytes.size() <= 0xff);
    return U8(static_cast<uint8_t>(bytes.size())).Append(bytes);
  }
  ByteWriter& Long(ByteView bytes) {
    CHECK(bytes.size() <= 0xffff);
    return U16(static_cast<uint16_t>(bytes.size())).Append(bytes);
  }

  const Bytes& bytes() const { return bytes_; }
  Bytes Take() { return std::move(bytes_); }

 private:
  ByteWriter& Number(uint64_t value, int size) {
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) bytes_.push_back(static_cast<uint8_t>(value >> shift));
    return *this;
  }

  Bytes bytes_;
};

}  // namespace base
