// SPDX-License-Identifier: Apache-2.0
#include "chat/chat_client.h"

#include <atomic>
#include <set>

#include "base/byte_writer.h"
#include "base/overloaded.h"

namespace chat {

namespace {

// Runs the storage operations of one session. `Session` has OnOpened and OnAnswer and is owned by a shared_ptr.
template <typename Session>
void Perform(circuits::Operations& operations, const std::shared_ptr<Session>& session, const OpenOp& open) {
  circuits::OpenRequest request = open.request;
  request.wanted = [weak = std::weak_ptr<Session>(session)] { return !weak.expired(); };
  operations.Open(std::move(request), [weak = std::weak_ptr<Session>(session), ticket = open.ticket](auto opened) {
    if (const auto self = weak.lock()) self->OnOpened(ticket, std::move(opened));
  });
}
template <typename Session>
void Perform(circuits::Operations& operations, const std::shared_ptr<Session>& session, const RunOp& run) {
  operations.Run(run.handle, run.request, [weak = std::weak_ptr<Session>(session), ticket = run.ticket](auto answer) {
    if (const auto self = weak.lock()) self->OnAnswer(ticket, std::move(answer));
  });
}

}  // namespace

struct ChatClient::State {
  Options options;
  circuits::Operations& operations;
  base::EventLoop& loop;
  base::Rng& rng;
  std::set<std::shared_ptr<SendSession>> sends;
  std::set<std::shared_ptr<PollSession>> polls;
  const std::array<uint8_t, 32> isolation_secret = rng.Array<32>();

  // No two identities share a circuit (protocol.md 6).
  Poller::Options PollerOptions(const PollRequest& request) const {
    Poller::Options poller = options.poller;
    poller.today_only = request.today_only;
    poller.waits = request.waits;
    poller.isolation_secret = base::ByteWriter().Append(isolation_secret).Append(request.identity->public_key().view()).Take();
    return poller;
  }
  size_t sessions() const { return sends.size() + polls.size(); }
};

struct ChatClient::SendSession : std::enable_shared_from_this<SendSession> {
  SendSession(State& owner, std::function<void(absl::StatusOr<SendResult>)> callback, std::function<void(uint32_t)> work_callback)
      : state(owner),
        sender(owner.options.sender, owner.rng),
        timer(owner.loop, [this] { Apply(sender.OnTick(state.loop.Now())); }),
        done(std::move(callback)),
        on_work(std::move(work_callback)) {}
  ~SendSession() { *gone = true; }

  void Start(const SendRequest& request) {
    auto actions = sender.Start(request, state.loop.WallNow(), state.loop.Now());
    if (actions.ok()) return Apply(*actions);
    state.loop.Post([self = shared_from_this(), status = actions.status()] { self->Finish(status); });
  }
  void OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened) {
    Apply(sender.OnOpened(ticket, std::move(opened), state.loop.Now()));
  }
  void OnAnswer(uint64_t ticket, absl::StatusOr<base::Bytes> answer) { Apply(sender.OnAnswer(ticket, answer, state.loop.Now())); }
  void Apply(const SendActions& actions) {
    const auto self = shared_from_this();
    for (const SendAction& action : actions) {
      std::visit(base::Overloaded{[&](const WorkOp& work) { Work(work); },
                                  [&](const auto& one) { Perform(state.operations, self, one); }},
                 action);
    }
    if (sender.done()) return Finish(sender.result());
    timer.Reset(sender.NextTick());
  }
  void Work(const WorkOp& work) {
    if (on_work) on_work(work.effort);
    SearchWork(state.loop, state.rng, work, gone, [weak = weak_from_this(), ticket = work.ticket](const keys::WorkProof& proof) {
      const auto self = weak.lock();
      if (self != nullptr) self->Apply(self->sender.OnWorked(ticket, proof, self->state.loop.Now()));
    });
  }
  void Finish(absl::StatusOr<SendResult> result) {
    const auto self = shared_from_this();
    if (state.sends.erase(self) == 0) return;
    timer.Stop();
    done(std::move(result));
  }

  State& state;
  Sender sender;
  base::Timer timer;
  const std::function<void(absl::StatusOr<SendResult>)> done;
  const std::function<void(uint32_t)> on_work;
  const std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);
};

struct ChatClient::PollSession : std::enable_shared_from_this<PollSession> {
  PollSession(State& owner, const PollRequest& poll_request, std::function<absl::Status(const Message&)> message_callback,
              std::function<void(absl::StatusOr<PollResult>)> callback)
      : state(owner),
        request(poll_request),
        poller(owner.PollerOptions(poll_request), *poll_request.identity, owner.rng),
        timer(owner.loop, [this] { Apply(poller.OnTick(state.loop.Now())); }),
        on_message(std::move(message_callback)),
        done(std::move(callback)) {}

