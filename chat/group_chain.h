// SPDX-License-Identifier: Apache-2.0
// chat/group_chain.h — the places that one member of a group writes at, and all the others read: one write, many readers.
//
//   writing pair  (p, P), made for the chain; the writer alone has p
//   chain         secret C_i, seed_i = H(key = C_i, "box"), C_{i+1} = H(key = C_i, "next")      as in box.h
//   place key     M_i = k_i·P,  k_i = reduce(H-512(key = seed_i, "group-place", P))             keys/blinded_key.h
//   sealed        XChaCha20-Poly1305, zero nonce, under H(key = seed_i, "group-message", P);
//                 associated data: group 32 ‖ identity of the writer 32 ‖ P 32 ‖ i 4 (a member who tells another's chain as its
//                 own is not believed); plain text as session.h lays it out, kGroupRoom bytes
// After BACAP (Katzenpost's Pigeonhole; facts and source in docs/mailbox.md): whoever has (P, C_i) finds, verifies and opens
// i and all later ones; nothing before it, and nothing can be written with it. A box is one of box.h, of the same size: a storing
// node sees no difference, but that more than one finds it; no two places of a chain have anything in common. Seeds are erased as
// they are used, so what was read stays sealed when a member's disk is taken; only a fresh chain (group_book.h makes one when
// somebody goes) heals what comes. The signature under M_i proves to members who wrote, and nothing to others: P is nobody's
// identity. Pure.
#pragma once

#include <array>
#include <string_view>

#include "absl/status/statusor.h"
#include "chat/box.h"
#include "chat/session.h"

namespace chat {

// 16 random bytes, then 16 that follow from them and from who made the group: nobody announces a group of somebody else's, or
// takes a key for an id. It stands where a contact's key stands: of a thread, of what is in focus, of entries on disk.
using GroupId = keys::PublicKey;

GroupId GroupIdOf(const keys::PublicKey& creator, const std::array<uint8_t, 16>& random);
bool IsGroupOf(const GroupId& id, const keys::PublicKey& creator);

inline constexpr size_t kGroupRoom = kBoxSealedSize - 16;                 // 1,840
inline constexpr size_t kGroupTextMax = kGroupRoom - kContentHeaderSize;  // 1,804
inline constexpr uint32_t kGroupSeqMax = 1u << 31;  // of a chain that somebody tells: numbers behind it do not wrap around
static_assert(kPartsMax * kGroupTextMax >= kTextMax);

// M_i of a seed. All zero if `writer` is no point: nothing verifies under that.
keys::PublicKey GroupBoxKey(const keys::PublicKey& writer, const keys::WipedArray<32>& seed);

// What the writer says of its chain: `next` is the number of the message that `secret` begins with.
struct GroupChain {
  keys::PublicKey writer;
  keys::WipedArray<32> secret;
  uint32_t first = 0;  // number of the chain's first message: those before it lie in the chain before
  uint32_t next = 0;
  uint64_t made = 0;  // seconds since 1970: of two chains of a member the later one is written
};

// The writing end. Copies would write one place twice: it moves only.
class GroupWriter {
 public:
  // A fresh pair and chain; its first message has number `first`.
  GroupWriter(uint32_t first, uint64_t made, base::Rng& rng);

  const keys::PublicKey& writer() const { return key_.public_key(); }
  GroupChain Tell() const { return {writer(), chain_.secret(), first_, next_, made_}; }
  uint32_t next() const { return next_; }
  // The next message in its box; `content` without its number. The state moves on: keep both before the box is sent.
  Box Seal(const GroupId& group, const keys::PublicKey& self, Content content, std::string_view network, absl::Time expiry,
           base::Rng& rng);

  base::Bytes Serialize() const;                   // kSerializedSize bytes
  static GroupWriter Parse(base::ByteView bytes);  // CHECKs the size
  static constexpr size_t kSerializedSize = 32 + 32 + 4 + 4 + 8;

 private:
  GroupWriter(keys::SigningKey key, PlaceChain chain) : key_(std::move(key)), chain_(std::move(chain)) {}

  keys::SigningKey key_;
  PlaceChain chain_;
  uint32_t first_ = 0, next_ = 0;
  uint64_t made_ = 0;
};

// What lies in a box of the chain that `member` told, which has been verified. Unauthenticated, or InvalidArgument: it is
// nonsense.
absl::StatusOr<Content> OpenGroupBox(const GroupId& group, const keys::PublicKey& member, const keys::PublicKey& writer,
                                     uint32_t seq, const keys::WipedArray<32>& seed, base::ByteView sealed);

}  // namespace chat
