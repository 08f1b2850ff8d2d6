// SPDX-License-Identifier: Apache-2.0
#include "cli/book_turn.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "cli/errors.h"

namespace cli {

BookTurn::~BookTurn() {
  if (fd_ >= 0) close(fd_);
}

bool BookTurn::Lock(int how) {
  if (fd_ < 0) fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  return fd_ >= 0 && flock(fd_, how | LOCK_NB) == 0;
}

absl::Status BookTurn::Queue() {
  if (queued_ || Lock(LOCK_EX)) {
    queued_ = true;
    return absl::OkStatus();
  }
  if (fd_ < 0) return Fail({.exit = Exit::kLocal, .what = absl::StrCat("cannot make ", path_)});
  return absl::UnavailableError("others wait for the book");
}

void BookTurn::Leave() {
  if (queued_) flock(fd_, LOCK_UN);
  queued_ = false;
}

bool BookTurn::Wanted() {
  if (queued_) return false;
  if (!Lock(LOCK_SH)) return fd_ >= 0;
  flock(fd_, LOCK_UN);
  return false;
}

}  // namespace cli