  // Loads the inbox, then begins.
  void Start() {
    auto loaded = std::make_shared<absl::StatusOr<InboxState>>();
    state.loop.RunSlow([inbox = request.inbox, wall_now = state.loop.WallNow(), loaded] { *loaded = inbox->Load(wall_now); },
                       [weak = weak_from_this(), loaded] {
                         if (const auto self = weak.lock()) self->Begin(*loaded);
                       });
  }
  void Begin(const absl::StatusOr<InboxState>& loaded) {
    loading = false;
    if (!loaded.ok()) return Finish(loaded.status());
    auto actions = poller.Start({request.created, request.imported, {}}, *loaded, state.loop.WallNow(), state.loop.Now());
    if (!actions.ok()) return Finish(actions.status());
    Apply(*actions);
  }
  void OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened) {
    Apply(poller.OnOpened(ticket, std::move(opened), state.loop.Now()));
  }
  void OnAnswer(uint64_t ticket, absl::StatusOr<base::Bytes> answer) { Apply(poller.OnAnswer(ticket, answer, state.loop.Now())); }
  void Apply(const PollActions& actions) {
    const auto self = shared_from_this();
    for (const PollAction& action : actions) {
      std::visit(base::Overloaded{[&](const OpenOp& open) { Perform(state.operations, self, open); },
                                  [&](const RunOp& run) { Perform(state.operations, self, run); },
                                  [&](const KeepMail& keep) { Keep(keep.change); },
                                  [&](const ShowMessages& show) { Show(show.messages); }},
                 action);
    }
    MaybeFinish();
  }
  void MaybeFinish() {
    if (poller.done() && writing == 0) return Finish(poller.result());
    timer.Reset(poller.NextTick());
  }
  // Writes one change after the other, so that results come back in order.
  void Keep(InboxChange change) {
    Write(std::move(change), [this](const absl::Status& status) { Apply(poller.OnKept(status, state.loop.Now())); });
  }
  void Show(const std::vector<Message>& messages) {
    InboxChange change;
    for (const Message& message : messages) {
      show_error.Update(show_error.ok() ? on_message(message) : absl::OkStatus());
      if (show_error.ok()) change.shown.push_back(message.id);
    }
    if (change.empty() || !request.mark_shown) return;
    Write(std::move(change), [this](const absl::Status& status) {
      show_error.Update(status);
      MaybeFinish();
    });
  }
  void Write(InboxChange change, std::function<void(const absl::Status&)> then) {
    ++writing;
    queue.push_back({std::move(change), std::move(then)});
    if (queue.size() == 1) WriteNext();
  }
  void WriteNext() {
    auto status = std::make_shared<absl::Status>();
    auto change = std::make_shared<InboxChange>(std::move(queue.front().change));
    state.loop.RunSlow([inbox = request.inbox, change, status] { *status = inbox->Apply(*change); },
                       [weak = weak_from_this(), status] {
                         if (const auto self = weak.lock()) self->Written(*status);
                       });
  }
  void Written(const absl::Status& status) {
    const auto then = std::move(queue.front().then);
    queue.pop_front();
    --writing;
    if (!queue.empty()) WriteNext();
    then(status);
  }
  void Finish(absl::StatusOr<PollResult> result) {
    const auto self = shared_from_this();
    if (state.polls.erase(self) == 0) return;
    timer.Stop();
    if (result.ok() && !show_error.ok()) result = show_error;
    done(std::move(result));
  }

  struct PendingWrite {
    InboxChange change;
    std::function<void(const absl::Status&)> then;
  };

  State& state;
  const PollRequest request;
  Poller poller;
  base::Timer timer;
  const std::function<absl::Status(const Message&)> on_message;
  const std::function<void(absl::StatusOr<PollResult>)> done;
  std::deque<PendingWrite> queue;  // the first one is under way
  int writing = 0;
  bool loading = true;  // the inbox is in use on a worker, as while writing
  absl::Status show_error;
};

ChatClient::ChatClient(Options options, circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng)
    : state_(new State{std::move(options), operations, loop, rng, {}, {}}) {
  Options& own = state_->options;
  own.sender.network = own.network;
  own.sender.write_quorum = own.write_quorum;
  own.sender.replica_count = own.replica_count;
  own.poller.network = own.network;
}

ChatClient::~ChatClient() = default;

void ChatClient::Send(const SendRequest& request, std::function<void(absl::StatusOr<SendResult>)> done,
                      std::function<void(uint32_t effort)> on_work) {
  if (state_->sessions() >= kSessionsMax) {
    state_->loop.Post([done = std::move(done)] { done(absl::ResourceExhaustedError("too many sends and polls at once")); });
    return;
  }
  const auto session = std::make_shared<SendSession>(*state_, std::move(done), std::move(on_work));
  state_->sends.insert(session);
  session->Start(request);
}

void ChatClient::Poll(const PollRequest& request, std::function<absl::Status(const Message&)> on_message,
                      std::function<void(absl::StatusOr<PollResult>)> done) {
  if (state_->sessions() >= kSessionsMax) {
    state_->loop.Post([done = std::move(done)] { done(absl::ResourceExhaustedError("too many sends and polls at once")); });
    return;
  }
  const auto session = std::make_shared<PollSession>(*state_, request, std::move(on_message), std::move(done));
  state_->polls.insert(session);
  session->Start();
}

bool ChatClient::DropPolls() {
  std::erase_if(state_->polls, [](const auto& poll) { return !poll->loading && poll->writing == 0; });
  return state_->polls.empty();
}

}  // namespace chat
