// SPDX-License-Identifier: Apache-2.0
// cli/people_commands.h — bulbil contacts, invite, accept, backup, restore: all without the network. What has to be sent goes out
// with the next send or poll.
#pragma once

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/grammar.h"

namespace cli {

absl::Status MakeInvite(const Invocation& invocation, const Context& context);
// CODE of an invite, or #TAG of a stranger's request.
absl::Status AcceptInvite(const Invocation& invocation, const Context& context);
// A name that stands for another key: kIdentity (E11), and nothing is sent to it until `contacts verify NAME --accept-new`.
absl::Status AddContact(const Invocation& invocation, const Context& context);
absl::Status ListContacts(const Invocation& invocation, const Context& context);
absl::Status ShowContact(const Invocation& invocation, const Context& context);
absl::Status VerifyContact(const Invocation& invocation, const Context& context);
absl::Status RenameContact(const Invocation& invocation, const Context& context);
// TIME or off.
absl::Status SetDisappearing(const Invocation& invocation, const Context& context);
absl::Status SetReceipts(const Invocation& invocation, const Context& context);
absl::Status BlockContact(const Invocation& invocation, const Context& context);
absl::Status UnblockContact(const Invocation& invocation, const Context& context);
absl::Status RemoveContact(const Invocation& invocation, const Context& context);
absl::Status ListRequests(const Invocation& invocation, const Context& context);
// One file, 0600, never over another: key file text (keys/key_store.h) and the contacts, sealed under a key from the identity.
absl::Status BackUp(const Invocation& invocation, const Context& context);
// kIdentity: the identity, or a book of it from before, is here.
absl::Status Restore(const Invocation& invocation, const Context& context);

}  // namespace cli
