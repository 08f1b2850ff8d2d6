// SPDX-License-Identifier: Apache-2.0
#include "cli/logging.h"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace cli {
namespace {

constexpr char kCalls[] = "rpc";
// Every word that stands before a log line's colon; tests/lint holds the sources to it.
constexpr const char* kComponents[] = {"boot", "circuits", "client", "control", "link", "log", "node", "ring", "rpc", "store", "up"};

struct Line {
  std::string_view component, message;
};

// "component: message"; a component is a short word of lower-case letters.
Line Split(std::string_view text) {
  const size_t end = text.find(": ");
  const bool is_word = end != std::string_view::npos && end > 0 && end <= 10 &&
                       text.substr(0, end).find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos;
  return is_word ? Line{text.substr(0, end), text.substr(end + 2)} : Line{"node", text};
}

std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return "trace";
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warn";
    default:
      return "error";
  }
}

// The priorities of syslog, as journald reads them from a line's start.
std::string_view JournalPriority(spdlog::level::level_enum level) {
  if (level <= spdlog::level::debug) return "<7>";
  if (level == spdlog::level::info) return "<6>";
  return level == spdlog::level::warn ? "<4>" : "<3>";
}

void Append(std::string_view text, spdlog::memory_buf_t& out) { out.append(text.data(), text.data() + text.size()); }

void AppendPadded(std::string_view text, size_t width, spdlog::memory_buf_t& out) {
  Append(text, out);
  for (size_t i = text.size(); i <= width; ++i) out.push_back(' ');
}

void AppendTime(spdlog::log_clock::time_point when, spdlog::memory_buf_t& out) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
  const time_t seconds = static_cast<time_t>(since / 1000);
  tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%03d ", local.tm_hour, local.tm_min, local.tm_sec,
                static_cast<int>(since % 1000));
  Append(text, out);
}

class Formatter : public spdlog::formatter {
 public:
  explicit Formatter(bool journal) : journal_(journal) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const Line line = Split({message.payload.data(), message.payload.size()});
    if (journal_) {
      Append(JournalPriority(message.level), out);
    } else {
      AppendTime(message.time, out);
    }
    message.color_range_start = out.size();
    AppendPadded(LevelName(message.level), 6, out);
    message.color_range_end = out.size();
    AppendPadded(line.component, 8, out);
    Append(line.message, out);
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<Formatter>(journal_); }

 private:
  bool journal_;
};

using StderrSink = spdlog::sinks::ansicolor_stderr_sink<spdlog::details::console_mutex>;

class Sink : public StderrSink {
 public:
  explicit Sink(const LogOptions& options)
      : StderrSink(options.color ? spdlog::color_mode::always : spdlog::color_mode::never), options_(options) {
    set_formatter(std::make_unique<Formatter>(options.journal));
  }
  void log(const spdlog::details::log_msg& message) override {
    const auto component =
        options_.components.find(std::string(Split({message.payload.data(), message.payload.size()}).component));
    const int level = component == options_.components.end() ? options_.level : component->second;
    if (message.level >= level) StderrSink::log(message);
  }

 private:
  const LogOptions options_;
};

std::optional<int> LevelOf(const std::string& name) {
  static const std::map<std::string, int> kLevels = {{"trace", 0}, {"debug", 1}, {"info", 2},
                                                     {"warn", 3},  {"error", 4}, {"off", 6}};
  const auto it = kLevels.find(name);
  return it == kLevels.end() ? std::nullopt : std::optional<int>(it->second);
}

absl::Status BadLevel(const std::string& text) {
  return BadValue("log level", text, "one of trace, debug, info, warn, error, off, or a list as ring=trace,store=debug");
}

absl::Status BadComponent(const std::string& name) {
  return BadValue("log component", name, absl::StrCat("one of ", absl::StrJoin(kComponents, ", ")));
}

absl::Status ApplyText(const std::string& text, LogOptions& options) {
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ',', absl::SkipEmpty()))) {
    const size_t equals = part.find('=');
    const std::optional<int> level = LevelOf(equals == std::string::npos ? part : part.substr(equals + 1));
    if (!level) return BadLevel(part);
    if (equals == std::string::npos) {
      options.level = *level;
    } else {
      const std::string component = part.substr(0, equals);
      if (std::find(std::begin(kComponents), std::end(kComponents), component) == std::end(kComponents)) {
        return BadComponent(component);
      }
      options.components[component] = *level;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LogOptions> ResolveLog(const Context& context, bool runs_nodes, bool is_terminal) {
  LogOptions options{.level = runs_nodes ? 2 : 3, .components = {{kCalls, 6}}};
  options.journal = !context.environment("JOURNAL_STREAM").empty() && !is_terminal;
  ASSIGN_OR_RETURN(const bool color, WantsColor(context, is_terminal));
  options.color = color && !options.journal;
  const int verbosity = context.flags.verbosity;
  if (context.flags.quiet) options.level = 3;
  if (verbosity == 1) options.level = 1;
  if (verbosity >= 2) options.level = 0;
  if (verbosity >= 3) options.components[kCalls] = 0;
  if (verbosity > 0 || context.flags.quiet) return options;
  RETURN_IF_ERROR(ApplyText(Setting(context, "", "BULBIL_LOG", context.config.log_level, ""), options));
  return options;
}

void StartLogging(const LogOptions& options) {
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // it writes its own lines for what we report better
  google::protobuf::SetLogHandler(nullptr);
  auto logger = std::make_shared<spdlog::logger>("bulbil", std::make_shared<Sink>(options));
  int lowest = options.level;
  for (const auto& [component, level] : options.components) lowest = std::min(lowest, level);
  logger->set_level(static_cast<spdlog::level::level_enum>(lowest));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

absl::StatusOr<bool> WantsColor(const Context& context, bool is_terminal) {
  const std::string unset = context.environment("NO_COLOR").empty() ? context.config.color.value_or("auto") : "never";
  const std::string when = context.flags.color.empty() ? unset : context.flags.color;
  if (when == "always" || when == "never") return when == "always";
  if (when != "auto") return BadValue("--color", when, "auto, always or never");
  return is_terminal;
}

}  // namespace cli
