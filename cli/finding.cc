// SPDX-License-Identifier: Apache-2.0
#include "cli/finding.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/json.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr uint32_t kMembersMin = 5;  // this one and the four other nodes that a message needs
constexpr absl::Duration kClockTold = absl::Minutes(1);
constexpr uint64_t kFilesMin = 1024;                // links, tables of the store, sockets
constexpr uint64_t kFreeMin = uint64_t{256} << 20;  // RocksDB refuses to write before nothing is left

using Level = Finding::Level;

const char* LevelName(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      break;
  }
  return "fail";
}

size_t Count(const std::vector<Finding>& findings, Level level) {
  return static_cast<size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const Finding& one) { return one.level == level; }));
}

Finding JudgeMembership(const bulbil::v1::StatusReply& status) {
  const std::string count = absl::StrCat("ring of ", status.ring().size_estimate());
  if (status.state() != "ready") {
    return {Level::kFail, "node", absl::StrCat("the node is not in the ring: ", status.state()),
            "wait a moment, or name a node that runs:  bulbil --bootstrap HOST:PORT", Exit::kNetwork};
  }
  if (status.ring().size_estimate() < kMembersMin) {
    return {Level::kFail, "node", absl::StrCat(count, ": a message needs 4 other nodes"),
            "start more nodes:  bulbil --port 10003     or:  bulbil up", Exit::kNetwork};
  }
  return {Level::kOk, "node", absl::StrCat(count, ", ", status.role() == "relay" ? "as a relay" : "as a full node"), ""};
}

Finding JudgeReach(const bulbil::v1::StatusReply& status) {
  const std::string advertised = ShownAddress(status.advertised()), port = advertised.substr(advertised.rfind(':') + 1);
  if (absl::StartsWith(status.advertised(), "127.") || absl::StartsWith(status.advertised(), "[::1]")) {
    return {Level::kWarn, "port", absl::StrCat(advertised, " is advertised: other machines cannot join"),
            absl::StrCat("bulbil --network NAME --listen 0.0.0.0:", port, " --advertise HOST:", port,
                         "     (the network local takes private addresses alone)")};
  }
  return {Level::kOk, "port", absl::StrCat("listens on ", ShownAddress(status.listening()), ", advertises ", advertised), ""};
}

Finding JudgeStore(const bulbil::v1::StoreStatus& store) {
  const std::string held = absl::StrCat(ShownCount(store.records()), " records, ", ShownBytes(store.bytes()));
  if (store.state() == "none") return {Level::kOk, "store", "none: a relay keeps no records", ""};
  if (store.state() == "full") return {Level::kFail, "store", "the disk is full", "free some space", Exit::kLocal};
  if (store.state() == "failing") {
    return {Level::kFail, "store", "the disk refuses writes", "look at the disk and the system's log", Exit::kLocal};
  }
  if (store.state() == "suspect") {
    return {Level::kWarn, "store", absl::StrCat(held, "; some may be lost, its replicas are asked"), "wait for the repair"};
  }
  if (store.repairing() > 0) {
    return {Level::kWarn, "store", absl::StrCat(held, "; ", ShownCount(store.repairing()), " are still fetched"),
            "wait for the repair, or start one more node"};
  }
  return {Level::kOk, "store", held, ""};
}

}  // namespace

Finding FindingOf(const std::string& name, const absl::Status& failure) {
  const CommandError error = ErrorOf(failure);
  return {Level::kFail, name, error.what, error.fix.empty() ? "" : error.fix.front(), error.exit};
}

std::vector<Finding> JudgeNode(const bulbil::v1::StatusReply& status) {
  return {JudgeMembership(status), JudgeReach(status), JudgeStore(status.store())};
}

absl::Duration ClockError(const NeighbourSeen& seen) {
  if (seen.now < seen.table.issued) return seen.now - seen.table.issued;
  const absl::Time renewed = seen.table.issued + (seen.table.expires - seen.table.issued) / 2;
  return std::max(absl::ZeroDuration(), seen.now - renewed);
}

Finding JudgeClock(const std::vector<NeighbourSeen>& neighbours, size_t refused) {
  const char* const kFix = "set the clock:  timedatectl set-ntp true";
  if (refused > neighbours.size()) {
    return {Level::kFail, "clock", absl::StrCat(refused, " neighbours' times are an hour or more from this clock"), kFix,
            Exit::kLocal};
  }
  if (neighbours.empty()) return {Level::kWarn, "clock", "no neighbour to compare the clock with", ""};
  std::vector<absl::Duration> errors;
  for (const NeighbourSeen& seen : neighbours) errors.push_back(ClockError(seen));
  std::nth_element(errors.begin(), errors.begin() + static_cast<ptrdiff_t>(errors.size() / 2), errors.end());
  const absl::Duration error = errors[errors.size() / 2];
  if (absl::AbsDuration(error) >= kClockTold) {
    return {Level::kWarn, "clock",
            absl::StrCat("this clock is ", ShownDuration(absl::AbsDuration(error)), " or more ",
                         error > absl::ZeroDuration() ? "ahead of" : "behind", " its neighbours'"),
            kFix};
  }
  return {Level::kOk, "clock",
          absl::StrCat("agrees with ", neighbours.size(), neighbours.size() == 1 ? " neighbour" : " neighbours"), ""};
}

Finding JudgeLimits(uint64_t files_max, uint64_t bytes_free) {
  const std::string text =
      absl::StrCat(ShownCount(files_max), " open files, ", ShownBytes(static_cast<double>(bytes_free)), " free on the disk");
  if (bytes_free < kFreeMin) return {Level::kWarn, "limits", text, "free some space"};
  if (files_max < kFilesMin) return {Level::kWarn, "limits", text, "ulimit -n 4096"};
  return {Level::kOk, "limits", text, ""};
}

std::string FindingsScreen(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& one : findings) {
    const std::string level = LevelName(one.level);
    absl::StrAppend(&text, level, std::string(6 - level.size(), ' '), one.name, ": ", one.text, "\n");
    if (!one.fix.empty()) absl::StrAppend(&text, "        fix: ", one.fix, "\n");
  }
  const size_t warnings = Count(findings, Level::kWarn), failures = Count(findings, Level::kFail);
  return absl::StrCat(text, Count(findings, Level::kOk), " ok · ", warnings, warnings == 1 ? " warning · " : " warnings · ",
                      failures, failures == 1 ? " failure\n" : " failures\n");
}

std::string FindingsJson(const std::vector<Finding>& findings) {
  std::string lines;
  for (const Finding& one : findings) {
    JsonObject object;
    object.Add("schema", 1).Add("type", "check").Add("name", one.name).Add("level", LevelName(one.level)).Add("text", one.text);
    if (!one.fix.empty()) object.Add("fix", one.fix);
    lines += object.Line();
  }
  return lines + JsonObject()
                     .Add("schema", 1)
                     .Add("type", "summary")
                     .Add("ok", Count(findings, Level::kOk))
                     .Add("warnings", Count(findings, Level::kWarn))
                     .Add("failures", Count(findings, Level::kFail))
                     .Line();
}

absl::Status OutcomeOf(const std::vector<Finding>& findings) {
  const Finding* worst = nullptr;
  for (const Finding& one : findings) {
    if (one.level == Level::kFail && worst == nullptr) worst = &one;
  }
  if (worst == nullptr) return absl::OkStatus();
  CommandError error{.exit = worst->exit, .what = absl::StrCat(worst->name, ": ", worst->text)};
  if (!worst->fix.empty()) error.fix = {worst->fix};
  return Fail(std::move(error));
}

}  // namespace cli
