// SPDX-License-Identifier: Apache-2.0
// chat/inbox.h — what one identity has received, kept here before it is deleted from the ring (protocol.md 9).
//
// Holds whole messages, shown or not yet, fragments of incomplete notes, ids of finished notes until nothing of them can come
// again, and when the last complete poll was. Entries of an InboxStore:
//   key    type 1 ‖ H(key = K_index, "inbox-name", type, name) 32      K_index = H(key = identity seed, "inbox-index")
//   value  nonce 24 ‖ XChaCha20-Poly1305 under K = H(key = identity seed, "inbox"), associated data = key
//   type 's' last poll 8 | 'f' expiry 8 ‖ fragment 1,807 | 'n' note id 16 ‖ expiry 8 | 'u' note id 16: not shown yet
//        'w' timer of a message that disappears: id 16 ‖ deletion 8, 0: not shown yet ‖ life 1; with an id of zeros: scrub
//        'x' a piece of a received file, by sender, id and index 2
//        'm' note id 16 ‖ received 8 ‖ sent hour 4 ‖ origin 1 ‖ order of arrival 8, if origin has 8 ‖ more 1, if origin has 128 ‖
//        file, if more has 1: len 1 name ‖ size 4 ‖ pieces 2 ‖ life 1, if more has 2 ‖ reply address 84, if more has 4 ‖ group
//        32, if more has 8; 16: an own one is stored ‖ sender 32 ‖ text      times: seconds since 1970; an own message: received
//        = when it was written, sender = to whom 'q' waiting handshake 1,782 ‖ effort 4, by note id; other types: entries of the
//        contact book (contact_book.h), name len 2 ‖ name ‖ value
// Who takes the disk sees how many entries there are and how long, nothing else. Any thread; calls block on the store.
#pragma once

#include <atomic>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "chat/file_transfer.h"
#include "chat/inbox_store.h"
#include "chat/note.h"
#include "keys/identity.h"
#include "keys/secret.h"

namespace chat {

// What became of an own message; what is not decided yet, the outbox knows.
// kStored: to a group, where nobody acknowledges.
enum class Fate : uint8_t { kOpen = 0, kDelivered = 1, kExpired = 2, kRefused = 3, kStored = 4 };

struct Message {
  NoteId id{};
  base::Bytes text;  // as it was sent: sanitise it before it meets a terminal (base/terminal_text.h)
  uint32_t sent_hour = 0;
  std::optional<keys::PublicKey> from;  // the verified sender of a signed note, or the contact
  absl::Time received;
  bool in_conversation = false;          // came through a session, which proves the sender to the reader alone
  bool late = false;                     // something sent after it was shown before it
  bool own = false;                      // written here, in the conversation with `from`
  Fate fate = Fate::kOpen;               // of an own one
  std::optional<FileInfo> file;          // a file instead of a text; one that came lies in pieces (ReadFile)
  uint8_t life = 0;                      // message_life.h; 0: kept
  std::optional<NoteReply> reply;        // of a note that can be answered (invite.h)
  std::optional<keys::PublicKey> group;  // that it was written to (group_chain.h); of an own one, `from` is the same

  bool operator==(const Message&) const = default;
};
struct HeldFragment {
  Fragment fragment;
  absl::Time expiry;
};
struct FinishedNote {
  NoteId id{};
  absl::Time expiry;
};

// What a poll has to know of earlier ones.
struct InboxState {
  std::optional<absl::Time> last_complete_poll;
  std::vector<HeldFragment> fragments;
  std::vector<FinishedNote> finished;
  std::vector<Message> unshown;  // as Messages
};

// An entry of the contact book. Types are letters that the inbox does not use itself.
struct BookEntry {
  uint8_t type = 0;
  base::Bytes name;
  std::optional<base::Bytes> value;  // none: gone
};

// Pieces of files that came: by sender, since two of them may give their files the same id.
struct FilePiece {
  keys::PublicKey from;
  NoteId id{};
  uint16_t index = 0;
  base::Bytes bytes;
};
struct FileErased {
  keys::PublicKey from;
  NoteId id{};
  uint16_t pieces = 0;
};

// One step of a poll, written all or nothing.
struct InboxChange {
  // Whole and not shown yet. Their writers choose the ids, and know those of what was written to them: one whose id is kept
  // already, own or not, is passed over.
  std::vector<Message> messages;
  std::vector<FinishedNote> finished;  // their fragments go
  std::vector<HeldFragment> fragments;
  std::vector<NoteId> forgotten;  // incomplete notes given up: their fragments go
  std::vector<NoteId> shown;
  std::vector<Message> history;                // own messages: kept to be looked at, nothing waits to be shown
  std::vector<std::pair<NoteId, Fate>> fates;  // of own messages kept before; others are passed over
  std::vector<NoteId> erased;                  // messages that are kept no more
  std::vector<FilePiece> pieces;
  std::vector<FileErased> files_erased;
  std::vector<BookEntry> book;
  std::optional<absl::Time> last_complete_poll;
  bool scrub = false;  // what was erased by the next Sweep is then gone from the store's files, also if this process dies before

