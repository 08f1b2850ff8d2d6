// SPDX-License-Identifier: Apache-2.0
// Requests and answers at the end of a circuit, and what strangers get from them.
#include "chat/mailbox.h"

#include <gtest/gtest.h>

#include "chat/mailbox_endpoint.h"
#include "tests/chat/fake_places.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

class MailboxTest : public testing::Test {
 protected:
  MailboxTest() {
    for (const auto& node : places_.nodes) {
      mailboxes_.push_back(std::make_unique<MailboxEndpoint>(loop_, *node, places_.kinds, "local", node->key.public_key()));
    }
    rng_.Fill(binding_);
  }

  base::Bytes Ask(base::Bytes request, int node = 0) {
    base::Bytes got;
    mailboxes_[static_cast<size_t>(node)]->OnEndpointRequest(
        {binding_, std::move(request), [&](base::Bytes answer) { got = std::move(answer); }});
    loop_.RunReady();
    if (got.empty()) loop_.RunFor(kAnswerHold);
    EXPECT_EQ(got.size(), kMailboxMessageSize);
    return got;
  }
  MailboxAnswer AskFor(const MailboxRequest& request, int node = 0) {
    auto answer = DecodeMailboxAnswer(Ask(EncodeMailboxRequest(request), node));
    EXPECT_OK(answer);
    return answer.ok() ? *answer : MailboxAnswer{};
  }
  Envelope NewEnvelope(uint8_t place = 0) {
    Envelope envelope{door_, place, 0, {}, base::Bytes(kSealedSize)};
    rng_.Fill(envelope.sealed);
    return envelope;
  }
  Box NewBox(const keys::WipedArray<32>& seed, uint8_t fill) {
    return MakeBox(seed, "local", base::Bytes(kBoxSealedSize, fill), BoxExpiry(loop_.WallNow()));
  }
  ListContext ContextOf(int node) { return {"local", binding_, places_.nodes[static_cast<size_t>(node)]->key.public_key()}; }
  ListRequest List(const keys::SigningKey& who, std::optional<ListCursor> cursor = {}, int node = 0, bool waits = false) {
    return *SignList(who, ContextOf(node), *DoorOf(who.public_key(), "local", door_.day), 0, cursor, waits, rng_);
  }
  struct Waiting {
    std::optional<MailboxAnswer> answer;
    absl::Time at;
  };
  // A listing that waits, at node 0; `into` outlives it.
  void Wait(const ListRequest& list, Waiting& into) {
    mailboxes_[0]->OnEndpointRequest({binding_, EncodeMailboxRequest(list), [this, &into](const base::Bytes& answer) {
                                        into = {*DecodeMailboxAnswer(answer), loop_.Now()};
                                      }});
    loop_.RunReady();
  }

  support::SeededRng rng_{19};
  support::ManualLoop loop_;
  support::FakePlaces places_{loop_, "local", 3, rng_};  // every node holds every place
  std::vector<std::unique_ptr<MailboxEndpoint>> mailboxes_;
  const keys::SigningKey owner_ = keys::SigningKey::Generate(rng_), stranger_ = keys::SigningKey::Generate(rng_);
  const Door door_ = *DoorOf(owner_.public_key(), "local", DayOf(loop_.WallNow()));
  std::array<uint8_t, 32> binding_{};
};

TEST_F(MailboxTest, APutIsStoredWithReceiptsAndListedByTheOwner) {
  const Envelope envelope = NewEnvelope();
  const MailboxAnswer stored = AskFor(PutRequest{envelope});
  EXPECT_EQ(stored.status, MailboxStatus::kStored);
  EXPECT_EQ(stored.receipts.size(), 3u);
  const dht::Record record = MakeEnvelopeRecord(envelope);
  for (const dht::Receipt& receipt : stored.receipts) {
    EXPECT_TRUE(dht::VerifyReceipt("local", receipt, record.name, record.expiry));
  }
  const MailboxAnswer page = AskFor(List(owner_));
  EXPECT_EQ(page.status, MailboxStatus::kPage);
  EXPECT_TRUE(page.complete);
  EXPECT_FALSE(page.more);
  ASSERT_TRUE(page.item.has_value());
  EXPECT_EQ(page.item->sealed, envelope.sealed);
}

