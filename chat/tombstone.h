// SPDX-License-Identifier: Apache-2.0
// chat/tombstone.h — the signed deletion of envelopes of one door place (protocol.md 8).
//
//   record body, big-endian
//   offset size field
//        0   32 A_e        blinded key of the door
//       32    4 day e
//       36    1 place j
//       37    1 count n    1..50
//       38  32n ids        ascending, no two alike
//   38+32n   64 signature  by a_e over H("door-del", network, A_e, e, j, ids)
//   record: point = H("loc", A_e, e, j), id = H("tombstone-id", kind, point, e, record body), expiry = end of day e + 15 d
// No channel binding: any replica verifies it whoever brings it, and bringing it twice is harmless.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "chat/door.h"
#include "dht/record.h"
#include "keys/identity.h"

namespace chat {

inline constexpr size_t kTombstoneIdsMax = 50;  // so that one fits a request cell (1,702 bytes)

struct Tombstone {
  Door door;
  uint8_t place = 0;
  std::vector<dht::RecordId> ids;  // ascending, no two alike
  keys::Signature signature{};
};

// Sorts the ids and drops doubles; CHECKs that 1 to kTombstoneIdsMax are given. InvalidArgument as DoorOf.
absl::StatusOr<Tombstone> SignTombstone(const keys::SigningKey& identity, std::string_view network, Day day, uint8_t place,
                                        std::vector<dht::RecordId> ids, base::Rng& rng);
bool VerifyTombstone(const Tombstone& tombstone, std::string_view network);

base::Bytes EncodeTombstone(const Tombstone& tombstone);
// InvalidArgument for a wrong size, place, count or order of ids. The signature is not looked at.
absl::StatusOr<Tombstone> DecodeTombstone(base::ByteView body);
// How many ids an acceptable tombstone's body names, without decoding it.
size_t TombstoneIdCount(base::ByteView body);

dht::Record MakeTombstoneRecord(const Tombstone& tombstone);
// DecodeTombstone, and InvalidArgument unless point, id and expiry are what the body says they are.
absl::StatusOr<Tombstone> ReadTombstoneRecord(const dht::Record& record);

}  // namespace chat
