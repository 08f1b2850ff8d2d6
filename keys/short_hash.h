// SPDX-License-Identifier: Apache-2.0
// keys/short_hash.h — SipHash-2-4: a keyed hash of 64 bits, for short ids and tables whose input strangers choose.
//
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012. Who does not know the key cannot find
// inputs that collide; who knows it can, so the result proves nothing to others. About 20 ns for 32 bytes.
#pragma once

#include <array>

#include "base/bytes.h"

namespace keys {

using ShortHashKey = std::array<uint8_t, 16>;

uint64_t ShortHash(const ShortHashKey& key, base::ByteView bytes);  // the eight bytes of the paper, little-endian

}  // namespace keys
