// SPDX-License-Identifier: Apache-2.0
#include "dht/replicator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/overloaded.h"
#include "dht/get_rounds.h"
#include "dht/link_shares.h"
#include "dht/offers.h"
#include "dht/place_syncs.h"
#include "dht/put_rounds.h"
#include "dht/range_server.h"
#include "dht/range_sync.h"
#include "dht/reconcile_server.h"
#include "dht/repairer.h"
#include "dht/witness.h"
#include "overlay/successor_list.h"

namespace dht {

using overlay::Peer;

namespace {

constexpr absl::Duration kReadAgain = absl::Seconds(5);  // a store that could not be read to its end

}  // namespace

struct Replicator::Impl {
  Impl(ReplicatorOptions options_in, const keys::SigningKey& node_key_in, const RecordKinds& kinds_in,
       const RecordStore& store_in, base::Rng& rng);

  bool Serving() const { return replicas.IsMember() && replicas.IsStoring() && !offers.leaving(); }
  std::vector<Peer> Verified(const DhtCaller& caller) const;
  bool HasShare(const keys::PublicKey& link, const Record& record, const Moment& moment);
  using Refusal = std::function<std::optional<PutResult>(const Record&)>;  // why it is not taken here; nothing if it is
  void KeepCopy(Record record, Source source, std::function<void(CopyReply)> done, const Moment& moment);
  void TakeCopies(RequestId request, std::vector<Record> records, Source source, const Refusal& refusal, const Moment& moment);
  void TakePuts(RequestId request, const keys::PublicKey& link, std::vector<Record> records, const Moment& moment);
  void Replicate(RequestId request, const std::vector<Peer>& caller, std::vector<Record> records, const Moment& moment);
  bool TakesCopyFrom(const std::vector<Peer>& caller, const overlay::NodeId& point) const;
  void Fetch(RequestId request, const std::vector<Peer>& caller, const FetchRequest& message, const Moment& moment);
  void Sweep(const Moment& moment);
  absl::Status BuildIndex();
  void FollowSuspicion(const Moment& moment);

