// SPDX-License-Identifier: Apache-2.0
// Two ends whose handshakes arrive in any order, late, and across losses of state: both come to one session, and none goes back.
#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "chat/conversation.h"
#include "chat/envelope.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

constexpr char kNetwork[] = "local";

// One end of the pair, on one machine after the other.
struct End {
  explicit End(base::Rng& rng) : key(keys::SigningKey::Generate(rng)) {}

  absl::Time Clock(absl::Time now) const { return now + clock_error; }

  const keys::SigningKey key;
  keys::X25519KeyPair prekey;
  std::optional<Conversation> conversation;
  std::deque<base::Bytes> to_come;  // handshakes on their way here
  std::vector<std::string> read;
  absl::Duration clock_error;
};

class HandshakeOrderTest : public testing::Test {
 protected:
  HandshakeOrderTest() {
    for (End* end : {&a_, &b_}) Install(*end, /*restored=*/false);
  }

  End& Other(const End& end) { return &end == &a_ ? b_ : a_; }

  void Install(End& end, bool restored) {
    end.prekey = keys::X25519KeyPair::Generate(rng_);
    end.conversation.emplace(Conversation::Options{kNetwork, 2, true, 0, false}, end.key, Other(end).key.public_key(),
                             Standing::kContact);
    if (restored) end.conversation->Rebuild();
  }
  // The machine is gone: prekeys, session, outbox.
  void Lose(End& end) { Install(end, /*restored=*/true); }

  // Once, and again after a while: both handshakes are on their way to b.
  void LoseTwice(absl::Duration between) {
    Lose(a_);
    Work(a_);
    now_ += between;
    Lose(a_);
    Work(a_);
    ASSERT_EQ(b_.to_come.size(), 2u);
  }

  void Write(End& end, const std::string& text) {
    ASSERT_OK(end.conversation->Send(base::ToBytes(base::AsBytes(text)), end.Clock(now_), rng_));
  }
  // Seals and puts what can be; a handshake is on its way afterwards.
  void Work(End& end) {
    Conversation& conversation = *end.conversation;
    const absl::Time now = end.Clock(now_);
    conversation.Advance(now, rng_);
    if (conversation.NeedsBundle(now)) {
      ASSERT_OK(conversation.Initiate({Other(end).prekey.public_key, 0, {}}, now, rng_));
    }
    conversation.Advance(now, rng_);
    for (const Conversation::Put& put : conversation.Puts(now, 100)) {
      const bool is_taken = put.record.expiry <= now_ + dht::kTtlMax + dht::kClockTolerance;
      conversation.OnPut(put.generation, put.seq, is_taken ? 3 : 0, now);
      if (!is_taken) continue;
      if (put.kind == Parcel::Kind::kBox) {
        boxes_[put.record.name.point] = put.record.body;
        continue;
      }
      ASSERT_OK_AND_ASSIGN(const Envelope envelope, DecodeEnvelope(put.record.body));
      const End& reader = Other(end);
      ASSERT_OK_AND_ASSIGN(const base::Bytes plain, OpenEnvelope(reader.key, kNetwork, envelope.door.blinded, envelope.sealed));
      ASSERT_OK_AND_ASSIGN(Fragment fragment, DecodeFragment(plain));
      if (opened_.insert(fragment.note_id).second) Other(end).to_come.push_back(std::move(fragment.text));
    }
  }
  // Gives `end` one of the handshakes on their way to it.
  void Deliver(End& end, size_t which) {
    const base::Bytes handshake = end.to_come[which];
    end.to_come.erase(end.to_come.begin() + static_cast<ptrdiff_t>(which));
    const base::ByteView head = base::ByteView(handshake).first(kX3dhHeadSize);
    const auto answer = AnswerX3dh(end.key, kNetwork, head, end.prekey, nullptr, {});
    if (!answer.ok()) return;  // for prekeys of a machine that is lost
    EXPECT_OK(end.conversation->OnHandshake(*answer, end.prekey, base::ByteView(handshake).subspan(kX3dhHeadSize),
                                            end.Clock(now_), rng_));
    Take(end);
  }
  void Read(End& end) {
    for (std::vector<Conversation::Read> reads = end.conversation->BeginRound(); !reads.empty();) {
      std::vector<Conversation::Read> next;
      for (const Conversation::Read& read : reads) {
        const auto found = boxes_.find(read.probe.point);
        const auto body = found == boxes_.end() ? std::nullopt : std::optional(found->second);
        for (Conversation::Read& more : end.conversation->OnRead(read, body, end.Clock(now_), rng_)) next.push_back(more);
      }
      reads = std::move(next);
    }
    Take(end);
  }
  void Take(End& end) {
    for (const Incoming& message : end.conversation->TakeChanges().arrived) end.read.push_back(base::ToString(message.text));
  }
  void Settle() {
    for (int round = 0; round < 8; ++round) {
      now_ += absl::Minutes(1);
      for (End* end : {&a_, &b_}) {
        Work(*end);
        while (!end->to_come.empty()) Deliver(*end, rng_.Below(end->to_come.size()));
        Read(*end);
      }
    }
  }
  // A text each way arrives, once: both have the same session.
  void ExpectBothTalk() {
    for (End* end : {&a_, &b_}) Write(*end, absl::StrCat("text ", ++texts_));
    Settle();
    EXPECT_EQ(std::count(a_.read.begin(), a_.read.end(), absl::StrCat("text ", texts_)), 1);
    EXPECT_EQ(std::count(b_.read.begin(), b_.read.end(), absl::StrCat("text ", texts_ - 1)), 1);
    for (End* end : {&a_, &b_}) EXPECT_TRUE(end->conversation->confirmed());
  }

