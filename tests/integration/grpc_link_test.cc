// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_link.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "overlay/grpc_channel.h"
#include "overlay/link_frame.h"
#include "tests/support/grpc_node.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

Cell Numbered(CircuitId circuit, uint32_t number) {
  Cell cell(circuit, CellCommand::kRelay);
  for (size_t i = 0; i < 4; ++i) cell.body()[i] = static_cast<uint8_t>(number >> (24 - 8 * i));
  return cell;
}

uint32_t NumberOf(const Cell& cell) {
  const auto body = cell.body();
  return static_cast<uint32_t>(body[0]) << 24 | static_cast<uint32_t>(body[1]) << 16 | static_cast<uint32_t>(body[2]) << 8 |
         body[3];
}

bool SendOne(support::GrpcNode& node, LinkId link, const Cell& cell) {
  return node.On([&] { return node.links.Send(link, cell); });
}

class LinkTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(a_.Start());
    ASSERT_OK(b_.Start());
  }
  // A link that `from` opened to `to`, up at both ends: its id at each.
  static std::pair<LinkId, LinkId> LinkUp(support::GrpcNode& from, support::GrpcNode& to) {
    const size_t from_ups = from.recorder.ups(), to_ups = to.recorder.ups();
    from.Connect(to.descriptor());
    return {from.recorder.WaitForUps(from_ups + 1).back().id, to.recorder.WaitForUps(to_ups + 1).back().id};
  }

  support::GrpcNode a_{1}, b_{2};
};

TEST_F(LinkTest, ComesUpAtBothEndsWithTheProvenKeys) {
  const LinkId id = a_.Connect(b_.descriptor());
  const LinkInfo there = b_.recorder.WaitForUps(1).at(0);
  const LinkInfo here = a_.recorder.WaitForUps(1).at(0);
  EXPECT_EQ(here.id, id);
  EXPECT_EQ(here.peer_key, b_.key.public_key());
  EXPECT_EQ(there.peer_key, a_.key.public_key());
  EXPECT_TRUE(here.is_node && there.is_node);
  EXPECT_EQ(here.high_ids, a_.key.public_key() > b_.key.public_key());
  EXPECT_NE(here.high_ids, there.high_ids);
  EXPECT_TRUE(b_.On([&] { return b_.directory.Find(a_.key.public_key(), absl::Now()) != nullptr; }));
  EXPECT_EQ(a_.On([&] { return a_.links.Find(id)->peer_key; }), b_.key.public_key());
}

TEST_F(LinkTest, ServesBothSidesWhoeverOpenedIt) {
  const auto [here, there] = LinkUp(a_, b_);
  EXPECT_EQ(b_.Connect(a_.descriptor()), there);
  EXPECT_EQ(a_.Connect(b_.descriptor()), here);
  EXPECT_TRUE(SendOne(a_, here, Numbered(1, 11)));
  EXPECT_TRUE(SendOne(b_, there, Numbered(2, 22)));
  EXPECT_EQ(NumberOf(b_.recorder.WaitForCells(1).at(0)), 11u);
  EXPECT_EQ(NumberOf(a_.recorder.WaitForCells(1).at(0)), 22u);
}

TEST_F(LinkTest, KeepsCellsThatAreSentBeforeItIsUp) {
  a_.On([&] {
    const LinkId id = a_.links.Connect(b_.descriptor(), LinkFor::kRelayed);
    EXPECT_EQ(a_.links.Find(id), nullptr);
    for (uint32_t i = 0; i < 40; ++i) EXPECT_TRUE(a_.links.Send(id, Numbered(1, i)));
  });
  const std::vector<Cell> cells = b_.recorder.WaitForCells(40);
  ASSERT_EQ(cells.size(), 40u);
  for (uint32_t i = 0; i < 40; ++i) EXPECT_EQ(NumberOf(cells[i]), i);
}

// Sends cells 0..count-1, round robin on four circuits, as fast as the link takes them.
class Pump {
 public:
  Pump(support::GrpcNode& node, LinkId link, uint32_t count) : node_(node), link_(link), count_(count) {}
  void Run() {
    while (next_ < count_ && node_.links.Send(link_, Numbered(1 + next_ % 4, next_))) ++next_;
    if (next_ < count_) node_.loop.Post([this] { Run(); });
  }

 private:
  support::GrpcNode& node_;
  const LinkId link_;
  const uint32_t count_;
  uint32_t next_ = 0;
};

