// SPDX-License-Identifier: Apache-2.0
// Whole drivers on one loop, over calls in memory: handlers, wire, workers, and the introduction to those who do not know us.
#include "dht/dht_driver.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "dht/dht_wire.h"
#include "dht/memory_record_store.h"
#include "tests/dht/oracle_ring.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

// All nodes' servers by key; calls go through the loop.
class MemoryRpc {
 public:
  explicit MemoryRpc(base::EventLoop& loop) : loop_(loop) {}

  class Server : public overlay::RpcServer {
   public:
    void Handle(std::string method, overlay::Access, overlay::RpcHandler handler) override {
      handlers[method] = std::move(handler);
    }
    void HandleStream(std::string, overlay::Access, overlay::RpcStreamHandler) override {}
    std::map<std::string, overlay::RpcHandler> handlers;
  };
  class Client : public overlay::RpcClient {
   public:
    Client(MemoryRpc& rpc, keys::PublicKey self) : rpc_(rpc), self_(self) {}
    void Call(const overlay::RpcTarget& to, std::string_view method, std::string request, absl::Duration,
              std::function<void(absl::StatusOr<overlay::RpcAnswer>)> done) override {
      rpc_.Deliver(self_, *to.node_key, std::string(method), std::move(request), std::move(done));
    }
    std::unique_ptr<overlay::RpcSubscription> Subscribe(const overlay::RpcTarget&, std::string_view, std::string,
                                                        std::function<void(const std::string&)>,
                                                        std::function<void(absl::Status)>) override {
      return nullptr;  // the store subscribes to nothing
    }

   private:
    MemoryRpc& rpc_;
    const keys::PublicKey self_;
  };

  std::map<keys::PublicKey, Server> servers;

 private:
  void Deliver(const keys::PublicKey& from, const keys::PublicKey& to, const std::string& method, std::string request,
               std::function<void(absl::StatusOr<overlay::RpcAnswer>)> done) {
    loop_.Post([this, from, to, method, request = std::move(request), done = std::move(done)] {
      const auto server = servers.find(to);
      if (server == servers.end()) return done(absl::UnavailableError(""));
      server->second.handlers.at(method)({.tls_key = from}, request, [this, to, done](absl::StatusOr<std::string> answer) {
        loop_.Post([to, done, answer = std::move(answer)] {
          if (!answer.ok()) return done(absl::Status(answer.status().code(), ""));
          done(overlay::RpcAnswer{*answer, to});
        });
      });
    });
  }

  base::EventLoop& loop_;
};

// A loop that knows whether a worker is at work.
class WorkerLoop : public support::ManualLoop {
 public:
  void RunSlow(Task work, Task done) override {
    ManualLoop::RunSlow(
        [this, work = std::move(work)] {
          on_worker = true;
          work();
          on_worker = false;
        },
        std::move(done));
  }
  bool on_worker = false;
};

// Records that take long to judge the first time; counts on which thread that was.
class SlowKind : public RecordKind {
 public:
  explicit SlowKind(const WorkerLoop& loop) : loop_(loop) {}
  absl::Status Acceptable(const Record& record, Source, absl::Time) const override {
    if (judged_.insert(record.name.id).second) ++(loop_.on_worker ? on_worker : on_loop);
    return absl::OkStatus();
  }
  bool IsSlow(const Record& record) const override { return !judged_.contains(record.name.id); }
  mutable int on_worker = 0, on_loop = 0;
  void Forget() const { judged_.clear(); }

 private:
  const WorkerLoop& loop_;
  mutable std::set<RecordId> judged_;
};

class DhtDriverTest : public testing::Test {
 protected:
  struct Node {
    Node(DhtDriverTest& test, overlay::Role role)
        : key(keys::SigningKey::Generate(test.rng_)),
          peer(PeerOf(test.network_, key, role)),
          client(test.rpc_, key.public_key()) {
      const auto introduce = [&test, this](const overlay::Peer& to, const std::function<void(absl::Status)>& done) {
        ++introductions;
        test.known_.insert({to.node_key, key.public_key()});
        test.loop_.Post([done] { done(absl::OkStatus()); });
      };
      const auto peers_of = [&test, this](const keys::PublicKey& other) {
        return test.known_.contains({key.public_key(), other}) ? std::vector{test.PeerOfKey(other)}
                                                               : std::vector<overlay::Peer>{};
      };
      const auto on_record = [&test, this](const Record& record) {
        told.emplace_back(record, store.Holds(record.name, test.loop_.WallNow()));
      };
      const auto lookup = [&test](const overlay::NodeId& point, const auto& done) {
        test.loop_.Post([&test, point, done] { done(test.ring_.Holders(point, 4)); });
      };
      driver = std::make_unique<DhtDriver>(ReplicatorOptions{.network = test.network_}, key, test.kinds_, store, test.loop_,
                                           test.rng_, test.rpc_.servers[key.public_key()], client,
                                           DhtPorts{lookup, peers_of, introduce, on_record});
    }

