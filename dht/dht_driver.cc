// SPDX-License-Identifier: Apache-2.0
#include "dht/dht_driver.h"

#include <deque>
#include <span>
#include <utility>

#include "base/overloaded.h"
#include "dht/dht_wire.h"
#include "spdlog/spdlog.h"

namespace dht {

using overlay::Peer;

namespace {

// A pending question of this process's own user, or of another process.
using Answer = std::function<void(absl::StatusOr<DhtReply>)>;

// The records that a message brings.
std::span<const Record> RecordsOf(const DhtRequest& request) {
  if (const auto* puts = std::get_if<PutRequest>(&request)) return puts->records;
  if (const auto* copies = std::get_if<ReplicateRequest>(&request)) return copies->records;
  return {};
}
std::span<const Record> RecordsOf(const DhtReply& reply) {
  if (const auto* fetched = std::get_if<FetchReply>(&reply)) return fetched->records;
  if (const auto* reconciled = std::get_if<ReconcileReply>(&reply)) return reconciled->records;
  return {};
}

// Those that read and send a page of names or records, a millisecond or two of the loop. A single name is a user's get.
bool IsLong(const DhtRequest& request) {
  const auto* fetch = std::get_if<FetchRequest>(&request);
  return (fetch != nullptr && fetch->names.size() > 1) || std::holds_alternative<NamesRequest>(request) ||
         std::holds_alternative<ReconcileRequest>(request);
}

}  // namespace

struct DhtDriver::Impl : std::enable_shared_from_this<Impl> {
  Impl(ReplicatorOptions options, const keys::SigningKey& node_key, const RecordKinds& kinds_in, RecordStore& store_in,
       base::EventLoop& loop_in, base::Rng& rng, overlay::RpcClient& client_in, DhtPorts ports_in)
      : network(options.network),
        kinds(kinds_in),
        store(store_in),
        loop(loop_in),
        client(client_in),
        ports(std::move(ports_in)),
        core(std::move(options), node_key, kinds, store_in, rng),
        timer(loop_in, [this] { Run([this](const Moment& moment) { return core.OnTick(moment); }); }) {}

  void Serve(overlay::RpcServer& server);
  void OnRequest(const overlay::Caller& caller, DhtRequest request, overlay::RpcResponder respond);
  void GiveLater(base::EventLoop::Task give);
  static void GiveNext(const std::weak_ptr<Impl>& weak);
  void Judge(std::span<const Record> records, base::EventLoop::Task then);
  RequestId Register(Answer answer);
  // Gives an event to the core, does what it wants, and waits for its next tick.
  template <typename Event>
  void Run(Event event) {
    if (stopped) return;
    Do(event(Moment{loop.Now(), loop.WallNow()}));
    timer.Reset(core.NextTick());
  }
  void Do(DhtActions actions);
  void Ask(const Call& call, bool may_introduce);
  void OnAnswer(const Call& call, size_t method, bool may_introduce, absl::StatusOr<overlay::RpcAnswer> answer);
  void Reply(CallId id, absl::StatusOr<DhtReply> reply);
  void FindOwners(const Lookup& lookup);
  void ApplyOnWorker(Write write);
  void Tell(const std::vector<Record>& records) const;
  void ClearSuspectOnWorker();

