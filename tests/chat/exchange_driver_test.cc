// SPDX-License-Identifier: Apache-2.0
// Rounds of a contact book over fake circuits: what a long file leaves to readings, and a disk that fails.
#include "chat/exchange_driver.h"

#include <gtest/gtest.h>

#include "chat/memory_inbox_store.h"
#include "tests/chat/fake_operations.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

// Fails one write, and counts those that come after it.
class FailingStore : public MemoryInboxStore {
 public:
  absl::Status Apply(const std::vector<InboxWrite>& writes) override {
    if (writes_until_failure < 0) ++writes_after;
    if (writes_until_failure-- != 0) return MemoryInboxStore::Apply(writes);
    if (on_failure) on_failure();
    return absl::UnavailableError("no room");
  }
  int writes_until_failure = 0, writes_after = 0;
  std::function<void()> on_failure;
};

// Every operation takes 100 ms; remembers which were puts.
class SlowOperations : public circuits::Operations {
 public:
  SlowOperations(circuits::Operations& inner, base::EventLoop& loop) : inner_(inner), loop_(loop) {}
  void Open(circuits::OpenRequest request, std::function<void(absl::StatusOr<circuits::OpenedOperation>)> done) override {
    wanted = request.wanted;
    inner_.Open(std::move(request), std::move(done));
  }
  void Run(uint64_t handle, base::Bytes request, std::function<void(absl::StatusOr<base::Bytes>)> done) override {
    const auto decoded = DecodeMailboxRequest(request);
    puts.push_back(decoded.ok() && !std::holds_alternative<ReadRequest>(*decoded));
    loop_.At(loop_.Now() + absl::Milliseconds(100),
             [this, handle, request = std::move(request), done = std::move(done)] { inner_.Run(handle, request, done); });
  }

  std::vector<bool> puts;  // of each operation, else it was a reading
  std::function<bool()> wanted;

 private:
  circuits::Operations& inner_;
  base::EventLoop& loop_;
};

class ExchangeDriverTest : public testing::Test {
 protected:
  struct Person {
    Person(ExchangeDriverTest& test, uint64_t seed)
        : key(keys::SigningKey::Generate(test.rng_)),
          rng(seed),
          inbox(store, key, test.rng_),
          book({}, key, rng),
          driver({}, test.operations_, test.loop_, test.rng_) {}

    const keys::SigningKey key;
    support::SeededRng rng;
    MemoryInboxStore store;
    Inbox inbox;
    ContactBook book;
    ExchangeDriver driver;
    int rounds = 0;
    std::vector<std::string> shown;
  };

  ExchangeDriverTest() {
    const auto code = alice_.book.CreateInvite("bob", kInviteLifeDefault, loop_.WallNow());
    EXPECT_OK(bob_.book.TakeUp(*code, "alice", loop_.WallNow()));
    for (int i = 0; i < 3; ++i) {
      for (Person* person : {&bob_, &alice_}) {
        Begin(*person, std::nullopt);
        loop_.RunFor(absl::Minutes(2));
      }
    }
    EXPECT_TRUE(bob_.book.FindConversation(alice_.key.public_key())->confirmed());
    operations_.puts.clear();
    alice_.rounds = 0;
  }

  void Begin(Person& person, std::optional<ReadingTurn> turn) {
    person.driver.Run(
        {.book = &person.book, .inbox = &person.inbox, .turn = turn, .deadline = absl::Hours(1)},
        [&person](const ContactBook::Change& change) {
          for (const Message& message : change.inbox.messages) person.shown.push_back(base::ToString(message.text));
          return absl::OkStatus();
        },
        [&person](const absl::StatusOr<ExchangeResult>& result) {
          EXPECT_OK(result);
          ++person.rounds;
        });
  }
  ReadingTurn BobsTurn() { return {bob_.key.public_key(), /*brief=*/true}; }
  size_t Puts() const { return static_cast<size_t>(std::count(operations_.puts.begin(), operations_.puts.end(), true)); }
  bool FileIsStored() {
    const auto& messages = alice_.book.FindConversation(bob_.key.public_key())->outbox().messages();
    return std::prev(messages.end())->second.state == DeliveryState::kStored;
  }

