// SPDX-License-Identifier: Apache-2.0
// cli/passphrase.h — where a passphrase comes from: a descriptor, a file, or the person at the terminal. Never from an argument
// or an environment variable, which other processes can see.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"

namespace cli {

struct PassphraseFlags {
  std::string fd, file;
  bool none = false;      // --no-passphrase: only for a new key
  bool replaces = false;  // the new one of `keys passwd`: fd and file are --new-passphrase-..., and no environment is asked
};

// For a key about to be written: nullopt = unsealed, chosen by --no-passphrase or an empty answer. Asked twice. kUsage if nothing
// says which and nobody can be asked.
absl::StatusOr<std::optional<std::string>> NewPassphrase(const PassphraseFlags& flags, const Context& context);

// For a sealed key. kUsage if nobody can be asked.
absl::StatusOr<std::string> KnownPassphrase(const PassphraseFlags& flags, const Context& context, const std::string& identity);

}  // namespace cli
