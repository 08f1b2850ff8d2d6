// SPDX-License-Identifier: Apache-2.0
#include "dht/offers.h"

#include <algorithm>
#include <utility>

namespace dht {

using overlay::NodeId;
using overlay::Peer;
using overlay::RingRange;

void Offers::OnNeighbourhood(const Moment& moment) {
  in_pass_ = false;
  vain_passes_ = 0;
  offers_.clear();  // judged against holders that may have changed; answers to them find nothing
  const bool can_offer = leaving() || replicas_.IsMember();
  const absl::Duration wait = leaving() ? absl::ZeroDuration() : kOffersAfterChange;
  next_ = can_offer && !handed_over_ ? moment.now + wait : absl::InfiniteFuture();
}

void Offers::StartLeaving(absl::Time deadline, const Moment& moment) {
  leave_deadline_ = deadline;
  handed_over_ = false;
  OnNeighbourhood(moment);
  OnTick(moment);
}

absl::Time Offers::NextTick() const {
  if (!leaving() || handed_over_) return next_;
  return std::min(next_, *leave_deadline_);
}

std::optional<RingRange> Offers::Range() const {
  if (replicas_.self() == nullptr) return std::nullopt;
  if (leaving()) return RingRange{replicas_.self()->point, replicas_.self()->point};
  return replicas_.OutsideRange();
}

bool Offers::HasToGo(const NodeId& point) const { return leaving() || !replicas_.IsResponsible(point); }

std::vector<Peer> Offers::Takers(const NodeId& point) const {
  std::vector<Peer> peers = replicas_.Responsible(point, replica_count_ + (leaving() ? 1 : 0));
  std::erase_if(peers, [&](const Peer& peer) { return peer.SameProcess(*replicas_.self()); });
  if (peers.size() > replica_count_) peers.resize(replica_count_);
  return peers;
}

void Offers::OnTick(const Moment& moment) {
  if (leaving() && !handed_over_ && moment.now >= *leave_deadline_) return FinishLeaving(/*complete=*/false);
  if (moment.now < next_) return;
  next_ = absl::InfiniteFuture();
  if (!in_pass_) {
    in_pass_ = true;
    scanned_all_ = false;
    pass_is_clean_ = true;
    pass_is_vain_ = true;
    cursor_.reset();
  }
  Fill(moment);
}

void Offers::Fill(const Moment& moment) {
  const size_t window = leaving() ? kLeaveOffersInFlight : kOffersInFlight;
  const std::optional<RingRange> range = Range();
  std::vector<RecordName> names;
  bool more = false;
  if (range && !scanned_all_ && offers_.size() < window) {
    const absl::Status status = store_.Scan(*range, cursor_, moment.wall_now, [&](const HeldName& held) {
      more = names.size() == window - offers_.size();
      if (more) return false;
      cursor_ = held.name;
      if (HasToGo(held.name.point)) names.push_back(held.name);
      return true;
    });
    pass_is_clean_ &= status.ok();
    scanned_all_ = !more;
  } else if (!range) {
    scanned_all_ = true;
  }
  for (const RecordName& name : names) Begin(name, moment);
  if (scanned_all_ && offers_.empty()) return EndPass(moment);
  if (!scanned_all_ && !leaving()) next_ = moment.now + kOfferPace;
  if (!scanned_all_ && leaving() && offers_.empty()) next_ = moment.now;  // no answer will bring us back here
}

void Offers::Begin(const RecordName& name, const Moment& moment) {
  absl::StatusOr<Record> held = store_.Get(name, moment.wall_now);
  if (absl::IsUnavailable(held.status())) pass_is_clean_ = false;
  if (!held.ok()) return;
  const uint64_t id = out_.NextId();
  offers_.emplace(id, Offer{.record = *std::move(held)});
  const bool is_far = replicas_.Responsible(name.point).empty();
  if (!is_far) return OfferTo(id, Takers(name.point), is_far);
  OfferFar(id);
}

void Offers::OfferTo(uint64_t id, const std::vector<Peer>& takers, bool is_far) {
  Offer& offer = offers_.at(id);
  // A leaver gives to as many as there are. A spare copy exists because R others are responsible: fewer means that the ring is
  // not seen whole just now.
  if (takers.empty() || (!leaving() && takers.size() < replica_count_)) {
    offers_.erase(id);
    return;
  }
  for (const Peer& taker : takers) offer.waiting.insert(taker.node_key);
  for (const Peer& taker : takers) {
    auto handle = [this, id, taker, is_far](const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
      const auto found = offers_.find(id);
      if (found == offers_.end()) return;
      const std::optional<CopyReply> answer = CopyAnswer(reply);
      pass_is_vain_ &= !answer || (is_far && answer->result == PutResult::kNotResponsible);
      const Record& record = found->second.record;
      const bool has_receipt = answer && answer->receipt && answer->receipt->node_key == taker.node_key &&
                               VerifyReceipt(network_, *answer->receipt, record.name, record.expiry);
      // Far away it is judged as a client's: there "full" is also said of what a merge would keep.
      const bool is_outranked = !is_far && answer && answer->result == PutResult::kFull;
      Answered(id, taker.node_key, has_receipt || is_outranked, moment);
    };
    // Far away this node is nobody's neighbour: there it comes like a client's put.
    out_.Ask(taker, is_far ? DhtRequest(PutRequest{{offer.record}}) : ReplicateRequest{{offer.record}}, std::move(handle));
  }
}

void Offers::OfferFar(uint64_t id) {
  auto handle = [this, id](const absl::StatusOr<std::vector<Peer>>& owners, const Moment& moment) {
    if (!offers_.contains(id)) return;
    if (!owners.ok()) return End(id, /*settled=*/false, moment);
    std::vector<Peer> holders;  // distinct processes, whatever the answer named
    for (const Peer& owner : *owners) {
      if (holders.size() < replica_count_ && !ContainsProcess(holders, owner.node_key)) holders.push_back(owner);
    }
    if (holders.size() < (leaving() ? size_t{1} : replica_count_)) return End(id, /*settled=*/false, moment);
    OfferTo(id, holders, /*is_far=*/true);
  };
  out_.AskOwners(offers_.at(id).record.name.point, std::move(handle));
}

void Offers::Answered(uint64_t id, const keys::PublicKey& taker, bool settled, const Moment& moment) {
  Offer& offer = offers_.at(id);
  offer.waiting.erase(taker);
  offer.failed |= !settled;
  if (offer.waiting.empty()) End(id, !offer.failed, moment);
}

void Offers::End(uint64_t id, bool settled, const Moment& moment) {
  auto node = offers_.extract(id);
  const Record& record = node.mapped().record;
  if (!settled) pass_is_clean_ = false;
  if (settled && !leaving() && HasToGo(record.name.point)) {
    admitter_.Remove({{.name = record.name, .expiry = record.expiry}}, moment);
  }
  if (leaving()) return Fill(moment);
  if (scanned_all_ && offers_.empty()) EndPass(moment);
}

void Offers::EndPass(const Moment& moment) {
  in_pass_ = false;
  if (!leaving()) {
    next_ = moment.now + kOffersEvery;
    return;
  }
  vain_passes_ = pass_is_vain_ ? vain_passes_ + 1 : 0;
  if (pass_is_clean_ || vain_passes_ == kLeaveVainPasses) return FinishLeaving(/*complete=*/pass_is_clean_);
  next_ = moment.now + kLeavePassPause;
}

void Offers::FinishLeaving(bool complete) {
  handed_over_ = true;
  next_ = absl::InfiniteFuture();
  offers_.clear();
  out_.Add(HandedOver{complete});
}

}  // namespace dht