  support::SeededRng rng_{7};
  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  End a_{rng_}, b_{rng_};
  std::map<overlay::NodeId, base::Bytes> boxes_;
  std::set<NoteId> opened_;  // both places of an envelope have it
  int texts_ = 0;
};

TEST_F(HandshakeOrderTest, WhoStartedOverTakesUpNoOldHandshakeThatComesLate) {
  Write(b_, "written first, comes last");
  Work(b_);
  const base::Bytes old = a_.to_come.front();
  a_.to_come.clear();
  now_ += absl::Hours(2);
  Write(a_, "hello");
  Work(a_);
  Deliver(b_, 0);  // newer than its own
  ASSERT_EQ(b_.read, std::vector<std::string>{"hello"});
  now_ += kHandshakeRetry;  // no answer of b was seen
  a_.conversation->Advance(now_, rng_);
  ASSERT_FALSE(a_.conversation->has_session());
  const base::Bytes head = a_.conversation->SerializeHead();  // the rule outlives a restart
  ASSERT_OK(a_.conversation->RestoreHead(head));
  a_.to_come.push_back(old);
  Deliver(a_, 0);
  EXPECT_FALSE(a_.conversation->has_session()) << "b has left that session";
  EXPECT_TRUE(a_.read.empty());
  ExpectBothTalk();
  EXPECT_EQ(std::count(a_.read.begin(), a_.read.end(), "written first, comes last"), 1);
}

TEST_F(HandshakeOrderTest, OfTwoRestoresTheOlderOnesHandshakeChangesNothingWhenItComesLast) {
  ExpectBothTalk();
  LoseTwice(absl::Hours(1));
  Deliver(b_, 1);
  ASSERT_TRUE(b_.conversation->confirmed());
  Deliver(b_, 0);
  EXPECT_TRUE(b_.conversation->confirmed()) << "that session stays";
  Work(b_);
  EXPECT_TRUE(a_.to_come.empty()) << "and no other is begun";
  ExpectBothTalk();
}