  const overlay::Network network;
  const RecordKinds& kinds;
  RecordStore& store;
  base::EventLoop& loop;
  overlay::RpcClient& client;
  const DhtPorts ports;
  Replicator core;
  base::Timer timer;
  bool stopped = false;
  RequestId last_request = 0;
  absl::flat_hash_map<RequestId, Answer> answers;   // as many as the core's rounds, which are bounded
  std::deque<base::EventLoop::Task> long_requests;  // the first one's turn is posted; as many as the server lets callers have
  absl::flat_hash_map<RequestId, std::function<void(bool)>> place_waiters;
  std::function<void(absl::Status)> on_joined;
  std::function<void(bool)> on_handed_over;
};

void DhtDriver::Impl::Serve(overlay::RpcServer& server) {
  for (size_t method = 0; method < std::size(kDhtMethods); ++method) {
    auto handler = [weak = weak_from_this(), method](const overlay::Caller& caller, std::string bytes,
                                                     overlay::RpcResponder respond) {
      const std::shared_ptr<Impl> self = weak.lock();
      if (self == nullptr || self->stopped) return respond(absl::UnavailableError("store is closed"));
      absl::StatusOr<DhtRequest> request = DecodeDhtRequest(method, bytes);
      if (!request.ok()) return respond(request.status());
      self->OnRequest(caller, *std::move(request), std::move(respond));
    };
    server.Handle(std::string(kDhtMethods[method]), overlay::Access::kAnyone, std::move(handler));
  }
}

void DhtDriver::Impl::OnRequest(const overlay::Caller& caller, DhtRequest request, overlay::RpcResponder respond) {
  const DhtCaller who{caller.tls_key, caller.is_local ? std::vector<Peer>{} : ports.peers_of(caller.tls_key)};
  auto message = std::make_shared<DhtRequest>(std::move(request));
  auto give = [weak = weak_from_this(), who, message, respond = std::move(respond)] {
    const auto self = weak.lock();
    if (self == nullptr || self->stopped) return respond(absl::UnavailableError("store is closed"));
    const RequestId id = self->Register([respond](absl::StatusOr<DhtReply> reply) {
      respond(reply.ok() ? absl::StatusOr<std::string>(EncodeDhtReply(*reply)) : reply.status());
    });
    self->Run([&](const Moment& moment) { return self->core.OnRequest(id, who, std::move(*message), moment); });
  };
  const bool is_node = !who.peers.empty() || !core.replicas().Neighbours(who.node_key).empty();
  if (IsLong(*message)) return GiveLater(std::move(give));
  Judge(is_node ? RecordsOf(*message) : std::span<const Record>(), std::move(give));
}

// One in each turn of the loop, behind what is ready by then.
void DhtDriver::Impl::GiveLater(base::EventLoop::Task give) {
  long_requests.push_back(std::move(give));
  if (long_requests.size() == 1) loop.Post([weak = weak_from_this()] { GiveNext(weak); });
}

void DhtDriver::Impl::GiveNext(const std::weak_ptr<Impl>& weak) {
  const auto self = weak.lock();
  if (self == nullptr || self->long_requests.empty()) return;
  self->long_requests.front()();
  self->long_requests.pop_front();
  if (!self->long_requests.empty()) self->loop.Post([weak] { GiveNext(weak); });
}

// Lets a worker look at those records first that take long to judge; for the core they are brief then.
void DhtDriver::Impl::Judge(std::span<const Record> records, base::EventLoop::Task then) {
  std::vector<Record> slow;
  for (const Record& record : records) {
    if (kinds.IsSlow(record)) slow.push_back(record);
  }
  if (slow.empty()) return then();
  loop.RunSlow(
      [&kinds = kinds, slow = std::move(slow), wall_now = loop.WallNow()] {
        for (const Record& record : slow) kinds.Check(record, Source::kReplica, wall_now).IgnoreError();
      },
      std::move(then));
}

RequestId DhtDriver::Impl::Register(Answer answer) {
  answers.emplace(++last_request, std::move(answer));
  return last_request;
}

void DhtDriver::Impl::Do(DhtActions actions) {
  for (DhtAction& action : actions) {
    std::visit(base::Overloaded{
                   [&](Call& call) { Ask(call, /*may_introduce=*/true); },
                   [&](Lookup& lookup) { FindOwners(lookup); },
                   [&](Respond& respond) {
                     if (auto node = answers.extract(respond.id)) {
                       loop.Post([done = std::move(node.mapped()), reply = std::move(respond.reply)] { done(reply); });
                     }
                   },
                   [&](Write& write) { ApplyOnWorker(std::move(write)); },
                   [&](PlaceSynced& synced) {
                     if (auto node = place_waiters.extract(synced.id)) {
                       loop.Post([done = std::move(node.mapped()), complete = synced.complete] { done(complete); });
                     }
                   },
                   [&](JoinReady& ready) {
                     spdlog::debug("store: download before joining: {}", ready.status.ok() ? "done" : "failed");
                     if (on_joined) loop.Post([done = std::exchange(on_joined, nullptr), ready] { done(ready.status); });
                   },
                   [&](HandedOver& handed) {
                     spdlog::debug("store: handed over {}", handed.complete ? "completely" : "in part");
                     if (on_handed_over) {
                       loop.Post([done = std::exchange(on_handed_over, nullptr), handed] { done(handed.complete); });
                     }
                   },
                   [&](ClearSuspect&) { ClearSuspectOnWorker(); },
               },
               action);
  }
}

void DhtDriver::Impl::Ask(const Call& call, bool may_introduce) {
  const size_t method = call.request.index();
  client.Call({.address = call.to.address, .node_key = call.to.node_key}, kDhtMethods[method], EncodeDhtRequest(call.request),
              call.timeout, [weak = weak_from_this(), call, method, may_introduce](absl::StatusOr<overlay::RpcAnswer> answer) {
                if (const auto self = weak.lock()) self->OnAnswer(call, method, may_introduce, std::move(answer));
              });
}

void DhtDriver::Impl::OnAnswer(const Call& call, size_t method, bool may_introduce, absl::StatusOr<overlay::RpcAnswer> answer) {
  if (stopped) return;
  if (answer.ok()) {
    auto reply = std::make_shared<absl::StatusOr<DhtReply>>(DecodeDhtReply(network, method, answer->message));
    return Judge(reply->ok() ? RecordsOf(**reply) : std::span<const Record>(), [weak = weak_from_this(), id = call.id, reply] {
      if (const auto self = weak.lock()) self->Reply(id, std::move(*reply));
    });
  }
  // The other side does not know this node's descriptor yet: show it, and ask once more.
  if (may_introduce && absl::IsPermissionDenied(answer.status()) && ports.introduce) {
    return ports.introduce(call.to, [weak = weak_from_this(), call](const absl::Status& status) {
      const auto self = weak.lock();
      if (self == nullptr || self->stopped) return;
      if (!status.ok()) return self->Reply(call.id, status);
      self->Ask(call, /*may_introduce=*/false);
    });
  }
  Reply(call.id, answer.status());
}

void DhtDriver::Impl::Reply(CallId id, absl::StatusOr<DhtReply> reply) {
  Run([&](const Moment& moment) { return core.OnReply(id, reply, moment); });
}

void DhtDriver::Impl::FindOwners(const Lookup& lookup) {
  ports.lookup(lookup.point, [weak = weak_from_this(), id = lookup.id](const absl::StatusOr<std::vector<Peer>>& owners) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->Run([&](const Moment& moment) { return self->core.OnOwners(id, owners, moment); });
  });
}

