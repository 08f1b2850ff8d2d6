// SPDX-License-Identifier: Apache-2.0
// overlay/contradiction_gossip_driver.h — proofs of contradiction from node to node, and an eye on what members sign.
//
// Serves Contradictions. A proof that is news is verified, kept if there is room (convictions.h) and then passed on, once, to
// kProofFanout random members of the own table; with 6 of them each a proof reaches 99.7 % of a ring (Kermack and McKendrick's final size), and the
// rest asks: every kLookEvery, sooner at first, one random member is asked for the proofs it has, page by page, and for its table,
// which is compared with what was seen of it before. What is found that way is not told here: see convictions.h. Bounds: only proofs about
// nodes not yet convicted cost a look at signatures, and of those each node that says who it is gets kProofsPerSource a minute,
// all together kProofsPerMinute (two signatures each, about 0.1 s in all); half of either is for proofs about nodes that this one
// lives by, so that no flood about throw-away keys keeps those out. All circuits are one source. Who sends a proof over a link that
// does not verify, or is over by any clock, is not heard again in that minute. Others are not heard. All on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/event_loop.h"
#include "base/rng.h"
#include "overlay/directory.h"
#include "overlay/ring_wire.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr size_t kProofFanout = 6;
inline constexpr absl::Duration kLookEvery = absl::Seconds(10), kLookFirst = absl::Seconds(3);
inline constexpr int kLooksFirst = 3;
inline constexpr int kProofsPerSource = 64, kProofsPerMinute = 512;
inline constexpr size_t kPagesPerAsk = kConvictedMax / kProofsPerReply;
inline constexpr size_t kNoRoomMax = kProofsPerMinute;  // that many, and as many before: at least four minutes of strangers

class ContradictionGossip {
 public:
  // `members`: of the own routing table, the own node among them or not; empty while outside the ring. All else outlives the
  // driver.
  ContradictionGossip(const Network& network, const keys::PublicKey& own_key, std::function<std::vector<Peer>()> members,
                      base::EventLoop& loop, RpcServer& server, RpcClient& client, Directory& directory, base::Rng& rng);
  ContradictionGossip(const ContradictionGossip&) = delete;

  // One that came out of a circuit, from nobody knows whom.
  void HearFromCircuit(base::ByteView proof) { Hear(keys::PublicKey{}, proof, /*pass_on=*/true); }

 private:
  void Serve(RpcServer& server);
  bool Hear(const keys::PublicKey& source, base::ByteView proof, bool pass_on);
  struct Counts {
    int known = 0, strangers = 0;
  };
  bool TakesFrom(const keys::PublicKey& source, bool is_known);
  void RememberNoRoom(const keys::PublicKey& accused);
  void PassOn(base::ByteView proof);
  void Look();
  void AskFor(const Peer& peer, const keys::PublicKey& after, size_t pages);
  void AskTable(const Peer& peer);
  std::vector<Peer> Others() const;

  const Network network_;
  const keys::PublicKey own_key_;
  const std::function<std::vector<Peer>()> members_;
  base::EventLoop& loop_;
  RpcClient& client_;
  Directory& directory_;
  base::Rng& rng_;
  base::Timer look_timer_;
  int looks_ = 0;
  absl::Time minute_ = absl::InfinitePast();
  Counts heard_;  // in this minute
  absl::flat_hash_map<keys::PublicKey, Counts> heard_from_;
  // Strangers lately heard of for whom there was no room: what was said of them went on, and does not go round for ever.
  absl::flat_hash_set<keys::PublicKey> no_room_, no_room_before_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace overlay
