// SPDX-License-Identifier: Apache-2.0
// What the guard of one client sees, run after run: a client that talks, then one that does not. Run by traffic.py.
//
// usage: traffic PROFILE RUNS SEED        PROFILE: off, low, normal, fast
// One line a run: 1 (talks) or 0 (silent), then for every cell on the client's links the milliseconds since the start of the
// observation, negative for those to the client. A run lasts 300 ticks of the clock; off: as long as with `fast`.
//
// Virtual time, and the real cores of everything between a contact book and the links: book, courier, clock, operations,
// circuits, relays, mailboxes. The client is no member of the ring: nothing that it relays hides what it does. Links take no
// time, so that nothing blurs what is seen; stores answer puts later than readings. Its friend reaches the store directly.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "chat/chat_client.h"
#include "chat/clocked_operations_driver.h"
#include "chat/conversation_kinds.h"
#include "chat/door_kinds.h"
#include "chat/exchange_driver.h"
#include "chat/mailbox_endpoint.h"
#include "chat/memory_inbox_store.h"
#include "keys/system_rng.h"
#include "tests/chat/fake_places.h"
#include "tests/circuits/fake_network.h"

namespace {

constexpr size_t kNodes = 8;
constexpr int kTicksPerRun = 300;
constexpr int kMeetTicksMax = 3000;
constexpr absl::Duration kPace = absl::Seconds(10), kDoorPace = absl::Seconds(45);  // as cli/correspondence.h without a clock

absl::Duration Exponential(absl::Duration mean, base::Rng& rng) { return -std::log(1 - rng.Unit()) * mean; }

// The store of all nodes: what one has the others have.
struct Store {
  std::map<overlay::NodeId, support::MemoryPlace> places;
  dht::RecordKinds kinds;
};

class NodeStore : public chat::PlaceStore {
 public:
  NodeStore(Store& store, circuits::FakeNetwork& network) : store_(store), network_(network) {}

  // A synced write here and at two others: milliseconds more than a reading.
  void Put(dht::Record record, std::function<void(absl::StatusOr<dht::PutReply>)> done) override {
    dht::PutReply reply{.result = dht::PutResult::kRefused};
    if (store_.kinds.Check(record, dht::Source::kClient, network_.loop.WallNow()).ok()) {
      store_.places[record.name.point].Merge(*store_.kinds.Find(record.name.kind), record, dht::Source::kClient);
      reply.result = dht::PutResult::kStored;
      for (const keys::PublicKey& key : network_.Responsible(record.name.point)) {
        const keys::SigningKey& signer = network_.signing_key(network_.IndexOf(key));
        reply.receipts.push_back(dht::SignReceipt("local", signer, record.name, record.expiry));
      }
    }
    const absl::Duration wait = absl::Milliseconds(4) + Exponential(absl::Milliseconds(4), network_.rng());
    network_.loop.At(network_.loop.Now() + wait, [reply, done = std::move(done)] { done(reply); });
  }
  void SyncPlace(const overlay::NodeId&, std::function<void(bool)> done) override {
    const absl::Duration wait = absl::Milliseconds(1) + Exponential(absl::Milliseconds(1), network_.rng());
    network_.loop.At(network_.loop.Now() + wait, [done = std::move(done)] { done(true); });
  }
  absl::Status ForEach(const overlay::NodeId& point, dht::Kind kind,
                       const std::function<void(const dht::Record&)>& visit) const override {
    const auto place = store_.places.find(point);
    if (place != store_.places.end()) place->second.ForEach(kind, visit);
    return absl::OkStatus();
  }

 private:
  Store& store_;
  circuits::FakeNetwork& network_;
};

// The friend's: straight to the mailbox of a responsible node.
class DirectOperations : public circuits::Operations {
 public:
  DirectOperations(circuits::FakeNetwork& network, std::vector<std::unique_ptr<chat::MailboxEndpoint>>& mailboxes)
      : network_(network), mailboxes_(mailboxes) {}

  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override {
    circuits::OpenedOperation opened{.handle = ++last_, .responsible = network_.Responsible(request.point)};
    opened.storage_node = opened.responsible.front();
    asked_[opened.handle] = network_.IndexOf(opened.storage_node);
    network_.loop.Post([opened, done = std::move(done)] { done(opened); });
  }
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override {
    mailboxes_[asked_.extract(handle).mapped()]->OnEndpointRequest({{}, std::move(request), std::move(done)});
  }

