// SPDX-License-Identifier: Apache-2.0
// cli/identities.h — which identity a command means, and its key once unlocked.
//
// Rule: --as, else BULBIL_IDENTITY, else the only one there is, else the one called "me".
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/passphrase.h"
#include "keys/key_store.h"

namespace cli {

inline constexpr char kDefaultIdentity[] = "me";

// All kIdentity: E3 if there is none at all, the names there are if the wanted one is missing or several could be meant.
// `named` is a NAME given as an argument; it wins over --as.
absl::StatusOr<keys::KeyFileInfo> ChooseIdentity(const Context& context, const std::string& named = "");

// Asks for the passphrase if the key is sealed. kIdentity for a wrong one.
absl::StatusOr<keys::LoadedKey> UnlockIdentity(const Context& context, const std::string& name, const PassphraseFlags& flags);

// A failure of the key store in words: E6, a taken or unknown name, a wrong passphrase.
absl::Status ExplainKeyStore(const absl::Status& status, const std::string& name);

// A failure of keys::ParseAddress in words: E4, E5. `text` is what was given; it is shown cut, and not at all if it is a secret
// key.
absl::Status ExplainAddress(const absl::Status& status, const std::string& text);

}  // namespace cli
