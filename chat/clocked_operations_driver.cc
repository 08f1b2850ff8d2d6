// SPDX-License-Identifier: Apache-2.0
#include "chat/clocked_operations_driver.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "chat/mailbox_messages.h"

namespace chat {
namespace {

using circuits::OpenedOperation;
using circuits::OpenRequest;
using overlay::NodeId;

constexpr int kCoverDraws = 16;  // points, until a responsible node is known and off the circuit

base::Bytes CoverRequest(const NodeId& point) { return EncodeMailboxRequest(ReadRequest{dht::Kind::kBox, point}); }

}  // namespace

template <class F>
auto ClockedOperations::Guarded(F f) {
  return [f = std::move(f), alive = std::weak_ptr(alive_)](auto&&... args) mutable {
    if (!alive.expired()) f(std::forward<decltype(args)>(args)...);
  };
}

ClockedOperations::ClockedOperations(Profile profile, circuits::ReadyOperations& ready, base::EventLoop& loop,
                                     base::Rng& clock_rng, base::Rng& rng)
    : profile_(profile),
      ready_(ready),
      loop_(loop),
      rng_(rng),
      clock_(RatesOf(profile).tick_mean, clock_rng, loop.Now()),
      timer_(loop, [this] { OnTimer(); }) {
  CHECK(profile != Profile::kOff);
  timer_.Reset(clock_.NextTick());
}

ClockStats ClockedOperations::stats() const {
  ClockStats stats = stats_;
  stats.waiting = waiting_.size();
  return stats;
}

void ClockedOperations::Open(OpenRequest request, OpenDone done) {
  const uint64_t ticket = ++last_ticket_;
  if (!clock_.Submit(ticket, request.purpose).ok()) {
    return loop_.Post([done = std::move(done)] { done(absl::UnavailableError("too much waits for the clock")); });
  }
  waiting_.emplace(ticket, Waiting{std::move(request), std::move(done), loop_.Now() + kTurnMax});
  if (!usable_) Check();
}

// Beside the ticks only until it was OK once: a client asks a bootstrap node for this.
void ClockedOperations::Check() {
  ready_.Check(Guarded([this](const absl::Status& status) {
    usable_ = usable_ || status.ok();  // a moment of few nodes is no reason to ask at every Open again
    if (absl::IsFailedPrecondition(status)) FailAll(status);
  }));
}

void ClockedOperations::Run(uint64_t handle, base::Bytes request, RunDone done) {
  const auto it = opened_.find(handle);
  const bool fits = it != opened_.end() && it->second.request.empty() && request.size() == kMailboxMessageSize;
  if (!fits) return loop_.Post([done = std::move(done)] { done(absl::UnavailableError("the operation is closed")); });
  it->second.request = std::move(request);
  it->second.done = std::move(done);
}

void ClockedOperations::OnTimer() {
  DropLate();
  const TrafficClock::Tick tick = clock_.OnTick(loop_.Now());
  timer_.Reset(clock_.NextTick());
  ++stats_.ticks;
  Check();
  Operate(tick);
  if (tick.learns) Learn();
}

void ClockedOperations::Operate(const TrafficClock::Tick& tick) {
  const std::optional<uint64_t> circuit = ready_.NextReady();
  if (!circuit.has_value()) {
    ++stats_.left_out;
    return;
  }
  for (const uint64_t ticket : tick.order) {
    if (Wanted(ticket) && StartReal(*circuit, ticket)) return;
  }
  StartCover(*circuit);
}

bool ClockedOperations::Wanted(uint64_t ticket) {
  const OpenRequest& request = waiting_.at(ticket).request;
  if (!request.wanted || request.wanted()) return true;
  clock_.Remove(ticket);
  waiting_.erase(ticket);
  return false;
}

bool ClockedOperations::StartReal(uint64_t circuit, uint64_t ticket) {
  Waiting& waiting = waiting_.at(ticket);
  const NodeId point = waiting.request.point;
  const auto start = ready_.OpenOn(circuit, point, waiting.request.avoid,
                                   Guarded([this, point, done = waiting.done](absl::StatusOr<OpenedOperation> opened) {
                                     OnOpened(point, std::move(opened), done);
                                   }));
  waiting.unknown = start == circuits::ReadyOperations::Start::kUnknown;
  if (start != circuits::ReadyOperations::Start::kStarted) return false;
  ++stats_.real;
  clock_.Remove(ticket);
  waiting_.erase(ticket);
  return true;
}

void ClockedOperations::StartCover(uint64_t circuit) {
  for (int i = 0; i < kCoverDraws; ++i) {
    const NodeId point = NodeId::Random(rng_);
    const auto start = ready_.OpenOn(circuit, point, {}, Guarded([this, point](absl::StatusOr<OpenedOperation> opened) {
                                       OnOpened(point, std::move(opened), nullptr);
                                     }));
    if (start == circuits::ReadyOperations::Start::kStarted) {
      ++stats_.cover;
      return;
    }
  }
  ++stats_.left_out;
}

void ClockedOperations::Learn() {
  for (auto& [ticket, waiting] : waiting_) {
    if (!std::exchange(waiting.unknown, false)) continue;
    return ready_.Learn(waiting.request.point);
  }
  ready_.Learn(NodeId::Random(rng_));
}

void ClockedOperations::OnOpened(const NodeId& point, absl::StatusOr<OpenedOperation> opened, const OpenDone& done) {
  if (!opened.ok()) {
    if (done) done(opened.status());
    return;
  }
  const uint64_t handle = ++last_handle_;
  opened_.emplace(handle, Opened{.inner = std::exchange(opened->handle, handle), .point = point});
  loop_.At(loop_.Now() + kRequestHold, Guarded([this, handle] { SendRequest(handle); }));
  if (done) done(*std::move(opened));
}

void ClockedOperations::SendRequest(uint64_t handle) {
  Opened operation = std::move(opened_.extract(handle).mapped());
  if (operation.request.empty()) operation.request = CoverRequest(operation.point);
  operation.request[0] |= kHoldAnswer;
  ready_.Run(operation.inner, std::move(operation.request),
             Guarded([done = std::move(operation.done)](absl::StatusOr<base::Bytes> answer) {
               if (done) done(std::move(answer));
             }));
}

void ClockedOperations::FailAll(const absl::Status& why) {
  for (auto& [ticket, waiting] : std::exchange(waiting_, {})) {
    clock_.Remove(ticket);
    waiting.done(why);
  }
}

void ClockedOperations::DropLate() {
  for (auto it = waiting_.begin(); it != waiting_.end() && it->second.until <= loop_.Now();) {  // tickets rise with time
    loop_.Post([done = std::move(it->second.done)] { done(absl::UnavailableError("the clock had no turn for it")); });
    clock_.Remove(it->first);
    it = waiting_.erase(it);
  }
}

}  // namespace chat
