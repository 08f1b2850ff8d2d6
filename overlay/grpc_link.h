// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_link.h — overlay::Links over gRPC: one bidirectional stream of cells per pair, for all its circuits.
//
// Every link we open has a connection of its own, so bulk never delays the ring's calls. A node shows its key and its descriptor;
// a client (no own node) a fresh key per link, never kept. An incoming link is a node's if its opener's descriptor verifies and
// names the key that TLS proved, a client's if it carries none, and refused otherwise. Of two with one node the tie rule keeps
// one (link_tie.h). Every id that Connect or OnLinkUp gave gets exactly one OnLinkDown, also after Close, and never from inside a
// call.
//
// Sending: cells wait in a LinkQueue and leave as messages of up to kFrameCellsMax cells, one on its way at a time. A link that
// had no cell in this loop turn and the one before sends at once; a busy one at the end of the turn, so that messages fill up by
// themselves. (Sending whenever a write completes would not batch: gRPC completes writes as soon as they are buffered.)
// Receiving never stops: windows of the circuits and the queue bounds are the brake. At a bound the circuit with the oldest
// waiting cell goes (Jansen et al., "The Sniper Attack", NDSS 2014, section 5).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/rng.h"
#include "keys/certificate.h"
#include "overlay/directory.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_link_stream.h"
#include "overlay/grpc_server.h"
#include "overlay/link.h"

namespace overlay {

inline constexpr absl::Duration kLinkSetupMax = absl::Seconds(4);  // then Connect has failed; link.h promises 5 s

// What has passed since the start, all links together.
struct LinkCounters {
  uint64_t cells_out = 0, messages_out = 0, cells_in = 0, messages_in = 0;
  uint64_t refused = 0;    // incoming links that were refused
  uint64_t malformed = 0;  // links closed for what they sent
  uint64_t evicted = 0;    // circuits whose cells were thrown away for want of room
};

class GrpcLinks final : public Links, public GrpcLoopUser, private GrpcLinkStream::Owner {
 public:
  struct OwnNode {
    keys::TlsIdentity identity;
    std::function<base::Bytes()> descriptor;  // the current one, encoded
  };
  struct Options {
    std::optional<OwnNode> node;    // nothing: a client
    size_t links_max = 1024;        // about 170 KiB each with its connection; the last kOwnLinksKept for own circuits alone
    size_t client_links_max = 512;  // of these, clients' links
  };

  // `directory` keeps the descriptors of nodes that open links to us; a client may pass null.
  GrpcLinks(GrpcEventLoop& loop, base::Rng& rng, Directory* directory, Options options);
  ~GrpcLinks() override;

  // Lets others open links through this server.
  void ServeOn(GrpcServer& server);

  void SetListener(LinkListener* listener) override { listener_ = listener; }
  LinkId Connect(const Descriptor& to, LinkFor whom) override;
  bool Send(LinkId link, const Cell& cell) override;
  void Close(LinkId link) override;
  const LinkInfo* Find(LinkId link) const override;

  const LinkCounters& counters() const { return counters_; }
  size_t size() const { return links_.size(); }
  size_t queued() const { return queued_; }  // cells that wait, on all links
  void OnTurnEnd() override;
  void OnShutdown() override;

 private:
  struct Link;

  std::shared_ptr<Link> AddLink(const keys::PublicKey& own_key, const keys::PublicKey& peer_key, bool is_node);
  void Drop(LinkId id);
  bool HasRoomFor(LinkFor whom) const;

  void Accept(const std::shared_ptr<GrpcServerCall>& call);
  absl::StatusOr<bool> IdentifyNode(GrpcServerCall& call);
  void AcceptNode(const std::shared_ptr<GrpcServerCall>& call);
  void AcceptClient(const std::shared_ptr<GrpcServerCall>& call);
  void Refuse(const std::shared_ptr<GrpcServerCall>& call, absl::StatusCode code);
  void TakeInto(Link& link, const std::shared_ptr<GrpcServerCall>& call);

  void OnStreamUp(LinkId id) override;
  void OnStreamMessage(LinkId id, const grpc::ByteBuffer& message) override;
  void OnStreamWritten(LinkId id) override;
  void OnStreamDown(LinkId id, absl::StatusCode code) override;

  bool MakeRoomOn(Link& link, CircuitId for_circuit);
  void MakeRoomOnAll();
  void Evict(Link& link, CircuitId circuit);
  void MarkDirty(Link& link);
  void Flush(Link& link);
  bool IsAlive(LinkId id) const { return links_.contains(id); }

  GrpcEventLoop& loop_;
  base::Rng& rng_;
  Directory* const directory_;
  const Options options_;
  LinkListener* listener_ = nullptr;
  absl::flat_hash_map<LinkId, std::shared_ptr<Link>> links_;
  absl::flat_hash_map<keys::PublicKey, LinkId> node_links_;  // the one link to each node
  size_t client_links_ = 0;
  LinkId last_id_ = 0;
  std::vector<LinkId> dirty_;
  size_t queued_ = 0;        // cells that wait, on all links
  uint64_t last_order_ = 0;  // of a cell that was queued
  LinkCounters counters_;
  bool stopping_ = false;
};

}  // namespace overlay
