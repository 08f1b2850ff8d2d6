// SPDX-License-Identifier: Apache-2.0
// keys/owner_only_directory.h — small files that belong to one user alone, written whole or not at all.
//
// Everything goes through one descriptor of the directory, so what was checked is what is used. FailedPrecondition carries what
// a person should read (cli.md E6): "PATH can be read by others (mode 0644)", then on a second line "  fix: chmod 600 PATH" where
// a command mends it. Other failures of the system are Internal.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/rng.h"

namespace keys {

class OwnerOnlyDirectory {
 public:
  enum class Access {
    kClosed,    // nobody else may even list it: mode 0700
    kReadable,  // nobody else may write into it
  };

  // Makes the directory (0700) and those above it; an existing one stays as it is.
  static absl::Status Create(const std::string& path);
  // NotFound if there is none; FailedPrecondition if it belongs to somebody else or `access` is not met.
  static absl::StatusOr<OwnerOnlyDirectory> Open(const std::string& path, Access access);

  ~OwnerOnlyDirectory();
  OwnerOnlyDirectory(OwnerOnlyDirectory&& other) noexcept;
  OwnerOnlyDirectory& operator=(OwnerOnlyDirectory&&) = delete;

  // The whole of a plain file of mode 0600 or less. NotFound; FailedPrecondition (mode, owner, symbolic link, no plain file,
  // longer than size_max). Never blocks on a FIFO.
  absl::StatusOr<std::string> Read(const std::string& name, size_t size_max) const;
  // On disk when it returns, or as it was before. WriteNew: AlreadyExists if the name is taken. Overwrite: replaces what is
  // there.
  absl::Status WriteNew(const std::string& name, const std::string& content, base::Rng& rng) const;
  absl::Status Overwrite(const std::string& name, const std::string& content, base::Rng& rng) const;
  absl::Status Remove(const std::string& name) const;     // NotFound
  absl::StatusOr<std::vector<std::string>> List() const;  // sorted; no hidden names

 private:
  OwnerOnlyDirectory(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }
  absl::Status CheckFile(int fd, const std::string& name, size_t size_max) const;
  absl::StatusOr<std::string> WriteTemporary(const std::string& name, const std::string& content, base::Rng& rng) const;
  absl::Status MoveInto(const std::string& temporary, const std::string& name, bool replace) const;

  int fd_;
  std::string path_;
};

}  // namespace keys
