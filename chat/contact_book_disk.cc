// SPDX-License-Identifier: Apache-2.0
// What a contact book writes, and how it is loaded.
#include "base/byte_reader.h"
#include "base/status_macros.h"
#include "chat/contact_book.h"
#include "chat/contact_entries.h"

namespace chat {

namespace {

keys::PublicKey PeerIn(base::ByteReader& in) { return {in.Array<32>()}; }

}  // namespace

void ContactBook::SaveFiles(const keys::PublicKey& peer, const Conversation& conversation, const Conversation::Changes& changes,
                            InboxChange& out) const {
  for (const uint64_t number : changes.outbox.files) {
    const auto it = conversation.outbox().messages().find(number);
    out.book.push_back({kBytesEntry, NameOf(peer, number), std::nullopt});
    const bool has_bytes = it != conversation.outbox().messages().end() && !it->second.Final() && !it->second.gone;
    if (has_bytes) out.book.back().value = it->second.text;
  }
  for (const MessageId& id : changes.files) {
    const auto it = conversation.files().find(id);
    out.book.push_back({kFileEntry, NameOf(peer, id), std::nullopt});
    if (it != conversation.files().end()) out.book.back().value = it->second.Serialize();
  }
  for (const auto& piece : changes.pieces) out.pieces.push_back({peer, piece.id, piece.index, piece.bytes});
  for (const auto& [id, pieces] : changes.file_erased) out.files_erased.push_back({peer, id, pieces});
}

void ContactBook::SaveConversation(const keys::PublicKey& peer, Conversation& conversation, Change& change, absl::Time wall_now) {
  Conversation::Changes changes = conversation.TakeChanges();
  if (changes.empty()) return;
  std::vector<BookEntry>& out = change.inbox.book;
  const Outbox& outbox = conversation.outbox();
  for (const uint64_t number : changes.outbox.messages) {
    const auto it = outbox.messages().find(number);
    out.push_back({kMessageEntry, NameOf(peer, number), std::nullopt});
    if (it != outbox.messages().end()) out.back().value = EncodeOutgoing(it->second);
  }
  SaveFiles(peer, conversation, changes, change.inbox);
  for (const uint32_t seq : changes.outbox.parcels) {
    const auto it = outbox.parcels().find(seq);
    out.push_back({kParcelEntry, NameOf(peer, seq), std::nullopt});
    if (it != outbox.parcels().end()) out.back().value = EncodeParcel(it->second);
  }
  for (const auto& [id, place] : changes.seen) {
    out.push_back({kSeenEntry, NameOf(peer, id), base::ByteWriter().U64(place).Take()});
  }
  for (const MessageId& id : changes.forgotten) out.push_back({kSeenEntry, NameOf(peer, id), std::nullopt});
  if (changes.head) out.push_back({kHeadEntry, NameOf(peer), conversation.SerializeHead()});
  for (Incoming& one : changes.arrived) {
    Message message;
    message.id = one.id;
    message.text = std::move(one.text);
    message.sent_hour = one.sent_hour;
    message.from = peer;
    message.received = wall_now;
    message.in_conversation = true;
    message.late = one.late;
    message.file = std::move(one.file);
    message.life = one.life;
    change.inbox.messages.push_back(std::move(message));
  }
  for (const ConversationNotice& notice : changes.notices) {
    change.notices.push_back({static_cast<BookNotice::Kind>(notice.kind), peer, notice.count});
  }
  for (const StateChange& state : changes.states) {
    change.states.push_back({peer, state});
    if (state.state == DeliveryState::kDelivered) change.inbox.fates.emplace_back(state.id, Fate::kDelivered);
    if (state.state == DeliveryState::kRefused) change.inbox.fates.emplace_back(state.id, Fate::kRefused);
    if (state.state == DeliveryState::kExpired) change.inbox.fates.emplace_back(state.id, Fate::kExpired);
  }
}

ContactBook::Change ContactBook::TakeChange(absl::Time wall_now) {
  ExchangeControls(wall_now);
  Change change;
  std::vector<BookEntry>& out = change.inbox.book;
  out = std::exchange(gone_, {});
  change.inbox.history = std::exchange(written_, {});
  change.inbox.files_erased = std::exchange(gone_files_, {});
  for (const keys::PublicKey& key : std::exchange(changed_contacts_, {})) {
    const auto it = contacts_.find(key);
    if (it != contacts_.end()) out.push_back({kContactEntry, NameOf(key), EncodeContact(it->second)});
  }
  for (const auto& secret : std::exchange(changed_invites_, {})) {
    const auto it = invites_.find(secret);
    out.push_back({kInviteEntry, base::Bytes(secret.begin(), secret.end()), std::nullopt});
    if (it != invites_.end()) out.back().value = EncodeInvite(it->second);
  }
  if (std::exchange(prekeys_changed_, false)) out.push_back({kPrekeysEntry, {}, prekeys_.Serialize()});
  if (std::exchange(published_changed_, false)) {
    base::ByteWriter published;
    for (const auto& [where, what] : published_) {
      published.U32(where.first).U8(where.second).U64(what.version).U64(static_cast<uint64_t>(absl::ToUnixSeconds(what.when)));
    }
    out.push_back({kPublishedEntry, {}, published.Take()});
  }
  for (auto& [key, conversation] : conversations_) SaveConversation(key, conversation, change, wall_now);
  SaveGroups(change);
  const auto notices = std::exchange(notices_, {});
  change.notices.insert(change.notices.begin(), notices.begin(), notices.end());
  return change;
}

absl::Status ContactBook::Load(const std::vector<BookEntry>& entries, absl::Time wall_now) {
  std::vector<const BookEntry*> handshakes;
  // Contacts first, since a conversation takes its options from them; heads and messages before what belongs to them.
  for (const uint8_t type : {kContactEntry, kGroupEntry, kHeadEntry, kMessageEntry, uint8_t{0}}) {
    for (const BookEntry& entry : entries) {
      const bool early =
          entry.type == kContactEntry || entry.type == kGroupEntry || entry.type == kHeadEntry || entry.type == kMessageEntry;
      if (type != 0 ? entry.type != type : early) continue;
      base::ByteReader in(entry.name);
      const base::Bytes& value = *entry.value;
      switch (entry.type) {
        case kContactEntry: {
          ASSIGN_OR_RETURN(const Contact contact, DecodeContact(value));
          contacts_[contact.key] = contact;
          break;
        }
        case kHeadEntry:
          RETURN_IF_ERROR(ConversationWith(PeerIn(in), Standing::kContact).RestoreHead(value));
          break;
        case kMessageEntry: {
          ASSIGN_OR_RETURN(Outgoing message, DecodeOutgoing(value));
          ConversationWith(PeerIn(in), Standing::kContact).restorable_outbox().Restore(std::move(message));
          break;
        }
        case kParcelEntry: {
          ASSIGN_OR_RETURN(Parcel parcel, DecodeParcel(value));
          ConversationWith(PeerIn(in), Standing::kContact).restorable_outbox().Restore(std::move(parcel));
          break;
        }
        case kBytesEntry: {
          const keys::PublicKey peer = PeerIn(in);
          ConversationWith(peer, Standing::kContact).restorable_outbox().RestoreBytes(in.U64(), value);
          break;
        }
        case kFileEntry: {
          ASSIGN_OR_RETURN(IncomingFile file, IncomingFile::Parse(value));
          ConversationWith(PeerIn(in), Standing::kContact).RestoreFile(std::move(file));
          break;
        }
        case kSeenEntry: {
          const keys::PublicKey peer = PeerIn(in);
          const uint64_t place = base::ByteReader(value).U64();  // 0 if there is none: earlier versions wrote none
          ConversationWith(peer, Standing::kContact).RestoreSeen(in.Array<16>(), place);
          break;
        }
        case kPrekeysEntry: {
          ASSIGN_OR_RETURN(prekeys_, Prekeys::Parse(value));
          break;
        }
        case kInviteEntry: {
          ASSIGN_OR_RETURN(Invite invite, DecodeInvite(value));
          invites_[invite.code.secret] = invite;
          break;
        }
        case kPublishedEntry: {
          base::ByteReader published(value);
          while (published.left() > 0 && published.ok()) {
            const Day day = published.U32();
            const uint8_t place = published.U8();
            const uint64_t version = published.U64();
            published_[{day, place}] = {version, absl::FromUnixSeconds(static_cast<int64_t>(published.U64() & INT64_MAX))};
          }
          break;
        }
        case kGroupEntry:
        case kFeedEntry:
        case kGroupMessageEntry:
        case kGroupParcelEntry:
        case kEarlyEntry:
        case kLeftEntry:
          RETURN_IF_ERROR(groups_.Load(entry));
          break;
        case kHandshakeEntry:
          handshakes.push_back(&entry);
          break;
        default:
          return absl::DataLossError("an entry of an unknown type");
      }
    }
  }
  for (const BookEntry* entry : handshakes) OnHandshake(entry->name, *entry->value, wall_now);
  return absl::OkStatus();
}

}  // namespace chat
