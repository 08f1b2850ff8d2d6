// SPDX-License-Identifier: Apache-2.0
// chat/work_driver.h — the search for a stamp on the loop's workers, in pieces: other work has its turn in between, and the end
// of the program need not wait for it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "base/rng.h"
#include "keys/work_proof.h"

namespace chat {

// keys::WorkSearch until it is found, on a worker thread; the proof comes back as OnWorked.
struct WorkOp {
  uint64_t ticket = 0;
  keys::Digest challenge{};
  uint32_t effort = 0;
};

// `done` is called on the loop's thread, unless `stop` was set before: whoever goes sets it. Loop and rng outlive the search.
void SearchWork(base::EventLoop& loop, base::Rng& rng, const WorkOp& work, std::shared_ptr<const std::atomic<bool>> stop,
                std::function<void(const keys::WorkProof&)> done);

}  // namespace chat
