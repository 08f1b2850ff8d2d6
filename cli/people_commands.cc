// SPDX-License-Identifier: Apache-2.0
#include "cli/people_commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/backup_file.h"
#include "cli/book_command.h"
#include "cli/book_errors.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/open_book.h"
#include "cli/people_screens.h"
#include "cli/qr.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "keys/address.h"
#include "keys/key_store.h"

namespace cli {
namespace {

PassphraseFlags PassphraseOf(const PeopleFlags& flags) {
  return {.fd = flags.passphrase_fd, .file = flags.passphrase_file, .none = flags.no_passphrase};
}

// A contact as it stands in the book now.
absl::Status DoneWith(const Context& context, OpenBook& open, const keys::PublicKey& key, const std::string& text) {
  return Done(context, text, ContactJson(open.book().contacts().at(key), open.book().FindConversation(key)));
}

// A book that was left behind holds sessions of another time: what they stored and nobody read would be lost without a word.
absl::Status RefuseOldBook(const std::string& directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory, ignored)) return absl::OkStatus();
  return Fail({.exit = Exit::kIdentity,
               .what = "nothing was restored: a book of this identity is here, from before",
               .why = {"what waits in it would never be read; a restored identity has to begin with an empty book"},
               .fix = {absl::StrCat("put it aside:  mv ", ShellQuoted(directory), " ", ShellQuoted(directory + ".old")),
                       "or restore into another home:  --home DIR"}});
}

}  // namespace

absl::Status MakeInvite(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  absl::Duration life = chat::kInviteLifeDefault;
  if (!flags.expires.empty()) {
    const auto parsed = ParseDuration(flags.expires);
    if (!parsed || *parsed < absl::Hours(1) || *parsed > chat::kInviteLifeMax) {
      return BadValue("--expires", flags.expires, "a duration from 1h to 14d");
    }
    life = *parsed;
  }
  if (!flags.name.empty()) RETURN_IF_ERROR(CheckTypedName(flags.name));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  const auto code = open->book().CreateInvite(flags.name, life, absl::Now());
  if (!code.ok()) return ExplainBook(code.status(), flags.name);
  RETURN_IF_ERROR(open->Save());
  const std::string text = chat::FormatInvite(*code);
  if (context.flags.json) {
    return WriteStdout(JsonObject().Add("schema", 1).Add("type", "invite").Add("code", text).Line());
  }
  if (flags.qr) RETURN_IF_ERROR(WriteStdout(DrawQr(text, {})));
  RETURN_IF_ERROR(WriteStdout(text + "\n"));
  Say(context, absl::StrCat("\nOne person can accept this code within ", ShownDuration(life),
                            ". Give it over a way that others do not see:\n",
                            "  bulbil accept CODE --name NAME\nYour next polls will find it. Whoever reads it first is in.\n"));
  return absl::OkStatus();
}

absl::Status AcceptInvite(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.first, "the code or the #tag", "bulbil accept CODE --name bob"));
  RETURN_IF_ERROR(Needs(flags.name, "--name, what you call that person,", "bulbil accept CODE --name bob"));
  RETURN_IF_ERROR(CheckTypedName(flags.name));
  if (flags.first[0] == '#') {
    ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
    RETURN_IF_ERROR(open->CheckTag(flags.first));
    const auto stranger = open->Find(flags.first);
    if (!stranger.ok()) {
      ASSIGN_OR_RETURN(const chat::Contact writer, open->Answer(flags.first, flags.name));
      RETURN_IF_ERROR(open->Save());
      return DoneWith(context, *open, writer.key,
                      absl::StrCat("Added ", flags.name, ". Answer:  bulbil send ", ShellQuoted(flags.name), "\n"));
    }
    RETURN_IF_ERROR(ExplainBook(open->book().AcceptKey(stranger->key, flags.name), flags.name));
    RETURN_IF_ERROR(open->Save());
    return DoneWith(context, *open, stranger->key,
                    absl::StrCat("Accepted ", flags.name, ". What was written shows at the next poll:\n  bulbil poll\n"));
  }
  const auto code = chat::ParseInvite(flags.first);
  if (!code.ok()) {
    return Fail({.exit = Exit::kIdentity,
                 .what = "this is not a valid invite code",
                 .why = {std::string(code.status().message())},
                 .fix = {"copy it again, or ask for a QR:  bulbil invite --qr"}});
  }
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  RETURN_IF_ERROR(ExplainBook(open->book().TakeUp(*code, flags.name, absl::Now()), flags.name));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, code->owner,
                  absl::StrCat("Added ", flags.name, ". Your answer goes out with the next send or poll:\n  bulbil send ",
                               ShellQuoted(flags.name), "\n"));
}