  const ReplicatorOptions options;
  const keys::SigningKey& node_key;
  const RecordKinds& kinds;
  const RecordStore& store;
  Outbox out;
  RangeIndex index;
  ReplicaSet replicas;
  Witness witness;
  OwnerFinder owners;
  Admitter admitter;
  KeptSymbols symbols;
  RangeServer server;
  ReconcileServer reconciler;
  RangeSync sync;
  Repairer repairer;
  Offers offers;
  LinkShares shares;
  PutRounds put_rounds;
  GetRounds get_rounds;
  PlaceSyncs places;
  bool has_joined = false;   // or tried to: it is not the first of a ring
  bool was_suspect = false;  // when the index was last read from the store
  bool index_is_sure = false;
  absl::Time next_reading = absl::InfinitePast();
  absl::Time next_sweep = absl::InfinitePast();
  std::optional<RecordName> sweep_cursor;
};

Replicator::Impl::Impl(ReplicatorOptions options_in, const keys::SigningKey& node_key_in, const RecordKinds& kinds_in,
                       const RecordStore& store_in, base::Rng& rng)
    : options(std::move(options_in)),
      node_key(node_key_in),
      kinds(kinds_in),
      store(store_in),
      index(rng.Below(std::numeric_limits<uint64_t>::max())),
      replicas(static_cast<size_t>(options.network.replica_count)),
      witness(store),
      owners(replicas, out),
      admitter(kinds, store, index, options.bytes_max, out),
      symbols(index),
      server(replicas, store, index, witness),
      reconciler(replicas, index, symbols, witness, server, admitter, out),
      sync(kinds, store, index, symbols, admitter, out),
      repairer(replicas, sync, witness, out, rng,
               [this] {
                 if (store.suspect() && was_suspect && index_is_sure) out.Add(ClearSuspect{});
               }),
      offers(options.network.name, static_cast<size_t>(options.network.replica_count), replicas, store, admitter, out),
      put_rounds(options.network, node_key, kinds, replicas, owners, admitter, out),
      get_rounds(kinds, store, replicas, witness, owners, admitter, out),
      places(replicas, witness, sync, out) {
  was_suspect = store.suspect();
  index_is_sure = BuildIndex().ok();
}

// Makes the index name what the store holds, and nothing else.
absl::Status Replicator::Impl::BuildIndex() {
  const overlay::NodeId zero;
  absl::flat_hash_map<RecordName, absl::Time> held;
  const absl::Status status = store.Scan({zero, zero}, std::nullopt, absl::InfinitePast(), [&](const HeldName& each) {
    held[each.name] = each.expiry;
    return true;
  });
  std::vector<RecordName> gone;
  index.Walk({zero, zero}, std::nullopt, [&](const RecordName& name, const keys::Digest&) {
    if (!held.contains(name)) gone.push_back(name);
    return true;
  });
  if (status.ok()) {
    for (const RecordName& name : gone) index.Remove(name);
  }
  for (const auto& [name, expiry] : held) index.Put(name, expiry);
  return status;
}

// A store that turned suspect may have lost records: what it holds is read once more as soon as it can be, and before a round of
// repair counts as the one that made it whole.
void Replicator::Impl::FollowSuspicion(const Moment& moment) {
  if (!store.suspect()) {
    was_suspect = false;
    return;
  }
  if (was_suspect && (index_is_sure || moment.now < next_reading)) return;
  was_suspect = true;
  next_reading = moment.now + kReadAgain;
  index_is_sure = BuildIndex().ok();
}

Replicator::Replicator(ReplicatorOptions options, const keys::SigningKey& node_key, const RecordKinds& kinds,
                       const RecordStore& store, base::Rng& rng)
    : impl_(std::make_unique<Impl>(std::move(options), node_key, kinds, store, rng)) {}

Replicator::~Replicator() = default;

// A neighbour is known by the ring, anyone else by the descriptor that the driver verified; of a process with several virtual
// nodes the ring may know some only.
std::vector<Peer> Replicator::Impl::Verified(const DhtCaller& caller) const {
  std::vector<Peer> peers = replicas.Neighbours(caller.node_key);
  for (const Peer& peer : caller.peers) {
    if (!overlay::ContainsPoint(peers, peer.point)) peers.push_back(peer);
  }
  return peers;
}

// Copies are taken from neighbours (who may hold a spare one) and from whoever may hold the record; for a place this node is
// responsible for, or will be once the caller, one of its holders, has left.
bool Replicator::Impl::TakesCopyFrom(const std::vector<Peer>& caller, const overlay::NodeId& point) const {
  if (caller.empty()) return false;
  const keys::PublicKey& key = caller.front().node_key;
  const auto count = static_cast<size_t>(options.network.replica_count);
  const bool is_holder =
      std::any_of(caller.begin(), caller.end(), [&](const Peer& peer) { return replicas.MayHold(peer, point); });
  if (replicas.IsResponsible(point, count)) return is_holder || !replicas.Neighbours(key).empty();
  return replicas.IsResponsible(point, count + 1) && ContainsProcess(replicas.Responsible(point, count), key);
}

bool Replicator::Impl::HasShare(const keys::PublicKey& link, const Record& record, const Moment& moment) {
  const uint64_t held = std::min(store.counts().bytes, options.bytes_max);
  return shares.Take(link, record.body.size() + kRecordHeaderSize, options.bytes_max - held, moment.now);
}

// Admits the record and says what became of it, with a receipt once it is on disk.
void Replicator::Impl::KeepCopy(Record record, Source source, std::function<void(CopyReply)> done, const Moment& moment) {
  auto admitted = [this, name = record.name, expiry = record.expiry, done = std::move(done)](const AdmitOutcome& outcome,
                                                                                             const Moment&) {
    CopyReply reply{.detail = outcome.detail};
    switch (outcome.result) {
      case AdmitResult::kStored:
      case AdmitResult::kAlready:
        reply.result = PutResult::kStored;
        reply.receipt = SignReceipt(options.network.name, node_key, name, expiry);
        break;
      case AdmitResult::kFull:
        reply.result = PutResult::kFull;
        break;
      case AdmitResult::kNoSpace:
        reply.result = PutResult::kNoSpace;
        break;
      case AdmitResult::kFailed:
        break;
    }
    done(std::move(reply));
  };
  admitter.Admit(std::move(record), source, nullptr, std::move(admitted), moment);
}

// Answered when all of them are decided.
void Replicator::Impl::TakeCopies(RequestId request, std::vector<Record> records, Source source, const Refusal& refusal,
                                  const Moment& moment) {
  struct Answers {
    CopiesReply reply;
    size_t open;
  };
  auto answers = std::make_shared<Answers>();
  answers->open = records.size();
  answers->reply.copies.resize(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    auto done = [this, request, answers, i](CopyReply copy) {
      answers->reply.copies[i] = std::move(copy);
      if (--answers->open == 0) out.Reply(request, std::move(answers->reply));
    };
    if (const std::optional<PutResult> why = refusal(records[i])) {
      done({.result = *why});
    } else {
      KeepCopy(std::move(records[i]), source, std::move(done), moment);
    }
  }
}

void Replicator::Impl::TakePuts(RequestId request, const keys::PublicKey& link, std::vector<Record> records,
                                const Moment& moment) {
  const auto refusal = [&](const Record& record) -> std::optional<PutResult> {
    if (!kinds.Check(record, Source::kClient, moment.wall_now).ok()) return PutResult::kRefused;
    if (!Serving() || !replicas.IsResponsible(record.name.point)) return PutResult::kNotResponsible;
    if (!HasShare(link, record, moment)) return PutResult::kNoSpace;
    return std::nullopt;
  };
  TakeCopies(request, std::move(records), Source::kClient, refusal, moment);
}

void Replicator::Impl::Replicate(RequestId request, const std::vector<Peer>& caller, std::vector<Record> records,
                                 const Moment& moment) {
  if (!Serving()) return out.Reply(request, absl::UnavailableError("no member, or leaving"));
  const auto refusal = [&](const Record& record) -> std::optional<PutResult> {
    if (!kinds.Check(record, Source::kReplica, moment.wall_now).ok()) return PutResult::kRefused;
    if (!TakesCopyFrom(caller, record.name.point)) return PutResult::kNotResponsible;
    return std::nullopt;
  };
  TakeCopies(request, std::move(records), Source::kReplica, refusal, moment);
}

void Replicator::Impl::Fetch(RequestId request, const std::vector<Peer>& caller, const FetchRequest& message,
                             const Moment& moment) {
  std::vector<HeldName> damaged;
  absl::StatusOr<DhtReply> reply = server.Fetch(caller, message, moment, damaged);
  if (!damaged.empty()) admitter.Remove(damaged, moment);
  // Nothing found counts as a witness of absence, so only who is one may say it.
  const auto* fetched = AnswerAs<FetchReply>(reply);
  const bool is_witness = replicas.IsMember() && damaged.empty() &&
                          std::all_of(message.names.begin(), message.names.end(),
                                      [&](const RecordName& name) { return witness.Covers(name.point, moment.now); });
  if (fetched != nullptr && fetched->records.empty() && !is_witness) reply = absl::UnavailableError("no witness of absence");
  out.Reply(request, std::move(reply));
}

void Replicator::Impl::Sweep(const Moment& moment) {
  next_sweep = moment.now + kSweepEvery;
  std::vector<HeldName> expired;
  size_t seen = 0;
  const overlay::NodeId zero;
  const absl::Status status = store.Scan({zero, zero}, sweep_cursor, absl::InfinitePast(), [&](const HeldName& held) {
    if (seen == kSweepNames) return false;
    ++seen;
    sweep_cursor = held.name;
    if (held.expiry <= moment.wall_now) expired.push_back(held);
    return true;
  });
  if (seen < kSweepNames || !status.ok()) sweep_cursor.reset();
  if (!expired.empty()) admitter.Remove(expired, moment);
}

DhtActions Replicator::OnNeighbourhood(const overlay::Neighbourhood& neighbourhood, const Moment& moment) {
  if (neighbourhood.member && neighbourhood.self.role == overlay::Role::kStoring) {
    const auto count = static_cast<size_t>(impl_->options.network.replica_count);
    impl_->witness.Hold(neighbourhood.self.index, overlay::HeldRange(neighbourhood, count), !impl_->has_joined, moment.now);
  }
  if (impl_->replicas.Update(neighbourhood)) {
    impl_->repairer.OnNeighbourhood(moment);
    impl_->offers.OnNeighbourhood(moment);
    impl_->places.OnNeighbourhood();
  }
  return impl_->out.Take();
}

DhtActions Replicator::OnPut(RequestId request, Record record, bool pass_on, const Moment& moment) {
  impl_->put_rounds.Start(request, std::move(record), impl_->Serving(), pass_on, moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnGet(RequestId request, const RecordName& name, bool pass_on, const Moment& moment) {
  impl_->get_rounds.Start(request, name, impl_->Serving(), pass_on, moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnSyncPlace(RequestId request, const overlay::NodeId& point, const Moment& moment) {
  impl_->places.Start(request, point, impl_->Serving(), moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnRequest(RequestId request, const DhtCaller& caller, DhtRequest message, const Moment& moment) {
  const std::vector<Peer> peers = impl_->Verified(caller);
  if (peers.empty()) {
    impl_->out.Reply(request, absl::PermissionDeniedError("a client link may not use the store"));
    return impl_->out.Take();
  }
  std::visit(base::Overloaded{
                 [&](PutRequest& m) { impl_->TakePuts(request, caller.node_key, std::move(m.records), moment); },
                 [&](GetRequest& m) { impl_->get_rounds.Start(request, m.name, impl_->Serving(), /*pass_on=*/false, moment); },
                 [&](ReplicateRequest& m) { impl_->Replicate(request, peers, std::move(m.records), moment); },
                 [&](FetchRequest& m) { impl_->Fetch(request, peers, m, moment); },
                 [&](DigestRequest& m) { impl_->out.Reply(request, impl_->server.Digest(peers, m, impl_->Serving(), moment)); },
                 [&](NamesRequest& m) { impl_->out.Reply(request, impl_->server.Names(peers, m, moment)); },
                 [&](ReconcileRequest& m) { impl_->reconciler.Answer(request, peers, std::move(m), impl_->Serving(), moment); },
             },
             message);
  return impl_->out.Take();
}

DhtActions Replicator::OnReply(CallId call, const absl::StatusOr<DhtReply>& reply, const Moment& moment) {
  impl_->out.Deliver(call, reply, moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnOwners(CallId lookup, const absl::StatusOr<std::vector<Peer>>& owners, const Moment& moment) {
  impl_->out.DeliverOwners(lookup, owners, moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnApplied(WriteId write, const absl::Status& status, const Moment& moment) {
  impl_->admitter.OnApplied(write, status, moment);
  return impl_->out.Take();
}

DhtActions Replicator::PrepareJoin(const overlay::Neighbourhood& future, const Moment& moment) {
  impl_->has_joined |= !future.successors.empty() || !future.predecessors.empty();
  impl_->repairer.StartJoin(future, static_cast<size_t>(impl_->options.network.replica_count), moment);
  return impl_->out.Take();
}

DhtActions Replicator::HandOver(absl::Time deadline, const Moment& moment) {
  impl_->offers.StartLeaving(deadline, moment);
  return impl_->out.Take();
}

DhtActions Replicator::OnTick(const Moment& moment) {
  impl_->FollowSuspicion(moment);
  impl_->index.Expire(moment.wall_now);
  impl_->put_rounds.OnTick(moment);
  impl_->get_rounds.OnTick(moment);
  impl_->places.OnTick(moment);
  impl_->symbols.OnTick(moment);
  impl_->sync.OnTick(moment);
  impl_->repairer.OnTick(moment);
  impl_->offers.OnTick(moment);
  if (moment.now >= impl_->next_sweep) impl_->Sweep(moment);
  return impl_->out.Take();
}

absl::Time Replicator::NextTick() const {
  if (impl_->symbols.busy()) return absl::InfinitePast();
  return std::min({impl_->sync.NextTick(), impl_->put_rounds.NextTick(), impl_->get_rounds.NextTick(), impl_->places.NextTick(),
                   impl_->repairer.NextTick(), impl_->offers.NextTick(), impl_->next_sweep});
}

const ReplicaSet& Replicator::replicas() const { return impl_->replicas; }

ReplicatorStats Replicator::Stats() const {
  ReplicatorStats stats{.records = impl_->index.count(),
                        .bytes = impl_->store.counts().bytes,
                        .repaired = impl_->sync.pulled(),
                        .repairing = impl_->sync.remaining()};
  for (const overlay::RingRange& range : impl_->replicas.OwnedRanges()) stats.owned += impl_->index.Count(range);
  for (const overlay::RingRange& range : impl_->replicas.ForeignRanges()) stats.misplaced += impl_->index.Count(range);
  const bool is_full = impl_->store.state() == StoreState::kFull || stats.bytes >= impl_->options.bytes_max;
  const bool is_relay = impl_->replicas.self() != nullptr && !impl_->replicas.IsStoring();
  const bool is_failing = impl_->store.state() == StoreState::kFailing;
  stats.state = is_relay ? "none" : is_full ? "full" : is_failing ? "failing" : impl_->store.suspect() ? "suspect" : "ok";
  return stats;
}

}  // namespace dht
