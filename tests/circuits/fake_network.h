// SPDX-License-Identifier: Apache-2.0
// tests/circuits/fake_network.h — many circuits drivers in one process under virtual time, over links in memory.
//
// The ring is drawn, not run: DrawTables gives every living node the tables it would have once the ring is quiet. Kill is kill
// -9: its links break at once, its address refuses, and nobody's table knows yet.
#pragma once

#include <memory>

#include "circuits/circuits_driver.h"
#include "tests/support/manual_loop.h"
#include "tests/support/seeded_rng.h"

namespace circuits {

class FakeNetwork {
 public:
  explicit FakeNetwork(uint64_t seed, size_t neighbours = overlay::kTableNeighbours) : rng_(seed), neighbours_(neighbours) {}
  ~FakeNetwork() {
    for (auto& member : members_) member->driver.reset();
  }

  // For what is added next: the clock of its ready circuits.
  absl::Duration build_mean = absl::Seconds(2);
  // Answers what reaches an endpoint, if set, in place of the echo.
  std::function<void(size_t at, EndpointRequest request)> on_request;
  const keys::SigningKey& signing_key(size_t i) const { return members_[i]->signing_key; }

  size_t AddNode(overlay::Role role = overlay::Role::kStoring, size_t ready_circuits = 0, bool keeps_relays = false) {
    const size_t i = Add(role);
    Member& member = *members_[i];
    member.is_node = true;
    member.ready_circuits = ready_circuits;
    member.keeps_relays = keeps_relays;
    StartDriver(i, {});
    return i;
  }
  size_t AddClient(std::vector<size_t> bootstrap, size_t ready_circuits = 0) {
    const size_t i = Add(overlay::Role::kStoring);
    members_[i]->ready_circuits = ready_circuits;
    std::vector<std::string> addresses;
    for (size_t node : bootstrap) addresses.push_back(members_[node]->descriptor.address);
    StartDriver(i, std::move(addresses));
    return i;
  }
  void AddNodes(size_t count) {
    for (size_t i = 0; i < count; ++i) AddNode();
    DrawTables();
    loop.RunFor(absl::Seconds(3));  // the nodes hear of each other's descriptors
  }
  void Kill(size_t i) {
    Member& member = *members_[i];
    member.alive = false;
    member.driver.reset();
    for (const auto& [id, end] : std::exchange(member.links.ends, {})) {
      members_[end.peer]->links.ends.erase(end.peer_link);
      NotifyDown(end.peer, end.peer_link);
    }
  }
  // From the next DrawTables on its table names every stride-th member after it only.
  void Lie(size_t i, size_t stride) { members_[i]->stride = stride; }
  // It has no room for a link, to anybody.
  void FillLinks(size_t i, bool full) { members_[i]->links.full = full; }
  // Takes cells and never sends one; its links stay up.
  void Mute(size_t i) { members_[i]->mute = true; }
  // Breaks each link with that chance, at both ends.
  void BreakLinks(int percent) {
    for (size_t i = 0; i < members_.size(); ++i) {
      std::vector<overlay::LinkId> broken;
      for (const auto& [id, end] : members_[i]->links.ends) {
        if (id < end.peer_link && rng_.Below(100) < static_cast<uint64_t>(percent)) broken.push_back(id);
      }
      for (const overlay::LinkId id : broken) Close(i, id);
    }
  }
  // Comes back at its address, under its node key, with a new onion key.
  void Restart(size_t i) {
    Member& member = *members_[i];
    member.alive = true;
    loop.RunFor(absl::Seconds(2));  // descriptors tell new from old by the second
    member.onion_key = keys::X25519KeyPair::Generate(rng_);
    member.heard.clear();
    Describe(member);
    StartDriver(i, {});
  }
  // Every living node signs its descriptor and table again, as it would at half their lives.
  void DescribeAnew() {
    for (const auto& member : members_) {
      if (member->is_node && member->alive) Describe(*member);
    }
    DrawTables();
  }
  void DrawTables() {
    std::vector<overlay::Peer> ring;
    for (const auto& member : members_) {
      if (member->is_node && member->alive) ring.push_back(member->descriptor.ToPeer(network));
    }
    std::sort(ring.begin(), ring.end(), [](const auto& a, const auto& b) { return a.point < b.point; });
    for (const auto& member : members_) {
      if (member->is_node && member->alive) Draw(*member, ring);
    }
  }

