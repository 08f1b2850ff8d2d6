// SPDX-License-Identifier: Apache-2.0
// chat/note.h — a text of up to 16 KiB as fragments that each fill one envelope (protocol.md 9).
//
//   fragment, 1,807 bytes, big-endian
//   offset size field
//        0   16 note id     random, the same in all fragments of a note
//       16    1 index       0..count-1
//       17    1 count       1..12
//       18    2 length      bytes of text in this fragment
//       20    4 sent hour   hours since 1970, UTC; coarse on purpose
//       24    1 kind        1 anonymous, 2 signed, 3 with a reply address, 4 handshake of a session (session.h): 1,782 bytes,
//       alone 25   96 sender's identity key 32 ‖ signature 64: only in fragment 0 of a signed note 25   96 reply address 84
//       (invite.h) ‖ zeros: only in fragment 0 of a note that can be answered
//    25/121    text, then zeros to the end
// Signature: Ed25519 by the identity over H("note-sig", network, recipient A, note id, H("note-text", whole text)). It shows the
// reader, and whoever the reader shows it to, who wrote the note: not deniable. Text is bytes, kept as they are.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "chat/envelope.h"
#include "keys/identity.h"

namespace chat {

using NoteId = std::array<uint8_t, 16>;

enum class NoteKind : uint8_t { kAnonymous = 1, kSigned = 2, kReply = 3, kHandshake = 4 };

inline constexpr size_t kNoteTextMax = 16384;  // what `send` takes
inline constexpr int kFragmentsMax = 12;       // wire limit; 16,384 bytes take 10
inline constexpr size_t kFragmentHeaderSize = 25, kSenderSize = 32 + 64;
inline constexpr size_t kReplySize = 84;  // an invite of an identity that was made for this note
inline constexpr size_t kFragmentTextMax = kPlainSize - kFragmentHeaderSize;
static_assert((kFragmentsMax * kFragmentTextMax) - kSenderSize >= kNoteTextMax);

uint32_t HourOf(absl::Time wall);  // hours since 1970, UTC: as exactly as anybody is told

struct NoteSender {
  keys::PublicKey identity;
  keys::Signature signature{};

  bool operator==(const NoteSender&) const = default;
};

using NoteReply = std::array<uint8_t, kReplySize>;

struct Fragment {
  NoteId note_id{};
  uint8_t index = 0;
  uint8_t count = 1;
  uint32_t sent_hour = 0;
  NoteKind kind = NoteKind::kAnonymous;
  std::optional<NoteSender> sender;  // exactly in fragment 0 of a signed note
  std::optional<NoteReply> reply;    // exactly in fragment 0 of a note of that kind
  base::Bytes text;

  bool operator==(const Fragment&) const = default;
};

base::Bytes EncodeFragment(const Fragment& fragment);  // kPlainSize bytes
// InvalidArgument for all that EncodeFragment does not write: sizes, kinds, padding that is not zero, empty middle fragments.
absl::StatusOr<Fragment> DecodeFragment(base::ByteView plain);

// A whole note, as it is read.
struct Note {
  NoteId id{};
  uint32_t sent_hour = 0;
  std::optional<NoteSender> sender;
  std::optional<NoteReply> reply;
  base::Bytes text;

  bool operator==(const Note&) const = default;
};

// The fragments of a new note, in order. OutOfRange if the text is longer than kNoteTextMax; an empty text is one fragment.
// `signer`: null for an anonymous note, and for one with a reply address.
absl::StatusOr<std::vector<Fragment>> SplitNote(base::ByteView text, std::string_view network, const keys::PublicKey& recipient,
                                                const keys::SigningKey* signer, absl::Time wall_now, base::Rng& rng,
                                                const std::optional<NoteReply>& reply = std::nullopt);

// The note out of all its fragments, index ascending and complete (assembler.h sees to that). Unauthenticated if a signed note
// does not bear its sender's signature for this recipient: such a note is nobody's and is thrown away.
absl::StatusOr<Note> JoinNote(const std::vector<Fragment>& fragments, std::string_view network, const keys::PublicKey& recipient);

}  // namespace chat