void DhtDriver::Impl::ApplyOnWorker(Write write) {
  auto status = std::make_shared<absl::Status>();
  auto batch = std::make_shared<WriteBatch>(std::move(write.batch));
  Tell(batch->puts);
  loop.RunSlow([&store = store, batch, status] { *status = store.Apply(*batch); },
               [weak = weak_from_this(), id = write.id, status, batch] {
                 const auto self = weak.lock();
                 if (self == nullptr || self->stopped) return;
                 spdlog::trace("store: {} records written, {} removed", batch->puts.size(), batch->removes.size());
                 if (!status->ok()) spdlog::warn("store: write failed: {}", absl::StatusCodeToString(status->code()));
                 if (status->ok()) self->Tell(batch->puts);
                 self->Run([&](const Moment& moment) { return self->core.OnApplied(id, *status, moment); });
               });
}

void DhtDriver::Impl::Tell(const std::vector<Record>& records) const {
  if (!ports.on_record) return;
  for (const Record& record : records) ports.on_record(record);
}

void DhtDriver::Impl::ClearSuspectOnWorker() {
  auto status = std::make_shared<absl::Status>();
  loop.RunSlow([&store = store, status] { *status = store.ClearSuspect(); },
               [status] {
                 if (status->ok()) spdlog::info("store: repaired after a damaged log");
               });
}

