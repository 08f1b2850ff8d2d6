// SPDX-License-Identifier: Apache-2.0
// chat/clocked_operations_driver.h — storage operations at the ticks of a clock: one each, real or cover, all of one shape.
//
// Open waits for its tick; what is opened has to be Run at once: the request leaves kRequestHold after EXTENDED came, and if the
// caller has none by then (its process is gone) a cover request leaves in its place. All requests ask the storing node to hold
// its answer (mailbox_endpoint.h), so a put takes as long as a reading. What is not wanted any more (OpenRequest::wanted) when
// its turn comes is dropped, and the tick is the next one's, else cover's. A tick without a ready circuit sends nothing and
// builds nothing. What a guard sees therefore depends on the clocks alone, except where a storing node is slower than
// kAnswerHold, and except lookups, which are made at ticks of their own (Tick::learns): of a point that waits, else of a random
// one. Everything on the loop's thread; callbacks are never made from inside a call. When the driver goes, callbacks are dropped.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/event_loop.h"
#include "chat/traffic_clock.h"
#include "circuits/operations.h"

namespace chat {

inline constexpr absl::Duration kRequestHold = absl::Milliseconds(250);  // signing, and the way to a client process and back
inline constexpr absl::Duration kTurnMax = absl::Hours(1);               // what had no turn by then fails

struct ClockStats {
  uint64_t ticks = 0;
  uint64_t real = 0, cover = 0;  // operations of each kind
  uint64_t left_out = 0;         // no circuit was ready, or too few nodes
  size_t waiting = 0;
};

class ClockedOperations : public circuits::Operations {
 public:
  // `profile` is not kOff. `clock_rng`: of the ticks alone; `rng`: of all else. All references outlive the driver.
  ClockedOperations(Profile profile, circuits::ReadyOperations& ready, base::EventLoop& loop, base::Rng& clock_rng,
                    base::Rng& rng);

  // Not called back once it is not wanted. Unavailable after kTurnMax, or if there is no room; FailedPrecondition: too few nodes.
  // OpenedOperation::handle is good for one Run within kRequestHold.
  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override;
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override;

  Profile profile() const { return profile_; }
  ClockStats stats() const;

 private:
  using OpenDone = std::function<void(absl::StatusOr<circuits::OpenedOperation>)>;
  using RunDone = std::function<void(absl::StatusOr<base::Bytes>)>;
  struct Waiting {
    circuits::OpenRequest request;
    OpenDone done;
    absl::Time until;
    bool unknown = false;  // who is responsible for its point
  };
  struct Opened {
    uint64_t inner = 0;  // handle of the circuits
    overlay::NodeId point;
    base::Bytes request;  // empty: none yet
    RunDone done;
  };

  void OnTimer();
  void Check();
  void Operate(const TrafficClock::Tick& tick);
  bool Wanted(uint64_t ticket);  // false: it was dropped
  bool StartReal(uint64_t circuit, uint64_t ticket);
  void StartCover(uint64_t circuit);
  void Learn();
  // EXTENDED came: the request follows in kRequestHold. `done`: of Open; empty for cover.
  void OnOpened(const overlay::NodeId& point, absl::StatusOr<circuits::OpenedOperation> opened, const OpenDone& done);
  void SendRequest(uint64_t handle);
  void FailAll(const absl::Status& why);
  void DropLate();
  template <class F>
  auto Guarded(F f);  // f, unless this object is gone by then

  const Profile profile_;
  circuits::ReadyOperations& ready_;
  base::EventLoop& loop_;
  base::Rng& rng_;
  TrafficClock clock_;
  base::Timer timer_;
  std::map<uint64_t, Waiting> waiting_;  // by ticket
  std::map<uint64_t, Opened> opened_;    // by handle
  uint64_t last_ticket_ = 0, last_handle_ = 0;
  ClockStats stats_;
  bool usable_ = false;  // enough nodes are known
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chat
