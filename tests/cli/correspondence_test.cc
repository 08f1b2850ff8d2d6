// SPDX-License-Identifier: Apache-2.0
// A chat without a screen, under virtual time: what it opens, deletes, keeps and tells, on a slow clock and beside other
// commands.
#include "cli/correspondence.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "keys/system_rng.h"
#include "tests/chat/book_world.h"
#include "tests/chat/fake_operations.h"
#include "tests/support/manual_loop.h"

namespace cli {
namespace {

// Its wall clock begins at that of the machine, which OpenBook looks at.
class LoopFromNow : public support::ManualLoop {
 public:
  absl::Time WallNow() const override { return Now() + ahead_; }
  void Post(Task task) override {
    if (post_delay == absl::ZeroDuration()) return ManualLoop::Post(std::move(task));
    At(Now() + post_delay, std::move(task));
  }
  absl::Duration post_delay;  // of a loop that has much to do

 private:
  const absl::Duration ahead_ = absl::Now() - support::ManualLoop::Now();
};

// A clock that lets one operation go at each tick, in their order.
class TickingOperations : public circuits::Operations {
 public:
  static constexpr absl::Duration kEvery = absl::Seconds(30);

  TickingOperations(circuits::Operations& inner, base::EventLoop& loop)
      : inner_(inner), loop_(loop), timer_(loop, [this] { Tick(); }) {
    timer_.Reset(loop_.Now() + kEvery);
  }
  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override {
    waiting_.push_back({std::move(request), std::move(done)});
  }
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override {
    inner_.Run(handle, std::move(request), std::move(done));
  }

 private:
  struct Waiting {
    circuits::OpenRequest request;
    std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done;
  };

  void Tick() {
    timer_.Reset(loop_.Now() + kEvery);
    if (waiting_.empty()) return;
    Waiting one = std::move(waiting_.front());
    waiting_.pop_front();
    inner_.Open(std::move(one.request), std::move(one.done));
  }

  circuits::Operations& inner_;
  base::EventLoop& loop_;
  base::Timer timer_;
  std::deque<Waiting> waiting_;
};

class FakePorts : public TalkPorts {
 public:
  FakePorts(chat::Profile profile, circuits::Operations& operations, base::EventLoop& loop, base::Rng& rng)
      : profile_(profile),
        loop_(loop),
        rng_(rng),
        client_(ClientOptions(), operations, loop, rng),
        exchange_({}, operations, loop, rng) {}
  chat::ChatClient& client() override { return client_; }
  chat::ExchangeDriver& exchange() override { return exchange_; }
  base::EventLoop& loop() override { return loop_; }
  base::Rng& rng() override { return rng_; }
  chat::Profile profile() const override { return profile_; }
  const std::string& way() const override { return way_; }

 private:
  static chat::ChatClient::Options ClientOptions() {
    chat::ChatClient::Options options;
    options.poller.deadline = absl::Hours(24);
    return options;
  }

  const chat::Profile profile_;
  const std::string way_ = "no node here";
  base::EventLoop& loop_;
  base::Rng& rng_;
  chat::ChatClient client_;
  chat::ExchangeDriver exchange_;
};

// The disk is the test's: what is opened again is the same one.
class SharedStore : public chat::InboxStore {
 public:
  explicit SharedStore(support::CuttableStore& inner) : inner_(inner) {}
  absl::Status Apply(const std::vector<chat::InboxWrite>& writes) override { return inner_.Apply(writes); }
  absl::Status Scrub(uint8_t first, uint8_t last) override { return inner_.Scrub(first, last); }
  absl::Status ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const override {
    return inner_.ForEach(first, visit);
  }
  absl::StatusOr<base::Bytes> Get(base::ByteView key) const override { return inner_.Get(key); }

 private:
  support::CuttableStore& inner_;
};

class Listener : public CorrespondenceListener {
 public:
  void OnPeople(const std::vector<PersonShown>&, size_t count) override { requests = count; }
  void OnMessage(const chat::Message& message, bool, const std::string&) override {
    messages[message.id] = base::ToString(message.text);
  }
  void OnGone(const chat::MessageId& id) override { gone.push_back(id); }
  void OnState(const keys::PublicKey&, const chat::StateChange&, bool) override {}
  void OnNotice(const std::optional<keys::PublicKey>&, const std::string& text) override {
    absl::StrAppend(&notices, text, "\n");
  }
  void OnUnsent(const chat::Message& message, const std::string& notice) override {
    unsent.push_back(message.id);
    absl::StrAppend(&notices, notice, "\n");
  }
  void OnStatus(const StatusShown& status) override { trouble = status.trouble; }
  void OnTick() override {}

  size_t requests = 0;
  std::map<chat::MessageId, std::string> messages;
  std::vector<chat::MessageId> gone, unsent;
  std::string notices, trouble;
};

// Somebody else, in another process.
struct Other {
  Other(support::FakeOperations& operations, base::EventLoop& loop, base::Rng& rng)
      : key(keys::SigningKey::Generate(rng)), inbox(disk, key, rng), book({}, key, rng), driver({}, operations, loop, rng) {}

