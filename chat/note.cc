// SPDX-License-Identifier: Apache-2.0
#include "chat/note.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"

namespace chat {

namespace {

keys::Digest SignedDigest(std::string_view network, const keys::PublicKey& recipient, const NoteId& note_id,
                          base::ByteView text) {
  const keys::Digest text_digest = keys::Hash("note-text", {text});
  return keys::Hash("note-sig", {base::AsBytes(network), recipient.view(), note_id, text_digest});
}

// How much text a fragment has room for.
size_t RoomOf(NoteKind kind, uint8_t index) {
  const bool has_sender = (kind == NoteKind::kSigned || kind == NoteKind::kReply) && index == 0;
  return has_sender ? kFragmentTextMax - kSenderSize : kFragmentTextMax;
}

// How many fragments a text takes.
uint8_t CountFor(size_t text_size, NoteKind kind) {
  const size_t first = RoomOf(kind, 0);
  const size_t rest = text_size <= first ? 0 : text_size - first;
  return static_cast<uint8_t>(1 + (rest + kFragmentTextMax - 1) / kFragmentTextMax);
}

bool AllZero(base::ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

bool KnownKind(NoteKind kind) { return kind >= NoteKind::kAnonymous && kind <= NoteKind::kHandshake; }

// All fragments but the last one are full, so a text has one way only to be cut.
absl::Status CheckShape(const Fragment& fragment, size_t length) {
  if (!KnownKind(fragment.kind)) return absl::InvalidArgumentError("fragment of an unknown kind");
  if (fragment.count == 0 || fragment.count > kFragmentsMax || fragment.index >= fragment.count) {
    return absl::InvalidArgumentError("fragment with a wrong index or count");
  }
  const size_t room = RoomOf(fragment.kind, fragment.index);
  if (fragment.kind == NoteKind::kHandshake && (fragment.count != 1 || length != room)) {
    return absl::InvalidArgumentError("handshake of a wrong size");
  }
  const bool last = fragment.index + 1 == fragment.count;
  const bool only = fragment.count == 1;
  if (length > room || (!last && length != room) || (last && !only && length == 0)) {
    return absl::InvalidArgumentError("fragment with a wrong length");
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t HourOf(absl::Time wall) {
  return static_cast<uint32_t>(std::clamp<int64_t>(absl::ToUnixSeconds(wall) / 3600, 0, UINT32_MAX));
}

base::Bytes EncodeFragment(const Fragment& fragment) {
  CHECK(fragment.text.size() <= RoomOf(fragment.kind, fragment.index));
  base::ByteWriter out;
  out.Append(fragment.note_id).U8(fragment.index).U8(fragment.count).U16(static_cast<uint16_t>(fragment.text.size()));
  out.U32(fragment.sent_hour).U8(static_cast<uint8_t>(fragment.kind));
  if (fragment.sender) out.Append(fragment.sender->identity.view()).Append(fragment.sender->signature);
  if (fragment.reply) out.Append(*fragment.reply).Append(base::Bytes(kSenderSize - kReplySize));
  out.Append(fragment.text);
  base::Bytes bytes = out.Take();
  bytes.resize(kPlainSize, 0);
  return bytes;
}

absl::StatusOr<Fragment> DecodeFragment(base::ByteView plain) {
  if (plain.size() != kPlainSize) return absl::InvalidArgumentError(absl::StrCat("fragment of ", plain.size(), " bytes"));
  base::ByteReader in(plain);
  Fragment fragment;
  fragment.note_id = in.Array<16>();
  fragment.index = in.U8();
  fragment.count = in.U8();
  const size_t length = in.U16();
  fragment.sent_hour = in.U32();
  fragment.kind = static_cast<NoteKind>(in.U8());
  RETURN_IF_ERROR(CheckShape(fragment, length));
  if (fragment.kind == NoteKind::kSigned && fragment.index == 0) {
    NoteSender sender;
    sender.identity.bytes = in.Array<32>();
    sender.signature = in.Array<64>();
    fragment.sender = sender;
  }
  if (fragment.kind == NoteKind::kReply && fragment.index == 0) {
    fragment.reply = in.Array<kReplySize>();
    if (!AllZero(in.Take(kSenderSize - kReplySize))) return absl::InvalidArgumentError("fragment with wrong padding");
  }
  fragment.text = base::ToBytes(in.Take(length));
  if (!in.ok() || !AllZero(in.Rest())) return absl::InvalidArgumentError("fragment with wrong padding");
  return fragment;
}

absl::StatusOr<std::vector<Fragment>> SplitNote(base::ByteView text, std::string_view network, const keys::PublicKey& recipient,
                                                const keys::SigningKey* signer, absl::Time wall_now, base::Rng& rng,
                                                const std::optional<NoteReply>& reply) {
  CHECK(signer == nullptr || !reply);
  if (text.size() > kNoteTextMax) {
    return absl::OutOfRangeError(absl::StrCat("a note of ", text.size(), " bytes; at most ", kNoteTextMax, " are taken"));
  }
  Fragment model;
  model.note_id = rng.Array<16>();
  model.sent_hour = HourOf(wall_now);
  model.kind = signer != nullptr ? NoteKind::kSigned : reply ? NoteKind::kReply : NoteKind::kAnonymous;
  model.count = CountFor(text.size(), model.kind);
  std::vector<Fragment> fragments(model.count, model);
  if (signer != nullptr) {
    fragments[0].sender = NoteSender{signer->public_key(), signer->Sign(SignedDigest(network, recipient, model.note_id, text))};
  }
  fragments[0].reply = reply;
  for (uint8_t i = 0; i < model.count; ++i) {
    const size_t size = std::min(text.size(), RoomOf(model.kind, i));
    fragments[i].index = i;
    fragments[i].text = base::ToBytes(text.first(size));
    text = text.subspan(size);
  }
  return fragments;
}

absl::StatusOr<Note> JoinNote(const std::vector<Fragment>& fragments, std::string_view network,
                              const keys::PublicKey& recipient) {
  CHECK(!fragments.empty() && fragments.size() == fragments.front().count);
  const Fragment& first = fragments.front();
  Note note{first.note_id, first.sent_hour, first.sender, first.reply, {}};
  for (const Fragment& fragment : fragments) note.text.insert(note.text.end(), fragment.text.begin(), fragment.text.end());
  if (note.sender &&
      !keys::Verify(note.sender->identity, SignedDigest(network, recipient, note.id, note.text), note.sender->signature)) {
    return absl::UnauthenticatedError("note with a wrong signature");
  }
  return note;
}

}  // namespace chat
