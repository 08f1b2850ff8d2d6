// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_link.h"

#include <grpc/slice.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/redacted.h"
#include "overlay/grpc_channel.h"
#include "overlay/link_frame.h"
#include "overlay/link_queue.h"
#include "overlay/link_tie.h"

namespace overlay {

struct GrpcLinks::Link {
  Link(base::EventLoop& loop, base::EventLoop::Task on_setup_timeout) : setup_timer(loop, std::move(on_setup_timeout)) {}

  LinkInfo info;
  LinkStanding standing = LinkStanding::kOpening;
  bool up = false, writing = false, dirty = false;
  uint64_t busy_turn = 0;  // the last turn in which a cell was sent
  std::shared_ptr<GrpcLinkStream> stream;
  LinkQueue queue;
  base::Timer setup_timer;
};

GrpcLinks::GrpcLinks(GrpcEventLoop& loop, base::Rng& rng, Directory* directory, Options options)
    : loop_(loop), rng_(rng), directory_(directory), options_(std::move(options)) {
  loop.AddUser(this);
}

GrpcLinks::~GrpcLinks() { loop_.ShutDown(); }

void GrpcLinks::ServeOn(GrpcServer& server) {
  server.HandleRaw(kLinkMethod, [this](const std::shared_ptr<GrpcServerCall>& call) { Accept(call); });
}

bool GrpcLinks::HasRoomFor(LinkFor whom) const {
  const size_t kept = whom == LinkFor::kOwnCircuit ? 0 : std::min(kOwnLinksKept, options_.links_max / 2);
  return links_.size() + kept < options_.links_max;
}

LinkId GrpcLinks::Connect(const Descriptor& to, LinkFor whom) {
  if (const auto found = node_links_.find(to.node_key); found != node_links_.end()) return found->second;
  const keys::TlsIdentity own =
      options_.node ? options_.node->identity : keys::MakeTlsIdentity(keys::SigningKey::Generate(rng_), rng_);
  if (stopping_ || !HasRoomFor(whom) || own.public_key == to.node_key) return 0;
  Link& link = *AddLink(own.public_key, to.node_key, /*is_node=*/true);
  link.setup_timer.Reset(loop_.Now() + kLinkSetupMax);
  const base::Bytes descriptor = options_.node ? options_.node->descriptor() : base::Bytes();
  link.stream = GrpcLinkStream::Open(loop_, *this, link.info.id, MakeTlsChannel(to.address, own, to.node_key, ChannelUse::kLink),
                                     descriptor);
  return link.info.id;
}

std::shared_ptr<GrpcLinks::Link> GrpcLinks::AddLink(const keys::PublicKey& own_key, const keys::PublicKey& peer_key,
                                                    bool is_node) {
  const LinkId id = ++last_id_;
  auto link = std::make_shared<Link>(loop_, [this, id] { loop_.Post([this, id] { Drop(id); }); });  // it owns this timer
  link->info = {.id = id, .peer_key = peer_key, .is_node = is_node, .high_ids = own_key > peer_key};
  links_.emplace(id, link);
  if (is_node) {
    node_links_[peer_key] = id;
  } else {
    ++client_links_;
  }
  return link;
}

// Forgets a link at once and tells the listener afterwards, whoever ended it.
void GrpcLinks::Drop(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const std::shared_ptr<Link> link = std::move(found->second);
  links_.erase(found);
  queued_ -= link->queue.size();
  if (!link->info.is_node) {
    --client_links_;
  } else if (const auto named = node_links_.find(link->info.peer_key); named != node_links_.end() && named->second == id) {
    node_links_.erase(named);
  }
  link->setup_timer.Stop();
  if (link->stream) link->stream->Close();
  spdlog::debug("link: {} to {} is down", id, base::Redacted(link->info.peer_key.view()));
  loop_.Post([this, id] {
    if (listener_ != nullptr) listener_->OnLinkDown(id);
  });
}

void GrpcLinks::Close(LinkId link) { Drop(link); }

const LinkInfo* GrpcLinks::Find(LinkId link) const {
  const auto found = links_.find(link);
  return found != links_.end() && found->second->up ? &found->second->info : nullptr;
}

// Incoming links.

void GrpcLinks::Accept(const std::shared_ptr<GrpcServerCall>& call) {
  const absl::StatusOr<bool> is_node = IdentifyNode(*call);
  if (!is_node.ok()) return Refuse(call, is_node.status().code());
  if (stopping_) return Refuse(call, absl::StatusCode::kUnavailable);
  *is_node ? AcceptNode(call) : AcceptClient(call);
}

void GrpcLinks::Refuse(const std::shared_ptr<GrpcServerCall>& call, absl::StatusCode code) {
  ++counters_.refused;
  call->Reject(code);
}

// True: a node, whose descriptor names the TLS key. False: no descriptor, so a client.
absl::StatusOr<bool> GrpcLinks::IdentifyNode(GrpcServerCall& call) {
  if (!options_.node || call.caller().tls_key == options_.node->identity.public_key)
    return absl::FailedPreconditionError("ourselves");
  const auto& metadata = call.context().client_metadata();
  if (metadata.count(kLinkDescriptorKey) > 1) return absl::InvalidArgumentError("several descriptors");
  const auto found = metadata.find(kLinkDescriptorKey);
  if (found == metadata.end()) return false;
  if (directory_ == nullptr || found->second.size() > kDescriptorMax) return absl::InvalidArgumentError("descriptor");
  const std::string_view encoded(found->second.data(), found->second.size());
  const absl::StatusOr<Descriptor> descriptor = directory_->Add(base::AsBytes(encoded), loop_.WallNow());
  if (!descriptor.ok()) return descriptor.status();
  if (descriptor->node_key != call.caller().tls_key) return absl::UnauthenticatedError("");
  return true;
}

void GrpcLinks::AcceptClient(const std::shared_ptr<GrpcServerCall>& call) {
  if (client_links_ >= options_.client_links_max || !HasRoomFor(LinkFor::kRelayed)) {
    return Refuse(call, absl::StatusCode::kResourceExhausted);
  }
  TakeInto(*AddLink(options_.node->identity.public_key, call->caller().tls_key, /*is_node=*/false), call);
}

void GrpcLinks::AcceptNode(const std::shared_ptr<GrpcServerCall>& call) {
  const keys::PublicKey& own_key = options_.node->identity.public_key;
  const keys::PublicKey peer_key = call->caller().tls_key;
  const auto found = node_links_.find(peer_key);
  const LinkStanding standing = found == node_links_.end() ? LinkStanding::kNone : links_[found->second]->standing;
  const LinkVerdict verdict = JudgeIncoming(standing, own_key < peer_key);
  if (verdict == LinkVerdict::kRefuse) return Refuse(call, absl::StatusCode::kAborted);
  if (verdict == LinkVerdict::kAdopt) return TakeInto(*links_[found->second], call);
  if (verdict == LinkVerdict::kReplace) Drop(found->second);
  if (!HasRoomFor(LinkFor::kRelayed)) return Refuse(call, absl::StatusCode::kResourceExhausted);
  TakeInto(*AddLink(own_key, peer_key, /*is_node=*/true), call);
}

void GrpcLinks::TakeInto(Link& link, const std::shared_ptr<GrpcServerCall>& call) {
  if (link.stream) link.stream->Close();
  link.standing = LinkStanding::kOpenedThere;
  link.setup_timer.Reset(loop_.Now() + kLinkSetupMax);
  link.stream = GrpcLinkStream::Take(loop_, *this, link.info.id, call);
}

// Streams.

void GrpcLinks::OnStreamUp(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const std::shared_ptr<Link> link = found->second;
  link->up = true;
  link->setup_timer.Stop();
  if (link->standing == LinkStanding::kOpening) link->standing = LinkStanding::kOpenedHere;
  spdlog::debug("link: {} to {} is up", id, base::Redacted(link->info.peer_key.view()));
  if (listener_ != nullptr) listener_->OnLinkUp(link->info);
  if (IsAlive(id)) Flush(*link);
}

// Refused by the tie rule, a link waits for the stream that survives; anything else ends it.
void GrpcLinks::OnStreamDown(LinkId id, absl::StatusCode code) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link& link = *found->second;
  if (link.standing != LinkStanding::kOpening || code != absl::StatusCode::kAborted) return Drop(id);
  link.standing = LinkStanding::kYielded;
  link.stream = nullptr;
}

