// SPDX-License-Identifier: Apache-2.0
#include "cli/open_book.h"

#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "cli/book_errors.h"
#include "cli/errors.h"
#include "cli/people_screens.h"
#include "cli/talk_errors.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {

std::string InboxDirectory(const Context& context, const keys::PublicKey& identity) {
  return absl::StrCat(context.home.BookDirectory(), "/", base::ToHex(identity.view().first(8)));
}

absl::StatusOr<std::unique_ptr<chat::InboxStore>> OpenInbox(const std::string& directory) {
  RETURN_IF_ERROR(EnsurePrivateDirectory(directory));
  absl::StatusOr<std::unique_ptr<chat::InboxStore>> store = chat::RocksDbInboxStore::Open(directory);
  if (store.ok() || absl::IsUnavailable(store.status())) return store;
  return Fail({.exit = Exit::kLocal, .what = std::string(store.status().message())});
}

absl::Status EraseBook(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) return absl::OkStatus();
  const auto held = OpenInbox(directory);
  if (absl::IsUnavailable(held.status())) {
    return Fail({.exit = Exit::kLocal, .what = "the book is in use by another command", .fix = {"let it end, and try again"}});
  }
  std::filesystem::remove_all(directory, error);  // also one that does not open any more
  if (error) return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot delete ", ShownPath(directory))});
  std::filesystem::remove(directory + ".turn", error);
  return absl::OkStatus();
}

std::string ReplyTagOf(const chat::Message& message) {
  const auto code = message.reply ? chat::DecodeReply(*message.reply) : absl::NotFoundError("");
  return code.ok() ? TagOf(code->owner) : "";
}

std::string TagOf(const keys::PublicKey& key) { return absl::StrCat("#", base::ToHex(key.view().first(3))); }

OpenBook::OpenBook(keys::LoadedKey identity, std::string directory, chat::ContactBook::Options options, StoreOpener open_store)
    : identity_(std::move(identity)),
      directory_(std::move(directory)),
      options_(std::move(options)),
      open_store_(std::move(open_store)),
      turn_(directory_ + ".turn") {}

absl::StatusOr<std::unique_ptr<OpenBook>> OpenBook::Open(const Context& context, const PassphraseFlags& passphrase,
                                                         const std::string& network, int write_quorum) {
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context));
  ASSIGN_OR_RETURN(keys::LoadedKey identity, UnlockIdentity(context, info.name, passphrase));
  identity.info.name = info.name;
  ASSIGN_OR_RETURN(const absl::Duration patience, TimeoutOf(context));
  RETURN_IF_ERROR(EnsurePrivateDirectory(context.home.BookDirectory()));
  auto open = std::make_unique<OpenBook>(std::move(identity), InboxDirectory(context, info.public_key),
                                         chat::ContactBook::Options{.network = network, .write_quorum = write_quorum});
  open->json_ = context.flags.json;
  RETURN_IF_ERROR(open->Take(patience));
  return open;
}

absl::Status OpenBook::Take(absl::Duration patience) {
  const absl::Time until = absl::Now() + patience;
  absl::Status taken = Resume();
  for (; absl::IsUnavailable(taken) && absl::Now() < until; taken = Resume()) absl::SleepFor(kBookRetry);
  if (!absl::IsUnavailable(taken)) return taken;
  return Fail({.exit = Exit::kLocal,
               .what = absl::StrCat("the book of \"", identity_.info.name, "\" is in use by another command"),
               .fix = {"let it end, or wait longer:  --timeout 5m"}});
}

void OpenBook::Release() {
  book_.reset();
  inbox_.reset();
  store_.reset();
}

absl::Status OpenBook::Resume() {
  if (!released()) return absl::OkStatus();
  RETURN_IF_ERROR(turn_.Queue());
  ASSIGN_OR_RETURN(store_, open_store_(directory_));
  turn_.Leave();
  inbox_.emplace(*store_, identity_.key, rng_);
  absl::Status loaded = Reload();
  if (loaded.ok()) loaded = Sweep().status();
  if (!loaded.ok()) Release();
  return loaded;
}

