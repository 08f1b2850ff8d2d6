// SPDX-License-Identifier: Apache-2.0
// cli/backup_file.h — the text of a backup: identity and contacts, never messages or session keys.
//
//   bulbil-backup 2
//   a key file, as keys/key_file.h writes it (sealed under the passphrase, or not)
//   contacts HEX      nonce 24 ‖ XChaCha20-Poly1305 under H(key = identity seed, "backup"), the lines above as associated data,
//   of
//                     count 2, for each contact: key 32 ‖ verified 1 ‖ receipts 1 ‖ len 1 name; for each group: len 2 and what
//                     chat::EncodeGroup writes: who is in it, no keys. (Version 1: no count, and no groups.)
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

inline constexpr size_t kBackupSizeMax = 1024 * 1024;  // kContactsMax contacts and kGroupsMax groups in hex

struct Backup {
  keys::LoadedKey identity;
  std::vector<chat::Contact> contacts;
  std::vector<chat::Group> groups;
};

// ResourceExhausted if there is no memory for Argon2id. The caller wipes the text.
absl::StatusOr<std::string> EncodeBackup(const keys::LoadedKey& identity, const std::vector<chat::Contact>& contacts,
                                         const std::vector<chat::Group>& groups, const std::optional<std::string>& passphrase,
                                         base::Rng& rng);
// True if a passphrase is needed. InvalidArgument if it is no backup.
absl::StatusOr<bool> IsSealedBackup(std::string_view text);
// InvalidArgument if it is no backup; Unauthenticated for a wrong passphrase or an altered file.
absl::StatusOr<Backup> DecodeBackup(std::string_view text, const std::optional<std::string>& passphrase);

}  // namespace cli