 private:
  circuits::FakeNetwork& network_;
  std::vector<std::unique_ptr<chat::MailboxEndpoint>>& mailboxes_;
  uint64_t last_ = 0;
  std::map<uint64_t, size_t> asked_;
};

// Reads and sends, as a chat does that runs: in turn on a clock, in rounds without one.
class Person {
 public:
  Person(circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng, bool on_clock)
      : loop_(loop),
        rng_(rng),
        on_clock_(on_clock),
        key_(keys::SigningKey::Generate(rng)),
        inbox_(disk_, key_, rng),
        book_({}, key_, rng),
        exchange_({.lanes = {.parallel = on_clock ? 16 : 4}}, operations, loop, rng),
        client_(ClientOptions(on_clock), operations, loop, rng),
        turns_(rng),
        timer_(loop, [this] { Tick(); }),
        created_(loop.WallNow()) {}

  void Start() { timer_.Reset(loop_.Now()); }

  chat::ContactBook& book() { return book_; }
  const keys::PublicKey& address() const { return key_.public_key(); }
  void SetFriend(const keys::PublicKey& peer) {
    peer_ = peer;
    book_.SetAcknowledge(peer, true);
  }
  bool IsReady() const {
    const chat::Conversation* conversation = peer_ ? book_.FindConversation(*peer_) : nullptr;
    if (conversation == nullptr || !conversation->confirmed()) return false;
    const auto& messages = conversation->outbox().messages();  // what was delivered stays there for a while
    return std::all_of(messages.begin(), messages.end(), [](const auto& one) { return one.second.Final(); });
  }
  void Write() {
    const size_t size = 1 + rng_.Below(2500);
    if (!book_.Send(*peer_, base::Bytes(size, 'x'), loop_.WallNow()).ok()) std::abort();
    ++written;
    Run({.read = false});
  }

  size_t written = 0, read = 0;

 private:
  static chat::ChatClient::Options ClientOptions(bool on_clock) {
    chat::ChatClient::Options options;
    options.poller.lanes.parallel = on_clock ? 16 : 4;
    options.poller.deadline = absl::Hours(24);
    return options;
  }
  void Tick() {
    const absl::Time now = loop_.Now();
    timer_.Reset(now + absl::Milliseconds(200));
    if (!polling_ && now >= door_due_) {
      polling_ = true;
      door_due_ = now + Exponential(kDoorPace, rng_);
      client_.Poll(
          {.identity = &key_, .inbox = &inbox_, .created = created_}, [](const chat::Message&) { return absl::OkStatus(); },
          [this](const absl::StatusOr<chat::PollResult>&) { polling_ = false; });
    }
    if (exchange_.running()) return;
    if (!on_clock_) {
      if (now < round_due_) return;
      round_due_ = now + Exponential(kPace, rng_);
      return Run({});
    }
    std::vector<keys::PublicKey> contacts;
    if (peer_ && book_.FindConversation(*peer_) != nullptr) contacts.push_back(*peer_);
    if (const auto turn = turns_.Next(contacts, peer_, now)) Run({.turn = turn});
  }
  void Run(chat::ExchangeRequest request) {
    if (exchange_.Nudge()) return;
    request.book = &book_;
    request.inbox = &inbox_;
    request.deadline = absl::Hours(24);
    exchange_.Run(
        request,
        [this](const chat::ContactBook::Change& change) {
          read += change.inbox.messages.size();
          return absl::OkStatus();
        },
        [](const absl::StatusOr<chat::ExchangeResult>& result) {
          if (!result.ok()) std::fprintf(stderr, "a round failed: %s\n", result.status().ToString().c_str());
        });
  }

  base::EventLoop& loop_;
  base::Rng& rng_;
  const bool on_clock_;
  const keys::SigningKey key_;
  chat::MemoryInboxStore disk_;
  chat::Inbox inbox_;
  chat::ContactBook book_;
  chat::ExchangeDriver exchange_;
  chat::ChatClient client_;
  chat::ReadingTurns turns_;
  base::Timer timer_;
  const absl::Time created_;
  absl::Time door_due_ = absl::InfinitePast(), round_due_ = absl::InfinitePast();
  bool polling_ = false;
  std::optional<keys::PublicKey> peer_;
};

class World {
 public:
  // `tick`: the mean of the clock, or of the one that it is compared with.
  World(chat::Profile profile, absl::Duration tick, uint64_t seed) : tick_(tick), network_(seed), rng_(seed + 1) {
    chat::RegisterDoorKinds(store_.kinds, "local");
    chat::RegisterConversationKinds(store_.kinds, "local");
    network_.AddNodes(kNodes);
    for (size_t i = 0; i < kNodes; ++i) {
      stores_.push_back(std::make_unique<NodeStore>(store_, network_));
      mailboxes_.push_back(
          std::make_unique<chat::MailboxEndpoint>(network_.loop, *stores_.back(), store_.kinds, "local", network_.node_key(i)));
    }
    network_.on_request = [this](size_t at, circuits::EndpointRequest request) {
      mailboxes_[at]->OnEndpointRequest(std::move(request));
    };
    Renew();
    const chat::ClockRates rates = chat::RatesOf(profile);
    network_.build_mean = rates.build_mean;
    const size_t client = network_.AddClient({0, 1}, rates.ready);
    network_.on_cell = [this, client](size_t from, size_t to, const overlay::Cell&) {
      if (!observed_since_ || (from != client && to != client)) return;
      const int64_t when = 1 + absl::ToInt64Milliseconds(network_.loop.Now() - *observed_since_);
      cells_.push_back(from == client ? when : -when);
    };
    circuits::Operations* operations = &network_.operations(client);
    if (profile != chat::Profile::kOff) {
      clock_.emplace(profile, network_.ready_operations(client), network_.loop, rng_, rng_);
      operations = &*clock_;
    }
    alice_.emplace(*operations, network_.loop, rng_, profile != chat::Profile::kOff);
    bob_.emplace(direct_, network_.loop, rng_, /*on_clock=*/false);
  }

