// SPDX-License-Identifier: Apache-2.0
// chat/traffic_clock.h — when a client's operations happen, and what each of them is: a Poisson clock (design.md 9).
//
// Ticks come at exponential intervals whose mean the profile alone decides. Every tick is one operation of one shape: EXTEND and
// EXTENDED to a storing node, request and answer, over a ready circuit of its own that is closed afterwards. What it is for:
//   a number of 0..7 is drawn   who goes, in this order, if anything of the kind waits; else cover
//   0                           cover, always: an operation that was seen is never certainly a real one
//   1                           listing, write, focus, read
//   2                           read, write, focus, listing
//   3                           focus, write, read, listing
//   4..7                        write, focus, read, listing
// So writes have half of the ticks and more, the conversation that is open five eighths of what they leave, and each kind at
// least an eighth while it waits: nothing starves. What an owner publishes counts as a listing. Within a kind the oldest goes
// first. Cover reads a box at a random point, as who looks whether something new lies there does. Two draws are made at every
// tick, whatever waits: with the same random numbers the times are the same with work and without.
//
// After Pond (Langley, 2012) and facts 5.2; ready circuits are built by a clock of their own (circuits), of a rate that depends
// on the profile too, twice that of the ticks: at most `ready` wait, so about three ticks in a hundred find none and are left
// out. A core: no loop, no circuits; chat/clocked_operations_driver.h binds it.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "circuits/operations.h"

namespace chat {

enum class Profile : uint8_t { kOff, kLow, kNormal, kFast };

struct ClockRates {
  absl::Duration tick_mean;
  absl::Duration build_mean;  // between two ticks of the clock that builds circuits
  size_t ready = 0;           // circuits that wait at most
};

std::optional<Profile> ParseProfile(std::string_view name);  // "off", "low", "normal", "fast"
const char* NameOf(Profile profile);
ClockRates RatesOf(Profile profile);  // kOff: no ticks, and two circuits ready as without a clock

// Of one operation, on the link to the guard: CREATE, two EXTENDs, the EXTEND to the storing node, request, DESTROY; five
// answers.
inline constexpr int kCellsOut = 6, kCellsIn = 5;
// Both ways, cells alone: TLS, HTTP/2 and TCP add about a twentieth.
double BytesPerDay(Profile profile);

inline constexpr size_t kWaitingMax = 1024;  // beyond it Submit refuses
inline constexpr size_t kTriesPerTick = 8;   // of those that wait, until one fits the circuit

class TrafficClock {
 public:
  // `rng` outlives the clock.
  TrafficClock(absl::Duration mean, base::Rng& rng, absl::Time now);

  // ResourceExhausted beyond kWaitingMax. Tickets are the caller's, each used once.
  absl::Status Submit(uint64_t ticket, circuits::Purpose purpose);
  void Remove(uint64_t ticket);
  size_t waiting() const;

  absl::Time NextTick() const { return next_; }
  struct Tick {
    std::vector<uint64_t> order;  // the first of these that can go goes, and is removed by the caller; else cover
    bool learns = false;          // once in eight: time to look up whom a point belongs to
  };
  // At NextTick or later. Ticks that were missed are not made up for.
  Tick OnTick(absl::Time now);

 private:
  absl::Duration Pause();

  const absl::Duration mean_;
  base::Rng& rng_;
  absl::Time next_;
  std::array<std::deque<uint64_t>, 4> queues_;  // by purpose
};

}  // namespace chat
