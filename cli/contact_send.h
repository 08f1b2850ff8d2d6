// SPDX-License-Identifier: Apache-2.0
// cli/contact_send.h — `bulbil send NAME`: a message of a conversation, kept on disk before anything leaves.
#pragma once

#include "absl/status/status.h"
#include "base/bytes.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "cli/open_book.h"

namespace cli {

// Queues the text and carries what is due. kDone once it has W receipts; kTime if it waits (no keys of the other side yet, or too
// few copies): the next send or poll goes on. kIdentity (E11) if the contact's key changed.
absl::Status SendToContact(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Contact& contact,
                           base::Bytes text);

}  // namespace cli
