// SPDX-License-Identifier: Apache-2.0
// cli/contact_send.h — `bulbil send NAME`: a message of a conversation, kept on disk before anything leaves.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "cli/open_book.h"

namespace cli {

// Queues the text, or the file if there is a name, and carries what is due; for a file as long as it advances, with its progress
// on stderr (a line on a terminal, with --json an object at every tenth). kDone once it has W receipts; kTime if it waits (no
// keys of the other side yet, or too few copies): the next send or poll goes on. kIdentity (E11) if the contact's key changed.
absl::Status SendToContact(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Contact& contact,
                           base::Bytes bytes, std::string file_name = "");
// The same for a text to a group. kRefused: not in it (any more).
absl::Status SendToGroup(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Group& group,
                         base::Bytes text);

}  // namespace cli
