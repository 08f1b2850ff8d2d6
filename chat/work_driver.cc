// SPDX-License-Identifier: Apache-2.0
#include "chat/work_driver.h"

#include <optional>

namespace chat {
namespace {

constexpr int kSearchSteps = 64;  // at a time: some 30 ms

struct Search {
  keys::WorkSearch steps;
  std::shared_ptr<const std::atomic<bool>> stop;
  std::function<void(const keys::WorkProof&)> done;
  std::optional<keys::WorkProof> proof;
};

void GoOn(base::EventLoop& loop, const std::shared_ptr<Search>& search) {
  loop.RunSlow(
      [search] {
        for (int i = 0; i < kSearchSteps && !search->proof && !*search->stop; ++i) search->proof = search->steps.Advance();
      },
      [&loop, search] {
        if (*search->stop) return;
        if (!search->proof) return GoOn(loop, search);
        search->done(*search->proof);
      });
}

}  // namespace

void SearchWork(base::EventLoop& loop, base::Rng& rng, const WorkOp& work, std::shared_ptr<const std::atomic<bool>> stop,
                std::function<void(const keys::WorkProof&)> done) {
  GoOn(loop, std::make_shared<Search>(
                 Search{keys::WorkSearch(work.challenge, work.effort, rng), std::move(stop), std::move(done), std::nullopt}));
}

}  // namespace chat
