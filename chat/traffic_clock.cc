// SPDX-License-Identifier: Apache-2.0
#include "chat/traffic_clock.h"

#include <algorithm>
#include <cmath>

#include "overlay/cell.h"

namespace chat {
namespace {

using circuits::Purpose;

constexpr std::array<const char*, 4> kNames = {"off", "low", "normal", "fast"};
constexpr size_t kReady = 4;
constexpr uint64_t kNumbers = 8;
constexpr std::array<std::array<Purpose, 4>, 4> kOrders = {{
    {Purpose::kWrite, Purpose::kFocus, Purpose::kRead, Purpose::kListing},  // of all numbers that have none of their own
    {Purpose::kListing, Purpose::kWrite, Purpose::kFocus, Purpose::kRead},
    {Purpose::kRead, Purpose::kWrite, Purpose::kFocus, Purpose::kListing},
    {Purpose::kFocus, Purpose::kWrite, Purpose::kRead, Purpose::kListing},
}};

}  // namespace

std::optional<Profile> ParseProfile(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Profile>(i);
  }
  return std::nullopt;
}

const char* NameOf(Profile profile) { return kNames[static_cast<size_t>(profile)]; }

ClockRates RatesOf(Profile profile) {
  const auto rates = [](absl::Duration tick) { return ClockRates{tick, tick / 2, kReady}; };
  switch (profile) {
    case Profile::kLow:
      return rates(absl::Seconds(60));
    case Profile::kNormal:
      return rates(absl::Seconds(10));
    case Profile::kFast:
      return rates(absl::Milliseconds(500));
    case Profile::kOff:
      break;
  }
  return {absl::InfiniteDuration(), absl::Seconds(2), 2};
}

double BytesPerDay(Profile profile) {
  return absl::FDivDuration(absl::Hours(24), RatesOf(profile).tick_mean) * (kCellsOut + kCellsIn) * overlay::kCellSize;
}

TrafficClock::TrafficClock(absl::Duration mean, base::Rng& rng, absl::Time now) : mean_(mean), rng_(rng), next_(now + Pause()) {}

absl::Duration TrafficClock::Pause() { return -std::log(1 - rng_.Unit()) * mean_; }

absl::Status TrafficClock::Submit(uint64_t ticket, Purpose purpose) {
  if (waiting() >= kWaitingMax) return absl::ResourceExhaustedError("too much waits for the clock");
  queues_[static_cast<size_t>(purpose)].push_back(ticket);
  return absl::OkStatus();
}

void TrafficClock::Remove(uint64_t ticket) {
  for (auto& queue : queues_) std::erase(queue, ticket);
}

size_t TrafficClock::waiting() const {
  size_t sum = 0;
  for (const auto& queue : queues_) sum += queue.size();
  return sum;
}

TrafficClock::Tick TrafficClock::OnTick(absl::Time now) {
  next_ += Pause();
  const uint64_t number = rng_.Below(kNumbers);
  while (next_ <= now) next_ += Pause();
  if (number == 0) return {.learns = true};
  Tick tick;
  for (const Purpose purpose : kOrders[number < kOrders.size() ? number : 0]) {
    for (const uint64_t ticket : queues_[static_cast<size_t>(purpose)]) {
      if (tick.order.size() == kTriesPerTick) return tick;
      tick.order.push_back(ticket);
    }
  }
  return tick;
}

}  // namespace chat