  const keys::SigningKey key;
  chat::MemoryInboxStore disk;
  chat::Inbox inbox;
  chat::ContactBook book;
  chat::ExchangeDriver driver;
};

class CorrespondenceTest : public testing::Test {
 protected:
  CorrespondenceTest() {
    EXPECT_OK(open_.Resume());
    const auto code = bob_.book.CreateInvite("alice", chat::kInviteLifeDefault, loop_.WallNow());
    EXPECT_OK(code);
    EXPECT_OK(open_.book().TakeUp(*code, "bob", loop_.WallNow()));
    chat::ExchangeDriver driver({}, operations_, loop_, rng_);  // publishes her prekeys, and writes to bob
    Round(driver, open_.book(), open_.inbox());
  }
  ~CorrespondenceTest() override { std::filesystem::remove(directory_ + ".turn"); }

  void Round(chat::ExchangeDriver& driver, chat::ContactBook& book, chat::Inbox& inbox) {
    driver.Run(
        {.book = &book, .inbox = &inbox}, [](const chat::ContactBook::Change&) { return absl::OkStatus(); },
        [](const absl::StatusOr<chat::ExchangeResult>& done) { EXPECT_OK(done); });
    loop_.RunFor(absl::Minutes(2));
  }
  void Start(chat::Profile profile) {
    circuits::Operations& operations = operations_;
    ports_.emplace(profile, profile == chat::Profile::kOff ? operations : ticking_.emplace(operations_, loop_), loop_, rng_);
    correspondence_.emplace(*ports_, open_, listener_);
    correspondence_->Start();
  }
  // An own text that was written so long ago, and disappears 30 s after that.
  chat::Message Disappearing(absl::Duration ago) {
    chat::Message message;
    message.id = rng_.Array<16>();
    message.text = {'x'};
    message.from = bob_.key.public_key();
    message.in_conversation = message.own = true;
    message.received = absl::Now() - ago;
    message.life = 1;
    return message;
  }
  void Keep(const chat::Message& message) {
    chat::InboxChange change;
    change.history = {message};
    ASSERT_OK(open_.inbox().Apply(change));
  }
  // What another command would read of the disk.
  std::vector<std::string> TextsOnDisk() {
    chat::Inbox inbox(disk_, key_, rng_);
    const auto messages = inbox.Messages();
    EXPECT_OK(messages);
    std::vector<std::string> texts;
    for (const chat::Message& message : *messages) texts.push_back(base::ToString(message.text));
    return texts;
  }
  // The text that waits for bob.
  std::string Queued() {
    for (const auto& [number, message] : open_.book().FindConversation(bob_.key.public_key())->outbox().messages()) {
      return base::ToString(message.text);
    }
    return "";
  }

