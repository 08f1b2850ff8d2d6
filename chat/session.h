// SPDX-License-Identifier: Apache-2.0
// chat/session.h — one session between two contacts: a ratchet, and the two chains of places that its messages lie at.
//
// Every message of a direction has a number (seq, from 0) and lies in one box; 0 of the initiator is the handshake itself and
// lies in a door, or in the box of an invite. What is sealed into a message, `room` bytes, zero-padded, big-endian:
//   offset size field
//        0    4 seq
//        4    4 ack          every message of the other direction before this one is on the reader's disk; in a handshake its
//                            epoch (conversation.h): the greater of one more than the newest known, and 4,096 times the hours
//                            since 1970, of the next hour if it replaces a lost session
//        8    1 kind         1 part of a text, 2 control: nothing to show, 3 piece of a file (file_transfer.h), 4 the file
//        `message id`
//                            is not taken here, 5 part of what groups tell each other (group_controls.h)
//        9    1 flags        1 the next message lies at the first place of a new chain, 2 this session replaces one that was
//        lost;
//                            times 4: code of the message's life (message_life.h), 0: it is kept
//       10   16 message id   random, the same in all parts and when it is sealed again in another session
//       26    2 index        0..count-1
//       28    2 count        1..kPartsMax; of a file 1..kFilePiecesMax
//       30    4 sent hour    hours since 1970, UTC
//       34    2 length
//       36      text, then zeros
// The first message under a new ratchet key is the last of the old chain of places, and says so; its readers take the new chain
// from the same root step (protocol.md 10): who knows the old chain can follow it to this message and not beyond. Pure.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "chat/box.h"
#include "chat/box_reader.h"
#include "chat/envelope.h"
#include "chat/message_life.h"
#include "chat/note.h"
#include "chat/ratchet.h"

namespace chat {

using MessageId = NoteId;

inline constexpr size_t kContentHeaderSize = 36;
inline constexpr size_t kBoxRoom = kBoxSealedSize - kRatchetOverhead;  // 1,760
inline constexpr size_t kHandshakeSize = kFragmentTextMax;             // 1,782: what one envelope takes beside its header
inline constexpr size_t kHandshakeRoom = kHandshakeSize - kX3dhHeadSize - kRatchetOverhead;  // 1,542
inline constexpr size_t kBoxTextMax = kBoxRoom - kContentHeaderSize;                         // 1,724
inline constexpr size_t kHandshakeTextMax = kHandshakeRoom - kContentHeaderSize;             // 1,506
inline constexpr size_t kTextMax = 65536;  // of a conversation; a note has kNoteTextMax
inline constexpr uint16_t kPartsMax = 40;  // kTextMax takes 39
static_assert(kHandshakeTextMax + (kPartsMax - 1) * kBoxTextMax >= kTextMax);
inline constexpr size_t kFileBytesMax = 8 << 20;
inline constexpr uint16_t kFilePiecesMax =
    1 + ((kFileBytesMax + kBoxTextMax - 1) / kBoxTextMax);  // 4,867: the first one is the name

enum class ContentKind : uint8_t { kText = 1, kControl = 2, kPiece = 3, kRefusal = 4, kGroup = 5 };

struct Content {
  uint32_t seq = 0;
  uint32_t ack = 0;
  ContentKind kind = ContentKind::kControl;
  bool switches = false;
  bool replaces_lost = false;
  uint8_t life = 0;
  MessageId message_id{};
  uint16_t index = 0;
  uint16_t count = 1;
  uint32_t sent_hour = 0;
  base::Bytes text;

  bool operator==(const Content&) const = default;
};

// `room` bytes; CHECKs that the text fits.
base::Bytes EncodeContent(const Content& content, size_t room);
// InvalidArgument for anything EncodeContent does not write.
absl::StatusOr<Content> DecodeContent(base::ByteView bytes);

class Session {
 public:
  // As the one who writes first: `start` and the signed prekey it was made with.
  static absl::StatusOr<Session> Initiate(const X3dhStart& start, const keys::X25519Public& signed_prekey, base::Rng& rng);
  // As the one who answers: the rest of the handshake behind its head has to open. Unauthenticated if it does not.
  static absl::StatusOr<Session> Answer(const X3dhAnswer& answer, const keys::X25519KeyPair& prekey, base::ByteView sealed,
                                        base::Rng& rng, Content& first);

  bool initiated() const { return initiated_; }
  // True once a message of the other side was opened: it has this session too.
  bool confirmed() const { return confirmed_; }
  uint32_t next_seq() const { return next_seq_; }

  // The session's part of the handshake, sealed: exactly once, by the initiator, before anything else.
  base::Bytes SealFirst(Content content, base::Rng& rng);
  // The next message in its box. The state moves on: keep both before the box is sent.
  Box SealNext(Content content, std::string_view network, absl::Time expiry, base::Rng& rng);

  // True if the next message is the last of its chain of places.
  bool NextSwitches() const { return ratchet_.AtStart(); }

  // Where the other side's messages are looked for.
  BoxReader& reader() { return reader_; }
  const BoxReader& reader() const { return reader_; }
  // Takes a verified box found for `seq`. Unauthenticated if the ratchet does not open it, InvalidArgument if it opens to
  // nonsense: the place counts as read all the same, and the message as lost.
  absl::StatusOr<Content> Open(uint32_t seq, const Box& box, base::Rng& rng);

  base::Bytes Serialize() const;
  static absl::StatusOr<Session> Parse(base::ByteView bytes);

 private:
  explicit Session(Ratchet ratchet) : ratchet_(std::move(ratchet)) {}

  Ratchet ratchet_;
  keys::Digest associated_{};
  bool initiated_ = false;
  bool confirmed_ = false;
  uint32_t next_seq_ = 0;
  PlaceChain send_chain_;
  BoxReader reader_;
};

}  // namespace chat
