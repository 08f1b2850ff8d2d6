// SPDX-License-Identifier: Apache-2.0
// cli/book_command.h — what the commands about people, files and groups have in common.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "cli/open_book.h"

namespace cli {

// The book of the chosen identity. Errors of OpenBook::Open.
absl::StatusOr<std::unique_ptr<OpenBook>> OpenFor(const Invocation& invocation, const Context& context);
// kUsage if the word is empty.
absl::Status Needs(const std::string& word, const char* what, const char* example);
// Asks a person, unless `yes`. kRefused: no; kUsage: nobody can be asked.
absl::Status Confirm(const std::string& question, bool yes, const Context& context);
// On stderr, unless --quiet or --json.
void Say(const Context& context, const std::string& text);
// What a command has done: an object on stdout with --json, else Say.
absl::Status Done(const Context& context, const std::string& text, const std::string& json);

}  // namespace cli