TEST_F(LinkTest, CarriesTenThousandCellsInOrderAndInFullMessages) {
  constexpr uint32_t kCells = 10'000;
  const auto [here, there] = LinkUp(a_, b_);
  Pump pump(a_, here, kCells);
  a_.loop.Post([&] { pump.Run(); });
  const std::vector<Cell> cells = b_.recorder.WaitForCells(kCells);
  ASSERT_EQ(cells.size(), kCells);
  uint32_t next[4] = {0, 1, 2, 3};
  for (const Cell& cell : cells) {
    uint32_t& expected = next[cell.circuit_id() - 1];
    ASSERT_EQ(NumberOf(cell), expected);
    expected += 4;
  }
  const LinkCounters sent = a_.On([&] { return a_.links.counters(); });
  const LinkCounters received = b_.On([&] { return b_.links.counters(); });
  EXPECT_EQ(sent.cells_out, kCells);
  EXPECT_EQ(received.cells_in, kCells);
  EXPECT_EQ(received.messages_in, sent.messages_out);
  EXPECT_LT(sent.messages_out * 8, sent.cells_out);  // more than eight cells a message
}

// A relay that passes on what comes: single cells come in, messages of many go out.
TEST_F(LinkTest, BatchesWhatArrivesCellByCell) {
  support::GrpcNode c(3);
  ASSERT_OK(c.Start());
  const auto [b_to_c, at_c] = LinkUp(b_, c);
  struct Relay : LinkListener {
    Links* links = nullptr;
    LinkId to = 0;
    void OnLinkUp(const LinkInfo&) override {}
    void OnCell(LinkId, Cell& cell) override { EXPECT_TRUE(links->Send(to, cell)); }
    void OnLinkDown(LinkId) override {}
    void OnEvicted(LinkId, CircuitId) override {}
  } relay;
  relay.links = &b_.links;
  relay.to = b_to_c;
  b_.On([&] { b_.links.SetListener(&relay); });
  a_.On([&] {
    const LinkId id = a_.links.Connect(b_.descriptor(), LinkFor::kRelayed);
    for (uint32_t i = 0; i < 500; ++i) EXPECT_TRUE(a_.links.Send(id, Numbered(1, i)));
  });
  const std::vector<Cell> cells = c.recorder.WaitForCells(500);
  ASSERT_EQ(cells.size(), 500u);
  for (uint32_t i = 0; i < 500; ++i) ASSERT_EQ(NumberOf(cells[i]), i);
  const LinkCounters counters = b_.On([&] { return b_.links.counters(); });
  EXPECT_LT(counters.messages_out * 2, counters.cells_out);
  b_.Stop();
}

TEST_F(LinkTest, AFullLinkCostsTheCircuitWithTheOldestCellAndNoOther) {
  a_.On([&] {
    const LinkId id = a_.links.Connect(b_.descriptor(), LinkFor::kRelayed);
    for (uint32_t i = 0; i < kLinkQueueMax; ++i) ASSERT_TRUE(a_.links.Send(id, Numbered(1 + i % 16, i)));
    EXPECT_TRUE(a_.links.Send(id, Numbered(99, 7)));
    EXPECT_EQ(a_.links.counters().evicted, 1u);
  });
  EXPECT_EQ(a_.recorder.WaitForEvicted(1), std::vector<CircuitId>{1});
  const size_t left = kLinkQueueMax / 16 * 15 + 1;
  const std::vector<Cell> cells = b_.recorder.WaitForCells(left);
  EXPECT_EQ(cells.size(), left);
  EXPECT_EQ(std::count_if(cells.begin(), cells.end(), [](const Cell& cell) { return cell.circuit_id() == 1; }), 0);
  EXPECT_EQ(std::count_if(cells.begin(), cells.end(), [](const Cell& cell) { return cell.circuit_id() == 99; }), 1);
}

// Twenty neighbours that read nothing: what waits for all of them is bounded, and the oldest goes first.
TEST_F(LinkTest, AllLinksTogetherAreBoundedToo) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // takes connections and says nothing
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 64), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string silent_address = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  support::SeededRng rng(9);
  std::vector<Descriptor> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(SignDescriptor(a_.network, keys::SigningKey::Generate(rng), keys::X25519KeyPair::Generate(rng).public_key,
                                    Role::kRelay, silent_address, {}, absl::Now()));
  }
  std::vector<LinkId> ids;
  a_.On([&] {
    for (const Descriptor& descriptor : silent) ids.push_back(a_.links.Connect(descriptor, LinkFor::kRelayed));
    const uint32_t each = 1900;  // fits every link by itself
    for (const LinkId id : ids) {
      for (uint32_t i = 0; i < each; ++i) EXPECT_TRUE(a_.links.Send(id, Numbered(1 + i % 8, i)));
    }
    EXPECT_LE(a_.links.queued(), kLinksQueueMax);
    EXPECT_GT(a_.links.queued(), kLinksQueueMax / 4 * 3);
    EXPECT_GT(a_.links.counters().evicted, 0u);
  });
  const std::vector<CircuitId> evicted = a_.recorder.WaitForEvicted(8);
  ASSERT_GE(evicted.size(), 8u);
  for (CircuitId circuit = 1; circuit <= 8; ++circuit) EXPECT_EQ(evicted[circuit - 1], circuit);  // of the first link
  a_.On([&] {
    for (const LinkId id : ids) a_.links.Close(id);
  });
  EXPECT_EQ(a_.On([&] { return a_.links.queued(); }), 0u);
  close(listener);
}

