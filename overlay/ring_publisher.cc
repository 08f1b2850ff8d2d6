// SPDX-License-Identifier: Apache-2.0
// RingDriver's other half: what it answers, and what it publishes of itself and knows of others.
#include <algorithm>
#include <utility>

#include "overlay/ring_driver.h"
#include "overlay/ring_wire.h"

namespace overlay {
namespace {

constexpr absl::Duration kDirectoryRound = absl::Seconds(2);  // between looks for descriptors that grow old

bool SameFingers(const std::vector<Finger>& a, const std::vector<Finger>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Finger& x, const Finger& y) {
    return x.exponent == y.exponent && x.peer.point == y.peer.point && x.peer.address == y.peer.address;
  });
}

bool SameLists(const RoutingTable& a, const RoutingTable& b) {
  return SameFingers(a.fingers, b.fingers) && SamePeers(a.successors, b.successors) && SamePeers(a.predecessors, b.predecessors);
}

}  // namespace

// --- Answers ---

void RingDriver::Serve(RpcServer& server) {
  for (const char* method : {kMethodState, kMethodRectify, kMethodNextHop, kMethodLeaving, kMethodHealthCheck}) {
    server.Handle(method, Access::kAnyone, [this, method](const Caller& caller, std::string request, RpcResponder respond) {
      OnRingRequest(caller, method, request, respond);
    });
  }
  server.Handle(kMethodDescribe, Access::kAnyone, [this](const Caller& caller, std::string request, RpcResponder respond) {
    OnDescribe(caller, request, respond);
  });
  server.Handle(kMethodTable, Access::kAnyone,
                [this](const Caller&, std::string request, RpcResponder respond) { OnTable(request, respond); });
  server.HandleStream(kMethodHealthWatch, Access::kAnyone, [this](const Caller&, std::string request, std::shared_ptr<RpcStream> stream) {
    const auto asked = DecodeRequest(options_.network, kMethodHealthWatch, request);
    if (!asked.ok()) return stream->Finish(asked.status());
    OnHealthWatch(asked->index, std::move(stream));
  });
}

void RingDriver::OnRingRequest(const Caller& caller, std::string_view method, const std::string& request, const RpcResponder& respond) {
  const absl::StatusOr<IndexedRequest> asked = DecodeRequest(options_.network, method, request);
  if (!asked.ok()) return respond(asked.status());
  // Liveness is for everybody; the ring's own questions are for nodes, who have shown their descriptor (Describe) before.
  const bool is_health = std::holds_alternative<HealthRequest>(asked->request);
  const Descriptor* known = directory_.Find(caller.tls_key, loop_.WallNow());
  if (!is_health && known == nullptr) return respond(absl::FailedPreconditionError("who are you?"));
  // Of one key there may be several admissions, and so several places: good is the one that its descriptor shows.
  const RectifyRequest* notice = std::get_if<RectifyRequest>(&asked->request);
  if (notice != nullptr && (notice->candidate.node_key != caller.tls_key || notice->candidate.admission != known->admission)) {
    return respond(absl::UnauthenticatedError("rectify in another node's name"));
  }
  Ring& ring = *nodes_[asked->index].ring;
  Ring::Answered answered = ring.OnRequest(asked->request, loop_.Now());
  respond(EncodeReply(answered.reply, ring.self()));
  Apply(asked->index, std::move(answered.actions));
}

void RingDriver::OnDescribe(const Caller& caller, const std::string& request, const RpcResponder& respond) {
  const absl::StatusOr<base::Bytes> asker = DecodeDescribe(request);
  if (!asker.ok()) return respond(asker.status());
  if (!asker->empty()) directory_.AddOf(caller.tls_key, *asker, loop_.WallNow()).IgnoreError();
  respond(EncodeDescribeReply(descriptor_.encoded));
}

void RingDriver::OnTable(const std::string& request, const RpcResponder& respond) {
  const absl::StatusOr<uint8_t> index = DecodeTableQuestion(request);
  if (!index.ok()) return respond(index.status());
  if (*index >= nodes_.size()) return respond(absl::NotFoundError("no such virtual node"));
  if (!nodes_[*index].ring->IsMember()) return respond(absl::UnavailableError("not a member of the ring"));
  const auto answer = [this, index = *index, respond] {
    const RoutingTable* shown = signed_table(index);
    if (shown == nullptr) return respond(absl::UnavailableError("nothing is signed yet"));
    respond(EncodeTableReply(shown->encoded));
  };
  if (!NamesTooFew(*index) || table_askers_ >= kTableAskersMax) return answer();
  ++table_askers_;
  loop_.At(loop_.Now() + kTableSpacing, [this, answer, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.lock()) return;
    --table_askers_;
    answer();
  });
}

