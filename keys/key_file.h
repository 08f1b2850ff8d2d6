// SPDX-License-Identifier: Apache-2.0
// keys/key_file.h — the text of a key file (layout: key_store.h) and its sealing, without the disk.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "keys/key_store.h"

namespace keys {

inline constexpr size_t kKeyFileSizeMax = 1024;  // ours have about 400 bytes

// ResourceExhausted if there is no memory for Argon2id. Unsealed without a passphrase. The caller wipes the text.
absl::StatusOr<std::string> EncodeKeyFile(const KeyFileInfo& info, const SigningKey& key,
                                          const std::optional<std::string>& passphrase, const KeyStoreOptions& options,
                                          base::Rng& rng);

// What stands in the clear; `name` stays empty. Unauthenticated, with one text, unless the text is exactly as EncodeKeyFile
// writes it: so nothing in a sealed file can change unnoticed.
absl::StatusOr<KeyFileInfo> DecodeKeyFileInfo(std::string_view text);
// Also the key. InvalidArgument if a passphrase is needed and none given; Unauthenticated, with that same text, if it is wrong,
// anything was altered, or Argon2id's parameters are out of bounds.
absl::StatusOr<LoadedKey> DecodeKeyFile(std::string_view text, const std::optional<std::string>& passphrase);

}  // namespace keys
