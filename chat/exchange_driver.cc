// SPDX-License-Identifier: Apache-2.0
#include "chat/exchange_driver.h"

#include <atomic>

#include "base/overloaded.h"
#include "chat/work_driver.h"

namespace chat {

namespace {

constexpr size_t kTasksAtOnce = 16;  // handed to the courier; it opens fewer circuits side by side

}  // namespace

struct ExchangeDriver::Round : std::enable_shared_from_this<Round> {
  Round(ExchangeDriver& driver, const ExchangeRequest& exchange)
      : loop(driver.loop_),
        operations(driver.operations_),
        request(exchange),
        courier(driver.options_, driver.rng_),
        timer(driver.loop_, [this] { OnTimer(); }),
        ends(driver.loop_.Now() + exchange.deadline),
        rng(driver.rng_) {}
  ~Round() { *gone = true; }

  void Begin() {
    if (request.read) BeginReading(request.turn);
    Step();
  }

  void BeginReading(const std::optional<ReadingTurn>& turn) {
    if (!turn) return request.book->BeginRound(loop.WallNow());
    if (!turn->only) return request.book->BeginUpkeep(loop.WallNow());
    request.book->BeginReading(*turn->only, turn->brief, loop.WallNow());
  }
  bool CanJoin() const {
    return !finished && joins < kJoinsMax && reads == 0 && courier.under_way() > 0 && !request.book->HasReadings();
  }

  // Saves what changed; when there is nothing to save, carries on what is due; when there is nothing to carry, ends.
  void Step() {
    if (finished || writing) return;
    if (!error.ok()) return Close();  // the next change follows from what could not be written
    request.book->Advance(loop.WallNow());
    auto change = std::make_shared<ContactBook::Change>(request.book->TakeChange(loop.WallNow()));
    if (!change->empty()) return Save(change);
    if (!courier.fatal().ok() || loop.Now() >= ends) return Close();
    const bool takes_no_more = joins == kJoinsMax && reads == 0 && !request.book->HasReadings();
    if (courier.under_way() < kTasksAtOnce && !takes_no_more) {
      auto tasks = request.book->Tasks(loop.WallNow(), kTasksAtOnce - courier.under_way());
      for (const BookTask& task : tasks) reads += task.put ? 0 : 1;
      if (!tasks.empty()) Perform(courier.Carry(std::move(tasks), loop.Now()));
    }
    if (courier.under_way() == 0) return Finish();
    timer.Reset(std::min(ends, courier.NextTick()));
  }
  void Close() {
    result.ran_out_of_time = error.ok() && courier.fatal().ok();
    courier.Abort(absl::DeadlineExceededError("time ran out"));
    courier.TakeResults();
    Finish();
  }
  void Finish() {
    if (finished) return;
    finished = *gone = true;
    timer.Stop();
    if (error.ok()) error = courier.fatal();
    done(error.ok() ? absl::StatusOr<ExchangeResult>(result) : error);
  }

  void Save(const std::shared_ptr<ContactBook::Change>& change) {
    Write(std::make_shared<InboxChange>(change->inbox), [this, change](const absl::Status& status) {
      error.Update(status);
      if (!status.ok()) return;
      result.messages += static_cast<int>(change->inbox.messages.size());
      const absl::Status shown = on_change(*change);
      error.Update(shown);
      if (!shown.ok() || change->inbox.messages.empty() || !request.mark_shown) return;
      auto after = std::make_shared<InboxChange>();
      for (const Message& message : change->inbox.messages) after->shown.push_back(message.id);
      Write(after, [this](const absl::Status& written) { error.Update(written); });
    });
  }
  void Write(std::shared_ptr<InboxChange> change, std::function<void(const absl::Status&)> then) {
    writing = true;
    auto status = std::make_shared<absl::Status>();
    loop.RunSlow([inbox = request.inbox, change, status] { *status = inbox->Apply(*change); },
                 [weak = weak_from_this(), status, then = std::move(then)] {
                   const auto self = weak.lock();
                   if (!self || self->finished) return;
                   self->writing = false;
                   then(*status);
                   self->Step();
                 });
  }