void GrpcLinks::OnStreamMessage(LinkId id, const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  std::vector<base::ByteView> pieces;
  if (message.Valid() && message.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) pieces.emplace_back(slice.begin(), slice.size());
  }
  ++counters_.messages_in;
  const absl::Status status = ReadFrame(pieces, [&](Cell& cell) {
    ++counters_.cells_in;
    if (listener_ != nullptr) listener_->OnCell(id, cell);
    return IsAlive(id);
  });
  if (status.ok()) return;
  ++counters_.malformed;
  spdlog::debug("link: {} is closed: malformed", id);
  Drop(id);
}

// Sending.

bool GrpcLinks::Send(LinkId id, const Cell& cell) {
  const auto found = links_.find(id);
  if (found == links_.end()) return false;
  Link& link = *found->second;
  const size_t before = link.queue.size();
  PushResult pushed = link.queue.Push(cell, ++last_order_);
  const bool may_evict = cell.command() != CellCommand::kDestroy;  // a DESTROY takes no cell's room
  if (pushed == PushResult::kLinkFull && may_evict && MakeRoomOn(link, cell.circuit_id())) {
    pushed = link.queue.Push(cell, last_order_);
  }
  queued_ += link.queue.size() - before;  // less than before after an eviction or a DESTROY: modulo 2^64
  if (pushed != PushResult::kQueued) return false;
  if (queued_ > kLinksQueueMax) MakeRoomOnAll();
  const bool was_quiet = link.busy_turn + 1 < loop_.turn();
  link.busy_turn = loop_.turn();
  if (was_quiet) {
    Flush(link);
  } else {
    MarkDirty(link);
  }
  return true;
}

