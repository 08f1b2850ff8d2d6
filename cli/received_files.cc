// SPDX-License-Identifier: Apache-2.0
#include "cli/received_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/terminal_text.h"
#include "cli/errors.h"
#include "cli/home.h"
#include "cli/values.h"

namespace cli {
namespace {

bool WriteWhole(int fd, base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return fsync(fd) == 0;
}

// "map.png", 2 -> "map-2.png"
std::string Numbered(const std::string& name, int number) {
  if (number == 0) return name;
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return absl::StrCat(name, "-", number);
  return absl::StrCat(name.substr(0, dot), "-", number, name.substr(dot));
}

}  // namespace

std::string SafeFileName(const std::string& name) {
  std::string text = base::SanitizeForTerminal(base::AsBytes(name)).text;
  text = text.substr(text.find_last_of("/\\") + 1);  // none: from the beginning
  for (char& letter : text) {
    if (std::string_view("\n:*?\"<>|$`'&;!~").find(letter) != std::string_view::npos) letter = '_';
  }
  const size_t first = text.find_first_not_of(". -");
  text = first == std::string::npos ? "" : text.substr(first);
  size_t size = 0;
  while (size < text.size() && size + Utf8Length(text.substr(size, 4)) <= kSavedNameMax) size += Utf8Length(text.substr(size, 4));
  text.resize(size);
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text.empty() ? "file" : text;
}

absl::StatusOr<std::string> SaveReceived(const std::string& folder, const std::string& name, base::ByteView bytes) {
  const std::string safe = SafeFileName(name);
  for (int number = 0; number < kSavedNamesTried; ++number) {
    const std::string path = absl::StrCat(folder, "/", Numbered(safe, number));
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) continue;
    const bool written = fd >= 0 && WriteWhole(fd, bytes);
    if (fd >= 0) close(fd);
    if (written) return path;
    if (fd >= 0) unlink(path.c_str());
    return Fail({.exit = Exit::kLocal,
                 .what = absl::StrCat("cannot write ", ShownPath(path)),
                 .why = {fd < 0 ? "the folder is not there, or not yours to write" : "the disk did not take it"},
                 .fix = {"another folder:  --to DIR"}});
  }
  return Fail({.exit = Exit::kLocal,
               .what = absl::StrCat("there are ", kSavedNamesTried, " files of that name in ", ShownPath(folder)),
               .fix = {"another folder:  --to DIR"}});
}

std::string FileTag(const chat::MessageId& id) { return base::ToHex(base::ByteView(id).first(4)); }

std::string FileText(const chat::FileInfo& file) {
  std::string name = base::SanitizeForTerminal(base::AsBytes(file.name)).text;
  for (char& letter : name) letter = letter == '\n' ? ' ' : letter;
  return absl::StrCat(name, ", ", ShownBytes(file.size));
}

std::string FileMessageText(const chat::Message& message) {
  if (message.own) return absl::StrCat("[file] ", FileText(*message.file));
  return absl::StrCat("[file] ", FileText(*message.file), "\nto keep it:  bulbil files save ", FileTag(message.id));
}

}  // namespace cli