TEST_F(MailboxTest, PagesRunThroughTheDoorInTheOrderOfRank) {
  std::vector<Rank> expected;
  for (int i = 0; i < 25; ++i) {
    const Envelope envelope = NewEnvelope();
    AskFor(PutRequest{envelope}, i % 3);
    expected.push_back(RankOf(MakeEnvelopeRecord(envelope)));
  }
  std::sort(expected.begin(), expected.end());
  std::optional<ListCursor> cursor;
  for (size_t i = 0; i < expected.size(); ++i) {
    const int node = static_cast<int>(rng_.Below(3));
    const MailboxAnswer page = AskFor(List(owner_, cursor, node), node);
    ASSERT_TRUE(page.item.has_value());
    EXPECT_EQ(page.more, i + 1 < expected.size());
    cursor = ListCursor{page.item->effort, MakeEnvelopeRecord({door_, 0, 0, {}, page.item->sealed}).name.id};
    EXPECT_EQ(cursor->id, expected[i].id);
  }
  EXPECT_FALSE(AskFor(List(owner_, cursor)).item.has_value());
}

TEST_F(MailboxTest, AListingThatWaitsIsAnsweredWhenAnEnvelopeComesBehindItsCursorOrAfterItsTime) {
  const absl::Time start = loop_.Now();
  Waiting empty, behind, elsewhere;
  const Envelope first = NewEnvelope();
  const dht::Record record = MakeEnvelopeRecord(first);
  const ListCursor cursor{first.effort, record.name.id};
  Wait(List(owner_, {}, 0, /*waits=*/true), empty);
  Wait(List(owner_, cursor, 0, /*waits=*/true), behind);
  Wait(List(stranger_, {}, 0, /*waits=*/true), elsewhere);  // at the stranger's own door
  EXPECT_FALSE(empty.answer || behind.answer || elsewhere.answer);
  loop_.RunFor(absl::Seconds(1));
  mailboxes_[0]->OnRecord(record);
  mailboxes_[0]->OnRecord(record);  // once more, when it is on disk
  ASSERT_TRUE(empty.answer.has_value());
  EXPECT_EQ(empty.answer->item->sealed, first.sealed);
  EXPECT_TRUE(empty.answer->complete);
  EXPECT_EQ(empty.at, start + absl::Seconds(1));
  EXPECT_FALSE(behind.answer || elsewhere.answer);
  loop_.RunFor(kListWait);
  for (const Waiting& one : {behind, elsewhere}) {
    ASSERT_TRUE(one.answer.has_value());
    EXPECT_EQ(one.answer->status, MailboxStatus::kPage);
    EXPECT_FALSE(one.answer->item.has_value());
    EXPECT_EQ(one.at, start + kListWait);
  }
}

TEST_F(MailboxTest, AListingThatNeedNotWaitDoesNot) {
  places_.nodes[1]->alive = places_.nodes[2]->alive = false;  // incomplete: to be asked elsewhere
  Waiting incomplete;
  Wait(List(owner_, {}, 0, /*waits=*/true), incomplete);
  ASSERT_TRUE(incomplete.answer.has_value());
  EXPECT_FALSE(incomplete.answer->complete);
  AskFor(PutRequest{NewEnvelope()});
  Waiting now;
  Wait(List(owner_, {}, 0, /*waits=*/true), now);
  ASSERT_TRUE(now.answer.has_value());
  EXPECT_TRUE(now.answer->item.has_value());
}

TEST_F(MailboxTest, ListingsOfOnePlaceBeyondEightDoNotWaitAndOthersAreServedBesideThem) {
  std::vector<Waiting> waiting(static_cast<size_t>(kListWaitsOfPlaceMax) + 1);
  for (Waiting& one : waiting) Wait(List(owner_, {}, 0, /*waits=*/true), one);
  EXPECT_FALSE(waiting.front().answer.has_value());
  ASSERT_TRUE(waiting.back().answer.has_value());
  EXPECT_EQ(waiting.back().answer->status, MailboxStatus::kPage);
  EXPECT_FALSE(waiting.back().answer->item.has_value());
  EXPECT_EQ(AskFor(PutRequest{NewEnvelope(1)}).status, MailboxStatus::kStored);
  loop_.RunFor(kListWait);
  Waiting again;
  Wait(List(owner_, {}, 0, /*waits=*/true), again);
  EXPECT_FALSE(again.answer.has_value()) << "there is room again";
}