  support::SeededRng rng_{9};
  support::ManualLoop loop_;
  support::FakePlaces places_{loop_, "local", 9, rng_};
  support::FakeOperations circuits_{places_, rng_};
  SlowOperations operations_{circuits_, loop_};
  Person alice_{*this, 1}, bob_{*this, 2};
};

TEST_F(ExchangeDriverTest, ReadingsJoinTheRoundOfALongFileAndHaveEveryOtherOperation) {
  const absl::Time start = loop_.WallNow();
  ASSERT_OK(alice_.book.SendFile(bob_.key.public_key(), "long", base::Bytes(300 * kBoxTextMax, 7), start));
  ASSERT_OK(bob_.book.Send(alice_.key.public_key(), base::ToBytes(base::AsBytes("while it is on its way")), start));
  Begin(bob_, std::nullopt);
  loop_.RunFor(absl::Milliseconds(100));
  Begin(alice_, BobsTurn());
  size_t puts_when_shown = 0, ended = 0;
  for (int i = 0; i < 2000 && !FileIsStored(); ++i) {
    loop_.RunFor(absl::Milliseconds(50));
    if (!alice_.shown.empty() && puts_when_shown == 0) puts_when_shown = Puts();
    const bool can = alice_.driver.CanJoin();
    EXPECT_EQ(alice_.driver.Join(BobsTurn()), can);
    if (alice_.driver.running()) continue;
    ++ended;
    Begin(alice_, BobsTurn());
  }
  ASSERT_TRUE(FileIsStored());
  EXPECT_EQ(alice_.shown, std::vector<std::string>{"while it is on its way"});
  EXPECT_LT(puts_when_shown, 100u) << "not when the file was through";
  EXPECT_GE(ended, 1u) << "now and then a round ends";
  const size_t reads = operations_.puts.size() - Puts();
  EXPECT_GT(reads, Puts() / 10);
}

TEST_F(ExchangeDriverTest, NothingJoinsARoundThatReadsOrHasNothingToPut) {
  EXPECT_FALSE(alice_.driver.Join(BobsTurn()));
  Begin(alice_, BobsTurn());
  loop_.RunFor(absl::Milliseconds(50));
  ASSERT_TRUE(alice_.driver.running());
  EXPECT_FALSE(alice_.driver.Join(BobsTurn()));
  loop_.RunFor(absl::Seconds(5));
  EXPECT_EQ(alice_.rounds, 1);
}

TEST_F(ExchangeDriverTest, WhatADroppedRoundAskedForIsNotWanted) {
  Begin(alice_, BobsTurn());
  loop_.RunFor(absl::Milliseconds(50));
  ASSERT_TRUE(operations_.wanted);
  EXPECT_TRUE(operations_.wanted());
  EXPECT_TRUE(alice_.driver.Drop());
  EXPECT_FALSE(operations_.wanted());
}

// A change says what differs from the one before it: over a hole it would be wrong for ever.
TEST(ExchangeDriverFailure, AfterAWriteThatFailedNothingMoreIsWritten) {
  for (int failing = 0; failing < 4; ++failing) {
    support::SeededRng rng(7);
    support::ManualLoop loop;
    support::FakePlaces places(loop, "local", 9, rng);
    support::FakeOperations operations(places, rng);
    const keys::SigningKey key = keys::SigningKey::Generate(rng), other = keys::SigningKey::Generate(rng);
    FailingStore store;
    Inbox inbox(store, key, rng);
    ContactBook book({}, key, rng);
    ASSERT_OK(book.Add("bob", other.public_key()));
    store.writes_until_failure = failing;
    store.on_failure = [&] { EXPECT_OK(book.Send(other.public_key(), base::Bytes{'x'}, loop.WallNow())); };
    ExchangeDriver driver({}, operations, loop, rng);
    absl::StatusOr<ExchangeResult> result = absl::UnknownError("never done");
    driver.Run(
        {.book = &book, .inbox = &inbox}, [](const ContactBook::Change&) { return absl::OkStatus(); },
        [&](absl::StatusOr<ExchangeResult> done) { result = std::move(done); });
    loop.RunFor(absl::Minutes(3));
    ASSERT_LT(store.writes_until_failure, 0) << "the round did not get so far";
    EXPECT_STATUS(result, kUnavailable);
    EXPECT_EQ(store.writes_after, 0) << failing;
  }
}

}  // namespace
}  // namespace chat