  Operations& operations(size_t i) { return members_[i]->driver->operations(); }
  ReadyOperations& ready_operations(size_t i) { return members_[i]->driver->ready_operations(); }
  CircuitsStats stats(size_t i) const { return members_[i]->driver->stats(); }
  const keys::PublicKey& node_key(size_t i) const { return members_[i]->descriptor.node_key; }
  overlay::Convictions& convictions(size_t i) { return members_[i]->directory.convictions(); }
  const overlay::RoutingTable& table(size_t i) const { return members_[i]->table; }
  // Another table of that node for the time of its own.
  overlay::RoutingTable SecondTable(size_t i) {
    overlay::RoutingTable second = members_[i]->table;
    second.fingers.clear();
    overlay::SignTable(network, members_[i]->signing_key, second, second.issued);
    return second;
  }
  size_t IndexOf(const keys::PublicKey& node_key) const {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i]->descriptor.node_key == node_key) return i;
    }
    return members_.size();
  }
  std::vector<keys::PublicKey> Responsible(const overlay::NodeId& point) const {
    std::vector<overlay::Peer> ring;
    for (const auto& member : members_) {
      if (member->is_node && member->alive) ring.push_back(member->descriptor.ToPeer(network));
    }
    std::vector<keys::PublicKey> found;
    for (const auto& peer : overlay::ResponsibleFor(point, ring, 3)) found.push_back(peer.node_key);
    return found;
  }
  size_t size() const { return members_.size(); }
  // What the node's driver last gave to be kept; nothing if it has not.
  const base::Bytes& kept_relays(size_t i) const { return members_[i]->kept_relays; }
  // One way, of cells; a new link takes two round trips, an introduction three, an endpoint's answer one.
  absl::Duration link_delay;
  // Told of every cell that is sent, if set.
  std::function<void(size_t from, size_t to, const overlay::Cell&)> on_cell;
  // Which node's endpoint got the last request.
  size_t last_asked = 0;
  bool endpoints_answer = true;
  // What came to a node's endpoint as a report.
  std::function<void(size_t node, base::ByteView proof)> on_report = [](size_t, base::ByteView) {};

  struct Outcome {
    absl::StatusOr<OpenedOperation> opened = absl::UnknownError("not called back");
    absl::StatusOr<base::Bytes> answer = absl::UnknownError("not asked");
    absl::Time when;
  };
  std::shared_ptr<Outcome> Start(size_t from, const overlay::NodeId& point, base::Bytes isolation,
                                 std::vector<keys::PublicKey> avoid = {}) {
    auto outcome = std::make_shared<Outcome>();
    operations(from).Open({.point = point, .isolation = std::move(isolation), .avoid = std::move(avoid)},
                          [this, outcome, from](absl::StatusOr<OpenedOperation> opened) {
                            outcome->opened = opened;
                            outcome->when = loop.Now();
                            if (!opened.ok()) return;
                            operations(from).Run(opened->handle, {1, 2, 3}, [this, outcome](absl::StatusOr<base::Bytes> answer) {
                              outcome->answer = std::move(answer);
                              outcome->when = loop.Now();
                            });
                          });
    return outcome;
  }
  Outcome Operate(size_t from, const overlay::NodeId& point, std::vector<keys::PublicKey> avoid = {}) {
    const base::Bytes isolation = base::ToBytes(point.view());
    const auto outcome = Start(from, point, isolation, std::move(avoid));
    for (int i = 0; i < 500 && absl::IsUnknown(outcome->opened.status()); ++i) loop.RunFor(absl::Milliseconds(100));
    for (int i = 0; i < 150 && outcome->opened.ok() && absl::IsUnknown(outcome->answer.status()); ++i) {
      loop.RunFor(absl::Milliseconds(100));
    }
    return *outcome;
  }

  overlay::Network network;
  support::ManualLoop loop;
  support::SeededRng& rng() { return rng_; }

 private:
  struct LinkEnd {
    size_t peer;
    overlay::LinkId peer_link;
    overlay::LinkInfo info;
    bool up = false;
  };
  struct FakeLinks : overlay::Links {
    FakeNetwork* net = nullptr;
    size_t self = 0;
    overlay::LinkListener* listener = nullptr;
    std::map<overlay::LinkId, LinkEnd> ends;
    bool full = false;

    void SetListener(overlay::LinkListener* heir) override { listener = heir; }
    overlay::LinkId Connect(const overlay::Descriptor& to, overlay::LinkFor) override {
      return full ? 0 : net->Connect(self, to);
    }
    bool Send(overlay::LinkId link, const overlay::Cell& cell) override { return net->Send(self, link, cell); }
    void Close(overlay::LinkId link) override { net->Close(self, link); }
    const overlay::LinkInfo* Find(overlay::LinkId link) const override {
      const auto found = ends.find(link);
      return found == ends.end() || !found->second.up ? nullptr : &found->second.info;
    }
  };
  struct EchoEndpoint : EndpointHandler {
    FakeNetwork* net = nullptr;
    size_t self = 0;
    void OnEndpointRequest(EndpointRequest request) override {
      net->last_asked = self;
      if (net->on_request) return net->on_request(self, std::move(request));
      if (!net->endpoints_answer) return;
      if (net->link_delay == absl::ZeroDuration())
        return request.answer(base::Bytes(request.payload.rbegin(), request.payload.rend()));
      // A copy is made at another replica first.
      net->After(2 * net->link_delay, [request = std::move(request)] { request.answer(request.payload); });
    }
  };
  struct Member {
    keys::SigningKey signing_key;
    keys::X25519KeyPair onion_key;
    overlay::Role role;
    std::string address;
    overlay::Directory directory;
    overlay::Descriptor descriptor;
    overlay::RoutingTable table;
    bool is_node = false, alive = true, has_table = false, mute = false;
    size_t ready_circuits = 0;
    bool keeps_relays = false;
    size_t stride = 1;
    base::Bytes kept_relays{};
    std::map<keys::PublicKey, absl::Time> heard{};
    FakeLinks links;
    EchoEndpoint endpoint;
    ReportEndpoint reports{endpoint, [this](base::ByteView proof) { endpoint.net->on_report(endpoint.self, proof); }};
    std::unique_ptr<CircuitsDriver> driver;
  };

  size_t Add(overlay::Role role) {
    const size_t i = members_.size();
    members_.push_back(std::unique_ptr<Member>(new Member{.signing_key = keys::SigningKey::Generate(rng_),
                                                          .onion_key = keys::X25519KeyPair::Generate(rng_),
                                                          .role = role,
                                                          .address = AddressOf(i),
                                                          .directory = overlay::Directory(network)}));
    Member& member = *members_[i];
    Describe(member);
    member.links.net = member.endpoint.net = this;
    member.links.self = member.endpoint.self = i;
    return i;
  }
  // Three prefixes where they count.
  std::string AddressOf(size_t i) const {
    return (network.distinct_prefixes ? "10." + std::to_string(i % 3) + ".0.1:" : "127.0.0.1:") + std::to_string(10001 + i);
  }
  void Describe(Member& member) {
    member.descriptor = overlay::SignDescriptor(network, member.signing_key, member.onion_key.public_key, member.role,
                                                member.address, {}, loop.WallNow());
  }
  void StartDriver(size_t i, std::vector<std::string> bootstrap) {
    Member& member = *members_[i];
    keep_timer_.Reset(loop.Now() + absl::Seconds(1));
    CircuitsOptions options{
        .network = network,
        .introduce = [this, &member](const overlay::RpcTarget& target, auto done) { Introduce(member, target, std::move(done)); },
        .ready_circuits = member.ready_circuits,
        .build_mean = build_mean};
    if (member.is_node) {
      options.own_key = member.descriptor.node_key;
      if (member.role == overlay::Role::kStoring) options.endpoint = &member.reports;
      options.own_descriptor = [&member] { return member.descriptor.encoded; };
      options.own_table = [&member](uint8_t index) { return index == 0 && member.has_table ? &member.table : nullptr; };
      options.signed_table = options.own_table;
      options.onion_keys = [&member] { return std::span<const keys::X25519KeyPair>(&member.onion_key, 1); };
    } else {
      options.bootstrap = std::move(bootstrap);
    }
    if (member.keeps_relays) {
      options.kept_relays = member.kept_relays;
      options.keep_relays = [&member](base::Bytes relays) { member.kept_relays = std::move(relays); };
    }
    member.driver = std::make_unique<CircuitsDriver>(std::move(options), loop, member.links, member.directory, rng_);
  }
  void Draw(Member& member, const std::vector<overlay::Peer>& ring) {
    overlay::RoutingTable table;
    table.owner = member.descriptor.ToPeer(network);
    const size_t n = ring.size();
    const size_t me = static_cast<size_t>(std::find(ring.begin(), ring.end(), table.owner) - ring.begin());
    for (size_t k = 1; k <= std::min(neighbours_, n - 1); ++k) {
      table.successors.push_back(ring[(me + k * member.stride) % n]);
      table.predecessors.push_back(ring[(me + n - k) % n]);
    }
    for (int exponent = 200; exponent < 256 && n > 1; ++exponent) {
      const overlay::NodeId ideal = table.owner.point.PlusPowerOfTwo(exponent);
      const auto after =
          std::lower_bound(ring.begin(), ring.end(), ideal, [](const auto& a, const auto& at) { return a.point < at; });
      const overlay::Peer& peer = after == ring.end() ? ring.front() : *after;
      if (peer == table.owner) continue;
      if (!table.fingers.empty() && table.fingers.back().peer == peer) table.fingers.pop_back();  // its greatest exponent counts
      table.fingers.push_back({static_cast<uint8_t>(exponent), peer});
    }
    overlay::SignTable(network, member.signing_key, table, loop.WallNow(),
                       member.has_table ? member.table.issued : absl::InfinitePast());
    member.table = std::move(table);
    member.has_table = true;
  }
  // What the ring's driver does in a whole node: the descriptors of everybody in the own table, asked for every minute; who asks
  // shows its own.
  void KeepDescriptors() {
    keep_timer_.Reset(loop.Now() + absl::Seconds(1));
    for (const auto& member : members_) {
      if (!member->alive || !member->has_table) continue;
      for (const overlay::Peer& peer : member->table.Members()) {
        absl::Time& heard = member->heard.try_emplace(peer.node_key, absl::InfinitePast()).first->second;
        if (loop.Now() - heard < absl::Seconds(60)) continue;
        const size_t other = IndexOf(peer.node_key);
        if (other == members_.size() || !members_[other]->alive) continue;
        heard = loop.Now();
        member->directory.Keep(members_[other]->descriptor);
        members_[other]->directory.Keep(member->descriptor);
      }
    }
  }
  // Who asks as a node says who it is, and is remembered.
  void Introduce(const Member& asker, const overlay::RpcTarget& target,
                 std::function<void(absl::StatusOr<overlay::Introduction>)> done) {
    After(6 * link_delay, [this, &asker, target, done = std::move(done)] {
      for (const auto& member : members_) {
        if (!member->alive || !member->is_node || !member->has_table || member->address != target.address) continue;
        if (target.node_key.has_value() && *target.node_key != member->descriptor.node_key) continue;
        if (asker.is_node) member->directory.Add(asker.descriptor.encoded, loop.WallNow()).status().IgnoreError();
        return done(overlay::Introduction{member->descriptor, member->table});
      }
      done(absl::UnavailableError("nobody there"));
    });
  }

  void After(absl::Duration delay, std::function<void()> task) {
    if (delay == absl::ZeroDuration()) return loop.Post(std::move(task));
    loop.At(loop.Now() + delay, std::move(task));
  }
  overlay::LinkId Connect(size_t from, const overlay::Descriptor& to) {
    for (const auto& [id, end] : members_[from]->links.ends) {
      if (members_[end.peer]->descriptor.node_key == to.node_key) return id;
    }
    const overlay::LinkId mine = ++last_link_;
    const size_t peer = IndexOf(to.node_key);
    if (peer == members_.size() || !members_[peer]->alive) {
      NotifyDown(from, mine);
      return mine;
    }
    const overlay::LinkId theirs = ++last_link_;
    MakeEnd(from, mine, peer, theirs);
    MakeEnd(peer, theirs, from, mine);
    After(4 * link_delay, [this, from, mine] { Up(from, mine); });
    After(4 * link_delay, [this, peer, theirs] { Up(peer, theirs); });
    return mine;
  }
  void MakeEnd(size_t at, overlay::LinkId link, size_t peer, overlay::LinkId peer_link) {
    const bool high = members_[at]->descriptor.node_key > members_[peer]->descriptor.node_key;
    members_[at]->links.ends[link] = {
        peer, peer_link, {link, members_[peer]->descriptor.node_key, members_[peer]->is_node, high}, false};
  }
  void Up(size_t at, overlay::LinkId link) {
    const auto found = members_[at]->links.ends.find(link);
    if (found == members_[at]->links.ends.end()) return;
    found->second.up = true;
    const overlay::LinkInfo info = found->second.info;
    if (members_[at]->links.listener != nullptr) members_[at]->links.listener->OnLinkUp(info);
  }
  bool Send(size_t from, overlay::LinkId link, const overlay::Cell& cell) {
    const auto found = members_[from]->links.ends.find(link);
    if (found == members_[from]->links.ends.end()) return false;
    if (members_[from]->mute) return true;
    if (on_cell) on_cell(from, found->second.peer, cell);
    After(link_delay, [this, peer = found->second.peer, theirs = found->second.peer_link, cell = cell]() mutable {
      Member& member = *members_[peer];
      if (member.links.ends.contains(theirs) && member.links.listener != nullptr) member.links.listener->OnCell(theirs, cell);
    });
    return true;
  }
  void Close(size_t from, overlay::LinkId link) {
    const auto closed = members_[from]->links.ends.extract(link);
    if (closed.empty()) return;
    members_[closed.mapped().peer]->links.ends.erase(closed.mapped().peer_link);
    NotifyDown(closed.mapped().peer, closed.mapped().peer_link);
    NotifyDown(from, link);
  }
  void NotifyDown(size_t at, overlay::LinkId link) {
    loop.Post([this, at, link] {
      if (members_[at]->links.listener != nullptr) members_[at]->links.listener->OnLinkDown(link);
    });
  }

  support::SeededRng rng_;
  const size_t neighbours_;
  overlay::LinkId last_link_ = 0;
  std::vector<std::unique_ptr<Member>> members_;
  base::Timer keep_timer_{loop, [this] { KeepDescriptors(); }};
};

}  // namespace circuits