absl::StatusOr<std::vector<chat::MessageId>> OpenBook::Sweep() {
  const absl::Time now = absl::Now();
  std::vector<chat::BookNotice> untold;
  if (book_->Disappear(now)) {  // on disk before the files are scrubbed, else its text stays in them
    chat::ContactBook::Change change = book_->TakeChange(now);
    RETURN_IF_ERROR(Written(inbox_->Apply(change.inbox)));
    untold = std::move(change.notices);
  }
  const auto swept = inbox_->Sweep(now);
  if (!swept.ok()) return ExplainTalk(swept.status());
  if (!swept->empty()) RETURN_IF_ERROR(Reload());
  book_->Notify(untold);
  return swept;
}

absl::Status OpenBook::Reload() {
  absl::StatusOr<std::vector<chat::BookEntry>> entries = inbox_->LoadBook();
  if (!entries.ok()) return ExplainTalk(entries.status());
  auto book = std::make_unique<chat::ContactBook>(options_, identity_.key, rng_);
  const absl::Status loaded = book->Load(*entries, absl::Now());
  for (chat::BookEntry& entry : *entries) keys::Wipe(*entry.value);
  if (!loaded.ok()) return ExplainTalk(loaded);
  book_ = std::move(book);
  return absl::OkStatus();
}

absl::Status OpenBook::Save() {
  const chat::ContactBook::Change change = book_->TakeChange(absl::Now());
  if (!change.inbox.empty()) RETURN_IF_ERROR(Written(inbox_->Apply(change.inbox)));
  return Tell(change.notices);
}

absl::Status OpenBook::Tell(const std::vector<chat::BookNotice>& notices) {
  if (!json_) {
    book_->Notify(notices);
    return absl::OkStatus();
  }
  for (const chat::BookNotice& notice : notices) {
    const std::string who = NameOf(notice.peer, notice.group), group = notice.group ? NameOf(*notice.group) : "";
    if (*json_) {
      RETURN_IF_ERROR(WriteStdout(NoticeJson(notice, who, group)));
    } else {
      WriteStderr(NoticeText(notice, who, group));
    }
  }
  return absl::OkStatus();
}

absl::Status OpenBook::EraseHistory(const keys::PublicKey& peer) {
  const auto messages = inbox_->Messages();
  if (!messages.ok()) return ExplainTalk(messages.status());
  chat::InboxChange change;
  for (const chat::Message& message : *messages) {
    if (message.group ? message.group == peer : message.from == peer) change.erased.push_back(message.id);
  }
  change.scrub = true;
  book_->RemoveFiles(peer);
  return Written(inbox_->Apply(change));
}

absl::Status OpenBook::Written(const absl::Status& saved) {
  if (saved.ok()) return saved;
  return Fail({.exit = Exit::kLocal, .what = "what was written here cannot be kept", .why = {std::string(saved.message())}});
}

absl::StatusOr<chat::Contact> OpenBook::Find(const std::string& typed) const {
  const std::string name = !typed.empty() && typed[0] == '@' ? typed.substr(1) : typed;
  if (const chat::Contact* contact = book_->FindName(name)) return *contact;
  std::vector<std::string> names;
  std::vector<const chat::Contact*> members;
  for (const auto& [key, contact] : book_->contacts()) {
    if (TagOf(key) == name) return contact;
    if (contact.name.empty() && NameOf(key) == name) members.push_back(&contact);
    if (!contact.name.empty()) names.push_back(base::SanitizeForTerminal(base::AsBytes(contact.name)).text);
  }
  if (members.size() == 1) return *members.front();
  return Fail(
      {.exit = Exit::kIdentity,
       .what = absl::StrCat("there is no contact \"", Cut(name), "\""),
       .why = {names.empty() ? std::string("there is none at all yet") : absl::StrCat("there is: ", absl::StrJoin(names, ", "))},
       .fix = {"bulbil contacts add NAME bulb1..."}});
}

