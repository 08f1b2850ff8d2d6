// SPDX-License-Identifier: Apache-2.0
#include "cli/identities.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/values.h"

namespace cli {
namespace {

absl::Status NoIdentity() {
  return Fail({.exit = Exit::kIdentity, .what = "you have no identity yet", .fix = {"bulbil keys new"}});
}

std::string NamesOf(const std::vector<keys::KeyFileInfo>& all) {
  std::vector<std::string> names;
  for (const keys::KeyFileInfo& info : all) names.push_back(info.name);
  return absl::StrJoin(names, ", ");
}

const keys::KeyFileInfo* Find(const std::vector<keys::KeyFileInfo>& all, const std::string& name) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const keys::KeyFileInfo& info) { return info.name == name; });
  return it == all.end() ? nullptr : &*it;
}

absl::Status NotThere(const std::string& name, const std::vector<keys::KeyFileInfo>& all) {
  return Fail({.exit = Exit::kIdentity,
               .what = absl::StrCat("there is no identity \"", Cut(name), "\""),
               .why = {all.empty() ? "there is none at all yet" : absl::StrCat("there is: ", NamesOf(all))},
               .fix = {absl::StrCat("bulbil keys new --name ", Cut(name))}});
}

// The key store's text has its fix in it: "PATH can be read by others (mode 0644)\n  fix: chmod 600 PATH".
absl::Status Unsafe(const std::string& message) {
  const std::vector<std::string> parts = absl::StrSplit(message, "\n  fix: ");
  CommandError error{.exit = Exit::kLocal, .what = ShownPath(parts[0])};
  if (parts.size() > 1) error.fix = {parts[1]};
  return Fail(std::move(error));
}

}  // namespace

absl::StatusOr<keys::KeyFileInfo> ChooseIdentity(const Context& context, const std::string& named) {
  const keys::FileKeyStore store(context.home.KeysDirectory());
  absl::StatusOr<std::vector<keys::KeyFileInfo>> all = store.List();
  if (!all.ok()) return ExplainKeyStore(all.status(), "");
  const std::string wanted =
      named.empty() ? Setting(context, context.flags.identity, "BULBIL_IDENTITY", std::nullopt, "") : named;
  if (!wanted.empty()) {
    const keys::KeyFileInfo* info = Find(*all, wanted);
    return info == nullptr ? absl::StatusOr<keys::KeyFileInfo>(NotThere(wanted, *all)) : *info;
  }
  if (all->empty()) return NoIdentity();
  if (all->size() == 1) return all->front();
  if (const keys::KeyFileInfo* me = Find(*all, kDefaultIdentity)) return *me;
  return Fail({.exit = Exit::kIdentity,
               .what = "there are several identities, and none is called \"me\"",
               .why = {absl::StrCat("there is: ", NamesOf(*all))},
               .fix = {absl::StrCat("say which:  --as ", all->front().name)}});
}

absl::StatusOr<keys::LoadedKey> UnlockIdentity(const Context& context, const std::string& name, const PassphraseFlags& flags) {
  keys::FileKeyStore store(context.home.KeysDirectory());
  absl::StatusOr<keys::KeyFileInfo> info = store.Info(name);
  if (!info.ok()) return ExplainKeyStore(info.status(), name);
  std::optional<std::string> passphrase;
  if (info->sealed) {
    ASSIGN_OR_RETURN(passphrase, KnownPassphrase(flags, context, name));
  }
  absl::StatusOr<keys::LoadedKey> loaded = store.Load(name, passphrase);
  if (!loaded.ok()) return ExplainKeyStore(loaded.status(), name);
  return loaded;
}

absl::Status ExplainKeyStore(const absl::Status& status, const std::string& name) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return NotThere(name, {});
    case absl::StatusCode::kAlreadyExists:
      return Fail({.exit = Exit::kIdentity,
                   .what = absl::StrCat("there is an identity \"", name, "\" already"),
                   .fix = {"choose another name:  --name NAME"}});
    case absl::StatusCode::kUnauthenticated:
      return Fail({.exit = Exit::kIdentity,
                   .what = absl::StrCat("cannot unlock \"", name, "\""),
                   .why = {"the passphrase is wrong, or the key file was changed"}});
    case absl::StatusCode::kInvalidArgument:
      return Fail({.exit = Exit::kUsage, .what = message, .fix = {"a name is 1 to 32 letters, digits, - and _"}});
    case absl::StatusCode::kFailedPrecondition:
      return Unsafe(message);
    case absl::StatusCode::kResourceExhausted:
      return Fail({.exit = Exit::kLocal, .what = message});
    default:
      return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot use the key directory: ", message)});
  }
}

absl::Status ExplainAddress(const absl::Status& status, const std::string& text) {
  if (status.code() == absl::StatusCode::kPermissionDenied) {
    return Fail({.exit = Exit::kIdentity,
                 .what = "this is a SECRET key, not an address; nothing was sent",
                 .fix = {"do not paste it anywhere; your address is:  bulbil keys show"}});
  }
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower.rfind("bulb1", 0) != 0) {
    return Fail({.exit = Exit::kIdentity,
                 .what = absl::StrCat("\"", Cut(text), "\" is not an address"),
                 .why = {"an address begins with bulb1 and has 64 characters"},
                 .fix = {"give the address of the person:  bulbil send bulb1..."}});
  }
  return Fail({.exit = Exit::kIdentity,
               .what = absl::StrCat("\"", Cut(text), "\" is not a valid address"),
               .why = {std::string(status.message())},
               .fix = {"copy it again, or ask for a QR:  bulbil keys show --qr"}});
}

}  // namespace cli
