// SPDX-License-Identifier: Apache-2.0
#include "cli/local_node.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "chat/clocked_operations_driver.h"
#include "chat/conversation_kinds.h"
#include "chat/door_kinds.h"
#include "chat/mailbox_endpoint.h"
#include "circuits/circuits_driver.h"
#include "circuits/introduce_over.h"
#include "cli/control_service.h"
#include "cli/help.h"
#include "cli/process_use.h"
#include "cli/relay_file.h"
#include "cli/tables_mark.h"
#include "dht/dht_driver.h"
#include "dht/memory_record_store.h"
#include "dht/rocksdb_record_store.h"
#include "keys/key_store.h"
#include "keys/onion_key_file.h"
#include "keys/system_rng.h"
#include "overlay/contradiction_gossip_driver.h"
#include "overlay/grpc_client.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/grpc_link.h"
#include "overlay/grpc_server.h"
#include "overlay/introduce.h"
#include "overlay/ring_driver.h"
#include "proto/control.pb.h"

namespace cli {
namespace {

constexpr uint32_t kWeakBelow = 32;   // independent nodes; design.md 11
constexpr size_t kWeakBelowPrefixes = 3;
constexpr size_t kContactsMax = 16;  // all are asked every second while outside

// The mailbox's view of this node's store.
class DhtPlaceStore : public chat::PlaceStore {
 public:
  DhtPlaceStore(dht::DhtDriver& dht, base::EventLoop& loop) : dht_(dht), loop_(loop) {}

  void Put(dht::Record record, std::function<void(absl::StatusOr<dht::PutReply>)> done) override {
    dht_.PutHere(std::move(record), std::move(done));
  }
  void SyncPlace(const overlay::NodeId& point, std::function<void(bool)> done) override {
    dht_.SyncPlace(point, std::move(done));
  }
  absl::Status ForEach(const overlay::NodeId& point, dht::Kind kind,
                       const std::function<void(const dht::Record&)>& visit) const override {
    return dht_.store().ForEach(point, kind, loop_.WallNow(), visit);
  }

 private:
  dht::DhtDriver& dht_;
  base::EventLoop& loop_;
};

absl::StatusOr<std::unique_ptr<dht::RecordStore>> OpenStore(const LocalNodeOptions& options) {
  if (options.role == overlay::Role::kRelay) return std::make_unique<dht::MemoryRecordStore>();
  ASSIGN_OR_RETURN(auto store, dht::RocksdbRecordStore::Open({.path = options.directory + "/store"}));
  return std::unique_ptr<dht::RecordStore>(std::move(store));
}

dht::RecordKinds MakeKinds(const overlay::Network& network) {
  dht::RecordKinds kinds;
  chat::RegisterDoorKinds(kinds, network.name, network.door_effort);
  chat::RegisterConversationKinds(kinds, network.name);
  return kinds;
}

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

// What a ring of this size, in so many networks (/16, v6 /32), is worth, for `status`.
std::string AnonymityOf(uint32_t size, size_t prefixes) {
  if (size < 5) return absl::StrCat("none yet: a message needs 4 other nodes, ", size - std::min(size, 1u), " known");
  if (size >= kWeakBelow && prefixes >= kWeakBelowPrefixes) return "";
  if (size >= kWeakBelow) {
    return absl::StrCat("weak: ", size, " nodes, but in ", prefixes, prefixes == 1 ? " network" : " networks",
                        " (/16): one operator may see both ends of a circuit");
  }
  const uint32_t quarter = (size + 2) / 4;
  const uint32_t one_in = (size * size + quarter * quarter / 2) / (quarter * quarter);
  return absl::StrCat("weak: a ring of ", size, " is small; someone who runs ", quarter,
                      " of these nodes sits at both ends of about 1 in ", one_in, " circuits");
}

}  // namespace

// In the order of life: the loop first, then its shells, then the cores' drivers.
struct LocalNode::Parts {
  Parts(const LocalNodeOptions& from, keys::SigningKey key, keys::OnionKeys kept, std::unique_ptr<dht::RecordStore> opened)
      : options(from),
        node_key(std::move(key)),
        kept_onion_keys(std::move(kept)),
        identity(keys::MakeTlsIdentity(node_key, rng)),
        loop({.serves = true, .workers = from.workers}),
        directory(from.network),
        client(loop, rng, {.identity = identity}),
        links(loop, rng, &directory, {.node = overlay::GrpcLinks::OwnNode{identity, [this] { return OwnDescriptor(); }}}),
        kinds(MakeKinds(from.network)),
        store(std::move(opened)),
        relay_file(from.directory, node_key),
        tables_mark(from.directory) {}