// A tag has 24 bits: whoever writes a note can choose one that another note, or a contact, has.
absl::Status OpenBook::CheckTag(const std::string& tag) const {
  const auto notes = inbox_->Messages();
  if (!notes.ok()) return ExplainTalk(notes.status());
  std::set<keys::PublicKey> owners;
  for (const auto& [key, contact] : book_->contacts()) {
    if (TagOf(key) == tag) owners.insert(key);
  }
  for (const chat::Message& note : *notes) {
    const auto code = note.reply ? chat::DecodeReply(*note.reply) : absl::NotFoundError("");
    if (code.ok() && TagOf(code->owner) == tag) owners.insert(code->owner);
  }
  if (owners.size() <= 1) return absl::OkStatus();
  return Fail(
      {.exit = Exit::kIdentity, .what = absl::StrCat("more than one has the tag ", Cut(tag), ": somebody may have chosen it")});
}

absl::StatusOr<chat::Contact> OpenBook::Answer(const std::string& tag, const std::string& name) {
  const auto messages = inbox_->Messages();
  if (!messages.ok()) return ExplainTalk(messages.status());
  RETURN_IF_ERROR(CheckTag(tag));
  for (const chat::Message& message : *messages) {
    if (!message.reply || ReplyTagOf(message) != tag) continue;
    const auto code = chat::DecodeReply(*message.reply);
    const absl::Status taken = code.ok() ? book_->AnswerNote(*code, name, absl::Now()) : code.status();
    if (absl::IsDeadlineExceeded(taken)) {
      return Fail(
          {.exit = Exit::kRefused, .what = absl::StrCat(tag, " cannot be answered any more: its writer looks for two weeks")});
    }
    RETURN_IF_ERROR(ExplainBook(taken, name));
    return *book_->FindName(name);
  }
  return Fail({.exit = Exit::kIdentity, .what = absl::StrCat("there is no contact, request or note \"", Cut(tag), "\"")});
}

absl::StatusOr<chat::Group> OpenBook::FindGroup(const std::string& typed) const {
  const bool has_brackets = typed.size() > 2 && typed.front() == '[' && typed.back() == ']';
  const chat::Group* group = book_->groups().FindName(has_brackets ? typed.substr(1, typed.size() - 2) : typed);
  if (group != nullptr) return *group;
  std::vector<std::string> names;
  for (const chat::Group* one : book_->groups().All()) {
    names.push_back(base::SanitizeForTerminal(base::AsBytes(one->name)).text);
  }
  return Fail(
      {.exit = Exit::kIdentity,
       .what = absl::StrCat("there is no group \"", Cut(typed), "\""),
       .why = {names.empty() ? std::string("there is none at all") : absl::StrCat("there is: ", absl::StrJoin(names, ", "))},
       .fix = {"bulbil groups create NAME MEMBER..."}});
}

absl::StatusOr<keys::PublicKey> OpenBook::FindThread(const std::string& name) const {
  absl::StatusOr<chat::Contact> contact = Find(name);
  if (contact.ok()) return contact->key;
  const auto group = FindGroup(!name.empty() && name[0] == '@' ? name.substr(1) : name);
  return group.ok() ? absl::StatusOr<keys::PublicKey>(group->id) : contact.status();
}

const chat::Outbox* OpenBook::OutboxOf(const keys::PublicKey& key) const {
  if (const chat::Outbox* outbox = book_->groups().FindOutbox(key)) return outbox;
  const chat::Conversation* conversation = book_->FindConversation(key);
  return conversation == nullptr ? nullptr : &conversation->outbox();
}

std::string OpenBook::NameOf(const keys::PublicKey& key, const std::optional<chat::GroupId>& group) const {
  const auto it = book_->contacts().find(key);
  if (it != book_->contacts().end() && !it->second.name.empty()) return it->second.name;
  if (const chat::Group* its = book_->groups().Find(key)) return absl::StrCat("[", its->name, "]");
  std::vector<const chat::Group*> groups = book_->groups().All();
  if (const chat::Group* first = group ? book_->groups().Find(*group) : nullptr) groups.insert(groups.begin(), first);
  for (const chat::Group* one : groups) {
    if (const chat::GroupMember* member = one->Find(key)) return absl::StrCat("~", member->name);
  }
  return TagOf(key);
}

}  // namespace cli
