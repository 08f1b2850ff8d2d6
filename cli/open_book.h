// SPDX-License-Identifier: Apache-2.0
// cli/open_book.h — an identity unlocked, with its inbox and contact book open.
//
// The book's directory is named by the key, so that an identity of another key under an old name starts anew. One process at a
// time has the book open. A command that lives long lets go of it while it has nothing to do with it (Wanted, Release), and takes
// it again (Resume); the others wait for their turn (book_turn.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "chat/contact_book.h"
#include "chat/inbox.h"
#include "chat/rocksdb_inbox_store.h"
#include "cli/book_turn.h"
#include "cli/context.h"
#include "cli/identities.h"
#include "keys/system_rng.h"

namespace cli {

inline constexpr absl::Duration kBookRetry = absl::Milliseconds(20);  // between two looks whether the book is free

std::string InboxDirectory(const Context& context, const keys::PublicKey& identity);
// Unavailable: another process has it open.
absl::StatusOr<std::unique_ptr<chat::InboxStore>> OpenInbox(const std::string& directory);
// Deletes the book in the directory, and its turn, for good. OK if there is none; kLocal if another process has it open.
absl::Status EraseBook(const std::string& directory);

class OpenBook {
 public:
  using StoreOpener = std::function<absl::StatusOr<std::unique_ptr<chat::InboxStore>>(const std::string& directory)>;

  // Released: Resume or Take opens it.
  OpenBook(keys::LoadedKey identity, std::string directory, chat::ContactBook::Options options,
           StoreOpener open_store = OpenInbox);
  // Waits for its turn, at most --timeout: kLocal if another command of the same identity keeps the book. Errors of
  // ChooseIdentity, UnlockIdentity and OpenInbox; kLocal if what was kept cannot be read.
  static absl::StatusOr<std::unique_ptr<OpenBook>> Open(const Context& context, const PassphraseFlags& passphrase,
                                                        const std::string& network, int write_quorum);

  // Another command waits for the book.
  bool Wanted() { return turn_.Wanted(); }
  // Closes inbox and book: what was not saved is gone, and neither may be used until Resume. Nothing may be under way.
  void Release();
  bool released() const { return store_ == nullptr; }
  // Takes the book again, as it is now on disk. Unavailable: another command has it; try again.
  absl::Status Resume();
  // The same, waiting for its turn: kLocal if another command keeps it for longer than `patience`. Blocks.
  absl::Status Take(absl::Duration patience);

  // Deletes what disappears by now, in the outbox first; the ids of these messages. Resume does so too. Where something went,
  // the book is saved, and read anew: no round may work on it.
  absl::StatusOr<std::vector<chat::MessageId>> Sweep();

  // Reads the book anew: handshakes that a poll has kept are opened. On an error the one of before is left, which may not be what
  // is on disk.
  absl::Status Reload();
  // All that the conversation with somebody left here, both ways; files that came go with the next Save, and what was erased
  // leaves the files of the disk with the Sweep after it.
  absl::Status EraseHistory(const keys::PublicKey& peer);
  // Puts on disk what changed, and tells its notices. Messages of the change are for the next poll to show.
  absl::Status Save();
  // Prints notices as the command's user wants them; of a book that was opened for no command they wait for the next change.
  absl::Status Tell(const std::vector<chat::BookNotice>& notices);

  const keys::LoadedKey& identity() const { return identity_; }
  chat::Inbox& inbox() { return *inbox_; }
  chat::ContactBook& book() { return *book_; }

  // The contact that NAME or @NAME means, a stranger's #TAG, or ~NAME of a member of a group (NameOf). kIdentity, with the names
  // there are, if there is none, or two members have that name.
  absl::StatusOr<chat::Contact> Find(const std::string& name) const;
  // A note that can be answered, by its #TAG: whoever wrote it becomes a contact under `name`. kIdentity: there is none;
  // kRefused: too old. kIdentity too: more than one has that tag.
  absl::StatusOr<chat::Contact> Answer(const std::string& tag, const std::string& name);
  // kIdentity: more than one, of contacts and notes, has that #TAG.
  absl::Status CheckTag(const std::string& tag) const;
  // The group of that name, with or without its brackets. kIdentity, with the names there are, if there is none.
  absl::StatusOr<chat::Group> FindGroup(const std::string& name) const;
  // A contact or a group: whose thread NAME or @NAME is. Errors of Find.
  absl::StatusOr<keys::PublicKey> FindThread(const std::string& name) const;
  // What is to be sent to a contact or a group; null if there is no such thread.
  const chat::Outbox* OutboxOf(const keys::PublicKey& key) const;
  // What a person is called: a contact's name; ~NAME of a member of a group that its creator calls so, of `group` first; else a
  // tag. [NAME] of a group.
  std::string NameOf(const keys::PublicKey& key, const std::optional<chat::GroupId>& group = {}) const;

 private:
  static absl::Status Written(const absl::Status& saved);

  keys::SystemRng rng_;
  const keys::LoadedKey identity_;
  const std::string directory_;
  const chat::ContactBook::Options options_;
  const StoreOpener open_store_;
  std::optional<bool> json_;  // how notices are printed
  BookTurn turn_;
  std::unique_ptr<chat::InboxStore> store_;
  std::optional<chat::Inbox> inbox_;
  std::unique_ptr<chat::ContactBook> book_;
};

// "#a91b03": how a stranger without a name is spoken of.
std::string TagOf(const keys::PublicKey& key);
// Of a note: where it can be answered, or nothing.
std::string ReplyTagOf(const chat::Message& message);

}  // namespace cli