absl::Status AddContact(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.second, "NAME or ADDRESS", "bulbil contacts add bob bulb1..."));
  RETURN_IF_ERROR(CheckTypedName(flags.first));
  const auto key = keys::ParseAddress(flags.second);
  if (!key.ok()) return ExplainAddress(key.status(), flags.second);
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  const absl::Status added = open->book().Add(flags.first, *key);
  RETURN_IF_ERROR(open->Save());  // also the mark of a changed key
  RETURN_IF_ERROR(ExplainBook(added, flags.first));
  return DoneWith(context, *open, *key,
                  absl::StrCat("Added ", flags.first, ", not verified yet. Compare words with ", flags.first,
                               " over another channel:\n  bulbil contacts verify ", ShellQuoted(flags.first), "\n"));
}

absl::Status ListContacts(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  std::vector<const chat::Contact*> sorted;
  for (const auto& [key, contact] : open->book().contacts()) {
    if (!contact.name.empty()) sorted.push_back(&contact);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  std::string text;
  for (const chat::Contact* contact : sorted) {
    const chat::Conversation* conversation = open->book().FindConversation(contact->key);
    absl::StrAppend(&text, context.flags.json ? ContactJson(*contact, conversation) : ContactLine(*contact, conversation));
  }
  if (text.empty() && !context.flags.json)
    text = "no contacts yet\n  fix: bulbil contacts add NAME bulb1...    or: bulbil invite\n";
  return WriteStdout(text);
}

absl::Status ShowContact(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "NAME", "bulbil contacts show bob"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  const chat::Conversation* conversation = open->book().FindConversation(contact.key);
  if (context.flags.json) return WriteStdout(ContactJson(contact, conversation));
  std::string text = absl::StrCat(ContactLine(contact, conversation), "  ", keys::FormatAddress(contact.address()), "\n");
  if (conversation != nullptr) absl::StrAppend(&text, OutgoingText(conversation->outbox(), absl::Now(), absl::LocalTimeZone()));
  return WriteStdout(text);
}

absl::Status VerifyContact(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.first, "NAME", "bulbil contacts verify bob"));
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(chat::Contact contact, open->Find(flags.first));
  if (contact.reply) return NothingToVerify(contact.name);
  if (contact.changed_key && !flags.accept_new) return KeyChanged(contact.name);
  const std::string lost = LostWithOldKey(open->book().FindConversation(contact.key));
  if (flags.accept_new) {
    if (!contact.changed_key)
      return Fail({.exit = Exit::kUsage, .what = absl::StrCat("the key of ", contact.name, " has not changed")});
    contact.key = *contact.changed_key;
  }
  const keys::PublicKey& own = open->identity().key.public_key();
  const std::string words = chat::SafetyWords(network.name, own, contact.key);
  const std::string number = chat::SafetyNumber(network.name, own, contact.key);
  if (context.flags.json) {
    RETURN_IF_ERROR(WriteStdout(JsonObject()
                                    .Add("schema", 1)
                                    .Add("type", "verification")
                                    .Add("name", contact.name)
                                    .Add("words", words)
                                    .Add("number", number)
                                    .Line()));
  } else {
    RETURN_IF_ERROR(WriteStdout(absl::StrCat("  ", words, "\n  ", number, "\n")));
  }
  if (flags.accept_new) Say(context, lost);
  RETURN_IF_ERROR(
      Confirm(absl::StrCat("Does ", contact.name, " see the same words or the same number? [y/N] "), flags.yes, context));
  if (flags.accept_new) RETURN_IF_ERROR(ExplainBook(open->book().AcceptChangedKey(contact.name), contact.name));
  open->book().SetVerified(contact.key, true);
  RETURN_IF_ERROR(open->Save());
  Say(context, absl::StrCat(contact.name, " ✔ verified\n"));
  return absl::OkStatus();
}

