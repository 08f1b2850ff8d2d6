// SPDX-License-Identifier: Apache-2.0
#include "cli/passphrase.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/terminal.h"

namespace cli {
namespace {

constexpr int kTries = 3;  // two answers that differ

absl::StatusOr<std::string> FirstLine(int fd, const std::string& source) {
  ASSIGN_OR_RETURN(std::string text, ReadAll(fd, kAnswerMax));
  text.resize(std::min(text.find('\n'), text.size()));
  if (text.empty() || text.size() >= kAnswerMax) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("no passphrase in ", source),
                 .why = {text.empty() ? "its first line is empty"
                                      : absl::StrCat("its first line is longer than ", kAnswerMax, " bytes")}});
  }
  return text;
}

absl::StatusOr<std::string> FromDescriptor(const std::string& option, const std::string& text) {
  int fd = -1;
  if (!absl::SimpleAtoi(text, &fd) || fd < 0) return BadValue(option, text, "a file descriptor");
  return FirstLine(fd, absl::StrCat("file descriptor ", fd));
}

absl::StatusOr<std::string> FromFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Fail(
        {.exit = Exit::kUsage, .what = absl::StrCat("cannot read the passphrase file ", path), .why = {std::strerror(errno)}});
  }
  absl::StatusOr<std::string> line = FirstLine(fd, ShownPath(path));
  close(fd);
  return line;
}

// What flags and environment give without asking anybody.
absl::StatusOr<std::optional<std::string>> Given(const PassphraseFlags& flags, const Context& context) {
  std::optional<std::string> passphrase;
  if (!flags.fd.empty()) {
    ASSIGN_OR_RETURN(passphrase, FromDescriptor(flags.replaces ? "--new-passphrase-fd" : "--passphrase-fd", flags.fd));
    return passphrase;
  }
  const std::string file = flags.replaces ? flags.file : Setting(context, flags.file, "BULBIL_PASSPHRASE_FILE", std::nullopt, "");
  if (file.empty()) return passphrase;
  ASSIGN_OR_RETURN(passphrase, FromFile(file));
  return passphrase;
}

absl::Status NobodyToAsk(const std::string& what, std::vector<std::string> fix) {
  return Fail(
      {.exit = Exit::kUsage, .what = what, .why = {"nobody can be asked: --no-input, or no terminal"}, .fix = std::move(fix)});
}

absl::StatusOr<std::optional<std::string>> AskTwice(Person& person, bool replaces) {
  for (int i = 0; i < kTries; ++i) {
    ASSIGN_OR_RETURN(const std::string first,
                     person.AskSecret(absl::StrCat(replaces ? "New passphrase" : "Passphrase",
                                                   " (empty = none, protected by file permissions only): ")));
    if (first.empty()) return std::optional<std::string>();
    ASSIGN_OR_RETURN(const std::string again, person.AskSecret("Again: "));
    if (first == again) return std::optional<std::string>(first);
    WriteStderr("These differ. Once more.\n");
  }
  return Fail({.exit = Exit::kIdentity, .what = "the two passphrases differ; nothing was made"});
}

}  // namespace

absl::StatusOr<std::optional<std::string>> NewPassphrase(const PassphraseFlags& flags, const Context& context) {
  if (flags.none && (!flags.fd.empty() || !flags.file.empty())) {
    return Fail({.exit = Exit::kUsage, .what = "--no-passphrase and a passphrase exclude each other"});
  }
  if (flags.none) return std::optional<std::string>();
  ASSIGN_OR_RETURN(std::optional<std::string> given, Given(flags, context));
  if (given) return given;
  std::optional<Person> person = Person::Find(context.flags.no_input);
  if (person) return AskTwice(*person, flags.replaces);
  const std::string option = flags.replaces ? "--new-passphrase" : "--passphrase";
  return NobodyToAsk(
      flags.replaces ? "the new passphrase is missing, or the word that there is none"
                     : "a new identity needs a passphrase, or the word that it has none",
      {absl::StrCat(option, "-fd N, or ", option, "-file FILE"), "or, protected by file permissions only:  --no-passphrase"});
}

absl::StatusOr<std::string> KnownPassphrase(const PassphraseFlags& flags, const Context& context, const std::string& identity) {
  ASSIGN_OR_RETURN(std::optional<std::string> given, Given(flags, context));
  if (given) return *given;
  std::optional<Person> person = Person::Find(context.flags.no_input);
  if (person) return person->AskSecret(absl::StrCat("Passphrase of ", identity, ": "));
  return NobodyToAsk(absl::StrCat("the key of \"", identity, "\" is sealed with a passphrase"),
                     {"--passphrase-fd N, or --passphrase-file FILE"});
}

}  // namespace cli
