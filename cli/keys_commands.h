// SPDX-License-Identifier: Apache-2.0
// cli/keys_commands.h — bulbil keys new|list|show|export|import|rm.
//
// stdout carries the result alone (an address, a secret key, a table); all talk goes to stderr, so output can be redirected.
#pragma once

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/grammar.h"

namespace cli {

absl::Status KeysNew(const KeysFlags& flags, const Context& context);
absl::Status KeysList(const KeysFlags& flags, const Context& context);
absl::Status KeysShow(const KeysFlags& flags, const Context& context);
absl::Status KeysExport(const KeysFlags& flags, const Context& context);
// The secret key comes from stdin; an address, there or as an argument, is refused with a hint.
absl::Status KeysImport(const KeysFlags& flags, const Context& context);
// Another passphrase, or none, for a key that is here.
absl::Status KeysPasswd(const KeysFlags& flags, const Context& context);
// Contacts and messages stay, unless --book or a person says otherwise: the key may come back (keys import), and go on with them.
absl::Status KeysRemove(const KeysFlags& flags, const Context& context);

}  // namespace cli