TEST_F(HandshakeOrderTest, OfTwoRestoresInOneHourNeitherOrderIsTheEnd) {
  for (const size_t first : {size_t{0}, size_t{1}}) {
    ExpectBothTalk();
    LoseTwice(absl::Minutes(2));
    Deliver(b_, first);
    Deliver(b_, 0);
    ExpectBothTalk();
  }
}

TEST_F(HandshakeOrderTest, ARestoredMachineWhoseClockIsBehindIsHeard) {
  ExpectBothTalk();
  a_.clock_error = -absl::Minutes(50);
  Lose(a_);
  ExpectBothTalk();
}

// What a clock ten days ahead made goes nowhere, and is forgotten once the clock is right: it keeps nobody out for ten days.
TEST_F(HandshakeOrderTest, AfterAClockThatWasFarAheadBothAreHeard) {
  a_.clock_error = absl::Hours(240);
  Write(a_, "from the future");
  Work(a_);
  b_.to_come.clear();  // doors take nothing from so far ahead
  a_.clock_error = absl::ZeroDuration();
  Write(b_, "now");
  Settle();
  EXPECT_EQ(a_.read, std::vector<std::string>{"now"});
  ExpectBothTalk();
  EXPECT_EQ(std::count(b_.read.begin(), b_.read.end(), "from the future"), 1);
}

// Both have a session; what a clock 17 days ahead sealed in it, no node takes.
TEST_F(HandshakeOrderTest, WhatWasSealedForNoNodeIsSealedAnew) {
  for (const bool is_put : {true, false}) {
    ExpectBothTalk();
    Write(a_, "and an answer");
    Settle();
    ASSERT_TRUE(a_.conversation->outbox().parcels().empty()) << "else these expire, and a new session is begun for that";
    a_.clock_error = absl::Hours(17 * 24);
    Write(a_, "from the future");
    is_put ? Work(a_) : a_.conversation->Advance(a_.Clock(now_), rng_);
    a_.clock_error = absl::ZeroDuration();
    Write(a_, "now");
    Settle();
    ASSERT_GE(b_.read.size(), 2u);
    EXPECT_EQ(std::vector<std::string>(b_.read.end() - 2, b_.read.end()), (std::vector<std::string>{"from the future", "now"}));
  }
  ExpectBothTalk();
}

// Ten days ahead: nodes would take it, and it is not kept back until the clock gets there.
TEST_F(HandshakeOrderTest, WhatWasSealedAheadIsPutAtOnce) {
  ExpectBothTalk();
  a_.clock_error = absl::Hours(240);
  Write(a_, "from the future");
  a_.conversation->Advance(a_.Clock(now_), rng_);
  a_.clock_error = absl::ZeroDuration();
  Settle();
  EXPECT_EQ(b_.read.back(), "from the future");
}

TEST(OutboxTest, WithdrawnControlsAreSealedAnewAsNothing) {
  support::SeededRng rng(1);
  Outbox outbox(2);
  for (const uint8_t byte : {uint8_t{1}, uint8_t{2}})
    ASSERT_OK(outbox.Enqueue({byte}, 0, absl::UnixEpoch(), rng, /*is_control=*/true));
  ASSERT_OK(outbox.Enqueue({1}, 0, absl::UnixEpoch(), rng));
  outbox.BlankControls([](base::ByteView control) { return control[0] == 1; });
  EXPECT_TRUE(outbox.messages().at(1).text.empty());
  EXPECT_EQ(outbox.messages().at(2).text, base::Bytes{2});
  EXPECT_EQ(outbox.messages().at(3).text, base::Bytes{1}) << "a person's";
}