  support::SeededRng rng_{11};
  LoopFromNow loop_;
  support::FakePlaces places_{loop_, "local", 9, rng_};
  support::FakeOperations operations_{places_, rng_};
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
  support::CuttableStore disk_;
  const std::string directory_ = absl::StrCat(std::filesystem::temp_directory_path().string(), "/bulbil-correspondence-",
                                              base::ToHex(keys::SystemRng().Array<8>()));
  BookTurn other_turn_{directory_ + ".turn"};
  OpenBook open_{{{.name = "alice", .public_key = key_.public_key(), .created = absl::Now()},
                  keys::SigningKey(keys::Secret<32>(key_.seed().view()))},
                 directory_,
                 {},
                 [this](const std::string&) { return std::make_unique<SharedStore>(disk_); }};
  Other bob_{operations_, loop_, rng_}, carol_{operations_, loop_, rng_};
  Listener listener_;
  std::optional<TickingOperations> ticking_;
  std::optional<FakePorts> ports_;
  std::optional<Correspondence> correspondence_;
};

// On a clock a turn follows the other, and polls overlap them: there is no moment at which neither is under way.
TEST_F(CorrespondenceTest, OnASlowClockAStrangersRequestIsOpened) {
  ASSERT_OK(carol_.book.Add("alice", key_.public_key()));
  ASSERT_OK(carol_.book.Send(key_.public_key(), base::Bytes{'h', 'i'}, loop_.WallNow()));
  Round(carol_.driver, carol_.book, carol_.inbox);
  ASSERT_TRUE(carol_.book.FindConversation(key_.public_key())->has_session());
  Start(chat::Profile::kNormal);
  EXPECT_EQ(listener_.requests, 0u);
  loop_.RunFor(absl::Minutes(60));
  EXPECT_EQ(listener_.requests, 1u) << listener_.notices;
}

TEST_F(CorrespondenceTest, OnASlowClockWhatDisappearsDoes) {
  Start(chat::Profile::kNormal);
  loop_.RunFor(absl::Minutes(2));
  const chat::Message message = Disappearing(absl::Hours(1));
  Keep(message);
  loop_.RunFor(absl::Minutes(30));
  EXPECT_EQ(listener_.gone, std::vector<chat::MessageId>{message.id});
  EXPECT_TRUE(TextsOnDisk().empty());
}

TEST_F(CorrespondenceTest, WhatDisappearsWhileAnotherCommandHasTheBookLeavesTheScreenToo) {
  const chat::Message message = Disappearing(absl::ZeroDuration());
  Keep(message);
  Start(chat::Profile::kOff);
  EXPECT_TRUE(listener_.messages.contains(message.id));
  ASSERT_OK(other_turn_.Queue());
  loop_.RunFor(absl::Seconds(30));
  ASSERT_TRUE(open_.released());
  chat::Inbox inbox(disk_, key_, rng_);
  ASSERT_OK(inbox.Sweep(absl::Now() + absl::Hours(1)));
  EXPECT_TRUE(listener_.gone.empty());
  other_turn_.Leave();
  loop_.RunFor(absl::Seconds(1));
  ASSERT_FALSE(open_.released());
  EXPECT_EQ(listener_.gone, std::vector<chat::MessageId>{message.id});
}

TEST_F(CorrespondenceTest, ATextTypedWhenAnotherCommandWantsTheBookIsKept) {
  Start(chat::Profile::kNormal);
  loop_.RunFor(absl::Minutes(2));
  ASSERT_OK(other_turn_.Queue());
  loop_.post_delay = absl::Milliseconds(300);  // the round that runs has not looked yet
  correspondence_->Send(bob_.key.public_key(), "last words");
  loop_.RunFor(absl::Milliseconds(250));
  ASSERT_TRUE(open_.released());
  EXPECT_EQ(TextsOnDisk(), std::vector<std::string>{"last words"});
  loop_.post_delay = absl::ZeroDuration();
  other_turn_.Leave();
  loop_.RunFor(absl::Seconds(1));
  ASSERT_FALSE(open_.released());
  EXPECT_EQ(Queued(), "last words");
}

TEST_F(CorrespondenceTest, ATextThatTheDiskDoesNotTakeIsSaid) {
  for (const chat::Profile profile : {chat::Profile::kOff, chat::Profile::kNormal}) {
    listener_ = {};
    Start(profile);
    loop_.RunFor(absl::Seconds(20));
    disk_.writes_left = 0;
    correspondence_->Send(bob_.key.public_key(), "dear bob");
    loop_.RunFor(absl::Seconds(1));
    EXPECT_TRUE(absl::StrContains(listener_.notices, "NOT sent")) << listener_.notices;
    EXPECT_TRUE(absl::StrContains(listener_.notices, "dear bob")) << listener_.notices;
    EXPECT_EQ(listener_.unsent.size(), 1U);
    disk_.writes_left = -1;
    loop_.RunFor(absl::Minutes(10));
    EXPECT_TRUE(TextsOnDisk().empty());
    EXPECT_EQ(Queued(), "");
    correspondence_.reset();
  }
}

// The book in memory is ahead of the disk then: nothing may leave, or be written, that follows from it.
TEST_F(CorrespondenceTest, WithABookThatCannotBeReadAgainNothingGoesOnUntilItCan) {
  for (const chat::Profile profile : {chat::Profile::kOff, chat::Profile::kNormal}) {
    listener_ = {};
    Start(profile);
    loop_.RunFor(absl::Seconds(20));
    disk_.writes_left = 0;
    disk_.unreadable = true;
    correspondence_->Send(bob_.key.public_key(), "not kept");
    loop_.RunFor(absl::Minutes(20));  // a door that is polled meanwhile ends
    EXPECT_TRUE(absl::StrContains(listener_.notices, "not kept")) << listener_.notices;
    disk_.writes_left = -1;  // but it cannot be read
    const int runs = operations_.runs;
    correspondence_->Send(bob_.key.public_key(), "waits");
    loop_.RunFor(kTroublePause * 4);
    EXPECT_TRUE(absl::StrContains(listener_.trouble, "what you write waits")) << listener_.trouble;
    EXPECT_FALSE(absl::StrContains(listener_.notices, "waits")) << listener_.notices;
    EXPECT_EQ(operations_.runs, runs);
    disk_.unreadable = false;
    loop_.RunFor(absl::Minutes(10));
    EXPECT_EQ(TextsOnDisk(), std::vector<std::string>(profile == chat::Profile::kOff ? 1 : 2, "waits"));
    EXPECT_EQ(listener_.trouble, "");
    correspondence_.reset();
  }
}

TEST_F(CorrespondenceTest, ATextIsSentAgainAsItWasWritten) {
  chat::Message message = Disappearing(absl::ZeroDuration());
  message.text = base::Bytes(5000, '\n');
  message.text[7] = '\x1b';
  Keep(message);
  Start(chat::Profile::kOff);
  correspondence_->SendAgain(bob_.key.public_key(), message.id);
  EXPECT_EQ(Queued(), base::ToString(message.text));
  correspondence_->SendAgain(bob_.key.public_key(), rng_.Array<16>());
  EXPECT_TRUE(absl::StrContains(listener_.notices, "NOT sent")) << listener_.notices;
}

}  // namespace
}  // namespace cli
