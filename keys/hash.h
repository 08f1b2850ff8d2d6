// SPDX-License-Identifier: Apache-2.0
// keys/hash.h — the one hash of the protocol: BLAKE2b over a label and parts (RFC 7693).
//
// H(label, part, ...) hashes  len(label) 1 ‖ label ‖ for each part: len(part) 4 ‖ part, lengths big-endian, so no two lists of
// parts give the same bytes. Every label begins "bulbil/1/" (protocol.md); Hasher adds that prefix, callers pass the rest:
// Hasher("node") hashes the label "bulbil/1/node". H(key = k, ...) is keyed BLAKE2b, k of at most 64 bytes.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "base/bytes.h"

namespace keys {

using Digest = std::array<uint8_t, 32>;
using Digest512 = std::array<uint8_t, 64>;

class Hasher {
 public:
  explicit Hasher(std::string_view label, base::ByteView key = {}, size_t digest_size = 32);  // 32 or 64
  ~Hasher();

  Hasher& Add(base::ByteView part);
  Hasher& Add(std::string_view part) { return Add(base::AsBytes(part)); }
  Hasher& AddU64(uint64_t part);  // eight bytes, big-endian

  Digest Finish();        // CHECKs that the digest size is 32
  Digest512 Finish512();  // CHECKs that it is 64

 private:
  alignas(64) uint8_t state_[384];  // crypto_generichash_state
  size_t digest_size_;
};

// The common case in one call: Hash("node", {network, public_key, admission}).
Digest Hash(std::string_view label, std::initializer_list<base::ByteView> parts);
Digest KeyedHash(base::ByteView key, std::string_view label, std::initializer_list<base::ByteView> parts);

}  // namespace keys
