// SPDX-License-Identifier: Apache-2.0
#include "cli/file_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "cli/book_command.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/received_files.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr size_t kTagMin = 4;  // hex digits

struct Found {
  keys::PublicKey from;
  const chat::IncomingFile* file = nullptr;
};

absl::StatusOr<Found> FindFile(OpenBook& open, std::string tag) {
  if (absl::StartsWith(tag, "#")) tag.erase(0, 1);
  Found found;
  int count = 0;
  for (const auto& [key, conversation] : open.book().conversations()) {
    for (const auto& [id, file] : conversation.files()) {
      if (tag.size() < kTagMin || !absl::StartsWithIgnoreCase(base::ToHex(id), tag)) continue;
      found = {key, &file};
      ++count;
    }
  }
  if (count == 1) return found;
  return Fail(
      {.exit = Exit::kIdentity,
       .what = count == 0 ? absl::StrCat("there is no file \"", Cut(tag), "\"") : "several files begin so: give more of it",
       .fix = {"bulbil files list"}});
}

std::string Progress(const chat::IncomingFile& file) {
  return file.whole() ? "" : absl::StrCat("   ", file.have(), " of ", file.info().pieces, " pieces are here");
}

std::string FileLine(const std::string& who, const chat::IncomingFile& file) {
  const chat::FileInfo info = file.info();
  return absl::StrCat(FileTag(file.id()), "   ", base::SanitizeForTerminal(base::AsBytes(who)).text, "   ",
                      info.name.empty() ? "(its name is not here yet)" : FileText(info), Progress(file), "\n");
}

std::string FileJson(const std::string& who, const chat::IncomingFile& file) {
  const chat::FileInfo info = file.info();
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "file")
      .Add("id", base::ToHex(file.id()))
      .Add("contact", who)
      .Add("name", base::SanitizeForTerminal(base::AsBytes(info.name)).text)
      .Add("size", file.whole() ? int64_t{info.size} : int64_t{-1})
      .Add("pieces", int{info.pieces})
      .Add("pieces_here", int{file.have()})
      .Line();
}

}  // namespace

absl::StatusOr<FileToSend> ReadFileToSend(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat about = {};
  if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    if (fd >= 0) close(fd);
    return Fail({.exit = Exit::kLocal,
                 .what = absl::StrCat("cannot read ", ShownPath(path)),
                 .why = {fd < 0 ? "it is not there, or not yours to read" : "it is no file"}});
  }
  const absl::StatusOr<std::string> bytes = ReadAll(fd, chat::kFileBytesMax);
  close(fd);
  RETURN_IF_ERROR(bytes.status());
  if (bytes->size() > chat::kFileBytesMax) {
    return Fail({.exit = Exit::kRefused,
                 .what = absl::StrCat(ShownPath(path), " is larger than 8 MiB; nothing was sent"),
                 .fix = {"send it in pieces:  split -b 8M FILE"}});
  }
  FileToSend file{path.substr(path.find_last_of('/') + 1), base::ToBytes(base::AsBytes(*bytes))};
  if (file.name.size() > chat::kFileNameMax) file.name.resize(chat::kFileNameMax);
  return file;
}

absl::StatusOr<std::string> SaveFileOf(OpenBook& open, const std::string& tag, const std::string& folder) {
  ASSIGN_OR_RETURN(const Found found, FindFile(open, tag));
  if (!found.file->kept()) {
    return Fail(
        {.exit = Exit::kTime, .what = absl::StrCat("the file is not whole yet:", Progress(*found.file)), .fix = {"bulbil poll"}});
  }
  const chat::FileInfo info = found.file->info();
  const auto bytes = open.inbox().ReadFile(found.from, found.file->id(), info);
  if (!bytes.ok())
    return Fail({.exit = Exit::kLocal, .what = "the file does not open", .why = {std::string(bytes.status().message())}});
  return SaveReceived(folder, info.name, *bytes);
}

absl::Status RemoveFileOf(OpenBook& open, const std::string& tag) {
  ASSIGN_OR_RETURN(const Found found, FindFile(open, tag));
  open.book().RemoveFile(found.from, chat::MessageId(found.file->id()));
  return absl::OkStatus();
}

absl::Status ListFiles(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  std::string text;
  for (const auto& [key, conversation] : open->book().conversations()) {
    for (const auto& [id, file] : conversation.files()) {
      absl::StrAppend(&text, context.flags.json ? FileJson(open->NameOf(key), file) : FileLine(open->NameOf(key), file));
    }
  }
  if (text.empty() && !context.flags.json) text = "no files\n";
  return WriteStdout(text);
}

absl::Status SaveFile(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  if (flags.first.empty()) return Fail({.exit = Exit::kUsage, .what = "save which file?", .fix = {"bulbil files list"}});
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const std::string path, SaveFileOf(*open, flags.first, flags.to.empty() ? "." : flags.to));
  if (context.flags.json) return WriteStdout(JsonObject().Add("schema", 1).Add("type", "saved").Add("path", path).Line());
  return WriteStdout(path + "\n");
}

absl::Status RemoveFile(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  if (flags.first.empty()) return Fail({.exit = Exit::kUsage, .what = "remove which file?", .fix = {"bulbil files list"}});
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  RETURN_IF_ERROR(RemoveFileOf(*open, flags.first));
  return open->Save();
}

}  // namespace cli
