// SPDX-License-Identifier: Apache-2.0
// cli/received_files.h — files that came, from the sealed book into a folder: names made safe, nothing overwritten.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "chat/inbox.h"

namespace cli {

inline constexpr size_t kSavedNameMax = 120;  // bytes
inline constexpr int kSavedNamesTried = 100;  // "map.png", "map-1.png", ...

// What is left of a name from outside as the name of a file in a folder: its last part, no control or invisible characters, none
// that shells or file systems take for something else, no leading dot or dash. Never empty: "file" then.
std::string SafeFileName(const std::string& name);

// A new file, 0600, in `folder`, which has to exist. Its path. kLocal: the disk does not take it, or all names are taken; nothing
// is left then.
absl::StatusOr<std::string> SaveReceived(const std::string& folder, const std::string& name, base::ByteView bytes);

// "map.png, 1.2 MiB": on a screen, without what a terminal must not get.
std::string FileText(const chat::FileInfo& file);
// The same for a message: how to keep it, or, of an own one, only what it is.
std::string FileMessageText(const chat::Message& message);
// How files are named in commands: the first eight hex digits.
std::string FileTag(const chat::MessageId& id);

}  // namespace cli
