// SPDX-License-Identifier: Apache-2.0
#include "keys/owner_only_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace keys {
namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

absl::Status SystemError(const std::string& what, const std::string& path) {
  const int error = errno;
  if (error == ENOENT) return absl::NotFoundError(absl::StrCat("there is no ", path));
  return absl::InternalError(absl::StrCat("cannot ", what, " ", path, ": ", std::generic_category().message(error)));
}

absl::Status Unsafe(const std::string& path, const std::string& what, const std::string& fix = "") {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " ", what, fix.empty() ? "" : absl::StrCat("\n  fix: ", fix, " ", path)));
}

std::string ModeText(const struct stat& status) { return absl::StrFormat("(mode %04o)", status.st_mode & 07777); }

absl::Status WriteAll(int fd, const std::string& content, const std::string& path) {
  for (size_t done = 0; done < content.size();) {
    const ssize_t written = write(fd, content.data() + done, content.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SystemError("write", path);
    done += static_cast<size_t>(written);
  }
  return fsync(fd) == 0 ? absl::OkStatus() : SystemError("sync", path);
}

}  // namespace

absl::Status OwnerOnlyDirectory::Create(const std::string& path) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return absl::InternalError(absl::StrCat("cannot make ", parent.string(), ": ", error.message()));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemError("make", path);
  return absl::OkStatus();
}

absl::StatusOr<OwnerOnlyDirectory> OwnerOnlyDirectory::Open(const std::string& path, Access access) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("open", path);
  OwnerOnlyDirectory directory(fd, path);
  struct stat status;
  if (fstat(fd, &status) != 0) return SystemError("look at", path);
  if (status.st_uid != geteuid()) return Unsafe(path, "belongs to another user");
  if ((status.st_mode & 022) != 0) return Unsafe(path, absl::StrCat("can be written by others ", ModeText(status)), "chmod 700");
  if (access == Access::kClosed && (status.st_mode & 077) != 0) {
    return Unsafe(path, absl::StrCat("can be read by others ", ModeText(status)), "chmod 700");
  }
  return directory;
}

OwnerOnlyDirectory::~OwnerOnlyDirectory() {
  if (fd_ >= 0) close(fd_);
}

OwnerOnlyDirectory::OwnerOnlyDirectory(OwnerOnlyDirectory&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

absl::Status OwnerOnlyDirectory::CheckFile(int fd, const std::string& name, size_t size_max) const {
  const std::string path = PathOf(name);
  struct stat status;
  if (fstat(fd, &status) != 0) return SystemError("look at", path);
  if (!S_ISREG(status.st_mode)) return Unsafe(path, "is not a plain file");
  if (status.st_uid != geteuid()) return Unsafe(path, "belongs to another user");
  if ((status.st_mode & 077) != 0) return Unsafe(path, absl::StrCat("can be read by others ", ModeText(status)), "chmod 600");
  if (static_cast<size_t>(status.st_size) > size_max) return Unsafe(path, "is too long");
  return absl::OkStatus();
}

absl::StatusOr<std::string> OwnerOnlyDirectory::Read(const std::string& name, size_t size_max) const {
  const std::string path = PathOf(name);
  // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
  const File file(openat(fd_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.fd() < 0 && errno == ELOOP) return Unsafe(path, "is a symbolic link");
  if (file.fd() < 0 && errno == ENXIO) return Unsafe(path, "is not a plain file");
  if (file.fd() < 0) return SystemError("open", path);
  RETURN_IF_ERROR(CheckFile(file.fd(), name, size_max));
  std::string content(size_max, '\0');
  size_t size = 0;
  while (size < size_max) {
    const ssize_t got = read(file.fd(), content.data() + size, size_max - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  content.resize(size);
  return content;
}

// Hidden, so List never shows one that a crash left behind; its random name is not taken by anybody who cannot write here.
absl::StatusOr<std::string> OwnerOnlyDirectory::WriteTemporary(const std::string& name, const std::string& content,
                                                               base::Rng& rng) const {
  const std::string temporary = absl::StrCat(".", name, ".", base::ToHex(rng.Array<8>()));
  const File file(openat(fd_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.fd() < 0) return SystemError("make", PathOf(temporary));
  if (const absl::Status status = WriteAll(file.fd(), content, PathOf(temporary)); !status.ok()) {
    unlinkat(fd_, temporary.c_str(), 0);
    return status;
  }
  return temporary;
}

absl::Status OwnerOnlyDirectory::MoveInto(const std::string& temporary, const std::string& name, bool replace) const {
  int result = renameat2(fd_, temporary.c_str(), fd_, name.c_str(), replace ? 0 : RENAME_NOREPLACE);
  if (result != 0 && errno == EINVAL && !replace) {  // network file systems know no RENAME_NOREPLACE; a hard link is as atomic
    result = linkat(fd_, temporary.c_str(), fd_, name.c_str(), 0);
    if (result == 0) unlinkat(fd_, temporary.c_str(), 0);
  }
  if (result == 0) return fsync(fd_) == 0 ? absl::OkStatus() : SystemError("sync", path_);
  const absl::Status failed =
      errno == EEXIST ? absl::AlreadyExistsError(absl::StrCat(PathOf(name), " exists")) : SystemError("make", PathOf(name));
  unlinkat(fd_, temporary.c_str(), 0);
  return failed;
}

absl::Status OwnerOnlyDirectory::WriteNew(const std::string& name, const std::string& content, base::Rng& rng) const {
  ASSIGN_OR_RETURN(const std::string temporary, WriteTemporary(name, content, rng));
  return MoveInto(temporary, name, /*replace=*/false);
}

absl::Status OwnerOnlyDirectory::Overwrite(const std::string& name, const std::string& content, base::Rng& rng) const {
  ASSIGN_OR_RETURN(const std::string temporary, WriteTemporary(name, content, rng));
  return MoveInto(temporary, name, /*replace=*/true);
}

absl::Status OwnerOnlyDirectory::Remove(const std::string& name) const {
  if (unlinkat(fd_, name.c_str(), 0) != 0) return SystemError("remove", PathOf(name));
  return fsync(fd_) == 0 ? absl::OkStatus() : SystemError("sync", path_);
}

absl::StatusOr<std::vector<std::string>> OwnerOnlyDirectory::List() const {
  const int own_fd = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // closedir closes what it reads
  if (own_fd < 0) return SystemError("open", path_);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(own_fd), &closedir);
  if (stream == nullptr) return SystemError("list", path_);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace keys