  bool empty() const;
};

// What the contact book keeps, by type: contact, conversation, outgoing message, parcel, id seen, prekeys, invite, publication,
// waiting handshake, file that arrives or came, bytes of a file to be sent; group, feed of a member, outgoing message and parcel
// of a group, chains not announced yet, groups that were left.
inline constexpr std::string_view kBookTypes = "kcobdpivqtyghjlea";

class Inbox {
 public:
  // Store and rng outlive the inbox.
  Inbox(InboxStore& store, const keys::SigningKey& identity, base::Rng& rng);

  // Ids of finished notes that cannot come again are dropped. DataLoss if an entry does not open: damaged, or of another
  // identity.
  absl::StatusOr<InboxState> Load(absl::Time wall_now);
  absl::Status Apply(const InboxChange& change);
  // Deletes the messages, and files, whose life is over, and starts the clocks of those that have been shown since the last call:
  // call it often, behind ContactBook::Disappear on disk: what the outbox still held would stay in the files. What was deleted is
  // gone from the store's files when it returns (docs/disk.md says what a disk may keep). The
  // ids of what it deleted. Of files the book has to be loaded anew.
  absl::StatusOr<std::vector<NoteId>> Sweep(absl::Time wall_now);
  // The contact book's entries, in no order. DataLoss as Load.
  absl::StatusOr<std::vector<BookEntry>> LoadBook() const;
  // Everything received and written, by sent hour, then as it arrived: what one change brought stays in its order.
  absl::StatusOr<std::vector<Message>> Messages() const;
  // The bytes of a file that came. NotFound: it was removed; DataLoss as Load.
  absl::StatusOr<base::Bytes> ReadFile(const keys::PublicKey& from, const NoteId& id, const FileInfo& info) const;

 private:
  base::Bytes KeyOf(uint8_t type, base::ByteView name) const;
  InboxWrite Put(uint8_t type, base::ByteView name, base::ByteView value);
  InboxWrite Erase(uint8_t type, base::ByteView name) const { return {KeyOf(type, name), std::nullopt}; }
  absl::StatusOr<base::Bytes> OpenEntry(base::ByteView key, base::ByteView value) const;
  void AddHistory(const Message& message, absl::Time deletion, std::vector<InboxWrite>& writes);
  absl::Status AddReceived(const Message& message, std::vector<InboxWrite>& writes);
  absl::Status ChangeFate(const NoteId& id, Fate fate, std::vector<InboxWrite>& writes);
  void AddBookEntry(const BookEntry& entry, std::vector<InboxWrite>& writes);
  absl::Status ForEach(uint8_t type, const std::function<absl::Status(base::ByteView value)>& visit) const;
  void EraseFragments(const NoteId& id, std::vector<InboxWrite>& writes) const;
  struct Sweeping {
    std::vector<InboxWrite> writes, timers;
    std::vector<NoteId> gone;
    bool files = false;
  };
  absl::Status SweepOne(base::ByteView value, absl::Time wall_now, Sweeping& sweeping);
  void EraseMessage(const NoteId& id, std::vector<InboxWrite>& writes) const;
  void EraseFile(const FileErased& file, std::vector<InboxWrite>& writes) const;
  absl::Status LoadFinished(absl::Time wall_now, InboxState& state);

  uint64_t NextOrder(absl::Time received);

  InboxStore& store_;
  base::Rng& rng_;
  std::atomic<uint64_t> last_order_ = 0;
  keys::Secret<32> seal_key_;
  keys::Secret<32> index_key_;
};

}  // namespace chat