  void Perform(const OperationActions& actions) {
    for (const OperationAction& action : actions) {
      std::visit(
          base::Overloaded{[&](const OpenOp& open) {
                             circuits::OpenRequest wish = open.request;
                             wish.wanted = [weak = weak_from_this()] {
                               const auto self = weak.lock();
                               return self != nullptr && !self->finished;
                             };
                             operations.Open(std::move(wish), [weak = weak_from_this(), ticket = open.ticket](auto opened) {
                               if (const auto self = weak.lock()) self->OnOpened(ticket, std::move(opened));
                             });
                           },
                           [&](const RunOp& run) {
                             operations.Run(run.handle, run.request, [weak = weak_from_this(), ticket = run.ticket](auto answer) {
                               if (const auto self = weak.lock()) self->OnAnswer(ticket, std::move(answer));
                             });
                           }},
          action);
    }
    for (const WorkOp& work : courier.TakeWork()) {
      SearchWork(loop, rng, work, gone, [weak = weak_from_this(), ticket = work.ticket](const keys::WorkProof& proof) {
        const auto self = weak.lock();
        if (self) self->AfterEvent(self->courier.OnWorked(ticket, proof, self->loop.Now()));
      });
    }
  }
  void OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened) {
    AfterEvent(courier.OnOpened(ticket, std::move(opened), loop.Now()));
  }
  void OnAnswer(uint64_t ticket, absl::StatusOr<base::Bytes> answer) { AfterEvent(courier.OnAnswer(ticket, answer, loop.Now())); }
  void OnTimer() {
    const auto self = shared_from_this();
    AfterEvent(courier.OnTick(loop.Now()));
  }
  void AfterEvent(const OperationActions& actions) {
    if (finished) return;
    Perform(actions);
    for (const CourierResult& one : courier.TakeResults()) {
      ++result.tasks;
      if (one.put) {
        request.book->OnPutDone(one.task, one.copies, loop.WallNow());
        result.puts_failed += one.copies == 0 ? 1 : 0;
      } else {
        --reads;
        request.book->OnReadDone(one.task, one.body, loop.WallNow());
        result.reads_failed += one.body.ok() ? 0 : 1;
      }
    }
    Step();
  }

  base::EventLoop& loop;
  circuits::Operations& operations;
  const ExchangeRequest request;
  Courier courier;
  base::Timer timer;
  const absl::Time ends;
  base::Rng& rng;
  std::function<absl::Status(const ContactBook::Change&)> on_change;
  std::function<void(absl::StatusOr<ExchangeResult>)> done;
  ExchangeResult result;
  absl::Status error;
  bool writing = false, finished = false;
  int reads = 0;  // under way
  int joins = 0;
  const std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);
};

ExchangeDriver::ExchangeDriver(Courier::Options options, circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng)
    : options_(std::move(options)), operations_(operations), loop_(loop), rng_(rng) {}

ExchangeDriver::~ExchangeDriver() = default;

bool ExchangeDriver::Nudge() {
  if (!running()) return false;
  loop_.Post([weak = std::weak_ptr<Round>(round_)] {
    if (const auto round = weak.lock()) round->Step();
  });
  return true;
}

bool ExchangeDriver::CanJoin() const { return round_ && round_->CanJoin(); }

bool ExchangeDriver::Join(const std::optional<ReadingTurn>& turn) {
  if (!CanJoin()) return false;
  ++round_->joins;
  round_->BeginReading(turn);
  return Nudge();
}

bool ExchangeDriver::running() const { return round_ && !round_->finished; }
bool ExchangeDriver::Drop() {
  if (writing()) return false;
  if (running()) round_->finished = true;
  round_.reset();
  return true;
}

bool ExchangeDriver::writing() const { return running() && round_->writing; }

void ExchangeDriver::Run(const ExchangeRequest& request, std::function<absl::Status(const ContactBook::Change&)> on_change,
                         std::function<void(absl::StatusOr<ExchangeResult>)> done) {
  if (running()) {
    return loop_.Post([done = std::move(done)] { done(absl::FailedPreconditionError("a round is under way")); });
  }
  round_ = std::make_shared<Round>(*this, request);
  round_->on_change = std::move(on_change);
  round_->done = std::move(done);
  loop_.Post([weak = std::weak_ptr<Round>(round_)] {
    if (const auto round = weak.lock()) round->Begin();
  });
}

}  // namespace chat
