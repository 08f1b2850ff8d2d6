// SPDX-License-Identifier: Apache-2.0
// tests/dht/replicator_fixture.h — a small ring of stores, and what a test asks one of its replicators.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "tests/dht/store_world.h"

namespace dht {

class ReplicatorTest : public testing::Test {
 protected:
  void StartRing(int storing) {
    for (int i = 0; i < storing; ++i) world_.AddMember();
    world_.RunFor(absl::Seconds(5));
  }
  StoreWorld::Node& NodeOf(const overlay::Peer& peer) {
    for (const auto& node : world_.nodes()) {
      if (node->peer == peer) return *node;
    }
    return *world_.nodes().front();
  }
  // The i-th holder of that point; past R: processes that are not.
  StoreWorld::Node& Holder(const overlay::NodeId& point, size_t i) { return NodeOf(world_.ring().Holders(point, 100)[i]); }
  Record Blob(std::string_view text) { return MakeBlob(base::AsBytes(text), world_.now() + absl::Hours(20)); }
  DhtCaller CallerOf(const StoreWorld::Node& node) { return {node.peer.node_key, {node.peer}}; }

  PutReply PutAt(StoreWorld::Node& node, const Record& record, bool pass_on = false) {
    std::optional<PutReply> answer;
    world_.Put(node, record, pass_on, [&](const absl::StatusOr<DhtReply>& reply) { answer = *AnswerAs<PutReply>(reply); });
    answered_after_ = Wait([&] { return answer.has_value(); });
    return answer.value_or(PutReply{});
  }
  GetReply GetAt(StoreWorld::Node& node, const RecordName& name, bool pass_on = false) {
    std::optional<GetReply> answer;
    world_.Get(node, name, pass_on, [&](const absl::StatusOr<DhtReply>& reply) { answer = *AnswerAs<GetReply>(reply); });
    answered_after_ = Wait([&] { return answer.has_value(); });
    return answer.value_or(GetReply{});
  }
  absl::StatusOr<DhtReply> RequestAt(StoreWorld::Node& node, const DhtCaller& caller, DhtRequest request) {
    std::optional<absl::StatusOr<DhtReply>> answer;
    world_.Request(node, caller, std::move(request), [&](const absl::StatusOr<DhtReply>& reply) { answer = reply; });
    Wait([&] { return answer.has_value(); });
    return answer.value_or(absl::UnknownError("no answer"));
  }
  bool SyncAt(StoreWorld::Node& node, const overlay::NodeId& point) {
    std::optional<bool> answer;
    world_.SyncPlace(node, point, [&](bool complete) { answer = complete; });
    Wait([&] { return answer.has_value(); });
    return answer.value_or(false);
  }
  absl::Duration Wait(const std::function<bool()>& done) {
    const absl::Time start = world_.now();
    while (!done() && world_.now() < start + absl::Seconds(30)) world_.RunFor(absl::Milliseconds(1));
    EXPECT_TRUE(done()) << "no answer";
    return world_.now() - start;
  }
  // Dead, but the ring has not noticed.
  void Silence(StoreWorld::Node& node) { node.alive = false; }

  StoreWorld world_{42};
  absl::Duration answered_after_;
};

}  // namespace dht