  ~World() { network_.on_cell = nullptr; }

  // One acquaintance by invite, and a text each way; then nothing waits any more.
  bool Meet() {
    const auto code = alice_->book().CreateInvite("bob", absl::Hours(24), network_.loop.WallNow());
    if (!code.ok() || !bob_->book().TakeUp(*code, "alice", network_.loop.WallNow()).ok()) return false;
    bob_->SetFriend(alice_->address());
    bob_->Start();
    network_.loop.RunFor(absl::Seconds(30));
    alice_->Start();
    const absl::Time end = network_.loop.Now() + kMeetTicksMax * tick_;
    while (!alice_->IsReady() || !bob_->IsReady() || alice_->read == 0 || bob_->read == 0) {
      if (network_.loop.Now() >= end) return false;
      network_.loop.RunFor(absl::Seconds(5));
      if (alice_->book().FindConversation(bob_->address()) == nullptr || bob_->written > 0) continue;
      alice_->SetFriend(bob_->address());
      bob_->Write();
      alice_->Write();
    }
    network_.loop.RunFor(Exponential(absl::Seconds(10), rng_));
    return true;
  }

  // Bursts of texts by both, one every few seconds; or none.
  void Observe(bool talks, absl::Duration span) {
    observed_since_ = network_.loop.Now();
    const absl::Time end = *observed_since_ + span;
    absl::Time next = network_.loop.Now() + Exponential(span / 15, rng_);
    while (network_.loop.Now() < end) {
      const absl::Time until = talks ? std::min(end, next) : end;
      network_.loop.RunFor(until - network_.loop.Now());
      if (!talks || until == end) continue;
      (rng_.Below(2) == 0 ? *alice_ : *bob_).Write();
      next = network_.loop.Now() + Exponential(rng_.Below(3) == 0 ? span / 15 : span / 75, rng_);
    }
    observed_since_.reset();
  }
  const std::vector<int64_t>& cells() const { return cells_; }

 private:
  // As nodes do at half the life of what they sign.
  void Renew() {
    renewal_.Reset(network_.loop.Now() + network_.network.table_lifetime / 2);
    network_.DescribeAnew();
  }

  const absl::Duration tick_;
  Store store_;
  circuits::FakeNetwork network_;
  support::SeededRng rng_;
  std::vector<std::unique_ptr<NodeStore>> stores_;
  std::vector<std::unique_ptr<chat::MailboxEndpoint>> mailboxes_;
  DirectOperations direct_{network_, mailboxes_};
  std::optional<chat::ClockedOperations> clock_;
  std::optional<Person> alice_, bob_;
  std::optional<absl::Time> observed_since_;
  std::vector<int64_t> cells_;
  base::Timer renewal_{network_.loop, [this] { Renew(); }};
};

}  // namespace

int main(int argc, char** argv) {
  keys::InitCrypto();
  const auto profile = argc == 4 ? chat::ParseProfile(argv[1]) : std::nullopt;
  if (!profile) {
    std::fprintf(stderr, "usage: traffic off|low|normal|fast RUNS SEED\n");
    return 2;
  }
  const int runs = std::atoi(argv[2]);
  const uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  const absl::Duration tick = chat::RatesOf(*profile == chat::Profile::kOff ? chat::Profile::kFast : *profile).tick_mean;
  for (int run = 0; run < runs; ++run) {
    const bool talks = run % 2 == 0;
    World world(*profile, tick, seed * 1'000'003 + static_cast<uint64_t>(run));
    if (!world.Meet()) {
      std::fprintf(stderr, "run %d: the two never met\n", run);
      return 1;
    }
    world.Observe(talks, kTicksPerRun * tick);
    std::printf("%d", talks ? 1 : 0);
    for (const int64_t cell : world.cells()) std::printf(" %lld", static_cast<long long>(cell));
    std::printf("\n");
  }
  return 0;
}