// Somebody without a door: there is no other session to be had.
TEST(OutboxTest, WhatNoNodeTakesExpiresWhereItCannotBeSealedAnew) {
  support::SeededRng rng(1);
  const absl::Time now = StartOfDay(20780);
  Outbox outbox(2);
  ASSERT_OK_AND_ASSIGN(const MessageId id, outbox.Enqueue({'x'}, 0, now, rng));
  Parcel parcel{.expiry = now + absl::Hours(31 * 24), .due = now};
  for (const bool is_stored : {true, false}) {
    parcel.copies = is_stored ? 2 : 1;
    outbox.AddParcel(parcel);
    outbox.MarkSealed(1, 0, 1, parcel.expiry);
    EXPECT_EQ(outbox.HasImpossible(now), !is_stored) << "what nodes did take is kept";
    bool broken = false;
    const auto changed = outbox.Expire(now, broken);
    EXPECT_EQ(broken, !is_stored);
    EXPECT_EQ(changed.size(), is_stored ? 0u : 1u);
  }
  EXPECT_EQ(outbox.Find(id)->state, DeliveryState::kExpired);
  EXPECT_TRUE(outbox.parcels().empty());
}

TEST_F(HandshakeOrderTest, WhatWaitedBehindAGapIsShownThoughNobodyCanTellWhichHandshakeIsNew) {
  ExpectBothTalk();
  Lose(a_);
  Settle();                // the first loss of this hour
  Write(a_, "before it");  // in the box that ends the chain of places, perhaps
  Work(a_);
  const auto kept = boxes_;
  Write(a_, "lost");
  Work(a_);
  boxes_ = kept;
  Write(a_, "behind it");
  Work(a_);
  for (int round = 0; round < 9; ++round) Read(b_);
  ASSERT_EQ(std::count(b_.read.begin(), b_.read.end(), "behind it"), 0);
  Lose(a_);
  ExpectBothTalk();
  EXPECT_EQ(std::count(b_.read.begin(), b_.read.end(), "behind it"), 1);
}

TEST_F(HandshakeOrderTest, AHandshakeOfNoPossibleEpochIsNobodys) {
  const uint32_t hour = HourOf(now_);
  for (const auto& [epoch, possible] : {std::pair(uint32_t{0}, false),
                                        {UINT32_MAX, false},
                                        {(hour + 49) * kEpochsPerHour, false},
                                        {(hour + 47) * kEpochsPerHour, true}}) {
    ASSERT_OK_AND_ASSIGN(const X3dhStart start,
                         StartX3dh(a_.key, kNetwork, b_.key.public_key(), b_.prekey.public_key, {}, {}, rng_));
    ASSERT_OK_AND_ASSIGN(Session session, Session::Initiate(start, b_.prekey.public_key, rng_));
    Content first;
    first.ack = epoch;
    const base::Bytes sealed = session.SealFirst(first, rng_);
    ASSERT_OK_AND_ASSIGN(const X3dhAnswer answer, AnswerX3dh(b_.key, kNetwork, start.head, b_.prekey, nullptr, {}));
    EXPECT_EQ(b_.conversation->OnHandshake(answer, b_.prekey, sealed, now_, rng_).ok(), possible) << epoch;
    EXPECT_EQ(b_.conversation->has_session(), possible);
  }
}

class AnyOrderTest : public HandshakeOrderTest, public testing::WithParamInterface<int> {};

// Anything in any order: writing, losing machines, handshakes that overtake each other by days.
TEST_P(AnyOrderTest, BothEndInOneSession) {
  support::SeededRng chooser(static_cast<uint64_t>(GetParam()));
  for (int step = 0; step < 60; ++step) {
    End& end = chooser.Below(2) == 0 ? a_ : b_;
    switch (chooser.Below(6)) {
      case 0:
        Lose(end);
        break;
      case 1:
        Write(end, absl::StrCat("step ", step));
        break;
      case 2:
      case 3:
        Work(end);
        break;
      case 4:
        if (!end.to_come.empty()) Deliver(end, chooser.Below(end.to_come.size()));
        break;
      default:
        Read(end);
    }
    now_ += absl::Minutes(static_cast<int64_t>(chooser.Below(chooser.Below(4) == 0 ? 1000 : 10)));
  }
  Settle();
  ExpectBothTalk();
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyOrderTest, testing::Range(1, 201));

}  // namespace
}  // namespace chat
