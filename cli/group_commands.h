// SPDX-License-Identifier: Apache-2.0
// cli/group_commands.h — groups: make one, who is in it, take part, go. What follows goes out with the next send, poll or chat.
#pragma once

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/grammar.h"

namespace cli {

// kIdentity: no such contact, group or member. kRefused: not the creator's, too many, or somebody whose address is not known.
absl::Status CreateGroup(const Invocation& invocation, const Context& context);
absl::Status AddToGroup(const Invocation& invocation, const Context& context);
absl::Status RemoveFromGroup(const Invocation& invocation, const Context& context);
absl::Status ListGroups(const Invocation& invocation, const Context& context);
absl::Status ShowGroup(const Invocation& invocation, const Context& context);
absl::Status AcceptGroup(const Invocation& invocation, const Context& context);
// Erases what was said there, too.
absl::Status LeaveGroup(const Invocation& invocation, const Context& context);

}  // namespace cli