  base::Bytes OwnDescriptor() const { return ring ? ring->descriptor().encoded : base::Bytes(); }
  absl::Status Listen();
  void BuildDrivers();
  void KeepOnionKeys(const keys::OnionKeys& onion_keys);
  void KeepTablesUntil(absl::Time until, std::function<void(absl::Status)> done);
  dht::DhtPorts StorePorts();
  // Only a storing node has users whose circuits want a pool.
  bool KeepsRelays() const { return options.role == overlay::Role::kStoring; }
  bool Stands(uint8_t index) const { return index < ring->virtual_nodes() && ring->virtual_node(index).IsMember(); }
  circuits::CircuitsOptions CircuitsOptions();
  bulbil::v1::TrafficStatus Traffic() const;

  const LocalNodeOptions options;
  keys::SystemRng rng;
  const keys::SigningKey node_key;
  keys::OnionKeys kept_onion_keys;  // of an earlier run; the ring driver's from BuildDrivers on
  const keys::TlsIdentity identity;
  overlay::GrpcEventLoop loop;
  overlay::Directory directory;
  std::unique_ptr<overlay::GrpcServer> server;
  overlay::GrpcClient client;
  overlay::GrpcLinks links;
  dht::RecordKinds kinds;
  std::unique_ptr<dht::RecordStore> store;
  const RelayFile relay_file;
  const TablesMark tables_mark;
  std::unique_ptr<overlay::RingDriver> ring;
  std::unique_ptr<overlay::ContradictionGossip> gossip;
  std::unique_ptr<dht::DhtDriver> dht;
  std::unique_ptr<DhtPlaceStore> places;
  std::unique_ptr<chat::MailboxEndpoint> mailbox;
  std::unique_ptr<circuits::ReportEndpoint> endpoint;
  std::unique_ptr<circuits::CircuitsDriver> circuits;
  std::unique_ptr<chat::ClockedOperations> clock;  // null: none
  std::unique_ptr<ControlService> control;
  uint16_t port = 0;
  std::string advertised;
  bool leaving = false;
  absl::Time started;
};

absl::Status LocalNode::Parts::Listen() {
  server = std::make_unique<overlay::GrpcServer>(
      loop, overlay::GrpcServer::Options{.address = options.listen,
                                         .socket_path = options.socket_path,
                                         .identity = identity,
                                         .is_known = [this](const keys::PublicKey& key) { return directory.IsProtected(key); }});
  ASSIGN_OR_RETURN(const int bound, server->Listen());
  port = static_cast<uint16_t>(bound);
  advertised = options.advertise.empty() ? absl::StrCat(HostOf(options.listen), ":", port) : options.advertise;
  return overlay::CheckAddress(options.network, advertised);
}

dht::DhtPorts LocalNode::Parts::StorePorts() {
  return {.lookup =
              [this](const overlay::NodeId& point, std::function<void(absl::StatusOr<std::vector<overlay::Peer>>)> done) {
                ring->Lookup(point, [done = std::move(done)](absl::StatusOr<overlay::LookupResult> result) {
                  if (!result.ok()) return done(result.status());
                  done(std::move(result->storing));
                });
              },
          .peers_of =
              [this](const keys::PublicKey& key) {
                std::vector<overlay::Peer> peers;
                const overlay::Descriptor* descriptor = directory.Find(key, loop.WallNow());
                for (int i = 0; descriptor != nullptr && i < options.network.virtual_nodes; ++i) {
                  peers.push_back(descriptor->ToPeer(options.network, static_cast<uint8_t>(i)));
                }
                return peers;
              },
          .introduce =
              [this](const overlay::Peer& to, std::function<void(absl::Status)> done) {
                overlay::Introduce(
                    options.network, client, {to.address, to.node_key}, OwnDescriptor(), loop,
                    [done = std::move(done)](const absl::StatusOr<overlay::Introduction>& met) { done(met.status()); });
              },
          .on_record =
              [this](const dht::Record& record) {
                if (mailbox) mailbox->OnRecord(record);
              }};
}

circuits::CircuitsOptions LocalNode::Parts::CircuitsOptions() {
  const chat::ClockRates rates = chat::RatesOf(options.profile);
  circuits::CircuitsOptions circuits_options = {
          .network = options.network,
          .introduce = circuits::IntroduceOver(
              options.network, client, [this] { return OwnDescriptor(); }, loop),
          .ready_circuits = options.role == overlay::Role::kStoring ? rates.ready : 0,
          .build_mean = rates.build_mean,
          .own_key = node_key.public_key(),
          .endpoint = endpoint.get(),
          .own_descriptor = [this] { return OwnDescriptor(); },
          .own_table = [this](uint8_t index) { return Stands(index) ? &ring->table(index) : nullptr; },
          .signed_table = [this](uint8_t index) { return Stands(index) ? ring->signed_table(index) : nullptr; },
          .onion_keys = [this] { return ring->onion_keys(); }};
  if (!KeepsRelays()) return circuits_options;
  circuits_options.kept_relays = relay_file.Load();
  circuits_options.keep_relays = [this](base::Bytes relays) {
    loop.RunSlow([file = relay_file, relays = std::move(relays), &rng = rng] { file.Save(relays, rng); }, [] {});
  };
  return circuits_options;
}

// Without the file, clients notice a restart at their second try: no reason to stop for.
void LocalNode::Parts::KeepOnionKeys(const keys::OnionKeys& onion_keys) {
  auto saved = std::make_shared<absl::Status>();
  loop.RunSlow([saved, onion_keys, directory = options.directory,
                &rng = rng] { *saved = keys::SaveOnionKeys(directory, onion_keys, rng); },
               [saved] {
                 if (!saved->ok()) spdlog::warn("node: the onion keys were not written to disk: {}", saved->ToString());
               });
}

void LocalNode::Parts::KeepTablesUntil(absl::Time until, std::function<void(absl::Status)> done) {
  auto saved = std::make_shared<absl::Status>();
  loop.RunSlow([saved, mark = tables_mark, until, &rng = rng] { *saved = mark.Save(until, rng); },
               [saved, done = std::move(done)] { done(*saved); });
}

void LocalNode::Parts::BuildDrivers() {
  std::optional<absl::Time> tables_until = tables_mark.Load();
  // A home without onion keys either has never run a node: nothing was signed.
  if (!tables_until && kept_onion_keys.pairs.empty()) tables_until = absl::UnixEpoch();
  ring = std::make_unique<overlay::RingDriver>(
      overlay::RingDriver::Options{.network = options.network,
                                   .role = options.role,
                                   .address = advertised,
                                   .admission = options.admission,
                                   .onion_keys = std::exchange(kept_onion_keys, {}),
                                   .keep_onion_keys = [this](const keys::OnionKeys& kept) { KeepOnionKeys(kept); },
                                   .tables_until = tables_until,
                                   .keep_tables_until =
                                       [this](absl::Time until, std::function<void(absl::Status)> done) {
                                         KeepTablesUntil(until, std::move(done));
                                       }},
      node_key, loop, *server, client, directory, rng);
  gossip = std::make_unique<overlay::ContradictionGossip>(
      options.network, node_key.public_key(),
      [this] { return ring->IsMember() ? ring->table().Members() : std::vector<overlay::Peer>{}; }, loop, *server, client,
      directory, rng);
  dht::ReplicatorOptions store_options{.network = options.network};
  store_options.bytes_max = options.store_bytes_max.value_or(store_options.bytes_max);
  dht = std::make_unique<dht::DhtDriver>(std::move(store_options), node_key, kinds, *store, loop, rng, *server, client,
                                         StorePorts());
  ring->on_neighbourhood = [this](const overlay::Neighbourhood& neighbourhood) { dht->OnNeighbourhood(neighbourhood); };
  ring->on_join_prepared = [this](const overlay::Neighbourhood& future, std::function<void(absl::Status)> done) {
    dht->PrepareJoin(future, std::move(done));
  };
  if (options.role == overlay::Role::kStoring) {
    places = std::make_unique<DhtPlaceStore>(*dht, loop);
    mailbox = std::make_unique<chat::MailboxEndpoint>(loop, *places, kinds, options.network.name, node_key.public_key());
    endpoint =
        std::make_unique<circuits::ReportEndpoint>(*mailbox, [this](base::ByteView proof) { gossip->HearFromCircuit(proof); });
  }
  circuits = std::make_unique<circuits::CircuitsDriver>(CircuitsOptions(), loop, links, directory, rng);
  links.ServeOn(*server);
  if (options.role == overlay::Role::kStoring && options.profile != chat::Profile::kOff) {
    clock = std::make_unique<chat::ClockedOperations>(options.profile, circuits->ready_operations(), loop, rng, rng);
  }
}

bulbil::v1::TrafficStatus LocalNode::Parts::Traffic() const {
  bulbil::v1::TrafficStatus traffic;
  traffic.set_profile(chat::NameOf(clock ? options.profile : chat::Profile::kOff));
  if (!clock) return traffic;
  const chat::ClockStats stats = clock->stats();
  const double operations = static_cast<double>(stats.real + stats.cover);
  traffic.set_tick_s(absl::ToDoubleSeconds(chat::RatesOf(options.profile).tick_mean));
  traffic.set_bytes_per_day(chat::BytesPerDay(options.profile));
  traffic.set_operations(operations);
  traffic.set_cover_percent(operations == 0 ? 0 : 100 * static_cast<double>(stats.cover) / operations);
  traffic.set_left_out(static_cast<double>(stats.left_out));
  traffic.set_waiting(static_cast<uint32_t>(stats.waiting));
  return traffic;
}

LocalNode::LocalNode(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
LocalNode::~LocalNode() = default;

absl::StatusOr<std::unique_ptr<LocalNode>> LocalNode::Create(const LocalNodeOptions& options) {
  keys::SystemRng rng;
  ASSIGN_OR_RETURN(keys::SigningKey key, keys::LoadOrCreateNodeKey(options.directory, rng));
  ASSIGN_OR_RETURN(keys::OnionKeys onion_keys, keys::LoadOnionKeys(options.directory));
  ASSIGN_OR_RETURN(std::unique_ptr<dht::RecordStore> store, OpenStore(options));
  auto parts = std::make_unique<Parts>(options, std::move(key), std::move(onion_keys), std::move(store));
  RETURN_IF_ERROR(parts->Listen());
  parts->BuildDrivers();
  parts->started = parts->loop.Now();
  std::unique_ptr<LocalNode> node(new LocalNode(std::move(parts)));
  Parts& built = *node->parts_;
  built.control = std::make_unique<ControlService>(
      *built.server, built.loop, *built.ring, *built.dht, *built.circuits, built.clock.get(), options.role,
      [node = node.get()](bulbil::v1::StatusReply& status) { node->FillStatus(status); });
  return node;
}

// By the end of the loop its workers have ended, so nothing older is written after this. Nothing is signed any more either: the
// exact time of the last table is kept, so that a start right after this one has no reason to run ahead of the clock.
void LocalNode::Run() {
  parts_->loop.Run();
  parts_->tables_mark.Save(parts_->ring->tables_issued(), parts_->rng).IgnoreError();
  if (parts_->KeepsRelays()) parts_->relay_file.Save(parts_->circuits->EncodeRelays(), parts_->rng);
}
void LocalNode::Stop() { parts_->loop.Stop(); }
base::EventLoop& LocalNode::loop() { return parts_->loop; }
dht::DhtDriver& LocalNode::dht() { return *parts_->dht; }
uint16_t LocalNode::port() const { return parts_->port; }
const keys::PublicKey& LocalNode::node_key() const { return parts_->node_key.public_key(); }
const std::string& LocalNode::advertised() const { return parts_->advertised; }

std::vector<overlay::RpcTarget> LocalNode::Contacts() const {
  std::vector<overlay::Peer> members = parts_->ring->table().Members();
  std::erase_if(members, [&](const overlay::Peer& peer) { return peer.node_key == node_key(); });
  std::vector<overlay::RpcTarget> contacts;
  for (size_t i = 0; i < members.size(); i += members.size() / kContactsMax + 1) {
    contacts.push_back({members[i].address, members[i].node_key});
  }
  return contacts;
}

void LocalNode::CreateRing() { parts_->ring->Create(); }

void LocalNode::Join(std::vector<overlay::RpcTarget> bootstrap, absl::Duration timeout, std::function<void(absl::Status)> done) {
  parts_->ring->Join(std::move(bootstrap), timeout, std::move(done));
}

void LocalNode::Return(std::vector<overlay::RpcTarget> ways, std::function<void()> done) {
  parts_->ring->Return(std::move(ways), std::move(done));
}

// Records first, while the ring still counts on this node; then the pointers.
void LocalNode::Leave(absl::Duration at_most) {
  if (parts_->leaving) return;
  parts_->leaving = true;
  parts_->dht->HandOver(parts_->loop.Now() + at_most, [this](bool) { parts_->ring->Leave([this] { parts_->loop.Stop(); }); });
}

std::string LocalNode::state() const {
  if (parts_->leaving) return "leaving";
  switch (parts_->ring->state()) {
    case overlay::RingState::kMember:
      return "ready";
    case overlay::RingState::kDetached:
      return "detached";
    case overlay::RingState::kLeft:
      return "leaving";
    default:
      return "joining";
  }
}

void LocalNode::FillStatus(bulbil::v1::StatusReply& status) const {
  const Parts& parts = *parts_;
  const overlay::RingDriver& ring = *parts.ring;
  status.set_schema(1);
  status.set_version(ProgramVersion());
  status.set_role(parts.options.role == overlay::Role::kRelay ? "relay" : "node");
  status.set_state(state());
  status.set_network(parts.options.network.name);
  status.set_uptime_s(absl::ToDoubleSeconds(parts.loop.Now() - parts.started));
  const std::string id = base::ToHex(node_key().view());
  status.set_id(absl::StrCat(id.substr(0, 4), "…", id.substr(id.size() - 4)));
  status.set_listening(absl::StrCat(HostOf(parts.options.listen), ":", parts.port));
  status.set_advertised(parts.advertised);

  const auto [size, exact] = ring.SizeEstimate();
  const uint32_t members = static_cast<uint32_t>(size + 0.5);
  bulbil::v1::RingStatus& pointers = *status.mutable_ring();
  pointers.set_point(ring.self().point.ToHex());
  for (size_t index = 0; index < ring.virtual_nodes(); ++index) {
    if (ring.virtual_node(index).IsMember()) pointers.add_points(ring.virtual_node(index).self().point.ToHex());
  }
  pointers.set_virtual_nodes(static_cast<uint32_t>(ring.virtual_nodes()));
  pointers.set_size_estimate(members);
  pointers.set_complete(exact);
  for (const overlay::Peer& peer : ring.successors()) pointers.add_successors(peer.address);
  if (ring.IsAlone()) pointers.add_successors(parts.advertised);
  if (ring.predecessor()) pointers.set_predecessor(ring.predecessor()->address);
  pointers.set_fingers(static_cast<uint32_t>(ring.table().fingers.size()));
  pointers.set_convicted(static_cast<uint32_t>(parts.directory.convictions().CountConvicted(parts.loop.WallNow())));

  const dht::ReplicatorStats store = parts.dht->stats();
  bulbil::v1::StoreStatus& records = *status.mutable_store();
  records.set_records(static_cast<uint32_t>(store.records));
  records.set_bytes(static_cast<double>(store.bytes));
  records.set_replicas(static_cast<uint32_t>(parts.options.network.replica_count));
  records.set_records_owned(static_cast<uint32_t>(store.owned));
  records.set_state(store.state);
  records.set_repaired(static_cast<double>(store.repaired));
  records.set_misplaced(static_cast<uint32_t>(store.misplaced));
  records.set_repairing(static_cast<uint32_t>(store.repairing));

  const circuits::CircuitsStats carried = parts.circuits->stats();
  bulbil::v1::CircuitStatus& circuits = *status.mutable_circuits();
  circuits.set_own(static_cast<uint32_t>(carried.own));
  circuits.set_relayed(static_cast<uint32_t>(carried.carried));
  circuits.set_links(static_cast<uint32_t>(parts.links.size()));
  circuits.set_cells_relayed(static_cast<double>(carried.cells_relayed));
  circuits.set_built(static_cast<uint32_t>(carried.built));
  circuits.set_failed(static_cast<uint32_t>(carried.failed));
  circuits.set_ready(static_cast<uint32_t>(carried.ready));
  circuits.set_queued(static_cast<uint32_t>(parts.links.queued()));
  circuits.set_pool(static_cast<uint32_t>(carried.pooled_relays));
  circuits.set_networks(static_cast<uint32_t>(carried.known_prefixes));
  *status.mutable_traffic() = parts.Traffic();
  status.set_anonymity(AnonymityOf(members, carried.known_prefixes));
  const Use use = ProcessUse();
  status.set_cpu_s(absl::ToDoubleSeconds(use.cpu));
  status.set_memory_mib(static_cast<double>(use.resident) / (1 << 20));
}

}  // namespace cli
