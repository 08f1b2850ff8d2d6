// SPDX-License-Identifier: Apache-2.0
#include "overlay/contradiction_gossip_driver.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace overlay {

ContradictionGossip::ContradictionGossip(const Network& network, const keys::PublicKey& own_key,
                                         std::function<std::vector<Peer>()> members, base::EventLoop& loop, RpcServer& server,
                                         RpcClient& client, Directory& directory, base::Rng& rng)
    : network_(network),
      own_key_(own_key),
      members_(std::move(members)),
      loop_(loop),
      client_(client),
      directory_(directory),
      rng_(rng),
      look_timer_(loop, [this] { Look(); }) {
  Serve(server);
  look_timer_.Reset(loop_.Now() + kLookFirst);
}

void ContradictionGossip::Serve(RpcServer& server) {
  server.Handle(kMethodContradictions, Access::kAnyone, [this](const Caller& caller, std::string request, RpcResponder respond) {
    const absl::StatusOr<ContradictionsQuestion> question = DecodeContradictions(request);
    if (!question.ok()) return respond(question.status());
    const bool is_node = directory_.Find(caller.tls_key, loop_.WallNow()) != nullptr;
    if (is_node && !question->proof.empty()) Hear(caller.tls_key, question->proof, /*pass_on=*/true);
    const Convictions& convictions = directory_.convictions();
    respond(EncodeContradictionsReply(question->after
                                          ? convictions.ProofsAfter(*question->after, kProofsPerReply, loop_.WallNow())
                                          : std::vector<base::Bytes>{}));
  });
}

// False if nothing more is heard from there now, not even about nodes that this one lives by.
bool ContradictionGossip::Hear(const keys::PublicKey& source, base::ByteView proof, bool pass_on) {
  Convictions& convictions = directory_.convictions();
  const absl::Time wall_now = loop_.WallNow();
  const std::optional<Accusation> said = ReadAccusation(network_, proof);
  if (!said || !convictions.IsNews(*said, wall_now)) return said.has_value();
  const keys::PublicKey& accused = said->accused;
  const bool is_known = directory_.IsProtected(accused);
  if (!is_known && (no_room_.contains(accused) || no_room_before_.contains(accused))) return true;
  if (!TakesFrom(source, is_known)) return !is_known;
  const absl::Status heard = convictions.Hear(proof, is_known, wall_now);
  const bool is_bad = absl::IsUnauthenticated(heard) || absl::IsInvalidArgument(heard);
  if (is_bad && source != keys::PublicKey{}) {  // whoever passes on has verified before
    heard_from_[source] = {kProofsPerSource / 2, kProofsPerSource / 2};
    return false;
  }
  if (absl::IsResourceExhausted(heard) && !is_known) {
    RememberNoRoom(accused);
  } else if (!heard.ok()) {
    return true;
  } else if (accused == own_key_) {
    spdlog::warn(
        "ring: this node's key signed tables that contradict each other; others avoid it. Does it run twice? A new node key "
        "helps");
  } else {
    spdlog::info("ring: a node signed tables that contradict each other and is avoided; {} so far",
                 convictions.CountConvicted(wall_now));
  }
  if (pass_on) PassOn(proof);
  return true;
}

bool ContradictionGossip::TakesFrom(const keys::PublicKey& source, bool is_known) {
  if (loop_.Now() - minute_ >= absl::Minutes(1)) {
    minute_ = loop_.Now();
    heard_ = {};
    heard_from_.clear();
  }
  Counts& from = heard_from_[source];
  int& of_all = is_known ? heard_.known : heard_.strangers;
  int& of_source = is_known ? from.known : from.strangers;
  if (of_all >= kProofsPerMinute / 2 || of_source >= kProofsPerSource / 2) return false;
  ++of_all;
  ++of_source;
  return true;
}

void ContradictionGossip::RememberNoRoom(const keys::PublicKey& accused) {
  if (no_room_.size() >= kNoRoomMax) no_room_before_ = std::exchange(no_room_, {});
  no_room_.insert(accused);
}

// Whoever may be asked: not ourselves, and nobody convicted.
std::vector<Peer> ContradictionGossip::Others() const {
  std::vector<Peer> others = members_();
  std::erase_if(others, [&](const Peer& peer) {
    return peer.node_key == own_key_ || directory_.convictions().IsConvicted(peer.node_key, loop_.WallNow());
  });
  return others;
}

void ContradictionGossip::PassOn(base::ByteView proof) {
  std::vector<Peer> others = Others();
  const std::string question = EncodeContradictions({base::ToBytes(proof), std::nullopt});
  for (size_t told = 0; told < kProofFanout && !others.empty(); ++told) {
    const size_t at = rng_.Below(others.size());
    client_.Call({others[at].address, others[at].node_key}, kMethodContradictions, question, network_.call_timeout,
                 [](const auto&) {});
    others.erase(others.begin() + static_cast<ptrdiff_t>(at));
  }
}

void ContradictionGossip::Look() {
  const std::vector<Peer> others = Others();
  look_timer_.Reset(loop_.Now() + (looks_ < kLooksFirst ? kLookFirst : kLookEvery));
  if (others.empty()) return;
  ++looks_;
  const Peer& peer = others[rng_.Below(others.size())];
  AskFor(peer, keys::PublicKey{}, kPagesPerAsk);
  AskTable(peer);
}

// Page after page, until there is no more or enough was heard from there: they come in the order of keys, and throw-away keys may
// be made to come first.
void ContradictionGossip::AskFor(const Peer& peer, const keys::PublicKey& after, size_t pages) {
  client_.Call({peer.address, peer.node_key}, kMethodContradictions, EncodeContradictions({{}, after}), network_.call_timeout,
               [this, peer, after, pages, alive = std::weak_ptr(alive_)](const absl::StatusOr<RpcAnswer>& answer) {
                 if (alive.expired() || !answer.ok()) return;
                 const auto proofs = DecodeContradictionsReply(answer->message);
                 if (!proofs.ok() || proofs->empty()) return;
                 for (const base::Bytes& proof : *proofs) {
                   if (!Hear(peer.node_key, proof, /*pass_on=*/false)) return;
                 }
                 const std::optional<Accusation> last = ReadAccusation(network_, proofs->back());
                 if (last && last->accused > after && pages > 1) AskFor(peer, last->accused, pages - 1);
               });
}

void ContradictionGossip::AskTable(const Peer& peer) {
  client_.Call({peer.address, peer.node_key}, kMethodTable, EncodeTableQuestion(peer.index), network_.call_timeout,
               [this, peer, alive = std::weak_ptr(alive_)](const absl::StatusOr<RpcAnswer>& answer) {
                 if (alive.expired() || !answer.ok()) return;
                 const absl::StatusOr<base::Bytes> encoded = DecodeTableReply(answer->message);
                 if (!encoded.ok()) return;
                 const absl::StatusOr<RoutingTable> table = DecodeTable(network_, *encoded, loop_.WallNow());
                 if (table.ok() && table->owner == peer) {
                   directory_.convictions().Observe(*table, directory_.IsProtected(table->owner.node_key), loop_.WallNow());
                 }
               });
}

}  // namespace overlay
