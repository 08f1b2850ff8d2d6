// SPDX-License-Identifier: Apache-2.0
// keys/key_store.h — identities and node keys on disk: owner-only files, sealed by default.
//
// DIR/NAME.key, 0600 in a 0700 directory, made by O_EXCL | O_NOFOLLOW, fsync of file and directory, rename. Text, one item a
// line, in this order (docs/wire.md, "key file"):
//   bulbil-key 1                                 format version
//   address bulb1...                             the public key
//   created 2026-11-23T14:00:00Z                 UTC
//   origin new | imported
// then, unsealed:
//   seed HEX                                     32 bytes
// or, sealed:
//   argon2id PASSES MEMORY                       MEMORY in bytes
//   salt HEX                                     16 bytes
//   nonce HEX                                    24 bytes
//   sealed HEX                                   48 bytes: the seed under XChaCha20-Poly1305, all lines above as associated data
// A file is read only if it is a plain file of the caller's, closed to everybody else, in such a directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "keys/identity.h"

namespace keys {

struct KeyFileInfo {
  std::string name;
  PublicKey public_key;
  absl::Time created;
  bool imported = false;  // it may have mail from before it came here
  bool sealed = false;
};
struct LoadedKey {
  KeyFileInfo info;
  SigningKey key;
};

// What sealing costs: Argon2id, libsodium's MODERATE (half a second or more for each guess). Tests take less.
struct KeyStoreOptions {
  uint64_t argon2_passes = 3;
  uint64_t argon2_memory = uint64_t{256} << 20;  // bytes
};
// A file that asks for more is refused: it would only stop the program from starting.
inline constexpr uint64_t kArgon2PassesMax = 16, kArgon2MemoryMax = uint64_t{1} << 30;

class FileKeyStore {
 public:
  explicit FileKeyStore(std::string directory, KeyStoreOptions options = {})
      : directory_(std::move(directory)), options_(options) {}

  // Makes the directory if it is missing. passphrase: nullopt = unsealed. info.name, .created and .imported count; the rest
  // follows from the key. AlreadyExists if the name is taken, InvalidArgument for a bad name ([A-Za-z0-9_-]{1,32}),
  // FailedPrecondition with E6's text and fix if the directory is readable by others, ResourceExhausted without memory for
  // Argon2id.
  absl::Status Save(const KeyFileInfo& info, const SigningKey& key, const std::optional<std::string>& passphrase, base::Rng& rng);
  // The same over a file that exists (another passphrase): the old file stays until the new one is on disk. NotFound if none
  // does.
  absl::Status Replace(const KeyFileInfo& info, const SigningKey& key, const std::optional<std::string>& passphrase,
                       base::Rng& rng);
  // NotFound; FailedPrecondition (E6: mode, owner, symlink, not a file); Unauthenticated (wrong passphrase or altered file: one
  // text); InvalidArgument if it is sealed and no passphrase was given. A passphrase for an unsealed file is ignored. Slow when
  // sealed (Argon2id, 256 MiB).
  absl::StatusOr<LoadedKey> Load(const std::string& name, const std::optional<std::string>& passphrase) const;
  // What can be told without a passphrase, sorted by name. An unreadable file is an error that names it.
  absl::StatusOr<std::vector<KeyFileInfo>> List() const;
  absl::StatusOr<KeyFileInfo> Info(const std::string& name) const;
  absl::Status Remove(const std::string& name);

  std::string PathOf(const std::string& name) const { return directory_ + "/" + name + ".key"; }

 private:
  std::string directory_;
  KeyStoreOptions options_;
};

// The node's own key: DIR/node.key, unsealed (a node starts unattended), made on first use. DIR is made if it is missing; it may
// be readable by others (it holds the store too), but not writable. Errors as of Load.
absl::StatusOr<SigningKey> LoadOrCreateNodeKey(const std::string& directory, base::Rng& rng);

}  // namespace keys