// A small table that others have joined since it was signed: a client may need just those.
bool RingDriver::NamesTooFew(size_t index) const {
  const RoutingTable* shown = signed_table(index);
  return shown == nullptr || (shown->Members().size() < kSmallTable && !SameLists(*shown, ListsOf(index)));
}

std::string RingDriver::HealthNow(size_t index) const {
  const Ring& ring = *nodes_[index].ring;
  return EncodeReply(HealthReply{ring.IsMember()}, ring.self());
}

void RingDriver::TellWatchers(std::optional<size_t> index) {
  std::erase_if(health_watchers_, [&](const HealthWatcher& watcher) {
    return (!index || *index == watcher.index) && !watcher.stream->Write(HealthNow(watcher.index));
  });
}

void RingDriver::OnHealthWatch(size_t index, std::shared_ptr<RpcStream> stream) {
  // Who hung up is only seen by writing to it; repeating the state is harmless.
  if (health_watchers_.size() >= kHealthWatchersMax) TellWatchers(std::nullopt);
  if (health_watchers_.size() >= kHealthWatchersMax) return stream->Finish(absl::ResourceExhaustedError("too many watchers"));
  if (stream->Write(HealthNow(index))) health_watchers_.push_back({index, std::move(stream)});
}

// --- What is published ---

// Onion keys at the end of their life, the descriptor at half of its own.
void RingDriver::Renew() {
  RenewOnionKeys();
  descriptor_ = SignDescriptor(options_.network, node_key_, onion_keys_.pairs.front().public_key, options_.role, options_.address,
                               options_.admission, loop_.WallNow());
  directory_.Keep(descriptor_);
  const absl::Duration key_left = onion_keys_.made + options_.network.onion_key_lifetime - loop_.WallNow();
  renew_timer_.Reset(loop_.Now() + std::min(options_.network.descriptor_lifetime / 2, key_left));
}

// The key before stays for those who still hold the last descriptor. Two lives after its making nobody does; one that was made
// in the future is of a clock that was wrong.
void RingDriver::RenewOnionKeys() {
  const absl::Duration age = loop_.WallNow() - onion_keys_.made;
  const absl::Duration life = options_.network.onion_key_lifetime;
  std::vector<keys::X25519KeyPair>& pairs = onion_keys_.pairs;
  if (age < absl::ZeroDuration() || age >= 2 * life) pairs.clear();
  if (!pairs.empty() && age < life) return;
  pairs.insert(pairs.begin(), keys::X25519KeyPair::Generate(rng_));
  if (pairs.size() > 2) pairs.pop_back();
  onion_keys_.made = loop_.WallNow();
  if (options_.keep_onion_keys) options_.keep_onion_keys(onion_keys_);
}

// As they are now; not signed.
RoutingTable RingDriver::ListsOf(size_t index) const {
  const Ring& ring = *nodes_[index].ring;
  RoutingTable now;
  now.owner = ring.self();
  if (!ring.IsMember()) return now;
  now.fingers = ring.fingers().Distinct();
  now.successors = ring.FarSuccessors();
  now.predecessors = ring.FarPredecessors();
  if (now.fingers.size() > kTableFingersMax) now.fingers.erase(now.fingers.begin(), now.fingers.end() - kTableFingersMax);
  return now;
}

const RoutingTable& RingDriver::table(size_t index) const {
  RefreshTable(index);
  const VirtualNode& node = nodes_[index];
  return node.goes_unsigned ? node.current : node.table;
}

const RoutingTable* RingDriver::signed_table(size_t index) const {
  RefreshTable(index);
  const RoutingTable& held = nodes_[index].table;
  return held.encoded.empty() ? nullptr : &held;
}

void RingDriver::RefreshTable(size_t index) const {
  VirtualNode& node = nodes_[index];
  RoutingTable& held = node.table;
  RoutingTable now = ListsOf(index);
  node.goes_unsigned = false;
  if (!node.ring->IsMember()) {
    held = std::move(now);
    return;
  }
  const bool same = SameLists(now, held);
  const absl::Duration age = loop_.Now() - node.table_signed;
  const absl::Duration half = options_.network.table_lifetime / 2;
  const bool young = age < half && loop_.WallNow() < held.issued + half;
  const bool is_signed = !held.encoded.empty();
  if (is_signed && same && young) return;
  const absl::Time next = NextIssue(index);
  const bool too_soon = is_signed && age < kTableSpacing;
  if (too_soon) KeepTablesUntil(next);  // so that it need not wait for the disk then
  if (!too_soon && MaySignTable(next)) {
    held = std::move(now);
    return SignTableOf(index, next);
  }
  now.issued = node.table_issued + absl::Seconds(1);  // to its own readers newer than all before, and no newer than the next one
  node.current = std::move(now);
  node.goes_unsigned = true;
}

