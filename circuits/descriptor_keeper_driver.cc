// SPDX-License-Identifier: Apache-2.0
#include "circuits/descriptor_keeper_driver.h"

namespace circuits {

DescriptorKeeper::DescriptorKeeper(OwnTable own_table, base::EventLoop& loop, PeerBook& book, IntroduceFunction introduce)
    : own_table_(std::move(own_table)), loop_(loop), book_(book), introduce_(std::move(introduce)), timer_(loop, [this] {
        OnTimer();
      }) {
  timer_.Reset(loop_.Now() + kKeepEvery);
}

void DescriptorKeeper::OnTimer() {
  timer_.Reset(loop_.Now() + kKeepEvery);
  AskDue();
}

void DescriptorKeeper::AskDue() {
  const overlay::RoutingTable* table = own_table_(0);
  if (table == nullptr) return;
  const std::vector<overlay::Peer> members = table->Members();
  absl::flat_hash_map<keys::PublicKey, absl::Time> due;
  for (const overlay::Peer& peer : members) {
    if (peer.SameProcess(table->owner)) continue;
    const auto held = due_.find(peer.node_key);
    due.emplace(peer.node_key, held == due_.end() ? absl::InfinitePast() : held->second);
  }
  due_ = std::move(due);
  for (const overlay::Peer& peer : members) {
    if (asking_ >= kAskedAtOnce) return;
    const auto mine = due_.find(peer.node_key);
    if (mine == due_.end() || mine->second > loop_.Now()) continue;
    mine->second = loop_.Now() + kAskAgainAfter;
    Ask(peer);
  }
}

void DescriptorKeeper::Ask(const overlay::Peer& peer) {
  ++asking_;
  introduce_({peer.address, peer.node_key},
             [this, node_key = peer.node_key, alive = std::weak_ptr(alive_)](absl::StatusOr<overlay::Introduction> answer) {
               if (alive.expired()) return;
               --asking_;
               if (!answer.ok() || !book_.Add(answer->descriptor.encoded, loop_.Now(), loop_.WallNow())) return;
               const auto due = due_.find(node_key);
               if (due != due_.end()) due->second = loop_.Now() + kHeardAgainWithin;
               AskDue();
             });
}

}  // namespace circuits
