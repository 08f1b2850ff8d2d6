// SPDX-License-Identifier: Apache-2.0
// keys/key_store.h — identities and node keys on disk: owner-only files, sealed by default.
//
// DIR/NAME.key, 0600 in a 0700 directory, made by O_EXCL | O_NOFOLLOW, fsync of file and directory, rename. Text format, one item
// a line (docs/wire.md, "key file"): version, public address, creation time, then either the plain seed or Argon2id parameters,
// salt, nonce and the seed under XChaCha20-Poly1305, all other lines as associated data.
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

class FileKeyStore {
 public:
  explicit FileKeyStore(std::string directory) : directory_(std::move(directory)) {}

  // passphrase: nullopt = unsealed. AlreadyExists if the name is taken, InvalidArgument for a bad name ([A-Za-z0-9_-]{1,32}),
  // FailedPrecondition with E6's text if the directory is readable by others.
  absl::Status Save(const KeyFileInfo& info, const SigningKey& key, const std::optional<std::string>& passphrase, base::Rng& rng);
  // NotFound; FailedPrecondition (E6: mode, owner, symlink, not a file); Unauthenticated (wrong passphrase or altered file: one
  // text); InvalidArgument if it is sealed and no passphrase was given. Slow when sealed (Argon2id, 256 MiB).
  absl::StatusOr<LoadedKey> Load(const std::string& name, const std::optional<std::string>& passphrase);
  // What can be told without a passphrase, sorted by name. An unreadable file is an error that names it.
  absl::StatusOr<std::vector<KeyFileInfo>> List() const;
  absl::StatusOr<KeyFileInfo> Info(const std::string& name) const;
  absl::Status Remove(const std::string& name);

  std::string PathOf(const std::string& name) const { return directory_ + "/" + name + ".key"; }

 private:
  std::string directory_;
};

// The node's own key: DIR/node.key, unsealed (a node starts unattended), made on first use.
absl::StatusOr<SigningKey> LoadOrCreateNodeKey(const std::string& directory, base::Rng& rng);

}  // namespace keys
