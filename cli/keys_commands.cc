// SPDX-License-Identifier: Apache-2.0
#include "cli/keys_commands.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/identities.h"
#include "cli/json.h"
#include "cli/open_book.h"
#include "cli/qr.h"
#include "cli/terminal.h"
#include "keys/address.h"
#include "keys/key_store.h"
#include "keys/system_rng.h"

namespace cli {
namespace {

constexpr size_t kSecretTextMax = 4096;  // a secret key has 76 characters; more is another file

PassphraseFlags PassphraseOf(const KeysFlags& flags) {
  return {.fd = flags.passphrase_fd, .file = flags.passphrase_file, .none = flags.no_passphrase};
}

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

JsonObject ToJson(const keys::KeyFileInfo& info) {
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "identity")
      .Add("name", info.name)
      .Add("address", keys::FormatAddress(info.public_key))
      .Add("sealed", info.sealed)
      .Add("imported", info.imported)
      .Add("created", TimeText(info.created));
}

// --name, else the answer to a question, else "me".
absl::StatusOr<std::string> NameForNew(const KeysFlags& flags, const Context& context) {
  const std::string named = flags.name.empty() ? context.flags.identity : flags.name;
  if (!named.empty()) return named;
  std::optional<Person> person = Person::Find(context.flags.no_input);
  if (!person || flags.no_passphrase || !flags.passphrase_fd.empty()) return std::string(kDefaultIdentity);
  ASSIGN_OR_RETURN(std::string answer, person->Ask("Choose a name for this identity [me]: "));
  return answer.empty() ? std::string(kDefaultIdentity) : answer;
}

absl::Status RefuseTaken(const std::string& name, const Context& context) {
  const absl::StatusOr<keys::KeyFileInfo> info = keys::FileKeyStore(context.home.KeysDirectory()).Info(name);
  if (info.ok()) return ExplainKeyStore(absl::AlreadyExistsError(name), name);
  return absl::IsNotFound(info.status()) ? absl::OkStatus() : ExplainKeyStore(info.status(), name);
}

absl::Status Save(const keys::KeyFileInfo& info, const keys::SigningKey& key, const KeysFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const std::optional<std::string> passphrase, NewPassphrase(PassphraseOf(flags), context));
  keys::SystemRng rng;
  keys::FileKeyStore store(context.home.KeysDirectory());
  const absl::Status saved = store.Save(info, key, passphrase, rng);
  if (!saved.ok()) return ExplainKeyStore(saved, info.name);
  return absl::OkStatus();
}

absl::Status PrintSaved(const std::string& name, const char* verb, const Context& context) {
  keys::FileKeyStore store(context.home.KeysDirectory());
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, store.Info(name));
  if (context.flags.json) return WriteStdout(ToJson(info).Line());
  if (!context.flags.quiet) {
    WriteStderr(absl::StrCat(verb, " identity \"", name, "\" in ", ShownPath(store.PathOf(name)), "\n\n"));
  }
  RETURN_IF_ERROR(WriteStdout(keys::FormatAddress(info.public_key) + "\n"));
  if (context.flags.quiet) return absl::OkStatus();
  WriteStderr(
      "\nGive this address to people who should be able to write to you. It is not\n"
      "secret, but whoever has it can see that a mailbox exists.\n"
      "  as QR:   bulbil keys show --qr\n"
      "  backup:  bulbil backup me.bulb\n");
  return absl::OkStatus();
}

absl::Status NotASecretKey(const std::string& text) {
  if (keys::ParseAddress(text).ok()) {
    return Fail({.exit = Exit::kIdentity,
                 .what = "this is an address, not a secret key; nothing was imported",
                 .why = {"an address is what others write to; there is nothing to import"},
                 .fix = {"to write to it:  bulbil send ADDRESS",
                         "to import:       bulbil keys import < FILE, with BULB-SECRET-KEY-1..."}});
  }
  return Fail({.exit = Exit::kIdentity,
               .what = "this is not a secret key; nothing was imported",
               .why = {"a secret key begins with BULB-SECRET-KEY-1"},
               .fix = {"where the identity is:  bulbil keys export --secret NAME"}});
}

