// SPDX-License-Identifier: Apache-2.0
#include "cli/open_book.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "cli/errors.h"
#include "cli/talk_errors.h"
#include "cli/values.h"

namespace cli {

std::string InboxDirectory(const Context& context, const keys::PublicKey& identity) {
  return absl::StrCat(context.home.BookDirectory(), "/", base::ToHex(identity.view().first(8)));
}

absl::StatusOr<std::unique_ptr<chat::RocksDbInboxStore>> OpenInbox(const std::string& directory) {
  RETURN_IF_ERROR(EnsurePrivateDirectory(directory));
  absl::StatusOr<std::unique_ptr<chat::RocksDbInboxStore>> store = chat::RocksDbInboxStore::Open(directory);
  if (store.ok()) return store;
  CommandError error{.exit = Exit::kLocal, .what = std::string(store.status().message())};
  if (absl::IsFailedPrecondition(store.status())) error.fix = {"another command of this identity runs: let it end"};
  return Fail(std::move(error));
}

std::string TagOf(const keys::PublicKey& key) { return absl::StrCat("#", base::ToHex(key.view().first(3))); }

OpenBook::OpenBook(keys::LoadedKey identity, std::unique_ptr<chat::RocksDbInboxStore> store, chat::ContactBook::Options options)
    : identity_(std::move(identity)),
      store_(std::move(store)),
      inbox_(*store_, identity_.key, rng_),
      options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<OpenBook>> OpenBook::Open(const Context& context, const PassphraseFlags& passphrase,
                                                         const std::string& network, int write_quorum) {
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context));
  ASSIGN_OR_RETURN(keys::LoadedKey identity, UnlockIdentity(context, info.name, passphrase));
  identity.info.name = info.name;
  ASSIGN_OR_RETURN(auto store, OpenInbox(InboxDirectory(context, info.public_key)));
  std::unique_ptr<OpenBook> open(
      new OpenBook(std::move(identity), std::move(store), {.network = network, .write_quorum = write_quorum}));
  RETURN_IF_ERROR(open->Reload());
  return open;
}

absl::Status OpenBook::Reload() {
  absl::StatusOr<std::vector<chat::BookEntry>> entries = inbox_.LoadBook();
  if (!entries.ok()) return ExplainTalk(entries.status());
  book_ = std::make_unique<chat::ContactBook>(options_, identity_.key, rng_);
  const absl::Status loaded = book_->Load(*entries, absl::Now());
  for (chat::BookEntry& entry : *entries) keys::Wipe(*entry.value);
  return loaded.ok() ? absl::OkStatus() : ExplainTalk(loaded);
}

absl::Status OpenBook::Save() {
  const chat::ContactBook::Change change = book_->TakeChange(absl::Now());
  if (change.inbox.empty()) return absl::OkStatus();
  const absl::Status saved = inbox_.Apply(change.inbox);
  if (saved.ok()) return saved;
  return Fail({.exit = Exit::kLocal, .what = "the contact book cannot be written", .why = {std::string(saved.message())}});
}

absl::StatusOr<chat::Contact> OpenBook::Find(const std::string& typed) const {
  const std::string name = !typed.empty() && typed[0] == '@' ? typed.substr(1) : typed;
  if (const chat::Contact* contact = book_->FindName(name)) return *contact;
  std::vector<std::string> names;
  for (const auto& [key, contact] : book_->contacts()) {
    if (TagOf(key) == name) return contact;
    if (!contact.name.empty()) names.push_back(base::SanitizeForTerminal(base::AsBytes(contact.name)).text);
  }
  return Fail(
      {.exit = Exit::kIdentity,
       .what = absl::StrCat("there is no contact \"", Cut(name), "\""),
       .why = {names.empty() ? std::string("there is none at all yet") : absl::StrCat("there is: ", absl::StrJoin(names, ", "))},
       .fix = {"bulbil contacts add NAME bulb1..."}});
}

std::string OpenBook::NameOf(const keys::PublicKey& key) const {
  const auto it = book_->contacts().find(key);
  return it == book_->contacts().end() || it->second.name.empty() ? TagOf(key) : it->second.name;
}

}  // namespace cli
