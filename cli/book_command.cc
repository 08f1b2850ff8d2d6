// SPDX-License-Identifier: Apache-2.0
#include "cli/book_command.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/run_options.h"
#include "cli/terminal.h"

namespace cli {

absl::StatusOr<std::unique_ptr<OpenBook>> OpenFor(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  const PeopleFlags& flags = invocation.people;
  return OpenBook::Open(context, {.fd = flags.passphrase_fd, .file = flags.passphrase_file, .none = flags.no_passphrase},
                        network.name, network.write_quorum);
}

absl::Status Needs(const std::string& word, const char* what, const char* example) {
  if (!word.empty()) return absl::OkStatus();
  return Fail({.exit = Exit::kUsage, .what = absl::StrCat(what, " is missing"), .fix = {example}});
}

absl::Status Confirm(const std::string& question, bool yes, const Context& context) {
  if (yes) return absl::OkStatus();
  std::optional<Person> person = Person::Find(context.flags.no_input);
  if (!person) return Fail({.exit = Exit::kUsage, .what = "nobody can be asked here", .fix = {"say so beforehand:  --yes"}});
  ASSIGN_OR_RETURN(const std::string answer, person->Ask(question));
  if (answer == "y" || answer == "yes") return absl::OkStatus();
  return Fail({.exit = Exit::kRefused, .what = "nothing was changed"});
}

void Say(const Context& context, const std::string& text) {
  if (!context.flags.quiet && !context.flags.json) WriteStderr(text);
}

absl::Status Done(const Context& context, const std::string& text, const std::string& json) {
  if (context.flags.json) return WriteStdout(json);
  Say(context, text);
  return absl::OkStatus();
}

}  // namespace cli
