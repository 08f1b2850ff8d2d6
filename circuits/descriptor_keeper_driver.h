// SPDX-License-Identifier: Apache-2.0
// circuits/descriptor_keeper_driver.h — a node keeps the descriptors of all members of its own routing table at hand, so that it
// can answer for them at once: a relay never looks anything up for a client (protocol.md 6).
#pragma once

#include "base/event_loop.h"
#include "circuits/start_tables_driver.h"

namespace circuits {

inline constexpr absl::Duration kKeepEvery = absl::Seconds(1);
inline constexpr absl::Duration kHeardAgainWithin = absl::Seconds(60);  // a node started anew has a new onion key
inline constexpr absl::Duration kAskAgainAfter = absl::Seconds(5);      // when it did not answer
inline constexpr size_t kAskedAtOnce = 4;

class DescriptorKeeper {
 public:
  DescriptorKeeper(OwnTable own_table, base::EventLoop& loop, PeerBook& book, IntroduceFunction introduce);

 private:
  void OnTimer();
  void AskDue();
  void Ask(const overlay::Peer& peer);

  const OwnTable own_table_;
  base::EventLoop& loop_;
  PeerBook& book_;
  IntroduceFunction introduce_;
  size_t asking_ = 0;
  absl::flat_hash_map<keys::PublicKey, absl::Time> due_;  // of the members of the table alone
  base::Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
