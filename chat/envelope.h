// SPDX-License-Identifier: Apache-2.0
// chat/envelope.h — one sealed piece of a note as it lies in a door, and its record (protocol.md 8, 9).
//
//   sealed, 1,856 bytes                         record body, 1,913 bytes, big-endian
//   offset size field                           offset size field
//        0    1 suite (1)                            0   32 A_e        blinded key of the door
//        1   32 Ek, fresh X25519 key                32    4 day e
//       33 1823 XChaCha20-Poly1305, zero nonce,     36    1 place j
//               of 1,807 bytes; the suite byte      37    4 effort     claimed work; 0: none
//               is associated data                  41   16 stamp      proof of it (keys/work_proof.h); zero where effort is 0
//                                                   57 1856 sealed
//   seal key = H(key = X25519(Ek, X(A)), "note", network, Ek, A, A_e)
//   challenge of the stamp = H("stamp", network, A_e, e, j, effort, sealed), numbers as 8 bytes
//   record   point = H("loc", A_e, e, j), id = H("envelope-id", kind, point, e, record body), expiry = end of day e + 14 d
// The record carries A_e and j so that any replica can check point, id, expiry and rank from the record alone; a storing node
// may know A_e (every listing shows it). The same sealed bytes at another place are another record with another id.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "chat/door.h"
#include "dht/record.h"
#include "keys/identity.h"
#include "keys/work_proof.h"

namespace chat {

inline constexpr uint8_t kEnvelopeSuite = 1;
inline constexpr size_t kSealedSize = 1856;
inline constexpr size_t kPlainSize = kSealedSize - 1 - 32 - 16;  // 1,807: one fragment (chat/note.h)
inline constexpr size_t kStampSize = sizeof(keys::WorkProof);
inline constexpr size_t kEnvelopeBodySize = 32 + 4 + 1 + 4 + kStampSize + kSealedSize;
static_assert(kEnvelopeBodySize == 1913);

// CHECKs plain.size() == kPlainSize. InvalidArgument if the recipient is no valid point.
absl::StatusOr<base::Bytes> SealEnvelope(const keys::PublicKey& recipient, std::string_view network,
                                         const keys::PublicKey& blinded, base::ByteView plain, base::Rng& rng);
// Unauthenticated, with one text, for all that this identity cannot open in this door.
absl::StatusOr<base::Bytes> OpenEnvelope(const keys::SigningKey& identity, std::string_view network,
                                         const keys::PublicKey& blinded, base::ByteView sealed);

// Of all stamps of one send together, or of one contact request: half a minute on one core. A door that asks for more is lost for
// the day.
inline constexpr uint32_t kSendEffortMax = uint32_t{1} << 16;

struct Envelope {
  Door door;
  uint8_t place = 0;
  uint32_t effort = 0;
  keys::WorkProof stamp{};
  base::Bytes sealed;  // kSealedSize

  bool operator==(const Envelope& other) const;
};

base::Bytes EncodeEnvelope(const Envelope& envelope);
// InvalidArgument for a wrong size or place.
absl::StatusOr<Envelope> DecodeEnvelope(base::ByteView body);

// What the stamp is made for: of all but the stamp.
keys::Digest StampChallenge(std::string_view network, const Envelope& envelope);
// Whether the stamp proves the claimed effort. Takes half a millisecond where one is claimed.
bool HasTrueStamp(std::string_view network, const Envelope& envelope);
// The same; nothing if there is no memory for the look.
std::optional<bool> JudgeStamp(std::string_view network, const Envelope& envelope);

dht::Record MakeEnvelopeRecord(const Envelope& envelope);
// DecodeEnvelope, and InvalidArgument unless point, id and expiry are what the body says they are.
absl::StatusOr<Envelope> ReadEnvelopeRecord(const dht::Record& record);

// The order of a door place: greater effort first, then the smaller H("rank", e, id), then the smaller id.
struct Rank {
  uint32_t effort = 0;
  std::array<uint8_t, 32> lot{};
  dht::RecordId id{};

  bool operator<(const Rank& other) const;  // true: stands before `other`
};
Rank RankOf(Day day, uint32_t effort, const dht::RecordId& id);
// Of an acceptable record; it is read without being checked again.
Rank RankOf(const dht::Record& record);
uint32_t EffortOf(const dht::Record& record);

}  // namespace chat
