// SPDX-License-Identifier: Apache-2.0
// Doors, fragments, envelopes and tombstones against the independent reference in tests/chat/vectors/generate.py.
#include <gtest/gtest.h>

#include "base/byte_writer.h"
#include "chat/door_kinds.h"
#include "chat/envelope.h"
#include "chat/note.h"
#include "chat/tombstone.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

// Hands out fixed bytes first.
class ScriptedRng : public base::Rng {
 public:
  explicit ScriptedRng(base::Bytes script) : script_(std::move(script)) {}
  void Fill(std::span<uint8_t> bytes) override {
    ASSERT_LE(used_ + bytes.size(), script_.size());
    std::copy_n(script_.begin() + static_cast<ptrdiff_t>(used_), bytes.size(), bytes.begin());
    used_ += bytes.size();
  }

 private:
  const base::Bytes script_;
  size_t used_ = 0;
};

class Doors : public testing::Test {
 protected:
  static keys::SigningKey KeyOf(const support::Vector& vector, const std::string& field) {
    return keys::SigningKey(keys::Secret<32>(base::ByteView(vector.Hex(field))));
  }
  static Envelope EnvelopeOf(const support::Vector& vector) {
    Envelope envelope;
    envelope.door = {{vector.Array<32>("blinded_key")}, static_cast<Day>(vector.Number("day"))};
    envelope.place = static_cast<uint8_t>(vector.Number("place"));
    envelope.effort = static_cast<uint32_t>(vector.Number("effort"));
    envelope.stamp = vector.Array<16>("stamp");
    envelope.sealed = vector.Hex("sealed");
    return envelope;
  }
  const std::vector<support::Vector> vectors_ = support::ReadVectors("../chat/vectors/doors.json");
};

TEST_F(Doors, LieWhereTheReferenceSays) {
  for (const support::Vector& vector : vectors_) {
    const keys::SigningKey identity = KeyOf(vector, "seed");
    ASSERT_OK_AND_ASSIGN(const Door door,
                         DoorOf(identity.public_key(), vector.Text("network"), static_cast<Day>(vector.Number("day"))));
    EXPECT_EQ(door.blinded.bytes, vector.Array<32>("blinded_key"));
    EXPECT_EQ(door.Point(static_cast<uint8_t>(vector.Number("place"))).bytes, vector.Array<32>("point"));
  }
}

TEST_F(Doors, NotesAreCutAndSignedAsTheReferenceDoes) {
  for (const support::Vector& vector : vectors_) {
    const keys::SigningKey reader = KeyOf(vector, "seed"), writer = KeyOf(vector, "sender_seed");
    ScriptedRng rng(vector.Hex("note_id"));
    const absl::Time sent = absl::FromUnixSeconds(static_cast<int64_t>(vector.Number("sent_hour")) * 3600 + 59);
    ASSERT_OK_AND_ASSIGN(const auto fragments,
                         SplitNote(vector.Hex("text"), vector.Text("network"), reader.public_key(),
                                   vector.Number("signed") == 1 ? &writer : nullptr, sent, rng));
    ASSERT_EQ(fragments.size(), vector.Number("count"));
    EXPECT_EQ(EncodeFragment(fragments.front()), vector.Hex("first_fragment"));
    EXPECT_EQ(EncodeFragment(fragments.back()), vector.Hex("last_fragment"));
  }
}

TEST_F(Doors, EnvelopesAreSealedAndOpenedAsTheReferenceDoes) {
  for (const support::Vector& vector : vectors_) {
    const keys::SigningKey reader = KeyOf(vector, "seed");
    const keys::PublicKey blinded{vector.Array<32>("blinded_key")};
    ScriptedRng rng(vector.Hex("ephemeral_secret"));
    ASSERT_OK_AND_ASSIGN(const base::Bytes sealed, SealEnvelope(reader.public_key(), vector.Text("network"), blinded,
                                                                vector.Hex("last_fragment"), rng));
    EXPECT_EQ(sealed, vector.Hex("sealed"));
    ASSERT_OK_AND_ASSIGN(const base::Bytes plain,
                         OpenEnvelope(reader, vector.Text("network"), blinded, vector.Hex("sealed")));
    EXPECT_EQ(plain, vector.Hex("last_fragment"));
    EXPECT_EQ(FirstPlace(sealed), vector.Number("first_place"));
  }
}

TEST_F(Doors, EnvelopeRecordsAreNamedAndRankedAsTheReferenceDoes) {
  for (const support::Vector& vector : vectors_) {
    const dht::Record record = MakeEnvelopeRecord(EnvelopeOf(vector));
    EXPECT_EQ(record.body, vector.Hex("body"));
    EXPECT_EQ(record.name.point.bytes, vector.Array<32>("point"));
    EXPECT_EQ(record.name.id, vector.Array<32>("id"));
    EXPECT_EQ(record.expiry, absl::FromUnixSeconds(static_cast<int64_t>(vector.Number("expiry"))));
    EXPECT_EQ(RankOf(record).lot, vector.Array<32>("lot"));
    EXPECT_EQ(RankOf(record).effort, vector.Number("effort"));
    ASSERT_OK_AND_ASSIGN(const Envelope read, ReadEnvelopeRecord(record));
    EXPECT_EQ(read, EnvelopeOf(vector));
  }
}

TEST_F(Doors, TombstonesOfTheReferenceAreAccepted) {
  for (const support::Vector& vector : vectors_) {
    ASSERT_OK_AND_ASSIGN(const Tombstone tombstone, DecodeTombstone(vector.Hex("tombstone")));
    EXPECT_TRUE(VerifyTombstone(tombstone, vector.Text("network")));
    EXPECT_FALSE(VerifyTombstone(tombstone, vector.Text("network") + "x"));
    const dht::Record record = MakeTombstoneRecord(tombstone);
    EXPECT_EQ(record.name.id, vector.Array<32>("tombstone_id"));
    EXPECT_EQ(record.name.point.bytes, vector.Array<32>("point"));
    EXPECT_EQ(record.expiry, absl::FromUnixSeconds(static_cast<int64_t>(vector.Number("tombstone_expiry"))));
    EXPECT_OK(TombstoneKind(vector.Text("network"))
                  .Acceptable(record, dht::Source::kReplica, StartOfDay(static_cast<Day>(vector.Number("day")))));
  }
}

}  // namespace
}  // namespace chat
