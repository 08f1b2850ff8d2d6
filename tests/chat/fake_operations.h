// SPDX-License-Identifier: Apache-2.0
// tests/chat/fake_operations.h — circuits without circuits: an operation reaches the real mailbox of a fake storing node.
#pragma once

#include <climits>
#include <map>
#include <memory>
#include <vector>

#include "chat/mailbox_endpoint.h"
#include "circuits/operations.h"
#include "tests/chat/fake_places.h"

namespace support {

class FakeOperations : public circuits::Operations {
 public:
  FakeOperations(FakePlaces& places, base::Rng& rng) : places_(places), rng_(rng) {
    for (const auto& node : places.nodes) {
      mailboxes_.push_back(
          std::make_unique<chat::MailboxEndpoint>(places.loop, *node, places.kinds, places.network, node->key.public_key()));
      node->on_record = [mailbox = mailboxes_.back().get()](const dht::Record& record) { mailbox->OnRecord(record); };
    }
  }
  ~FakeOperations() override {
    for (const auto& node : places_.nodes) node->on_record = nullptr;
  }

  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override {
    ++opens;
    most_at_once = std::max(most_at_once, ++open_now);
    places_.loop.Post(
        [this, opened = Choose(request.point, std::move(request.isolation), request.avoid), done = std::move(done)] {
          if (!opened.ok()) --open_now;
          done(opened);
        });
  }
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override {
    ++runs;
    --open_now;
    requests.push_back(request);
    const circuits::OpenedOperation opened = opened_.at(handle);
    if (runs > frozen_after || (freeze_deletions && request[0] == kDeleteOp)) return;  // never answered
    if (refuses && refuses(request)) {
      places_.loop.Post([done = std::move(done)] { done(chat::EncodeMailboxAnswer({chat::MailboxStatus::kRefused})); });
      return;
    }
    if (lose_requests > 0 && lose_requests-- > 0) return Fail(std::move(done));
    StoringNode* node = places_.Find(opened.storage_node);
    if (!node->alive) return Fail(std::move(done));
    Deliver(opened, std::move(request), std::move(done));
  }

  // Hands a request to a node's mailbox as if it came out of a circuit with that binding.
  void Deliver(const circuits::OpenedOperation& opened, base::Bytes request,
               std::function<void(absl::StatusOr<base::Bytes>)> done) {
    const bool lose = lose_answers > 0 && lose_answers-- > 0;
    circuits::EndpointRequest arriving{opened.channel_binding, std::move(request), [this, lose, done](base::Bytes answer) {
                                         if (lose) return Fail(done);
                                         if (tamper) tamper(answer);
                                         done(std::move(answer));
                                       }};
    for (size_t i = 0; i < mailboxes_.size(); ++i) {
      if (places_.nodes[i]->key.public_key() == opened.storage_node) mailboxes_[i]->OnEndpointRequest(std::move(arriving));
    }
  }

  absl::Status refuse_to_open;  // what every Open ends with, unless OK
  int lose_requests = 0;        // the next ones never arrive
  int lose_answers = 0;         // the next ones arrive, and their answers are lost
  int frozen_after = INT_MAX;   // runs after this many are never answered
  bool freeze_deletions = false;
  std::function<void(base::Bytes&)> tamper;                 // hostile storing nodes
  std::function<bool(const base::Bytes& request)> refuses;  // nodes of an earlier version
  int opens = 0, runs = 0, open_now = 0, most_at_once = 0;
  std::vector<base::Bytes> requests;
  std::map<base::Bytes, std::set<overlay::NodeId>> points_of_isolation;

 private:
  static constexpr uint8_t kDeleteOp = 3;

  void Fail(std::function<void(absl::StatusOr<base::Bytes>)> done) {
    places_.loop.Post([done = std::move(done)] { done(absl::UnavailableError("the circuit died")); });
  }
  absl::StatusOr<circuits::OpenedOperation> Choose(const overlay::NodeId& point, base::Bytes isolation,
                                                   const std::vector<keys::PublicKey>& avoid) {
    if (!refuse_to_open.ok()) return refuse_to_open;
    points_of_isolation[std::move(isolation)].insert(point);
    circuits::OpenedOperation opened;
    opened.channel_binding = rng_.Array<32>();
    std::vector<StoringNode*> candidates;
    for (StoringNode* node : places_.Responsible(point)) {
      opened.responsible.push_back(node->key.public_key());
      const bool avoided = std::find(avoid.begin(), avoid.end(), node->key.public_key()) != avoid.end();
      if (node->alive && !avoided) candidates.push_back(node);
    }
    if (candidates.empty()) return absl::UnavailableError("no replica");
    opened.storage_node = candidates[rng_.Below(candidates.size())]->key.public_key();
    opened.handle = opened_.size() + 1;
    opened_[opened.handle] = opened;
    return opened;
  }

  FakePlaces& places_;
  base::Rng& rng_;
  std::vector<std::unique_ptr<chat::MailboxEndpoint>> mailboxes_;
  std::map<uint64_t, circuits::OpenedOperation> opened_;
};

}  // namespace support