    keys::SigningKey key;
    overlay::Peer peer;
    MemoryRecordStore store;
    MemoryRpc::Client client;
    int introductions = 0;
    std::vector<std::pair<Record, bool>> told;  // and whether the store had it
    std::unique_ptr<DhtDriver> driver;
  };

  overlay::Peer PeerOfKey(const keys::PublicKey& key) const {
    for (const auto& node : nodes_) {
      if (node->key.public_key() == key) return node->peer;
    }
    return {};
  }
  Node& Add(overlay::Role role = overlay::Role::kStoring) {
    nodes_.push_back(std::make_unique<Node>(*this, role));
    return *nodes_.back();
  }
  void Enter(Node& node) {
    ring_.Add(node.peer);
    for (const auto& other : nodes_) {
      if (ring_.Has(other->peer)) other->driver->OnNeighbourhood(ring_.Around(other->peer, true));
    }
    loop_.RunFor(absl::Seconds(1));
  }
  void StartRing(int storing) {
    for (int i = 0; i < storing; ++i) Enter(Add());
  }
  Record Blob(std::string_view text) { return MakeBlob(base::AsBytes(text), loop_.WallNow() + absl::Hours(1)); }
  Node& Outsider(const overlay::NodeId& point) {
    for (const auto& node : nodes_) {
      if (!ContainsProcess(ring_.Holders(point), node->key.public_key())) return *node;
    }
    return *nodes_.front();
  }

