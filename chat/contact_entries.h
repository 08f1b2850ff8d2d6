// SPDX-License-Identifier: Apache-2.0
// chat/contact_entries.h — the entries of an inbox that a contact book is made of: their types and names (inbox.h seals them).
//
// Of a conversation the name begins with the key that its contact stands under; then the number of a message, the seq of a
// parcel, or an id. Layouts of the values: EncodeContact here, else beside what they hold (conversation.h, outbox.h,
// file_transfer.h, invite.h). Of an id that was seen: its place in the order in which they were, 8 bytes.
#pragma once

#include "base/byte_writer.h"
#include "chat/contact_book.h"

namespace chat {

inline constexpr uint8_t kContactEntry = 'k', kHeadEntry = 'c', kMessageEntry = 'o', kParcelEntry = 'b', kSeenEntry = 'd';
inline constexpr uint8_t kFileEntry = 't', kBytesEntry = 'y';
// A handshake out of the door that waits for the book: its 1,782 bytes ‖ effort 4, of an envelope whose stamp is true.
inline constexpr size_t kWaitingHandshakeSize = kHandshakeSize + 4;
inline constexpr uint8_t kPrekeysEntry = 'p', kInviteEntry = 'i', kPublishedEntry = 'v', kHandshakeEntry = 'q';

// Of groups: the name begins with the group's id; then the member of a feed, the number or the seq (group_book.h).
inline constexpr uint8_t kGroupEntry = 'g', kFeedEntry = 'h', kGroupMessageEntry = 'j', kGroupParcelEntry = 'l',
                         kEarlyEntry = 'e', kLeftEntry = 'a';

inline base::Bytes NameOf(const keys::PublicKey& peer) { return base::ToBytes(peer.view()); }
inline base::Bytes NameOf(const keys::PublicKey& peer, uint64_t number) {
  return base::ByteWriter().Append(peer.view()).U64(number).Take();
}
inline base::Bytes NameOf(const GroupId& group, const keys::PublicKey& member) {
  return base::ByteWriter().Append(group.view()).Append(member.view()).Take();
}
inline base::Bytes NameOf(const keys::PublicKey& peer, const MessageId& id) {
  return base::ByteWriter().Append(peer.view()).Append(id).Take();
}

base::Bytes EncodeContact(const Contact& contact);
absl::StatusOr<Contact> DecodeContact(base::ByteView bytes);  // DataLoss

}  // namespace chat
