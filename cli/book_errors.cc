// SPDX-License-Identifier: Apache-2.0
#include "cli/book_errors.h"

#include "absl/strings/str_cat.h"
#include "base/terminal_text.h"
#include "cli/errors.h"
#include "cli/people_screens.h"
#include "cli/values.h"

namespace cli {

absl::Status KeyChanged(const std::string& name) {
  return Fail({.exit = Exit::kIdentity,
               .what = absl::StrCat("the key of ", name, " is not the one you know; nothing was changed or sent"),
               .fix = {absl::StrCat("ask ", name, " over another channel, then:  bulbil contacts verify ", ShellQuoted(name),
                                    " --accept-new"),
                       absl::StrCat("if the address was a mistake:  bulbil contacts add ", ShellQuoted(name),
                                    " and the address that you know")}});
}

absl::Status NothingToVerify(const std::string& name) {
  return Fail(
      {.exit = Exit::kUsage,
       .what = absl::StrCat("there are no words to compare with ", name, ": it answered a note, and knows no address of yours"),
       .why = {"nobody else than the address you wrote to could answer"}});
}

absl::Status Blocked(const std::string& name) {
  return Fail({.exit = Exit::kRefused,
               .what = absl::StrCat("you have blocked ", name, "; nothing was changed or sent"),
               .fix = {absl::StrCat("bulbil contacts unblock ", ShellQuoted(name))}});
}

absl::Status ExplainBook(const absl::Status& status, const std::string& name) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return status;
    case absl::StatusCode::kFailedPrecondition:
      return KeyChanged(name);
    case absl::StatusCode::kPermissionDenied:
      return Blocked(name);
    case absl::StatusCode::kAlreadyExists:
      return Fail({.exit = Exit::kIdentity, .what = absl::StrCat("there already: ", message)});
    case absl::StatusCode::kNotFound:
      return Fail({.exit = Exit::kIdentity, .what = message});
    case absl::StatusCode::kResourceExhausted:
      return Fail({.exit = Exit::kRefused, .what = message});
    case absl::StatusCode::kDeadlineExceeded:
      return Fail({.exit = Exit::kRefused, .what = message, .fix = {"ask for a new one:  bulbil invite"}});
    case absl::StatusCode::kUnauthenticated:
      return Fail({.exit = Exit::kRefused, .what = "the invite makes no sense"});
    default:
      return Fail({.exit = Exit::kUsage, .what = message});
  }
}

absl::Status ExplainGroup(const absl::Status& status) {
  // Nobody's key changes there: what has to be so first is said in the message.
  if (!absl::IsFailedPrecondition(status)) return ExplainBook(status, "");
  return Fail({.exit = Exit::kRefused, .what = std::string(status.message())});
}

absl::Status CheckTypedName(const std::string& name) {
  const bool odd = name.empty() || name[0] == '#' || name[0] == '@' || name[0] == '-' || name.rfind("bulb1", 0) == 0 ||
                   base::SanitizeForTerminal(base::AsBytes(name)).removed > 0 || name.find('\n') != name.npos ||
                   Utf8Length(name) > kShownNameMax;
  if (!odd) return absl::OkStatus();
  return Fail(
      {.exit = Exit::kUsage,
       .what = absl::StrCat("\"", Cut(name), "\" cannot be a name"),
       .why = {absl::StrCat("a name has 1 to ", kShownNameMax, " characters, and does not begin with #, @, - or bulb1")}});
}

}  // namespace cli