  support::SeededRng rng_{3};
  WorkerLoop loop_;
  const overlay::Network network_ = overlay::Network::Local();
  RecordKinds kinds_;
  MemoryRpc rpc_{loop_};
  OracleRing ring_;
  std::set<std::pair<keys::PublicKey, keys::PublicKey>> known_;  // (who, whom): descriptors shown
  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(DhtDriverTest, PutsAndGetsFromAnyMember) {
  StartRing(9);
  const Record record = Blob("hello");
  Node& outsider = Outsider(record.name.point);
  std::optional<absl::StatusOr<PutOutcome>> put;
  outsider.driver->Put(record, [&](absl::StatusOr<PutOutcome> outcome) { put = std::move(outcome); });
  EXPECT_FALSE(put.has_value()) << "never from inside the call";
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(put.has_value());
  ASSERT_OK(*put);
  EXPECT_EQ((*put)->receipts.size(), 3u);
  for (const auto& node : nodes_) {
    std::optional<absl::StatusOr<GetOutcome>> get;
    node->driver->Get(record.name, [&](absl::StatusOr<GetOutcome> outcome) { get = std::move(outcome); });
    loop_.RunFor(absl::Seconds(1));
    ASSERT_TRUE(get.has_value());
    ASSERT_OK(*get);
    EXPECT_EQ((*get)->record, record);
  }
}

TEST_F(DhtDriverTest, ShowsItsDescriptorToWhoDoesNotKnowIt) {
  StartRing(12);
  const Record record = Blob("hello");
  Node* far = nullptr;  // no neighbour of the holders
  for (const auto& node : nodes_) {
    if (ring_.Holders(record.name.point, 8).back() == node->peer) far = node.get();
  }
  ASSERT_NE(far, nullptr);
  std::optional<absl::StatusOr<PutOutcome>> put;
  far->driver->Put(record, [&](absl::StatusOr<PutOutcome> outcome) { put = std::move(outcome); });
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(put.has_value());
  ASSERT_OK(*put);
  EXPECT_EQ((*put)->receipts.size(), 3u);
  EXPECT_EQ(far->introductions, 3) << "once to each holder";
}

// Proofs of work that come from elsewhere are looked at on workers, in puts, copies and what repair brings.
TEST_F(DhtDriverTest, WhatTakesLongToJudgeIsJudgedOnAWorker) {
  auto owned = std::make_unique<SlowKind>(loop_);
  const SlowKind& kind = *owned;
  kinds_.Register(Kind::kBox, std::move(owned));
  StartRing(4);
  Record record = Blob("slow");
  record.name.kind = Kind::kBox;
  std::optional<absl::StatusOr<PutOutcome>> put;
  Node& outsider = Outsider(record.name.point);
  outsider.driver->Put(record, [&](absl::StatusOr<PutOutcome> outcome) { put = std::move(outcome); });
  kind.Forget();  // what the user's own node saw
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(put.has_value());
  ASSERT_OK(*put);
  EXPECT_EQ((*put)->receipts.size(), 3u);
  EXPECT_EQ(kind.on_worker, 1);
  EXPECT_EQ(kind.on_loop, 1) << "the user's own";
  kind.Forget();
  const auto will_hold = [&](const Node& node) {
    OracleRing with_joiner = ring_;
    with_joiner.Add(node.peer);
    return ContainsProcess(with_joiner.Holders(record.name.point), node.key.public_key());
  };
  while (!will_hold(*nodes_.back()) || ring_.Has(nodes_.back()->peer)) Add();
  Node& joiner = *nodes_.back();
  joiner.driver->PrepareJoin(ring_.Around(joiner.peer, false), [](const absl::Status&) {});
  loop_.RunFor(absl::Seconds(2));
  EXPECT_TRUE(joiner.store.Holds(record.name, loop_.WallNow()));
  EXPECT_EQ(kind.on_worker, 2);
  EXPECT_EQ(kind.on_loop, 1);
}

TEST_F(DhtDriverTest, ARecordIsToldAsItsWriteBeginsAndWhenItIsOnDisk) {
  StartRing(5);
  const Record record = Blob("hello");
  for (int i = 0; i < 2; ++i) {  // the second time it is there already
    nodes_[0]->driver->Put(record, [](const auto&) {});
    loop_.RunFor(absl::Seconds(1));
  }
  int holders = 0;
  for (const auto& node : nodes_) {
    if (!node->store.Holds(record.name, loop_.WallNow())) {
      EXPECT_TRUE(node->told.empty());
      continue;
    }
    ++holders;
    EXPECT_EQ(node->told, (std::vector<std::pair<Record, bool>>{{record, false}, {record, true}}));
  }
  EXPECT_EQ(holders, 3);
}

TEST_F(DhtDriverTest, PutHereDoesNotTravel) {
  StartRing(7);
  const Record record = Blob("hello");
  std::optional<absl::StatusOr<PutOutcome>> put;
  Outsider(record.name.point).driver->PutHere(record, [&](absl::StatusOr<PutOutcome> outcome) { put = std::move(outcome); });
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(put.has_value());
  ASSERT_OK(*put);
  EXPECT_EQ((*put)->result, PutResult::kNotResponsible);
}

TEST_F(DhtDriverTest, JoinsWithItsRangeAndLeavesWithout) {
  StartRing(3);
  for (int i = 0; i < 20; ++i) {
    nodes_[0]->driver->Put(Blob("record " + std::to_string(i)), [](const auto&) {});
  }
  loop_.RunFor(absl::Seconds(1));
  Node& joiner = Add();
  std::optional<absl::Status> joined;
  joiner.driver->PrepareJoin(ring_.Around(joiner.peer, false), [&](const absl::Status& status) { joined = status; });
  loop_.RunFor(absl::Seconds(2));
  ASSERT_TRUE(joined.has_value());
  ASSERT_OK(*joined);
  size_t expected = 0;
  OracleRing with_joiner = ring_;
  with_joiner.Add(joiner.peer);
  for (int i = 0; i < 20; ++i) {
    const Record record = Blob("record " + std::to_string(i));
    expected += ContainsProcess(with_joiner.Holders(record.name.point), joiner.key.public_key()) ? 1 : 0;
  }
  EXPECT_GT(expected, 0u);
  EXPECT_EQ(joiner.store.counts().records, expected);
  Enter(joiner);
  std::optional<bool> handed_over;
  joiner.driver->HandOver(loop_.Now() + absl::Seconds(10), [&](bool complete) { handed_over = complete; });
  loop_.RunFor(absl::Seconds(11));
  EXPECT_EQ(handed_over, true);
}

// Three pages of records are asked for, then a record: it need not wait for all three.
TEST_F(DhtDriverTest, PagesOfARangeAreGivenOneInEachTurn) {
  StartRing(3);
  const Record record = Blob("hello");
  nodes_[0]->driver->Put(record, [](const auto&) {});
  loop_.RunFor(absl::Seconds(1));
  std::string order;
  const auto ask = [&](const DhtRequest& request, const std::string& name) {
    auto& server = rpc_.servers[nodes_[0]->key.public_key()];
    server.handlers.at(std::string(kDhtMethods[request.index()]))(
        {.tls_key = nodes_[1]->key.public_key()}, EncodeDhtRequest(request),
        [&order, name](const absl::StatusOr<std::string>& answer) { order += answer.ok() ? name : "closed "; });
  };
  const FetchRequest page{{record.name, Blob("another").name}};
  for (int i = 0; i < 3; ++i) ask(page, "page ");
  ask(GetRequest{record.name}, "record ");
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(order, "record page page page ");
  order.clear();
  for (int i = 0; i < 3; ++i) ask(page, "page ");
  nodes_[0]->driver.reset();
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(order, "closed closed closed ");
}

TEST_F(DhtDriverTest, ClosesWithCallsUnderWay) {
  StartRing(5);
  bool answered = false;
  nodes_[0]->driver->Put(Blob("hello"), [&](const auto&) { answered = true; });
  nodes_[0]->driver.reset();
  loop_.RunFor(absl::Seconds(20));
  EXPECT_FALSE(answered);
}

TEST_F(DhtDriverTest, ARelayStoresNothingAndPassesOn) {
  StartRing(4);
  Node& relay = Add(overlay::Role::kRelay);
  Enter(relay);
  std::optional<absl::StatusOr<PutOutcome>> put;
  relay.driver->Put(Blob("hello"), [&](absl::StatusOr<PutOutcome> outcome) { put = std::move(outcome); });
  loop_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(put.has_value());
  ASSERT_OK(*put);
  EXPECT_EQ((*put)->receipts.size(), 3u);
  EXPECT_EQ(relay.store.counts().records, 0u);
  EXPECT_EQ(relay.driver->stats().state, "none");
}

}  // namespace
}  // namespace dht
