// SPDX-License-Identifier: Apache-2.0
// cli/top.h — bulbil top: the local node's status again and again, with the rates between two looks.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "cli/context.h"
#include "cli/grammar.h"
#include "proto/control.pb.h"

namespace cli {

// What two or more looks at one node tell. Pure.
class Trend {
 public:
  static constexpr size_t kWidth = 60;

  // In order. A node that was started again meanwhile begins anew.
  void Add(const bulbil::v1::StatusReply& look);

  double cells_per_s() const { return rates_.empty() ? 0 : rates_.back(); }
  double cpu_percent() const { return cpu_percent_; }  // of one core
  // The latest kWidth rates of relayed cells as bars up to the greatest, oldest first; nothing before the second look.
  std::string Bars() const;

 private:
  std::optional<bulbil::v1::StatusReply> last_;
  std::deque<double> rates_;
  double cpu_percent_ = 0;
};

std::string TopScreen(const bulbil::v1::StatusReply& look, const Trend& trend);

// On a terminal a screen that is drawn again every second; else, and with --json, one line a second. Until Ctrl-C or
// flags.looks of them. kNetwork if the node goes.
absl::Status Top(const LookFlags& flags, const Context& context);

}  // namespace cli