// As many doors as it takes: no place has more than its share.
TEST_F(MailboxTest, ListingsBeyondTheNumberOfANodeDoNotWaitWhateverTheirPlace) {
  constexpr int kDoors = kListWaitsMax / kListWaitsOfPlaceMax;
  std::vector<Waiting> waiting(static_cast<size_t>(kListWaitsMax));
  for (size_t i = 0; i < kDoors; ++i) {
    const ListRequest list = List(keys::SigningKey::Generate(rng_), {}, 0, /*waits=*/true);
    for (size_t k = 0; k < kListWaitsOfPlaceMax; ++k) Wait(list, waiting[i * kListWaitsOfPlaceMax + k]);
  }
  for (const Waiting& one : waiting) EXPECT_FALSE(one.answer.has_value());
  Waiting beyond;
  Wait(List(owner_, {}, 0, /*waits=*/true), beyond);
  ASSERT_TRUE(beyond.answer.has_value()) << "the first one of its place";
  EXPECT_FALSE(beyond.answer->item.has_value());
  EXPECT_EQ(AskFor(PutRequest{NewEnvelope()}).status, MailboxStatus::kStored);
  loop_.RunFor(kListWait);
  for (const Waiting& one : waiting) EXPECT_TRUE(one.answer.has_value());
  Waiting again;
  Wait(List(stranger_, {}, 0, /*waits=*/true), again);
  EXPECT_FALSE(again.answer.has_value()) << "there is room again";
}

TEST_F(MailboxTest, AListingThatWaitsEndsWithItsMailbox) {
  Waiting one;
  Wait(List(owner_, {}, 0, /*waits=*/true), one);
  mailboxes_[0].reset();
  loop_.RunFor(2 * kListWait);
  EXPECT_FALSE(one.answer.has_value());
}

TEST_F(MailboxTest, FlagsOfAListingAreSignedAndNoOthersAreTaken) {
  constexpr size_t kFlagsAt = 1 + 32 + 4 + 1;
  const ListRequest waits = List(owner_, {}, 0, /*waits=*/true);
  base::Bytes bytes = EncodeMailboxRequest(waits);
  ASSERT_OK_AND_ASSIGN(const MailboxRequest decoded, DecodeMailboxRequest(bytes));
  EXPECT_TRUE(std::get<ListRequest>(decoded).waits);
  EXPECT_TRUE(VerifyList(std::get<ListRequest>(decoded), ContextOf(0)));
  ASSERT_EQ(bytes[kFlagsAt], 2);
  bytes[kFlagsAt] = 0;
  ASSERT_OK_AND_ASSIGN(const MailboxRequest turned, DecodeMailboxRequest(bytes));
  EXPECT_FALSE(VerifyList(std::get<ListRequest>(turned), ContextOf(0)));
  bytes[kFlagsAt] = 4;
  EXPECT_STATUS(DecodeMailboxRequest(bytes), kInvalidArgument);
}

TEST_F(MailboxTest, NewPresentAndDeletedEnvelopesAreAnsweredAlike) {
  const Envelope envelope = NewEnvelope();
  const base::Bytes put = EncodeMailboxRequest(PutRequest{envelope});
  const base::Bytes first = Ask(put), second = Ask(put);
  ASSERT_OK_AND_ASSIGN(const Tombstone tombstone,
                       SignTombstone(owner_, "local", door_.day, 0, {MakeEnvelopeRecord(envelope).name.id}, rng_));
  EXPECT_EQ(AskFor(DeleteRequest{tombstone}).status, MailboxStatus::kStored);
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
  EXPECT_EQ(first, second);
  EXPECT_EQ(Ask(put), first);
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
  EXPECT_FALSE(AskFor(List(owner_)).item.has_value());
}

TEST_F(MailboxTest, AStrangerLearnsNothingFromListing) {
  ListRequest forged = List(stranger_);
  forged.door = door_;  // the owner's door, a stranger's signature
  const base::Bytes of_empty = Ask(EncodeMailboxRequest(forged));
  for (int i = 0; i < 5; ++i) AskFor(PutRequest{NewEnvelope()});
  const base::Bytes of_full = Ask(EncodeMailboxRequest(forged));
  EXPECT_EQ(of_empty, of_full);
  ASSERT_OK_AND_ASSIGN(const MailboxAnswer answer, DecodeMailboxAnswer(of_full));
  EXPECT_EQ(answer.status, MailboxStatus::kRefused);
  // What they may ask for is their own door, and that is another place.
  EXPECT_FALSE(AskFor(List(stranger_)).item.has_value());
}