absl::Status RefuseArgument(const std::string& text) {
  if (keys::ParseAddress(text).ok()) return NotASecretKey(text);
  return Fail({.exit = Exit::kUsage,
               .what = "a secret key is read from stdin only",
               .why = {"others on this machine can see a command's arguments, and the shell keeps them"},
               .fix = {"bulbil keys import --name NAME < FILE"}});
}

absl::StatusOr<QrOptions> ResolveQr(const KeysFlags& flags) {
  QrOptions options{.invert = flags.qr_invert};
  if (flags.qr_margin.empty()) return options;
  if (!absl::SimpleAtoi(flags.qr_margin, &options.margin) || options.margin < 0 || options.margin > kQrMarginMax) {
    return BadValue("--qr-margin", flags.qr_margin, absl::StrCat("a number from 0 to ", kQrMarginMax));
  }
  return options;
}

absl::Status ConfirmRemoval(const std::string& name, const KeysFlags& flags, const Context& context) {
  if (flags.yes) return absl::OkStatus();
  std::optional<Person> person = Person::Find(context.flags.no_input);
  if (!person) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("removing \"", name, "\" has to be confirmed, and nobody can be asked"),
                 .fix = {absl::StrCat("bulbil keys rm ", name, " --yes")}});
  }
  ASSIGN_OR_RETURN(const std::string answer, person->Ask(absl::StrCat("Without a copy of its secret key, messages to \"", name,
                                                                      "\" are lost for good.\nType its name to remove it: ")));
  if (answer == name) return absl::OkStatus();
  return Fail({.exit = Exit::kUsage, .what = absl::StrCat("\"", name, "\" was kept: the name was not repeated")});
}

// Whether contacts and messages go with their identity. Nobody to be asked: they stay.
absl::StatusOr<bool> BookGoes(const KeysFlags& flags, const Context& context) {
  if (flags.book) return true;
  std::optional<Person> person = flags.yes ? std::nullopt : Person::Find(context.flags.no_input);
  if (!person) return false;
  ASSIGN_OR_RETURN(const std::string answer, person->Ask("Delete its contacts and messages here, too? [y/N] "));
  return answer == "y" || answer == "yes";
}

}  // namespace

absl::Status KeysNew(const KeysFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const std::string name, NameForNew(flags, context));
  RETURN_IF_ERROR(RefuseTaken(name, context));
  keys::SystemRng rng;
  const keys::SigningKey key = keys::SigningKey::Generate(rng);
  RETURN_IF_ERROR(Save({.name = name, .public_key = key.public_key(), .created = absl::Now()}, key, flags, context));
  return PrintSaved(name, "Created", context);
}

absl::Status KeysList(const KeysFlags&, const Context& context) {
  const absl::StatusOr<std::vector<keys::KeyFileInfo>> all = keys::FileKeyStore(context.home.KeysDirectory()).List();
  if (!all.ok()) return ExplainKeyStore(all.status(), "");
  std::string text;
  size_t width = 0;
  for (const keys::KeyFileInfo& info : *all) width = std::max(width, info.name.size());
  for (const keys::KeyFileInfo& info : *all) {
    if (context.flags.json) {
      text += ToJson(info).Line();
    } else {
      absl::StrAppend(&text, info.name, std::string(width - info.name.size() + 2, ' '), keys::FormatAddress(info.public_key),
                      "  ", info.sealed ? "sealed" : "unsealed", info.imported ? ", imported" : "", "\n");
    }
  }
  if (all->empty() && !context.flags.json) WriteStderr("no identity yet\n  make one:  bulbil keys new\n");
  return WriteStdout(text);
}

absl::Status KeysShow(const KeysFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const QrOptions qr, ResolveQr(flags));
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context, flags.argument));
  if (context.flags.json) return WriteStdout(ToJson(info).Line());
  const std::string address = keys::FormatAddress(info.public_key);
  if (!flags.qr && !flags.qr_invert) return WriteStdout(address + "\n");
  return WriteStdout(absl::StrCat(DrawQr(address, qr), absl::AsciiStrToUpper(address), "\n"));
}