absl::Time RingDriver::tables_issued() const {
  absl::Time last = absl::InfinitePast();
  for (const VirtualNode& node : nodes_) last = std::max(last, node.table_issued);
  return last;
}

// Later than all before it, by any clock.
absl::Time RingDriver::NextIssue(size_t index) const {
  return std::max(absl::FromUnixSeconds(absl::ToUnixSeconds(loop_.WallNow())), nodes_[index].table_issued + absl::Seconds(1));
}

// Only if its time is known to be kept: a process may end at any moment, and a disk fail.
bool RingDriver::MaySignTable(absl::Time next) const {
  if (loop_.Now() < tables_from_) return false;
  KeepTablesUntil(next);
  return !options_.keep_tables_until || next <= tables_saved_;
}

// A while ahead of the clock, not of the last table: so starting again and again does not drive the times ahead of it.
void RingDriver::KeepTablesUntil(absl::Time next) const {
  if (!options_.keep_tables_until || next <= tables_saved_ || saving_tables_ || loop_.Now() < next_save_) return;
  const absl::Time ahead = absl::FromUnixSeconds(absl::ToUnixSeconds(loop_.WallNow() + kTablesAhead));
  const absl::Time until = std::max(next, ahead);
  saving_tables_ = true;
  options_.keep_tables_until(until, [this, until, alive = std::weak_ptr<char>(alive_)](const absl::Status& saved) {
    if (!alive.lock()) return;
    saving_tables_ = false;
    if (saved.ok()) {
      tables_saved_ = std::max(tables_saved_, until);
    } else {
      next_save_ = loop_.Now() + kTablesAgain;
    }
  });
}

// For that second and no later one, though the clock may have gone on meanwhile.
void RingDriver::SignTableOf(size_t index, absl::Time next) const {
  VirtualNode& node = nodes_[index];
  SignTable(options_.network, node_key_, node.table, next, node.table_issued);
  node.table_issued = node.table.issued;
  node.table_signed = loop_.Now();
}

// --- What is known of others ---

bool RingDriver::NeedsDescriptor(const Peer& peer) const {
  if (peer.node_key == node_key_.public_key()) return false;
  const auto last = described_.find(peer.node_key);
  if (last == described_.end()) return true;
  const absl::Duration wait = last->second.answered ? kDescribeEvery : kDescribeAgain;
  return loop_.Now() - last->second.asked >= wait;
}

void RingDriver::RefreshDirectory() {
  directory_timer_.Reset(loop_.Now() + kDirectoryRound);
  std::vector<Peer> members;  // one of each process
  absl::flat_hash_set<keys::PublicKey> lived_by;
  for (size_t index = 0; index < nodes_.size(); ++index) {
    for (const Peer& peer : table(index).Members()) {
      if (lived_by.insert(peer.node_key).second) members.push_back(peer);
    }
  }
  absl::erase_if(described_, [&](const auto& entry) { return !lived_by.contains(entry.first); });
  directory_.Protect(std::move(lived_by));
  for (const Peer& peer : members) {
    if (describing_ >= kDescribeParallel) return;
    if (NeedsDescriptor(peer)) Describe(peer);
  }
}

void RingDriver::Describe(const Peer& peer) {
  ++describing_;
  described_[peer.node_key] = {.asked = loop_.Now()};
  client_.Call({peer.address, peer.node_key}, kMethodDescribe, EncodeDescribe(descriptor_.encoded), options_.network.call_timeout,
               [this, alive = std::weak_ptr<char>(alive_), key = peer.node_key](const absl::StatusOr<RpcAnswer>& answer) {
                 if (!alive.lock()) return;
                 --describing_;
                 const absl::StatusOr<base::Bytes> encoded =
                     answer.ok() ? DecodeDescribeReply(answer->message) : absl::StatusOr<base::Bytes>(answer.status());
                 if (!encoded.ok() || !directory_.AddOf(key, *encoded, loop_.WallNow()).ok()) return;
                 if (const auto asked = described_.find(key); asked != described_.end()) asked->second.answered = true;
                 directory_timer_.Reset(loop_.Now());  // the next one; a failed one waits for the round
               });
}

}  // namespace overlay