TEST_F(MailboxTest, AListingIsGoodForOneCircuitOneNodeOneCursorOnly) {
  AskFor(PutRequest{NewEnvelope()});
  const ListRequest good = List(owner_);
  EXPECT_EQ(AskFor(good).status, MailboxStatus::kPage);
  EXPECT_EQ(AskFor(good, 1).status, MailboxStatus::kRefused);
  ListRequest changed = good;
  changed.cursor = ListCursor{0, rng_.Array<32>()};
  EXPECT_EQ(AskFor(changed).status, MailboxStatus::kRefused);
  changed = good;
  changed.place = 1;
  EXPECT_EQ(AskFor(changed).status, MailboxStatus::kRefused);
  changed = good;
  changed.door.day += 1;
  EXPECT_EQ(AskFor(changed).status, MailboxStatus::kRefused);
  changed = good;
  changed.signature[10] ^= 1;
  EXPECT_EQ(AskFor(changed).status, MailboxStatus::kRefused);
  rng_.Fill(binding_);
  EXPECT_EQ(AskFor(good).status, MailboxStatus::kRefused);
}

TEST_F(MailboxTest, AStrangerDeletesNothing) {
  const Envelope envelope = NewEnvelope();
  AskFor(PutRequest{envelope});
  ASSERT_OK_AND_ASSIGN(Tombstone forged,
                       SignTombstone(stranger_, "local", door_.day, 0, {MakeEnvelopeRecord(envelope).name.id}, rng_));
  AskFor(DeleteRequest{forged});  // for the stranger's own door: harmless
  forged.door = door_;
  EXPECT_EQ(AskFor(DeleteRequest{forged}).status, MailboxStatus::kRefused);
  EXPECT_TRUE(AskFor(List(owner_)).item.has_value());
}

TEST_F(MailboxTest, OneReplicaAloneAnswersIncomplete) {
  AskFor(PutRequest{NewEnvelope()});
  places_.nodes[1]->alive = places_.nodes[2]->alive = false;
  const MailboxAnswer page = AskFor(List(owner_));
  EXPECT_FALSE(page.complete);
  EXPECT_TRUE(page.item.has_value());
}

TEST_F(MailboxTest, EnvelopesForWrongDaysAndClaimedEffortAreRefused) {
  Envelope old = NewEnvelope();
  old.door.day -= 2;
  EXPECT_EQ(AskFor(PutRequest{old}).status, MailboxStatus::kRefused);
  Envelope boast = NewEnvelope();
  boast.effort = 1000;
  EXPECT_EQ(AskFor(PutRequest{boast}).status, MailboxStatus::kRefused);
}

TEST_F(MailboxTest, MalformedRequestsAreRefusedAlike) {
  const base::Bytes refusal = EncodeMailboxAnswer({MailboxStatus::kRefused});
  EXPECT_EQ(Ask({}), refusal);
  EXPECT_EQ(Ask(base::Bytes(1999, 1)), refusal);
  EXPECT_EQ(Ask(base::Bytes(kMailboxMessageSize, 0)), refusal);
  const MailboxRequest requests[] = {PutRequest{NewEnvelope()}, List(owner_),
                                     DeleteRequest{*SignTombstone(owner_, "local", door_.day, 0, {rng_.Array<32>()}, rng_)}};
  for (const MailboxRequest& request : requests) {
    base::Bytes padded = EncodeMailboxRequest(request);
    padded.back() = 1;
    EXPECT_EQ(Ask(padded), refusal);
  }
}

TEST_F(MailboxTest, AnyBytesAreAnsweredAndNeverStored) {
  const MailboxRequest requests[] = {PutRequest{NewEnvelope()}, List(owner_),
                                     DeleteRequest{*SignTombstone(owner_, "local", door_.day, 0, {rng_.Array<32>()}, rng_)}};
  for (int i = 0; i < 3000; ++i) {
    base::Bytes bytes = EncodeMailboxRequest(requests[i % 3]);
    for (int flips = 0; flips < 4; ++flips) bytes[rng_.Below(i % 2 ? 60 : bytes.size())] = static_cast<uint8_t>(rng_.Below(256));
    const auto request = DecodeMailboxRequest(bytes);
    if (request.ok()) {
      EXPECT_EQ(EncodeMailboxRequest(*request), bytes);
    }
    const auto answer = DecodeMailboxAnswer(bytes);
    if (answer.ok()) {
      EXPECT_EQ(EncodeMailboxAnswer(*answer), bytes);
    }
    if (i % 3 != 0) Ask(bytes);
  }
  EXPECT_EQ(places_.EnvelopeCount(), 0u);
}

