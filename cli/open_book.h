// SPDX-License-Identifier: Apache-2.0
// cli/open_book.h — an identity unlocked, with its inbox and contact book open, for the length of one command.
//
// The book's directory is named by the key, so that an identity of another key under an old name starts anew. One process at a
// time: kLocal if another command of the same identity runs.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "chat/contact_book.h"
#include "chat/inbox.h"
#include "chat/rocksdb_inbox_store.h"
#include "cli/context.h"
#include "cli/identities.h"
#include "keys/system_rng.h"

namespace cli {

std::string InboxDirectory(const Context& context, const keys::PublicKey& identity);
absl::StatusOr<std::unique_ptr<chat::RocksDbInboxStore>> OpenInbox(const std::string& directory);

class OpenBook {
 public:
  // Errors of ChooseIdentity, UnlockIdentity and OpenInbox; kLocal if what was kept cannot be read.
  static absl::StatusOr<std::unique_ptr<OpenBook>> Open(const Context& context, const PassphraseFlags& passphrase,
                                                        const std::string& network, int write_quorum);

  // Reads the book anew: handshakes that a poll has kept are opened.
  absl::Status Reload();
  // Puts on disk what changed. Messages and notices of the change are not shown: use it where none can come.
  absl::Status Save();

  const keys::LoadedKey& identity() const { return identity_; }
  chat::Inbox& inbox() { return inbox_; }
  chat::ContactBook& book() { return *book_; }

  // The contact that NAME or @NAME means, or a stranger's #TAG. kIdentity, with the names there are, if there is none.
  absl::StatusOr<chat::Contact> Find(const std::string& name) const;
  // What a person is called: a contact's name, a stranger's tag.
  std::string NameOf(const keys::PublicKey& key) const;

 private:
  OpenBook(keys::LoadedKey identity, std::unique_ptr<chat::RocksDbInboxStore> store, chat::ContactBook::Options options);

  keys::SystemRng rng_;
  const keys::LoadedKey identity_;
  const std::unique_ptr<chat::RocksDbInboxStore> store_;
  chat::Inbox inbox_;
  const chat::ContactBook::Options options_;
  std::unique_ptr<chat::ContactBook> book_;
};

// "#a91b03": how a stranger without a name is spoken of.
std::string TagOf(const keys::PublicKey& key);

}  // namespace cli
