// SPDX-License-Identifier: Apache-2.0
#include "overlay/routing_table.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"
#include "overlay/signed_record.h"

namespace overlay {
namespace {

constexpr char kLabel[] = "table", kListsLabel[] = "table-lists";

void WritePeers(const std::vector<Peer>& peers, base::ByteWriter& writer) {
  writer.U8(static_cast<uint8_t>(peers.size()));
  for (const Peer& peer : peers) EncodePeer(peer, writer);
}

absl::StatusOr<std::vector<Peer>> ReadPeers(const Network& network, base::ByteReader& reader) {
  const size_t count = reader.U8();
  if (count > kTableNeighbours) return absl::InvalidArgumentError("too many neighbours");
  std::vector<Peer> peers;
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Peer peer, DecodePeer(network, reader));
    peers.push_back(std::move(peer));
  }
  return peers;
}

absl::StatusOr<std::vector<Finger>> ReadFingers(const Network& network, base::ByteReader& reader) {
  const size_t count = reader.U8();
  if (count > kTableFingersMax) return absl::InvalidArgumentError("too many fingers");
  std::vector<Finger> fingers;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t exponent = reader.U8();
    ASSIGN_OR_RETURN(Peer peer, DecodePeer(network, reader));
    fingers.push_back({exponent, std::move(peer)});
  }
  return fingers;
}

void WriteHead(const Network& network, const RoutingTable& table, base::ByteWriter& writer) {
  WriteRecordHead(network, writer);
  EncodePeer(table.owner, writer);
  for (const absl::Time time : {table.after, table.issued, table.expires}) {
    writer.U64(static_cast<uint64_t>(absl::ToUnixSeconds(time)));
  }
}

// Into a RoutingTable or a TableHead.
template <class Head>
absl::Status ReadHead(const Network& network, base::ByteReader& reader, Head& head) {
  RETURN_IF_ERROR(ReadRecordHead(network, reader));
  ASSIGN_OR_RETURN(head.owner, DecodePeer(network, reader));
  for (absl::Time* time : {&head.after, &head.issued, &head.expires}) {
    const uint64_t seconds = reader.U64();
    if (seconds > kTableSecondsMax) return absl::InvalidArgumentError("table of a wrong shape");
    *time = absl::FromUnixSeconds(static_cast<int64_t>(seconds));
  }
  if (!reader.ok() || head.after >= head.issued) return absl::InvalidArgumentError("table of a wrong shape");
  return absl::OkStatus();
}

// Nearest first, distinct processes, never the owner. Ring order is checked in the direction given.
bool AreNeighbours(const Peer& owner, const std::vector<Peer>& peers, bool clockwise) {
  absl::flat_hash_set<keys::PublicKey> seen = {owner.node_key};
  const NodeId* last = nullptr;
  for (const Peer& peer : peers) {
    if (!seen.insert(peer.node_key).second) return false;
    if (last != nullptr) {
      const bool ordered = clockwise ? InOpen(*last, owner.point, peer.point) : InOpen(*last, peer.point, owner.point);
      if (!ordered) return false;
    }
    last = &peer.point;
  }
  return true;
}

bool AreFingers(const Peer& owner, const std::vector<Finger>& fingers) {
  const Finger* last = nullptr;
  for (const Finger& finger : fingers) {
    if (finger.peer.SameProcess(owner)) return false;
    // At or after its ideal point, that is: the ideal point lies in (owner, finger].
    if (!InHalfOpen(owner.point.PlusPowerOfTwo(finger.exponent), owner.point, finger.peer.point)) return false;
    if (last != nullptr && (finger.exponent <= last->exponent || finger.peer == last->peer)) return false;
    last = &finger;
  }
  return true;
}

}  // namespace

bool RoutingTable::CoversRing() const {
  if (successors.empty() && predecessors.empty()) return true;  // alone
  const bool meet = std::any_of(predecessors.begin(), predecessors.end(), [&](const Peer& peer) {
    return std::find(successors.begin(), successors.end(), peer) != successors.end();
  });
  if (meet) return true;
  // With several virtual nodes each, the nearest of a process is another one on either side.
  if (successors.size() >= kTableNeighbours || successors.size() != predecessors.size()) return false;
  return std::all_of(predecessors.begin(), predecessors.end(), [&](const Peer& peer) {
    return std::any_of(successors.begin(), successors.end(), [&](const Peer& other) { return other.SameProcess(peer); });
  });
}

