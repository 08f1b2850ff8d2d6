// SPDX-License-Identifier: Apache-2.0
// cli/book_turn.h — who may have an identity's book next: one process has it, the first of the others stands in line.
//
// The book itself is held by the lock of its store. Beside it lies an empty file; whoever waits for the book holds that file's
// lock (flock: the kernel gives it back, however a process ends). So the one that has the book can see that it is wanted, and let
// go between two operations. Never blocks. Not thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace cli {

class BookTurn {
 public:
  // `path` of the file; made, 0600, when it is first needed.
  explicit BookTurn(std::string path) : path_(std::move(path)) {}
  ~BookTurn();
  BookTurn(const BookTurn&) = delete;
  BookTurn& operator=(const BookTurn&) = delete;

  // Stands in line. Unavailable: somebody else does; kLocal if the file cannot be used. Again is harmless.
  absl::Status Queue();
  // Has the book, or does not want it any more.
  void Leave();
  // Somebody else stands in line.
  bool Wanted();

 private:
  bool Lock(int how);

  const std::string path_;
  int fd_ = -1;
  bool queued_ = false;
};

}  // namespace cli