TEST_F(MailboxTest, AnswersComeBackAsTheyWereWritten) {
  MailboxAnswer full{MailboxStatus::kFull};
  full.detail = 77;
  MailboxAnswer stored{MailboxStatus::kStored};
  stored.receipts = {{owner_.public_key(), rng_.Array<64>()}, {stranger_.public_key(), rng_.Array<64>()}};
  MailboxAnswer page{MailboxStatus::kPage};
  page.complete = page.more = true;
  page.item = MailboxAnswer::Item{9, rng_.Array<16>(), NewEnvelope().sealed};
  MailboxAnswer empty{MailboxStatus::kPage};
  for (const MailboxAnswer& answer : {full, stored, page, empty, MailboxAnswer{MailboxStatus::kUnavailable}}) {
    ASSERT_OK_AND_ASSIGN(const MailboxAnswer read, DecodeMailboxAnswer(EncodeMailboxAnswer(answer)));
    EXPECT_EQ(read, answer);
  }
}

TEST_F(MailboxTest, ABoxIsWrittenOnceAndReadByItsPoint) {
  const keys::WipedArray<32> seed(rng_.Array<32>());
  const Box box = NewBox(seed, 1), second = NewBox(seed, 2);
  const ReadRequest read{dht::Kind::kBox, BoxPoint(box.key, 0)};
  const MailboxAnswer absent = AskFor(read);
  EXPECT_EQ(absent.status, MailboxStatus::kRecord);
  EXPECT_TRUE(absent.complete);
  EXPECT_FALSE(absent.record.has_value());
  const MailboxAnswer stored = AskFor(PutBoxRequest{box}, 1);
  EXPECT_EQ(stored.status, MailboxStatus::kStored);
  EXPECT_EQ(stored.receipts.size(), 3u);
  EXPECT_EQ(AskFor(PutBoxRequest{box}, 2), stored) << "repeating is harmless and looks the same";
  EXPECT_EQ(AskFor(PutBoxRequest{second}).status, MailboxStatus::kFull) << "taken";
  for (int node = 0; node < 3; ++node) EXPECT_EQ(AskFor(read, node).record, EncodeBox(box));
  EXPECT_FALSE(AskFor(ReadRequest{dht::Kind::kBundle, read.point}).record.has_value());
  Box forged = second;
  forged.expiry += absl::Hours(24);
  EXPECT_EQ(AskFor(PutBoxRequest{forged}).status, MailboxStatus::kRefused);
  places_.nodes[1]->alive = places_.nodes[2]->alive = false;
  EXPECT_FALSE(AskFor(read).complete) << "one replica alone is no witness";
}

TEST_F(MailboxTest, ABundleGivesWayToANewerOneOnly) {
  BundleContents contents;
  contents.signed_prekey = rng_.Array<32>();
  const uint64_t now = static_cast<uint64_t>(absl::ToUnixSeconds(loop_.WallNow()));
  const auto put = [&](uint64_t version) {
    const auto bundle = SealBundle(owner_, "local", door_.day, 1, version, contents, rng_);
    EXPECT_EQ(AskFor(PutBundleRequest{*bundle}).status, MailboxStatus::kStored);
    return EncodeBundle(*bundle);
  };
  const ReadRequest read{dht::Kind::kBundle, BundlePoint(door_, 1)};
  put(now - 2);
  const base::Bytes newest = put(now);
  put(now - 1);
  EXPECT_EQ(AskFor(read).record, newest);
}

TEST_F(MailboxTest, TooManyRequestsAtOnceAreTurnedAwayAndAnswered) {
  int unavailable = 0, answered = 0;
  for (int i = 0; i < kPendingRequestsMax + 10; ++i) {
    mailboxes_[0]->OnEndpointRequest({binding_, {}, [&](base::Bytes bytes) {
                                        ++answered;
                                        unavailable += bytes == EncodeMailboxAnswer({MailboxStatus::kUnavailable}) ? 1 : 0;
                                      }});
  }
  loop_.RunReady();
  EXPECT_EQ(unavailable, 10);
  EXPECT_EQ(answered, kPendingRequestsMax + 10);
}

}  // namespace
}  // namespace chat