std::vector<Peer> RoutingTable::Members() const {
  std::vector<Peer> members = {owner};
  members.insert(members.end(), successors.begin(), successors.end());
  members.insert(members.end(), predecessors.begin(), predecessors.end());
  for (const Finger& finger : fingers) members.push_back(finger.peer);
  std::sort(members.begin(), members.end(), [](const Peer& a, const Peer& b) { return a.point < b.point; });
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

void SignTable(const Network& network, const keys::SigningKey& node_key, RoutingTable& table, absl::Time wall_now,
               absl::Time last) {
  CHECK(table.successors.size() <= kTableNeighbours && table.predecessors.size() <= kTableNeighbours);
  CHECK(table.fingers.size() <= kTableFingersMax);
  const absl::Time now = absl::FromUnixSeconds(absl::ToUnixSeconds(wall_now));
  table.issued = last == absl::InfinitePast() ? now : std::max(now, last + absl::Seconds(1));
  table.after = last == absl::InfinitePast() ? now - absl::Seconds(1) : last;
  table.expires = table.issued + network.table_lifetime;
  base::ByteWriter head, lists;
  WriteHead(network, table, head);
  lists.U8(static_cast<uint8_t>(table.fingers.size()));
  for (const Finger& finger : table.fingers) {
    lists.U8(finger.exponent);
    EncodePeer(finger.peer, lists);
  }
  WritePeers(table.successors, lists);
  WritePeers(table.predecessors, lists);
  base::ByteWriter whole;
  whole.Append(head.bytes()).Append(lists.bytes());
  head.Append(keys::Hash(kListsLabel, {lists.bytes()}));
  table.head = SignRecord(kLabel, node_key, std::move(head));
  table.encoded = whole.Append(base::ByteView(table.head).last(sizeof(keys::Signature))).Take();
}

absl::StatusOr<RoutingTable> DecodeTable(const Network& network, base::ByteView bytes, absl::Time wall_now) {
  if (bytes.size() > kTableMax) return absl::InvalidArgumentError(absl::StrCat("table of ", bytes.size(), " bytes"));
  base::ByteReader reader(bytes);
  RoutingTable table;
  RETURN_IF_ERROR(ReadHead(network, reader, table));
  const size_t head_size = bytes.size() - reader.left();
  ASSIGN_OR_RETURN(table.fingers, ReadFingers(network, reader));
  ASSIGN_OR_RETURN(table.successors, ReadPeers(network, reader));
  ASSIGN_OR_RETURN(table.predecessors, ReadPeers(network, reader));
  const base::ByteView lists = bytes.subspan(head_size, bytes.size() - reader.left() - head_size);
  const base::ByteView signature = reader.Take(sizeof(keys::Signature));
  if (!reader.Done()) return absl::InvalidArgumentError("table of a wrong shape");
  if (!AreNeighbours(table.owner, table.successors, /*clockwise=*/true) ||
      !AreNeighbours(table.owner, table.predecessors, /*clockwise=*/false) || !AreFingers(table.owner, table.fingers)) {
    return absl::InvalidArgumentError("table out of order");
  }
  RETURN_IF_ERROR(CheckLifetime(network.table_lifetime, table.issued, table.expires, wall_now));
  base::ByteWriter head;
  head.Append(bytes.first(head_size)).Append(keys::Hash(kListsLabel, {lists})).Append(signature);
  table.head = head.Take();
  RETURN_IF_ERROR(VerifyRecord(kLabel, table.owner.node_key, table.head));
  table.encoded = base::ToBytes(bytes);
  return table;
}

TableHead HeadOf(const RoutingTable& table) { return {table.owner, table.after, table.issued, table.expires, table.head}; }

absl::StatusOr<TableHead> DecodeTableHead(const Network& network, base::ByteView bytes) {
  if (bytes.size() > kTableHeadMax) return absl::InvalidArgumentError("head of a table too long");
  base::ByteReader reader(bytes);
  TableHead head;
  RETURN_IF_ERROR(ReadHead(network, reader, head));
  reader.Take(sizeof(keys::Digest) + sizeof(keys::Signature));
  if (!reader.Done()) return absl::InvalidArgumentError("head of a table of a wrong length");
  RETURN_IF_ERROR(VerifyRecord(kLabel, head.owner.node_key, bytes));
  head.encoded = base::ToBytes(bytes);
  return head;
}

std::vector<Peer> VirtualNodesOf(const Network& network, const std::vector<Peer>& peers) {
  if (network.virtual_nodes == 1) return peers;
  std::vector<Peer> all;
  absl::flat_hash_set<keys::PublicKey> seen;
  for (const Peer& peer : peers) {
    if (!seen.insert(peer.node_key).second) continue;
    for (int index = 0; index < network.virtual_nodes; ++index) {
      all.push_back(MakePeer(network, peer.node_key, static_cast<uint8_t>(index), peer.role, peer.address, peer.admission));
    }
  }
  return all;
}

std::vector<Peer> ResponsibleFor(const NodeId& point, std::vector<Peer> peers, size_t count) {
  // The distance to a peer at the point itself is 0, so "at or after" sorts by the distance from the point.
  std::sort(peers.begin(), peers.end(),
            [&](const Peer& a, const Peer& b) { return Distance(point, a.point) < Distance(point, b.point); });
  std::vector<Peer> responsible;
  for (Peer& peer : peers) {
    if (responsible.size() == count) break;
    if (peer.role != Role::kStoring) continue;
    const bool seen =
        std::any_of(responsible.begin(), responsible.end(), [&](const Peer& held) { return held.SameProcess(peer); });
    if (!seen) responsible.push_back(std::move(peer));
  }
  return responsible;
}

}  // namespace overlay