absl::Status KeysExport(const KeysFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context, flags.argument));
  if (!flags.secret) return WriteStdout(context.flags.json ? ToJson(info).Line() : keys::FormatAddress(info.public_key) + "\n");
  ASSIGN_OR_RETURN(const keys::LoadedKey loaded, UnlockIdentity(context, info.name, PassphraseOf(flags)));
  const std::string secret = keys::FormatSecretKey(loaded.key);
  if (context.flags.json) return WriteStdout(ToJson(info).Add("secret", secret).Line());
  if (IsTerminal(STDOUT_FILENO)) WriteStderr("Whoever has this line is you. Keep it where nobody else can read it.\n");
  return WriteStdout(secret + "\n");
}

absl::Status KeysImport(const KeysFlags& flags, const Context& context) {
  if (!flags.argument.empty()) return RefuseArgument(flags.argument);
  ASSIGN_OR_RETURN(const std::string name, NameForNew(flags, context));
  RETURN_IF_ERROR(RefuseTaken(name, context));
  if (IsTerminal(STDIN_FILENO)) WriteStderr("Paste the secret key, then Ctrl-D:\n");
  ASSIGN_OR_RETURN(const std::string text, ReadAll(STDIN_FILENO, kSecretTextMax));
  const std::string trimmed(absl::StripAsciiWhitespace(text));
  const absl::StatusOr<keys::SigningKey> key = keys::ParseSecretKey(trimmed);
  if (!key.ok()) return NotASecretKey(trimmed);
  const keys::KeyFileInfo info{.name = name, .public_key = key->public_key(), .created = absl::Now(), .imported = true};
  RETURN_IF_ERROR(Save(info, *key, flags, context));
  return PrintSaved(name, "Imported", context);
}

absl::Status KeysPasswd(const KeysFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context, flags.argument));
  ASSIGN_OR_RETURN(const keys::LoadedKey loaded, UnlockIdentity(context, info.name, PassphraseOf(flags)));
  ASSIGN_OR_RETURN(
      const std::optional<std::string> passphrase,
      NewPassphrase(
          {.fd = flags.new_passphrase_fd, .file = flags.new_passphrase_file, .none = flags.no_passphrase, .replaces = true},
          context));
  keys::SystemRng rng;
  keys::FileKeyStore store(context.home.KeysDirectory());
  const absl::Status replaced = store.Replace(loaded.info, loaded.key, passphrase, rng);
  if (!replaced.ok()) return ExplainKeyStore(replaced, info.name);
  ASSIGN_OR_RETURN(const keys::KeyFileInfo now, store.Info(info.name));
  if (context.flags.json) return WriteStdout(ToJson(now).Line());
  if (context.flags.quiet) return absl::OkStatus();
  WriteStderr(absl::StrCat("\"", info.name, "\" is ", now.sealed ? "sealed with the new passphrase" : "NOT sealed", ".\n"));
  return absl::OkStatus();
}

absl::Status KeysRemove(const KeysFlags& flags, const Context& context) {
  if (flags.argument.empty()) {
    return Fail({.exit = Exit::kUsage, .what = "which identity is to be removed?", .fix = {"bulbil keys rm NAME"}});
  }
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context, flags.argument));
  RETURN_IF_ERROR(ConfirmRemoval(info.name, flags, context));
  const std::string book = InboxDirectory(context, info.public_key);
  std::error_code ignored;
  bool keeps_book = std::filesystem::exists(book, ignored);
  if (keeps_book) {
    ASSIGN_OR_RETURN(const bool goes, BookGoes(flags, context));
    if (goes) RETURN_IF_ERROR(EraseBook(book));  // first: without its key nobody would think of it
    keeps_book = !goes;
  }
  const absl::Status removed = keys::FileKeyStore(context.home.KeysDirectory()).Remove(info.name);
  if (!removed.ok()) return ExplainKeyStore(removed, info.name);
  if (context.flags.json) return WriteStdout(ToJson(info).Add("removed", true).Add("book_removed", !keeps_book).Line());
  WriteStderr(absl::StrCat("Removed identity \"", info.name, "\".\n"));
  if (keeps_book) {
    WriteStderr(absl::StrCat("Its contacts and messages, which only its key opens, stay in ", ShownPath(book), "\n"));
  }
  return absl::OkStatus();
}

}  // namespace cli
