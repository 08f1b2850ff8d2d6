// SPDX-License-Identifier: Apache-2.0
// Work at doors: full ones that a note buys itself into, what nobody works for, and what work a request is kept with.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "tests/chat/chat_client_world.h"

namespace chat {
namespace {

class DoorEffortTest : public support::ChatClientWorld {};

TEST_F(DoorEffortTest, AFullDoorIsToldWithTheEffortItNeeds) {
  operations_.tamper = [](base::Bytes& bytes) {
    MailboxAnswer full{MailboxStatus::kFull};
    full.detail = 5;
    bytes = EncodeMailboxAnswer(full);
  };
  const auto sent = Send(alice_, "x");
  EXPECT_STATUS(sent, kResourceExhausted);
  EXPECT_EQ(sent.status().message(), "the door is full; effort needed: 5");
}

// All three places full of somebody's envelopes of effort 5: a note works for 12 and is stored; it is the first that is listed.
TEST_F(DoorEffortTest, ANoteBuysItselfIntoAFullDoor) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  const EnvelopeKind any([](const Envelope&) { return true; });
  for (uint8_t place = 0; place < kPlaceCount; ++place) {
    for (size_t i = 0; i < kDoorEnvelopesMax; ++i) {
      Envelope junk{door, place, 5, {}, base::Bytes(kSealedSize)};
      rng_.Fill(std::span(junk.sealed).first(16));
      const dht::Record record = MakeEnvelopeRecord(junk);
      for (support::StoringNode* node : places_.Responsible(record.name.point)) {
        node->places[record.name.point].Merge(any, record, dht::Source::kReplica);
      }
    }
  }
  std::vector<uint32_t> efforts;
  absl::StatusOr<SendResult> result = absl::UnknownError("never done");
  client_->Send(
      {alice_.key.public_key(), base::ToBytes(base::AsBytes("in")), nullptr},
      [&](absl::StatusOr<SendResult> sent) { result = std::move(sent); }, [&](uint32_t effort) { efforts.push_back(effort); });
  loop_.RunFor(absl::Minutes(3));
  ASSERT_OK(result);
  EXPECT_EQ(efforts, std::vector<uint32_t>{12});
  EXPECT_EQ(result->envelopes[0].places[0].holders.size(), 3u);
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"in"});
}

// More than a send may cost is never worked for; less than what was refused is a lie.
TEST_F(DoorEffortTest, NobodyWorksForTooMuchOrForALie) {
  for (const uint32_t needed : {kSendEffortMax, uint32_t{0}}) {
    operations_.tamper = [needed](base::Bytes& bytes) {
      MailboxAnswer full{MailboxStatus::kFull};
      full.detail = needed;
      bytes = EncodeMailboxAnswer(full);
    };
    absl::StatusOr<SendResult> result = absl::UnknownError("never done");
    client_->Send(
        {alice_.key.public_key(), base::ToBytes(base::AsBytes("x")), nullptr},
        [&](absl::StatusOr<SendResult> sent) { result = std::move(sent); }, [&](uint32_t) { ADD_FAILURE() << "works"; });
    loop_.RunFor(absl::Minutes(3));
    EXPECT_EQ(result.status().code(), needed == 0 ? absl::StatusCode::kUnavailable : absl::StatusCode::kResourceExhausted);
  }
}

TEST_F(DoorEffortTest, WorkThatTheNetworkAsksForIsDoneBeforeThePut) {
  options_.sender.door_effort = 2;
  Restart();
  ASSERT_OK(Send(alice_, "worked for"));
  EXPECT_EQ(Poll(alice_).texts, std::vector<std::string>{"worked for"});
}

// A storing node may show any effort: only what is proved counts with the contact book, and the best of several copies.
TEST_F(DoorEffortTest, ARequestIsKeptWithTheWorkThatItProves) {
  ASSERT_OK_AND_ASSIGN(const Door door, DoorOf(alice_.key.public_key(), "local", DayOf(loop_.WallNow())));
  Fragment fragment;
  fragment.note_id = {1};
  fragment.kind = NoteKind::kHandshake;
  fragment.text = base::Bytes(kHandshakeSize, 5);
  Envelope envelope{.door = door};
  ASSERT_OK_AND_ASSIGN(envelope.sealed,
                       SealEnvelope(alice_.key.public_key(), "local", door.blinded, EncodeFragment(fragment), rng_));
  for (const uint32_t effort : {0u, 3u, 900u}) {
    envelope.place = effort == 3 ? 1 : 2;
    envelope.effort = effort;
    envelope.stamp = {};
    keys::WorkSearch search(StampChallenge("local", envelope), std::max(effort, 1u), rng_);
    for (std::optional<keys::WorkProof> proof; effort == 3 && !proof;) {
      proof = search.Advance();
      if (proof) envelope.stamp = *proof;
    }
    const dht::Record record = MakeEnvelopeRecord(envelope);
    for (support::StoringNode* node : places_.Responsible(record.name.point)) {
      node->places[record.name.point].Merge(*places_.kinds.Find(dht::Kind::kEnvelope), record, dht::Source::kReplica);
    }
  }
  ASSERT_OK(Poll(alice_).result);
  ASSERT_OK_AND_ASSIGN(const std::vector<BookEntry> entries, alice_.inbox.LoadBook());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(*entries[0].value, base::ByteWriter().Append(fragment.text).U32(3).Take());
}

}  // namespace
}  // namespace chat