TEST_F(LinkTest, RefusesCellsBeyondItsQueue) {
  EXPECT_FALSE(SendOne(a_, 77, Numbered(1, 0)));  // no such link
  a_.On([&] {
    const LinkId id = a_.links.Connect(b_.descriptor(), LinkFor::kRelayed);
    uint32_t sent = 0;
    while (sent < 2 * kLinkQueueMax && a_.links.Send(id, Numbered(1 + sent % 16, sent))) ++sent;
    EXPECT_EQ(sent, kLinkQueueMax);
  });
  EXPECT_EQ(b_.recorder.WaitForCells(kLinkQueueMax).size(), kLinkQueueMax);
}

TEST_F(LinkTest, GoesDownWhereAnotherKeyAnswers) {
  Descriptor wrong = b_.descriptor();
  wrong.node_key = support::GrpcNode(9).key.public_key();
  const LinkId id = a_.Connect(wrong);
  EXPECT_EQ(a_.recorder.WaitForDowns(1), (std::vector<LinkId>{id}));
  EXPECT_EQ(a_.recorder.ups(), 0u);
  EXPECT_FALSE(SendOne(a_, id, Numbered(1, 0)));
}

TEST_F(LinkTest, GoesDownWhereNobodyListens) {
  const Descriptor gone = b_.descriptor();
  b_.Stop();
  const LinkId id = a_.Connect(gone);
  EXPECT_EQ(a_.recorder.WaitForDowns(1), (std::vector<LinkId>{id}));
}

TEST_F(LinkTest, NeverLeadsToOneself) { EXPECT_EQ(a_.Connect(a_.descriptor()), 0u); }

TEST_F(LinkTest, EndsOnceAtBothEndsWhenOneClosesIt) {
  const auto [here, there] = LinkUp(a_, b_);
  a_.On([&, id = here] {
    a_.links.Close(id);
    a_.links.Close(id);
    EXPECT_EQ(a_.links.Find(id), nullptr);
    EXPECT_FALSE(a_.links.Send(id, Numbered(1, 0)));
  });
  EXPECT_EQ(b_.recorder.WaitForDowns(1), (std::vector<LinkId>{there}));
  EXPECT_EQ(a_.recorder.WaitForDowns(1), (std::vector<LinkId>{here}));
  const auto [again, again_there] = LinkUp(b_, a_);  // and a new one has a new name
  EXPECT_NE(again, there);
  EXPECT_NE(again_there, here);
  EXPECT_EQ(a_.recorder.downs(), 1u);
}

TEST_F(LinkTest, GoesDownWhenThePeerStops) {
  const auto [here, there] = LinkUp(a_, b_);
  b_.Stop();
  EXPECT_EQ(a_.recorder.WaitForDowns(1), (std::vector<LinkId>{here}));
  EXPECT_EQ(b_.recorder.WaitForDowns(1), (std::vector<LinkId>{there}));
}

TEST_F(LinkTest, TakesAClientForAClientBehindAFreshKey) {
  support::GrpcNode client(3, {.serves = false});
  ASSERT_OK(client.Start());
  client.Connect(a_.descriptor());
  client.Connect(b_.descriptor());
  const LinkInfo at_a = a_.recorder.WaitForUps(1).at(0), at_b = b_.recorder.WaitForUps(1).at(0);
  EXPECT_FALSE(at_a.is_node || at_b.is_node);
  EXPECT_NE(at_a.peer_key, at_b.peer_key);
  EXPECT_NE(at_a.peer_key, client.key.public_key());
  const std::vector<LinkInfo> ups = client.recorder.WaitForUps(2);
  ASSERT_EQ(ups.size(), 2u);
  for (const LinkInfo& link : ups) {
    EXPECT_TRUE(link.is_node);
    const bool is_a = link.peer_key == a_.key.public_key();
    EXPECT_NE(link.high_ids, (is_a ? at_a : at_b).high_ids);
  }
}

