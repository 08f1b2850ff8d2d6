// SPDX-License-Identifier: Apache-2.0
#include "chat/mailbox_endpoint.h"

#include <map>

#include "base/overloaded.h"
#include "chat/mailbox.h"

namespace chat {

struct MailboxEndpoint::State : std::enable_shared_from_this<State> {
  using Answer = std::function<void(base::Bytes)>;

  State(base::EventLoop& event_loop, PlaceStore& place_store, const dht::RecordKinds& record_kinds, std::string network_name,
        const keys::PublicKey& self_key)
      : loop(event_loop), store(place_store), kinds(record_kinds), network(std::move(network_name)), self(self_key) {}

  void Start(circuits::EndpointRequest request);
  void Hold(circuits::EndpointRequest& request);
  void Act(MailboxDecision decision, Answer answer);
  void List(const ListPlace& list, Answer answer);
  bool HasRoomToWait(const overlay::NodeId& point) const;
  void Wait(const ListPlace& list, Answer answer);
  void OnRecord(const dht::Record& record);
  void Read(const ReadPlace& read, Answer answer);
  void Reply(const Answer& answer, const MailboxAnswer& reply) {
    --pending;
    answer(EncodeMailboxAnswer(reply));
  }

  base::EventLoop& loop;
  PlaceStore& store;
  const dht::RecordKinds& kinds;
  const std::string network;
  const keys::PublicKey self;
  // Complete listings of nothing that wait, by their place. Each has a timer that ends it.
  using WaitKey = std::pair<overlay::NodeId, base::EventLoop::TimerId>;
  struct Waiting {
    ListPlace list;
    Answer answer;
  };
  std::map<WaitKey, Waiting> waiting;
  int pending = 0, held = 0;
  bool stopped = false;
};

void MailboxEndpoint::State::Start(circuits::EndpointRequest request) {
  ++pending;
  const bool holds = !request.payload.empty() && (request.payload[0] & kHoldAnswer) != 0;
  const bool full = pending > kPendingRequestsMax || (holds && held >= kHeldAnswersMax);
  if (full) return Reply(request.answer, {MailboxStatus::kUnavailable});
  if (holds) Hold(request);
  struct Job {
    circuits::EndpointRequest request;
    MailboxDecision decision;
  };
  auto job = std::make_shared<Job>(Job{std::move(request), {}});
  const absl::Time wall_now = loop.WallNow();
  loop.RunSlow(
      [state = shared_from_this(), job, wall_now] {
        const ListContext context{state->network, job->request.channel_binding, state->self};
        job->decision = JudgeRequest(job->request.payload, context, state->kinds, wall_now);
      },
      [state = shared_from_this(), job] {
        if (!state->stopped) state->Act(std::move(job->decision), std::move(job->request.answer));
      });
}

void MailboxEndpoint::State::Hold(circuits::EndpointRequest& request) {
  request.payload[0] &= static_cast<uint8_t>(~kHoldAnswer);
  const absl::Time until = loop.Now() + kAnswerHold;
  ++held;
  request.answer = [weak = weak_from_this(), until, answer = std::move(request.answer)](base::Bytes bytes) {
    const auto state = weak.lock();
    if (!state || state->stopped) return;
    state->loop.At(until, [weak, answer, bytes = std::move(bytes)]() mutable {
      if (const auto later = weak.lock()) --later->held;
      answer(std::move(bytes));
    });
  };
}

void MailboxEndpoint::State::Act(MailboxDecision decision, Answer answer) {
  std::visit(base::Overloaded{
                 [&](RefuseRequest) { Reply(answer, {MailboxStatus::kRefused}); },
                 [&](ListPlace& list) { List(list, std::move(answer)); }, [&](ReadPlace& read) { Read(read, std::move(answer)); },
                 [&](StoreRecord& put) {
                   store.Put(std::move(put.record),
                             [weak = weak_from_this(), answer = std::move(answer)](const absl::StatusOr<dht::PutReply>& outcome) {
                               if (auto state = weak.lock()) state->Reply(answer, AnswerOfPut(outcome));
                             });
                 }},
             decision);
}

void MailboxEndpoint::State::List(const ListPlace& list, Answer answer) {
  store.SyncPlace(list.point, [weak = weak_from_this(), list, answer = std::move(answer)](bool complete) {
    const auto state = weak.lock();
    if (!state || state->stopped) return;
    const RecordSource envelopes = [&](const std::function<void(const dht::Record&)>& visit) {
      return state->store.ForEach(list.point, dht::Kind::kEnvelope, visit);
    };
    const MailboxAnswer page = MakePage(list, complete, envelopes);
    const bool waits = list.waits && complete && page.status == MailboxStatus::kPage && !page.item;
    if (waits && state->HasRoomToWait(list.point)) return state->Wait(list, answer);
    state->Reply(answer, page);
  });
}

bool MailboxEndpoint::State::HasRoomToWait(const overlay::NodeId& point) const {
  int here = 0;
  for (auto it = waiting.lower_bound({point, 0}); it != waiting.end() && it->first.first == point; ++it) ++here;
  return here < kListWaitsOfPlaceMax && static_cast<int>(waiting.size()) < kListWaitsMax;
}

void MailboxEndpoint::State::Wait(const ListPlace& list, Answer answer) {
  const auto key = std::make_shared<WaitKey>(list.point, 0);
  key->second = loop.At(loop.Now() + kListWait, [weak = weak_from_this(), key] {
    const auto state = weak.lock();
    if (!state || state->stopped) return;
    if (const auto ended = state->waiting.extract(*key)) {
      state->Reply(ended.mapped().answer, MakePage(ended.mapped().list, /*complete=*/true, [](const auto&) { return absl::OkStatus(); }));
    }
  });
  waiting.emplace(*key, Waiting{list, std::move(answer)});
}

void MailboxEndpoint::State::OnRecord(const dht::Record& record) {
  if (record.name.kind != dht::Kind::kEnvelope) return;
  auto next = waiting.lower_bound({record.name.point, 0});
  while (next != waiting.end() && next->first.first == record.name.point) {
    const auto here = next++;
    const Waiting& one = here->second;
    const MailboxAnswer page = MakePage(one.list, /*complete=*/true, [&](const auto& visit) {
      visit(record);
      return absl::OkStatus();
    });
    if (!page.item) continue;
    loop.Cancel(here->first.second);
    Reply(waiting.extract(here).mapped().answer, page);
  }
}

void MailboxEndpoint::State::Read(const ReadPlace& read, Answer answer) {
  store.SyncPlace(read.point, [weak = weak_from_this(), read, answer = std::move(answer)](bool complete) {
    const auto state = weak.lock();
    if (!state || state->stopped) return;
    state->Reply(answer, MakeReading(complete, [&](const std::function<void(const dht::Record&)>& visit) {
                   return state->store.ForEach(read.point, read.kind, visit);
                 }));
  });
}

MailboxEndpoint::MailboxEndpoint(base::EventLoop& loop, PlaceStore& store, const dht::RecordKinds& kinds, std::string network,
                                 const keys::PublicKey& self)
    : state_(std::make_shared<State>(loop, store, kinds, std::move(network), self)) {}

MailboxEndpoint::~MailboxEndpoint() { state_->stopped = true; }

void MailboxEndpoint::OnRecord(const dht::Record& record) { state_->OnRecord(record); }

void MailboxEndpoint::OnEndpointRequest(circuits::EndpointRequest request) { state_->Start(std::move(request)); }

}  // namespace chat
