// SPDX-License-Identifier: Apache-2.0
// tests/chat/fake_places.h — the store under the mailboxes, without dht/: storing nodes with records in memory, the real record
// kinds, copies made at once, and switches for what goes wrong.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/event_loop.h"
#include "chat/conversation_kinds.h"
#include "chat/door_kinds.h"
#include "chat/place_store.h"
#include "dht/receipt.h"
#include "keys/identity.h"
#include "tests/support/seeded_rng.h"

namespace support {

// Records of one place and node, as a kind sees them.
class MemoryPlace : public dht::PlaceView {
 public:
  void ForEach(dht::Kind kind, const std::function<void(const dht::Record&)>& visit) const override {
    for (const auto& [name, record] : records_) {
      if (name.kind == kind) visit(record);
    }
  }
  bool Holds(const dht::RecordName& name) const override { return records_.contains(name); }

  // What a replica does with an acceptable record.
  dht::Admission Merge(const dht::RecordKind& kind, const dht::Record& record, dht::Source source) {
    dht::Admission admission = kind.Admit(record, source, *this);
    if (admission.verdict != dht::Admission::Verdict::kStore) return admission;
    for (const dht::RecordName& name : admission.remove) records_.erase(name);
    records_.emplace(record.name, record);
    return admission;
  }
  std::vector<dht::Record> All() const {
    std::vector<dht::Record> all;
    for (const auto& [name, record] : records_) all.push_back(record);
    return all;
  }
  size_t Count(dht::Kind kind) const {
    size_t count = 0;
    ForEach(kind, [&](const dht::Record&) { ++count; });
    return count;
  }
  bool operator==(const MemoryPlace& other) const { return records_ == other.records_; }

 private:
  std::map<dht::RecordName, dht::Record> records_;
};

class FakePlaces;

class StoringNode : public chat::PlaceStore {
 public:
  StoringNode(FakePlaces& all, keys::SigningKey node_key) : key(std::move(node_key)), all_(all) {}

  void Put(dht::Record record, std::function<void(absl::StatusOr<dht::PutReply>)> done) override;
  void SyncPlace(const overlay::NodeId& point, std::function<void(bool)> done) override;
  absl::Status ForEach(const overlay::NodeId& point, dht::Kind kind,
                       const std::function<void(const dht::Record&)>& visit) const override {
    const auto it = places.find(point);
    if (it != places.end()) it->second.ForEach(kind, visit);
    return absl::OkStatus();
  }

  // What a put brings here.
  dht::Admission Take(const dht::Record& record, dht::Source source);

  keys::SigningKey key;
  std::map<overlay::NodeId, MemoryPlace> places;
  std::function<void(const dht::Record&)> on_record;
  bool alive = true;
  bool disk_full = false;

 private:
  FakePlaces& all_;
};

class FakePlaces {
 public:
  FakePlaces(base::EventLoop& event_loop, std::string network_name, int node_count, base::Rng& rng)
      : loop(event_loop), network(std::move(network_name)) {
    chat::RegisterDoorKinds(kinds, network);
    chat::RegisterConversationKinds(kinds, network);
    for (int i = 0; i < node_count; ++i) {
      nodes.push_back(std::make_unique<StoringNode>(*this, keys::SigningKey::Generate(rng)));
    }
  }

  // The three nodes of a point: the same ones for ever, alive or not.
  std::vector<StoringNode*> Responsible(const overlay::NodeId& point) {
    const size_t first = point.bytes[0] % nodes.size();
    std::vector<StoringNode*> found;
    for (size_t i = 0; i < std::min<size_t>(3, nodes.size()); ++i) found.push_back(nodes[(first + i) % nodes.size()].get());
    return found;
  }
  StoringNode* Find(const keys::PublicKey& key) {
    for (const auto& node : nodes) {
      if (node->key.public_key() == key) return node.get();
    }
    return nullptr;
  }
  // Envelopes anywhere on living nodes.
  size_t EnvelopeCount() const {
    size_t count = 0;
    for (const auto& node : nodes) {
      if (!node->alive) continue;
      for (const auto& [point, place] : node->places) count += place.Count(dht::Kind::kEnvelope);
    }
    return count;
  }
  // What repair does: every living replica gives all it holds to the others.
  void Repair() {
    for (const auto& node : nodes) {
      if (!node->alive) continue;
      for (const auto& [point, place] : std::map(node->places)) {
        for (StoringNode* other : Responsible(point)) {
          if (other->alive && other != node.get()) Give(place, other->places[point]);
        }
      }
    }
  }
  void Give(const MemoryPlace& from, MemoryPlace& to) const {
    for (const dht::Record& record : from.All()) to.Merge(*kinds.Find(record.name.kind), record, dht::Source::kReplica);
  }

  base::EventLoop& loop;
  const std::string network;
  dht::RecordKinds kinds;
  std::vector<std::unique_ptr<StoringNode>> nodes;
};

inline dht::Admission StoringNode::Take(const dht::Record& record, dht::Source source) {
  const dht::Admission admission = places[record.name.point].Merge(*all_.kinds.Find(record.name.kind), record, source);
  if (on_record && admission.verdict == dht::Admission::Verdict::kStore) on_record(record);
  return admission;
}

inline void StoringNode::Put(dht::Record record, std::function<void(absl::StatusOr<dht::PutReply>)> done) {
  dht::PutReply reply;
  if (!all_.kinds.Check(record, dht::Source::kClient, all_.loop.WallNow()).ok()) {
    reply.result = dht::PutResult::kRefused;
  } else {
    const dht::Admission own = Take(record, dht::Source::kClient);
    reply.result = own.verdict == dht::Admission::Verdict::kFull ? dht::PutResult::kFull : dht::PutResult::kStored;
    reply.detail = own.detail;
    for (StoringNode* holder : all_.Responsible(record.name.point)) {
      if (reply.result == dht::PutResult::kFull || !holder->alive || holder->disk_full) continue;
      if (holder != this) holder->Take(record, dht::Source::kReplica);
      reply.receipts.push_back(dht::SignReceipt(all_.network, holder->key, record.name, record.expiry));
    }
  }
  all_.loop.Post([reply, done = std::move(done)] { done(reply); });
}

inline void StoringNode::SyncPlace(const overlay::NodeId& point, std::function<void(bool)> done) {
  bool complete = false;
  for (StoringNode* other : all_.Responsible(point)) {
    if (other == this || !other->alive) continue;
    all_.Give(other->places[point], places[point]);
    complete = true;
  }
  all_.loop.Post([complete, done = std::move(done)] { done(complete); });
}

}  // namespace support