// Opens the link method by hand, to say what our own program never would.
class RawLink {
 public:
  RawLink(support::GrpcNode& to, const keys::TlsIdentity& own, const std::string& descriptor) {
    channel_ = MakeTlsChannel(to.address(), own, to.key.public_key(), ChannelUse::kLink);
    if (!descriptor.empty()) context_.AddMetadata(kLinkDescriptorKey, descriptor);
    grpc::GenericStub stub(channel_);
    stream_ = stub.PrepareCall(&context_, kLinkMethod, &queue_);
    stream_->StartCall(nullptr);
    Next();
  }
  ~RawLink() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) continue;
  }
  void Send(const std::string& bytes) {
    stream_->Write(ToBuffer(bytes), nullptr);
    Next();
  }
  grpc::StatusCode End() {
    grpc::Status status;
    stream_->Finish(&status, nullptr);
    Next();
    return status.error_code();
  }

 private:
  void Next() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
  }
  std::shared_ptr<grpc::Channel> channel_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

std::string CellBytes(uint8_t command, size_t cells) {
  std::string bytes;
  for (size_t i = 0; i < cells; ++i) {
    Cell cell = Numbered(1, 5);
    cell.bytes[4] = command;
    bytes += base::ToString(cell.bytes);
  }
  return bytes;
}

TEST_F(LinkTest, ClosesOnMalformedMessages) {
  const std::string good = CellBytes(static_cast<uint8_t>(CellCommand::kRelay), 1);
  std::string reserved = good;
  reserved[6] = 1;
  const std::string bad[] = {
      "",       good.substr(1),     good + "x",
      reserved, CellBytes(0x66, 1), CellBytes(static_cast<uint8_t>(CellCommand::kRelay), kFrameCellsMax + 1)};
  size_t closed = 0;
  for (const std::string& message : bad) {
    RawLink link(a_, b_.identity, "");
    const size_t cells = a_.recorder.WaitForCells(0).size();
    link.Send(good);
    EXPECT_EQ(a_.recorder.WaitForCells(cells + 1).size(), cells + 1);
    link.Send(message);
    EXPECT_NE(link.End(), grpc::StatusCode::OK);
    EXPECT_EQ(a_.recorder.WaitForDowns(++closed).size(), closed);
  }
  EXPECT_EQ(a_.On([&] { return a_.links.counters().malformed; }), closed);
}