void GrpcLinks::OnStreamWritten(LinkId id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  found->second->writing = false;
  if (!found->second->queue.empty()) MarkDirty(*found->second);
}

// False if the oldest cell is that circuit's own.
bool GrpcLinks::MakeRoomOn(Link& link, CircuitId for_circuit) {
  const std::vector<LinkQueue::Oldest> heads = link.queue.Heads();
  const auto oldest =
      std::min_element(heads.begin(), heads.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
  if (oldest == heads.end() || oldest->circuit == for_circuit) return false;
  Evict(link, oldest->circuit);
  return true;
}

// Down to seven eighths, so that looking at everything is paid for by many cells.
void GrpcLinks::MakeRoomOnAll() {
  std::vector<std::tuple<uint64_t, Link*, CircuitId>> heads;
  for (const auto& [id, link] : links_) {
    for (const LinkQueue::Oldest& head : link->queue.Heads()) heads.emplace_back(head.order, link.get(), head.circuit);
  }
  std::sort(heads.begin(), heads.end());
  for (const auto& [order, link, circuit] : heads) {
    if (queued_ <= kLinksQueueMax / 8 * 7) return;
    const size_t before = link->queue.size();
    Evict(*link, circuit);
    queued_ -= before - link->queue.size();
  }
}

void GrpcLinks::Evict(Link& link, CircuitId circuit) {
  link.queue.Discard(circuit);
  ++counters_.evicted;
  loop_.Post([this, id = link.info.id, circuit] {
    if (listener_ != nullptr && IsAlive(id)) listener_->OnEvicted(id, circuit);
  });
}

void GrpcLinks::MarkDirty(Link& link) {
  if (std::exchange(link.dirty, true)) return;
  dirty_.push_back(link.info.id);
}

void GrpcLinks::OnTurnEnd() {
  for (const LinkId id : std::exchange(dirty_, {})) {
    const auto found = links_.find(id);
    if (found == links_.end()) continue;
    found->second->dirty = false;
    Flush(*found->second);
  }
}

// One message out of what waits, written straight into the buffer that gRPC sends.
void GrpcLinks::Flush(Link& link) {
  if (!link.up || link.writing || link.queue.empty()) return;
  const size_t before = link.queue.size();
  const size_t room = std::min(link.queue.due(), kFrameCellsMax);
  grpc_slice slice = grpc_slice_malloc(room * kCellSize);
  const size_t cells = link.queue.Pop({GRPC_SLICE_START_PTR(slice), room * kCellSize});
  const grpc::Slice bytes(slice, grpc::Slice::STEAL_REF);
  queued_ -= before - link.queue.size();
  ++counters_.messages_out;
  counters_.cells_out += cells;
  link.writing = true;
  link.stream->Write(grpc::ByteBuffer(&bytes, 1));
}

void GrpcLinks::OnShutdown() {
  stopping_ = true;
  std::vector<LinkId> ids;
  for (const auto& [id, link] : links_) ids.push_back(id);
  for (const LinkId id : ids) Drop(id);
}

}  // namespace overlay
