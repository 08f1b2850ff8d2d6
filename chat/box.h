// SPDX-License-Identifier: Apache-2.0
// chat/box.h — private boxes: single-use, write-once places that only the two ends of a conversation can find (protocol.md 10).
//
//   chain   seed_i = H(key = C_i, "box"), (b_i, B_i) = the Ed25519 pair of that seed, C_{i+1} = H(key = C_i, "next")
//   record body, 1,961 bytes, big-endian
//   offset size field
//        0   32 B_i
//       32    1 place j      0..2
//       33    8 expiry       seconds since 1970, a whole UTC day: says nothing of the hour of sending
//       41 1856 sealed       one ratchet message (chat/ratchet.h), or the handshake of an invite (chat/invite.h)
//     1897   64 signature    by b_i over H("box", network, B_i, expiry as 8 bytes, sealed): the same at all places
//   record: point = H("loc", B_i, j), id = H("box-id", kind, point, body), expiry as the body says
// Both ends can derive b_i, so a box proves nothing to others; who cannot derive it can neither write, predict nor flood the
// place. Of two valid boxes of one place the one with the smaller H("box-order", B_i, expiry, sealed, signature) stays, on all
// replicas alike and at all three places; a client's second box is refused as full ("taken"). Readers never delete; boxes expire.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/door.h"
#include "dht/record.h"
#include "keys/identity.h"

namespace chat {

inline constexpr size_t kBoxSealedSize = 1856;
inline constexpr size_t kBoxBodySize = 32 + 1 + 8 + kBoxSealedSize + 64;
static_assert(kBoxBodySize == 1961);
inline constexpr Day kBoxDays = 14;  // a box lives until the end of the day of sending + 14

// One end's position in a chain of places. Moving on erases what came before.
class PlaceChain {
 public:
  PlaceChain() = default;
  explicit PlaceChain(const keys::WipedArray<32>& first) : secret_(first) {}

  keys::WipedArray<32> Seed() const;  // seed_i of the current place
  void Advance();

  const keys::WipedArray<32>& secret() const { return secret_; }

 private:
  keys::WipedArray<32> secret_;
};

// B_i of a seed, and the three points and the first place that follow from it.
keys::PublicKey BoxKeyOf(const keys::WipedArray<32>& seed);
overlay::NodeId BoxPoint(const keys::PublicKey& box_key, uint8_t place);
uint8_t FirstBoxPlace(const keys::PublicKey& box_key);  // j* = H("first", B_i)[0] mod 3
absl::Time BoxExpiry(absl::Time wall_now);

struct Box {
  keys::PublicKey key;
  uint8_t place = 0;
  absl::Time expiry;
  base::Bytes sealed;  // kBoxSealedSize
  keys::Signature signature{};

  bool operator==(const Box&) const = default;
};

// CHECKs sealed.size() == kBoxSealedSize. The place is 0; a copy for another one differs in that field only.
Box MakeBox(const keys::WipedArray<32>& seed, std::string_view network, base::Bytes sealed, absl::Time expiry);
// A box at one of the places of a group's chain: only who has the writing key can make it (group_chain.h). The same CHECK; errors
// of keys::SignBlindedWith.
absl::StatusOr<Box> MakeBlindedBox(const keys::SigningKey& writer, const std::array<uint8_t, 64>& blinding,
                                   std::string_view network, base::Bytes sealed, absl::Time expiry, base::Rng& rng);
bool VerifyBox(const Box& box, std::string_view network);

base::Bytes EncodeBox(const Box& box);
// InvalidArgument for a wrong size, place or expiry. The signature is not looked at.
absl::StatusOr<Box> DecodeBox(base::ByteView body);

dht::Record MakeBoxRecord(const Box& box);
// DecodeBox, and InvalidArgument unless point, id and expiry are what the body says they are.
absl::StatusOr<Box> ReadBoxRecord(const dht::Record& record);

// What a storing node accepts at a box place.
class BoxKind : public dht::RecordKind {
 public:
  explicit BoxKind(std::string network) : network_(std::move(network)) {}

  // Until expiry, which is at most dht::kTtlMax ahead; signed by the key that the point is made of.
  absl::Status Acceptable(const dht::Record& record, dht::Source source, absl::Time wall_now) const override;
  dht::Admission Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const override;

 private:
  const std::string network_;
};

}  // namespace chat
