// SPDX-License-Identifier: Apache-2.0
// cli/backup_file.h — the text of a backup: identity and contacts, never messages or session keys.
//
//   bulbil-backup 1
//   a key file, as keys/key_file.h writes it (sealed under the passphrase, or not)
//   contacts HEX      nonce 24 ‖ XChaCha20-Poly1305 under H(key = identity seed, "backup"), the lines above as associated data,
//   of
//                     for each contact: key 32 ‖ verified 1 ‖ receipts 1 ‖ len 1 name
// Ratchet state is left out on purpose: restored twice or late it would seal two texts with one key. A restored identity makes
// new sessions with all its contacts (chat/contact_book.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "chat/contact_book.h"
#include "keys/key_store.h"

namespace cli {

inline constexpr size_t kBackupSizeMax = 512 * 1024;  // kContactsMax contacts in hex

struct Backup {
  keys::LoadedKey identity;
  std::vector<chat::Contact> contacts;
};

// ResourceExhausted if there is no memory for Argon2id. The caller wipes the text.
absl::StatusOr<std::string> EncodeBackup(const keys::LoadedKey& identity, const std::vector<chat::Contact>& contacts,
                                         const std::optional<std::string>& passphrase, base::Rng& rng);
// True if a passphrase is needed. InvalidArgument if it is no backup.
absl::StatusOr<bool> IsSealedBackup(std::string_view text);
// InvalidArgument if it is no backup; Unauthenticated for a wrong passphrase or an altered file.
absl::StatusOr<Backup> DecodeBackup(std::string_view text, const std::optional<std::string>& passphrase);

}  // namespace cli
