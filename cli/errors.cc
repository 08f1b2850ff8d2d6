// SPDX-License-Identifier: Apache-2.0
#include "cli/errors.h"

#include <cstdio>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/terminal_text.h"
#include "cli/json.h"

namespace cli {
namespace {

constexpr char kPayloadUrl[] = "bulbil/command-error";
constexpr char kFieldEnd = '\x1e', kLineEnd = '\x1f';  // never part of a text: sanitised or our own

absl::StatusCode CodeOf(Exit exit) {
  switch (exit) {
    case Exit::kUsage:
      return absl::StatusCode::kInvalidArgument;
    case Exit::kIdentity:
      return absl::StatusCode::kNotFound;
    case Exit::kNetwork:
      return absl::StatusCode::kUnavailable;
    case Exit::kLocal:
      return absl::StatusCode::kFailedPrecondition;
    case Exit::kTime:
      return absl::StatusCode::kDeadlineExceeded;
    case Exit::kRefused:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kInternal;
  }
}

Exit ExitOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return Exit::kUsage;
    case absl::StatusCode::kUnavailable:
      return Exit::kNetwork;
    case absl::StatusCode::kDeadlineExceeded:
      return Exit::kTime;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDataLoss:
      return Exit::kLocal;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
      return Exit::kRefused;
    default:
      return Exit::kInternal;
  }
}

std::string Join(const std::vector<std::string>& lines) { return absl::StrJoin(lines, std::string(1, kLineEnd)); }

std::vector<std::string> Split(const std::string& lines) {
  if (lines.empty()) return {};
  return absl::StrSplit(lines, kLineEnd);
}

CommandError ErrorOfAnotherRoom(const absl::Status& status) {
  CommandError error{.exit = ExitOf(status.code()), .what = std::string(status.message())};
  if (error.what.empty()) error.what = absl::StatusCodeToString(status.code());
  if (error.exit == Exit::kInternal) {
    error.why = {absl::StrCat("this is a fault of bulbil: ", absl::StatusCodeToString(status.code()))};
    error.fix = {"please report it, with the command, the output of -vvv and of: bulbil version"};
  }
  return error;
}

}  // namespace

absl::Status Fail(CommandError error) {
  absl::Status status(CodeOf(error.exit), error.what);
  status.SetPayload(kPayloadUrl, absl::Cord(absl::StrCat(static_cast<int>(error.exit), std::string(1, kFieldEnd), Join(error.why),
                                                         std::string(1, kFieldEnd), Join(error.fix))));
  return status;
}

bool IsCommandError(const absl::Status& status) { return status.GetPayload(kPayloadUrl).has_value(); }

CommandError ErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return ErrorOfAnotherRoom(status);
  const std::vector<std::string> fields = absl::StrSplit(std::string(*payload), kFieldEnd);
  int exit = 1;
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &exit)) return ErrorOfAnotherRoom(status);
  return {
      .exit = static_cast<Exit>(exit), .what = std::string(status.message()), .why = Split(fields[1]), .fix = Split(fields[2])};
}

std::string FormatError(const CommandError& error) {
  std::string text = absl::StrCat("error: ", error.what, "\n");
  for (const std::string& line : error.why) absl::StrAppend(&text, "  ", line, "\n");
  for (size_t i = 0; i < error.fix.size(); ++i) absl::StrAppend(&text, i == 0 ? "  fix: " : "       ", error.fix[i], "\n");
  return base::SanitizeForTerminal(base::AsBytes(text)).text;  // what was typed comes back: nothing of it may steer the terminal
}

std::string FormatErrorJson(const CommandError& error) {
  JsonObject json;
  json.Add("schema", 1).Add("type", "error").Add("code", static_cast<int>(error.exit)).Add("what", error.what);
  if (!error.why.empty()) json.Add("why", absl::StrJoin(error.why, "\n"));
  if (!error.fix.empty()) json.Add("fix", absl::StrJoin(error.fix, "\n"));
  return json.Line();
}

int Report(const absl::Status& status, bool json) {
  if (status.ok()) return static_cast<int>(Exit::kDone);
  const CommandError error = ErrorOf(status);
  const std::string text = json ? FormatErrorJson(error) : FormatError(error);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return static_cast<int>(error.exit);
}

}  // namespace cli