absl::Status RenameContact(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.second, "the new name", "bulbil contacts rename bob robert"));
  RETURN_IF_ERROR(CheckTypedName(invocation.people.second));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  RETURN_IF_ERROR(ExplainBook(open->book().Rename(contact.name, invocation.people.second), contact.name));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, contact.key, "");
}

absl::Status SetReceipts(const Invocation& invocation, const Context& context) {
  const std::string& value = invocation.people.second;
  if (value != "on" && value != "off") return BadValue("receipts", value, "on or off");
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  open->book().SetAcknowledge(contact.key, value == "on");
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, contact.key, "");
}

absl::Status SetDisappearing(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const uint8_t code, ParseMessageLife(invocation.people.second));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const keys::PublicKey key, open->FindThread(invocation.people.first));
  open->book().SetLife(key, code);
  RETURN_IF_ERROR(open->Save());
  const std::string text = MessageLifeText(open->NameOf(key), code) + "\n";
  const chat::Group* group = open->book().groups().Find(key);
  if (group == nullptr) return DoneWith(context, *open, key, text);
  return Done(context, text, GroupJson(*group, open->identity().key.public_key()));
}

absl::Status BlockContact(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "NAME", "bulbil contacts block bob"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  RETURN_IF_ERROR(ExplainBook(open->book().Block(contact.key), contact.name));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, contact.key,
                  absl::StrCat("Blocked ", open->NameOf(contact.key), ". The other side is not told.\n"));
}

absl::Status UnblockContact(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "NAME", "bulbil contacts unblock bob"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  const std::string name = open->NameOf(contact.key);
  if (!open->book().IsBlocked(contact.key)) return Fail({.exit = Exit::kUsage, .what = absl::StrCat(name, " is not blocked")});
  RETURN_IF_ERROR(ExplainBook(open->book().Unblock(contact.key), name));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(
      context, *open, contact.key,
      absl::StrCat("Unblocked ", name, ". What was written meanwhile, in the last 14 days, shows at the next poll.\n"));
}

absl::Status RemoveContact(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "NAME", "bulbil contacts rm bob"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Contact contact, open->Find(invocation.people.first));
  RETURN_IF_ERROR(
      Confirm(absl::StrCat("Forget ", open->NameOf(contact.key), ", all that was written, and what waits to be sent? [y/N] "),
              invocation.people.yes, context));
  RETURN_IF_ERROR(open->EraseHistory(contact.key));
  RETURN_IF_ERROR(ExplainBook(open->book().Remove(contact.key), contact.name));
  RETURN_IF_ERROR(open->Save());
  return open->Sweep().status();
}

absl::Status ListRequests(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  RETURN_IF_ERROR(open->Save());  // handshakes that a poll left were opened just now
  std::string text;
  for (const auto& [key, contact] : open->book().contacts()) {
    const chat::Conversation* conversation = open->book().FindConversation(key);
    const bool waits = contact.name.empty() && conversation != nullptr && conversation->asks();
    if (waits) absl::StrAppend(&text, context.flags.json ? RequestJson(key, TagOf(key)) : RequestLine(key, TagOf(key)));
  }
  if (text.empty() && !context.flags.json) text = "no requests\n";
  return WriteStdout(text);
}