DhtDriver::DhtDriver(ReplicatorOptions options, const keys::SigningKey& node_key, const RecordKinds& kinds, RecordStore& store,
                     base::EventLoop& loop, base::Rng& rng, overlay::RpcServer& server, overlay::RpcClient& client,
                     DhtPorts ports)
    : impl_(std::make_shared<Impl>(std::move(options), node_key, kinds, store, loop, rng, client, std::move(ports))),
      store_(store) {
  impl_->Serve(server);
  impl_->timer.Reset(impl_->core.NextTick());
}

DhtDriver::~DhtDriver() {
  impl_->stopped = true;
  impl_->timer.Stop();
  for (const base::EventLoop::Task& give : std::exchange(impl_->long_requests, {})) give();  // says that the store is closed
}

void DhtDriver::Put(Record record, std::function<void(absl::StatusOr<PutOutcome>)> done) {
  const RequestId id = impl_->Register([done = std::move(done)](absl::StatusOr<DhtReply> reply) {
    done(reply.ok() ? absl::StatusOr<PutOutcome>(std::get<PutReply>(*std::move(reply))) : reply.status());
  });
  impl_->Run([&](const Moment& moment) { return impl_->core.OnPut(id, std::move(record), /*pass_on=*/true, moment); });
}

void DhtDriver::PutHere(Record record, std::function<void(absl::StatusOr<PutOutcome>)> done) {
  const RequestId id = impl_->Register([done = std::move(done)](absl::StatusOr<DhtReply> reply) {
    done(reply.ok() ? absl::StatusOr<PutOutcome>(std::get<PutReply>(*std::move(reply))) : reply.status());
  });
  impl_->Run([&](const Moment& moment) { return impl_->core.OnPut(id, std::move(record), /*pass_on=*/false, moment); });
}

void DhtDriver::Get(const RecordName& name, std::function<void(absl::StatusOr<GetOutcome>)> done) {
  const RequestId id = impl_->Register([done = std::move(done)](absl::StatusOr<DhtReply> reply) {
    done(reply.ok() ? absl::StatusOr<GetOutcome>(std::get<GetReply>(*std::move(reply))) : reply.status());
  });
  impl_->Run([&](const Moment& moment) { return impl_->core.OnGet(id, name, /*pass_on=*/true, moment); });
}

void DhtDriver::SyncPlace(const overlay::NodeId& point, std::function<void(bool complete)> done) {
  const RequestId id = ++impl_->last_request;
  impl_->place_waiters.emplace(id, std::move(done));
  impl_->Run([&](const Moment& moment) { return impl_->core.OnSyncPlace(id, point, moment); });
}

std::vector<Peer> DhtDriver::Responsible(const overlay::NodeId& point) const { return impl_->core.replicas().Responsible(point); }

bool DhtDriver::IsResponsible(const overlay::NodeId& point) const { return impl_->core.replicas().IsResponsible(point); }

void DhtDriver::OnNeighbourhood(const overlay::Neighbourhood& neighbourhood) {
  impl_->Run([&](const Moment& moment) { return impl_->core.OnNeighbourhood(neighbourhood, moment); });
}

void DhtDriver::PrepareJoin(const overlay::Neighbourhood& future, std::function<void(absl::Status)> done) {
  impl_->on_joined = std::move(done);
  impl_->Run([&](const Moment& moment) { return impl_->core.PrepareJoin(future, moment); });
}

void DhtDriver::HandOver(absl::Time deadline, std::function<void(bool complete)> done) {
  impl_->on_handed_over = std::move(done);
  impl_->Run([&](const Moment& moment) { return impl_->core.HandOver(deadline, moment); });
}

ReplicatorStats DhtDriver::stats() const { return impl_->core.Stats(); }

}  // namespace dht