TEST_F(LinkTest, RefusesADescriptorThatIsNotTheCallers) {
  const keys::TlsIdentity other = support::GrpcNode(9).identity;
  EXPECT_EQ(RawLink(a_, other, base::ToString(b_.descriptor().encoded)).End(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_NE(RawLink(a_, b_.identity, "no descriptor").End(), grpc::StatusCode::OK);
  EXPECT_NE(RawLink(a_, b_.identity, std::string(kDescriptorMax + 1, 'x')).End(), grpc::StatusCode::OK);
  EXPECT_EQ(a_.recorder.ups(), 0u);
  EXPECT_EQ(a_.On([&] { return a_.links.size(); }), 0u);
}

TEST_F(LinkTest, KeepsOneOfTwoStreamsThatCross) {
  for (uint64_t round = 0; round < 10; ++round) {
    support::GrpcNode x(100 + 2 * round), y(101 + 2 * round);
    ASSERT_OK(x.Start());
    ASSERT_OK(y.Start());
    const Descriptor to_x = x.descriptor(), to_y = y.descriptor();
    x.loop.Post([&] { EXPECT_TRUE(x.links.Send(x.links.Connect(to_y, LinkFor::kRelayed), Numbered(1, 1))); });
    y.loop.Post([&] { EXPECT_TRUE(y.links.Send(y.links.Connect(to_x, LinkFor::kRelayed), Numbered(2, 2))); });
    EXPECT_EQ(NumberOf(y.recorder.WaitForCells(1).at(0)), 1u);
    EXPECT_EQ(NumberOf(x.recorder.WaitForCells(1).at(0)), 2u);
    EXPECT_EQ(x.On([&] { return x.links.size(); }), 1u);
    EXPECT_EQ(y.On([&] { return y.links.size(); }), 1u);
    EXPECT_EQ(x.recorder.downs() + y.recorder.downs(), 0u);
  }
}

TEST_F(LinkTest, ReplacesTheLinkOfANodeThatOpensAgain) {
  const std::string own = base::ToString(support::GrpcNode(9).descriptor().encoded);
  const keys::TlsIdentity identity = support::GrpcNode(9).identity;
  RawLink first(a_, identity, own);
  const LinkId old = a_.recorder.WaitForUps(1).at(0).id;
  RawLink second(a_, identity, own);
  EXPECT_EQ(a_.recorder.WaitForUps(2).size(), 2u);
  EXPECT_EQ(a_.recorder.WaitForDowns(1), (std::vector<LinkId>{old}));
  EXPECT_EQ(a_.On([&] { return a_.links.size(); }), 1u);
}

TEST_F(LinkTest, BoundsTheLinksOfClients) {
  GrpcEventLoop loop({.serves = true});
  support::SeededRng rng(5);
  GrpcServer server(loop, {.address = "127.0.0.1:0", .identity = a_.identity});
  Directory directory(a_.network);
  GrpcLinks links(loop, rng, &directory,
                  {.node = GrpcLinks::OwnNode{a_.identity, [&] { return a_.descriptor().encoded; }}, .client_links_max = 2});
  support::LinkRecorder recorder;
  links.SetListener(&recorder);
  links.ServeOn(server);
  ASSERT_OK_AND_ASSIGN(const int port, server.Listen());
  std::thread thread([&] { loop.Run(); });
  Descriptor to = a_.descriptor();
  to.address = absl::StrCat("127.0.0.1:", port);
  std::vector<std::unique_ptr<support::GrpcNode>> clients;
  for (uint64_t i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<support::GrpcNode>(20 + i, support::GrpcNode::Options{.serves = false}));
    ASSERT_OK(clients.back()->Start());
    clients.back()->Connect(to);
    if (i < 2) {
      EXPECT_EQ(clients.back()->recorder.WaitForUps(1).size(), 1u);
    }
  }
  EXPECT_EQ(clients.back()->recorder.WaitForDowns(1).size(), 1u);
  b_.Connect(to);  // a node still has room
  EXPECT_EQ(b_.recorder.WaitForUps(1).size(), 1u);
  loop.Stop();
  thread.join();
}

// Whoever fills a node's links must not decide which guards it can reach.
TEST_F(LinkTest, KeepsRoomForOnesOwnCircuits) {
  GrpcEventLoop loop({.serves = true});
  support::SeededRng rng(5);
  const keys::SigningKey key = keys::SigningKey::Generate(rng);
  const keys::TlsIdentity identity = keys::MakeTlsIdentity(key, rng);
  GrpcServer server(loop, {.address = "127.0.0.1:0", .identity = identity});
  Directory directory(a_.network);
  std::string address = "127.0.0.1:1";
  const auto self = [&] {
    return SignDescriptor(a_.network, key, keys::X25519KeyPair::Generate(rng).public_key, Role::kRelay, address, {}, absl::Now());
  };
  const Descriptor own = self();
  GrpcLinks links(loop, rng, &directory, {.node = GrpcLinks::OwnNode{identity, [&] { return own.encoded; }}, .links_max = 4});
  support::LinkRecorder recorder;
  links.SetListener(&recorder);
  links.ServeOn(server);
  ASSERT_OK_AND_ASSIGN(const int port, server.Listen());
  std::thread thread([&] { loop.Run(); });
  address = absl::StrCat("127.0.0.1:", port);
  const Descriptor to = self();
  support::GrpcNode crowd(21), guard(22);
  ASSERT_OK(crowd.Start());
  ASSERT_OK(guard.Start());
  a_.Connect(to);
  b_.Connect(to);
  EXPECT_EQ(recorder.WaitForUps(2).size(), 2u);
  const LinkId refused = crowd.Connect(to);
  EXPECT_EQ(crowd.recorder.WaitForDowns(1), (std::vector<LinkId>{refused}));
  std::promise<std::pair<LinkId, LinkId>> connected;
  loop.Post([&] {
    const LinkId relayed = links.Connect(guard.descriptor(), LinkFor::kRelayed);
    connected.set_value({relayed, links.Connect(guard.descriptor(), LinkFor::kOwnCircuit)});
  });
  const auto [relayed, for_own] = connected.get_future().get();
  EXPECT_EQ(relayed, 0u);
  EXPECT_EQ(recorder.WaitForUps(3).back().id, for_own);
  loop.Stop();
  thread.join();
}

TEST_F(LinkTest, StopsWithOpenLinksUnderLoad) {
  const auto [here, there] = LinkUp(a_, b_);
  Pump pump(a_, here, 1'000'000'000);
  a_.loop.Post([&] { pump.Run(); });
  EXPECT_GE(b_.recorder.WaitForCells(100).size(), 100u);
  a_.Stop();
  EXPECT_EQ(b_.recorder.WaitForDowns(1).size(), 1u);
  b_.Stop();
}

}  // namespace
}  // namespace overlay