absl::Status BackUp(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.first, "FILE", "bulbil backup me.bulb"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  std::vector<chat::Contact> contacts;
  for (const auto& [key, contact] : open->book().contacts()) {
    if (!contact.name.empty() && !contact.reply && !contact.doorless) contacts.push_back(contact);
  }
  std::vector<chat::Group> groups;
  for (const chat::Group* group : open->book().groups().All()) {
    if (group->state == chat::Group::State::kMember) groups.push_back(*group);
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> passphrase, NewPassphrase(PassphraseOf(flags), context));
  keys::SystemRng rng;
  ASSIGN_OR_RETURN(std::string text, EncodeBackup(open->identity(), contacts, groups, passphrase, rng));
  const int fd = ::open(flags.first.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  keys::Wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  if (!written) {
    return Fail({.exit = Exit::kLocal,
                 .what = absl::StrCat("cannot write ", ShownPath(flags.first)),
                 .why = {fd < 0 ? "it is there already, or its directory is not yours" : "the disk did not take it"}});
  }
  return Done(context,
              absl::StrCat("Identity and ", contacts.size(), " contacts, ", groups.size(), " groups in ", ShownPath(flags.first),
                           passphrase ? ", sealed" : ", NOT sealed", ". Messages and session keys are not in it.\n"),
              JsonObject()
                  .Add("schema", 1)
                  .Add("type", "backup")
                  .Add("file", flags.first)
                  .Add("contacts", contacts.size())
                  .Add("groups", groups.size())
                  .Add("sealed", passphrase.has_value())
                  .Line());
}

absl::Status Restore(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.first, "FILE", "bulbil restore me.bulb"));
  const int fd = ::open(flags.first.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot read ", ShownPath(flags.first))});
  absl::StatusOr<std::string> text = ReadAll(fd, kBackupSizeMax);
  close(fd);
  if (!text.ok()) return text.status();
  const auto sealed = IsSealedBackup(*text);
  if (!sealed.ok()) return Fail({.exit = Exit::kUsage, .what = std::string(sealed.status().message())});
  std::optional<std::string> passphrase;
  if (*sealed) {
    ASSIGN_OR_RETURN(passphrase, KnownPassphrase(PassphraseOf(flags), context, flags.first));
  }
  absl::StatusOr<Backup> backup = DecodeBackup(*text, passphrase);
  if (!backup.ok()) {
    return Fail({.exit = Exit::kIdentity,
                 .what = "the backup does not open",
                 .why = {"the passphrase is wrong, or the file was changed"}});
  }
  keys::KeyFileInfo info = backup->identity.info;
  info.name = flags.name.empty() ? kDefaultIdentity : flags.name;
  info.imported = true;  // it may have mail from before
  keys::FileKeyStore store(context.home.KeysDirectory());
  ASSIGN_OR_RETURN(const std::vector<keys::KeyFileInfo> all, store.List());
  for (const keys::KeyFileInfo& held : all) {
    if (held.public_key != info.public_key && held.name != info.name) continue;
    return Fail({.exit = Exit::kIdentity,
                 .what = absl::StrCat("nothing was restored: the identity \"", held.name, "\" is here"),
                 .fix = {"restore under another name:  --name NAME", "or into another home:  --home DIR"}});
  }
  // Contacts first: an identity without them would look complete.
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  const std::string directory = InboxDirectory(context, info.public_key);
  RETURN_IF_ERROR(RefuseOldBook(directory));
  ASSIGN_OR_RETURN(auto inbox_store, OpenInbox(directory));
  keys::SystemRng rng;
  chat::Inbox inbox(*inbox_store, backup->identity.key, rng);
  chat::ContactBook book({.network = network.name, .write_quorum = network.write_quorum}, backup->identity.key, rng);
  for (const chat::Contact& contact : backup->contacts) {
    if (!book.Add(contact.name, contact.key).ok()) continue;
    book.SetVerified(contact.key, contact.verified);
    book.SetAcknowledge(contact.key, contact.acknowledge);
    book.SetLife(contact.key, contact.life);
  }
  for (const chat::Group& group : backup->groups) book.RestoreGroup(group, absl::Now()).IgnoreError();  // damaged: it is left out
  book.RebuildSessions();
  const absl::Status kept = inbox.Apply(book.TakeChange(absl::Now()).inbox);
  const absl::Status saved = kept.ok() ? store.Save(info, backup->identity.key, passphrase, rng) : kept;
  if (!saved.ok()) {  // so that it can be tried again
    inbox_store.reset();
    EraseBook(directory).IgnoreError();
    return kept.ok() ? ExplainKeyStore(saved, info.name) : kept;
  }
  if (context.flags.json) {
    return WriteStdout(JsonObject()
                           .Add("schema", 1)
                           .Add("type", "restored")
                           .Add("name", info.name)
                           .Add("address", keys::FormatAddress(info.public_key))
                           .Add("contacts", backup->contacts.size())
                           .Add("groups", backup->groups.size())
                           .Line());
  }
  Say(context,
      absl::StrCat("Restored \"", info.name, "\" with ", backup->contacts.size(), " contacts and ", backup->groups.size(),
                   " groups. The next poll makes new sessions with them, and they are told:\n  bulbil poll\n"));
  return WriteStdout(keys::FormatAddress(info.public_key) + "\n");
}

}  // namespace cli
