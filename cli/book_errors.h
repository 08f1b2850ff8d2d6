// SPDX-License-Identifier: Apache-2.0
// cli/book_errors.h — what the contact book refuses, as users see it; for the commands and for the chat screen.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace cli {

absl::Status KeyChanged(const std::string& name);
// kUsage: words are made of two addresses, and the other side knows none of ours.
absl::Status NothingToVerify(const std::string& name);
// What the book says of a name, an address or a limit.
absl::Status ExplainBook(const absl::Status& status, const std::string& name);
// kRefused: nothing goes to whom we have blocked.
absl::Status Blocked(const std::string& name);
// What it says of a group.
absl::Status ExplainGroup(const absl::Status& status);
// Letters of any language, digits, spaces, - . _; nothing that a terminal or a shell takes for something else. kUsage.
absl::Status CheckTypedName(const std::string& name);

}  // namespace cli
