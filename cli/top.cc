// SPDX-License-Identifier: Apache-2.0
#include "cli/top.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/look_commands.h"
#include "cli/screens.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "overlay/cell.h"

namespace cli {
namespace {

using bulbil::v1::StatusReply;

constexpr absl::Duration kBetweenLooks = absl::Seconds(1);
constexpr char kHomeAndClear[] = "\x1b[H\x1b[2J";
constexpr const char* kBars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr double kBarHeight = 8;

// One look for a log or a pipe.
std::string TopLine(const StatusReply& look, const Trend& trend) {
  const bulbil::v1::CircuitStatus& c = look.circuits();
  return absl::StrFormat(
      "%s  ring %u  links %u  circuits %u own %u relayed  %.0f cells/s  %u waiting  records %u  cpu %.0f %%  %.0f MiB\n",
      look.state(), look.ring().size_estimate(), c.links(), c.own(), c.relayed(), trend.cells_per_s(), c.queued(),
      look.store().records(), trend.cpu_percent(), look.memory_mib());
}

absl::StatusOr<int> LooksOf(const LookFlags& flags) {
  int looks = 0;
  if (flags.looks.empty()) return looks;  // without end
  if (!absl::SimpleAtoi(flags.looks, &looks) || looks < 1) return BadValue("--looks", flags.looks, "a number from 1");
  return looks;
}

}  // namespace

void Trend::Add(const StatusReply& look) {
  const double seconds = last_ ? look.uptime_s() - last_->uptime_s() : 0;
  if (seconds > 0) {
    rates_.push_back(std::max(0.0, (look.circuits().cells_relayed() - last_->circuits().cells_relayed()) / seconds));
    if (rates_.size() > kWidth) rates_.pop_front();
    cpu_percent_ = 100 * (look.cpu_s() - last_->cpu_s()) / seconds;
  } else {
    rates_.clear();
    cpu_percent_ = 0;
  }
  last_ = look;
}

std::string Trend::Bars() const {
  std::string bars;
  const double greatest = rates_.empty() ? 0 : *std::max_element(rates_.begin(), rates_.end());
  for (const double rate : rates_) bars += kBars[greatest > 0 ? static_cast<size_t>(kBarHeight * rate / greatest + 0.5) : 0];
  return bars;
}

std::string TopScreen(const StatusReply& look, const Trend& trend) {
  const double mib = trend.cells_per_s() * static_cast<double>(overlay::kCellSize);
  return absl::StrCat(
      StatusScreen(look),
      absl::StrFormat("\n  now       %.0f cells/s, %s/s relayed   %u waiting   cpu %.0f %% of a core   memory %.0f MiB\n",
                      trend.cells_per_s(), ShownBytes(mib), look.circuits().queued(), trend.cpu_percent(), look.memory_mib()),
      "            ", trend.Bars(), "\n\nCtrl-C ends this.\n");
}

absl::Status Top(const LookFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const int looks, LooksOf(flags));
  const bool draws = IsTerminal(STDOUT_FILENO) && !context.flags.json;
  Trend trend;
  for (int done = 0; looks == 0 || done < looks; ++done) {
    if (done > 0) absl::SleepFor(kBetweenLooks);
    ASSIGN_OR_RETURN(const StatusReply look, AskStatus(context));
    trend.Add(look);
    if (draws) {
      RETURN_IF_ERROR(WriteStdout(absl::StrCat(kHomeAndClear, TopScreen(look, trend))));
    } else {
      RETURN_IF_ERROR(WriteStdout(context.flags.json ? StatusJson(look) : TopLine(look, trend)));
    }
  }
  return absl::OkStatus();
}

}  // namespace cli
