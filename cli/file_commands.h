// SPDX-License-Identifier: Apache-2.0
// cli/file_commands.h — bulbil files: what contacts have sent, held sealed in the book until it is saved or removed; all without
// the network. Saving leaves it in the book; removing gives its room back.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "cli/open_book.h"

namespace cli {

// A file that is read to be sent. kLocal: it cannot be read, or is no file; kRefused: more than chat::kFileBytesMax bytes.
struct FileToSend {
  std::string name;  // without its folders
  base::Bytes bytes;
};
absl::StatusOr<FileToSend> ReadFileToSend(const std::string& path);

absl::Status ListFiles(const Invocation& invocation, const Context& context);
// Into --to DIR or the working directory; the path goes to stdout. kIdentity: no such file, or several.
absl::Status SaveFile(const Invocation& invocation, const Context& context);
absl::Status RemoveFile(const Invocation& invocation, const Context& context);

// What the two do, for the chat screen as well. `tag`: the first hex digits of its id, at least four.
absl::StatusOr<std::string> SaveFileOf(OpenBook& open, const std::string& tag, const std::string& folder);
absl::Status RemoveFileOf(OpenBook& open, const std::string& tag);

}  // namespace cli
