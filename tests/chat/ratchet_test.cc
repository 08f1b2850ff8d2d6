// SPDX-License-Identifier: Apache-2.0
// Handshake and ratchet: against the independent reference (tests/chat/vectors/sessions.py), and what they promise.
#include "chat/ratchet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "absl/strings/str_cat.h"
#include "chat/x3dh.h"
#include "tests/keys/scripted_rng.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

keys::SigningKey KeyOf(const support::Vector& vector, const std::string& field) {
  return keys::SigningKey(keys::Secret<32>(base::ByteView(vector.Hex(field))));
}
keys::X25519KeyPair PairOf(const support::Vector& vector, const std::string& field) {
  support::ScriptedRng rng(vector.Hex(field));
  return keys::X25519KeyPair::Generate(rng);
}
base::Bytes BytesOf(const keys::WipedArray<32>& key) { return base::ToBytes(key.view()); }

void ExpectSecrets(const SessionSecrets& secrets, const support::Vector& vector) {
  EXPECT_EQ(BytesOf(secrets.root), vector.Hex("root"));
  EXPECT_EQ(BytesOf(secrets.header_key), vector.Hex("header_key"));
  EXPECT_EQ(BytesOf(secrets.next_header_key), vector.Hex("next_header_key"));
  EXPECT_EQ(BytesOf(secrets.forward_places), vector.Hex("forward_places"));
  EXPECT_EQ(BytesOf(secrets.backward_places), vector.Hex("backward_places"));
  EXPECT_EQ(base::ToBytes(secrets.associated), vector.Hex("associated"));
}

// Both ends of one session of the reference, made from its "start" vector.
struct ReferenceSession {
  std::optional<Ratchet> initiator, responder;
  keys::Digest associated{};

  void Start(const support::Vector& vector) {
    const keys::SigningKey a = KeyOf(vector, "initiator_seed"), b = KeyOf(vector, "responder_seed");
    const keys::X25519KeyPair signed_prekey = PairOf(vector, "signed_prekey_secret");
    std::optional<keys::X25519KeyPair> one_time;
    std::optional<keys::X25519Public> one_time_public;
    if (!vector.Text("one_time_secret").empty()) {
      one_time = PairOf(vector, "one_time_secret");
      one_time_public = one_time->public_key;
    }
    support::ScriptedRng ephemeral(vector.Hex("ephemeral_secret"));
    ASSERT_OK_AND_ASSIGN(const X3dhStart start, StartX3dh(a, vector.Text("network"), b.public_key(), signed_prekey.public_key,
                                                          one_time_public, vector.Hex("psk"), ephemeral));
    EXPECT_EQ(start.head, vector.Hex("head"));
    ExpectSecrets(start.secrets, vector);
    ASSERT_OK_AND_ASSIGN(const X3dhAnswer answer, AnswerX3dh(b, vector.Text("network"), vector.Hex("head"), signed_prekey,
                                                             one_time ? &*one_time : nullptr, vector.Hex("psk")));
    EXPECT_EQ(answer.peer, a.public_key());
    ExpectSecrets(answer.secrets, vector);
    support::ScriptedRng first(vector.Hex("first_ratchet_secret"));
    ASSERT_OK_AND_ASSIGN(initiator, Ratchet::Initiator(start.secrets, signed_prekey.public_key, first));
    responder = Ratchet::Responder(answer.secrets, signed_prekey);
    associated = answer.secrets.associated;
  }
};

TEST(RatchetVectors, BothDirectionsAgreeWithTheReference) {
  ReferenceSession session;
  int messages = 0;
  for (const support::Vector& vector : support::ReadVectors("../chat/vectors/sessions.json")) {
    if (vector.Text("kind") == "start") {
      ASSERT_NO_FATAL_FAILURE(session.Start(vector));
      continue;
    }
    ++messages;
    Ratchet& state = vector.Text("who") == "A" ? *session.initiator : *session.responder;
    support::ScriptedRng random(vector.Hex("random"));
    if (vector.Text("kind") == "send") {
      EXPECT_EQ(state.Seal(session.associated, vector.Hex("text"), random), vector.Hex("sealed"));
      EXPECT_EQ(BytesOf(state.send_places()), vector.Hex("send_places"));
    } else {
      ASSERT_OK_AND_ASSIGN(const Ratchet::Opened opened, state.Open(session.associated, vector.Hex("sealed"), random));
      EXPECT_EQ(opened.text, vector.Hex("text"));
      EXPECT_EQ(BytesOf(state.receive_places()), vector.Hex("receive_places"));
      EXPECT_EQ(state.skipped_count(), vector.Number("skipped"));
    }
    // What is written down and read again goes on in the same way.
    ASSERT_OK_AND_ASSIGN(state, Ratchet::Parse(state.Serialize()));
  }
  EXPECT_EQ(messages, 60);
}

// Two people with a session, nothing said yet but the first message.
class RatchetTest : public testing::Test {
 protected:
  RatchetTest() : prekey_(keys::X25519KeyPair::Generate(rng_)), one_time_(keys::X25519KeyPair::Generate(rng_)) {
    auto start = StartX3dh(alice_key_, "local", bob_key_.public_key(), prekey_.public_key, one_time_.public_key, {}, rng_);
    EXPECT_OK(start);
    head_ = start->head;
    associated_ = start->secrets.associated;
    alice_ = *Ratchet::Initiator(start->secrets, prekey_.public_key, rng_);
    auto answer = AnswerX3dh(bob_key_, "local", head_, prekey_, &one_time_, {});
    EXPECT_OK(answer);
    bob_ = Ratchet::Responder(answer->secrets, prekey_);
  }

  base::Bytes Seal(Ratchet& from, const std::string& text) { return from.Seal(associated_, base::AsBytes(text), rng_); }
  std::string Open(Ratchet& to, const base::Bytes& sealed) {
    auto opened = to.Open(associated_, sealed, rng_);
    return opened.ok() ? base::ToString(opened->text) : std::string(opened.status().message());
  }
  void Exchange(Ratchet& from, Ratchet& to, const std::string& text) { ASSERT_EQ(Open(to, Seal(from, text)), text); }

  static constexpr char kNothing[] = "message does not open";
  support::SeededRng rng_{11};
  keys::SigningKey alice_key_ = keys::SigningKey::Generate(rng_), bob_key_ = keys::SigningKey::Generate(rng_);
  keys::X25519KeyPair prekey_, one_time_;
  base::Bytes head_;
  keys::Digest associated_{};
  std::optional<Ratchet> alice_, bob_;
};

TEST_F(RatchetTest, ThousandsOfMessagesInAnyOrderArriveOnceEach) {
  struct Flying {
    base::Bytes sealed;
    std::string text;
    bool to_bob;
  };
  std::deque<Flying> flying;
  Exchange(*alice_, *bob_, "first");
  int opened = 0;
  for (int i = 0; i < 5000; ++i) {
    const bool by_alice = rng_.Below(2) == 0;
    const std::string text = absl::StrCat("message ", i);
    flying.push_back({Seal(by_alice ? *alice_ : *bob_, text), text, by_alice});
    while (flying.size() > 20 || (!flying.empty() && rng_.Below(2) == 0)) {
      const size_t pick = rng_.Below(std::min<size_t>(flying.size(), 8));
      const Flying one = flying[pick];
      flying.erase(flying.begin() + static_cast<ptrdiff_t>(pick));
      Ratchet& to = one.to_bob ? *bob_ : *alice_;
      ASSERT_EQ(Open(to, one.sealed), one.text);
      ASSERT_EQ(Open(to, one.sealed), kNothing) << "opened twice";
      ++opened;
    }
  }
  EXPECT_GT(opened, 4900);
}

TEST_F(RatchetTest, AnyFlippedBitIsRefusedAndChangesNothing) {
  const base::Bytes sealed = Seal(*alice_, "hello");
  const base::Bytes before = bob_->Serialize();
  for (size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    base::Bytes flipped = sealed;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_EQ(Open(*bob_, flipped), kNothing) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size)
    ASSERT_EQ(Open(*bob_, base::Bytes(sealed.begin(), sealed.begin() + size)), kNothing);
  EXPECT_EQ(bob_->Serialize(), before);
  EXPECT_EQ(Open(*bob_, sealed), "hello");
}

TEST_F(RatchetTest, KeysAreGoneOnceUsed) {
  Exchange(*alice_, *bob_, "one");
  Exchange(*bob_, *alice_, "two");
  const base::Bytes third = Seal(*alice_, "three");
  ASSERT_EQ(Open(*bob_, third), "three");
  ASSERT_OK_AND_ASSIGN(Ratchet thief, Ratchet::Parse(bob_->Serialize()));  // everything that Bob still has
  EXPECT_EQ(Open(thief, third), kNothing);
}

TEST_F(RatchetTest, AStolenIdentityKeyOpensNothingThatWasSaid) {
  const base::Bytes first = Seal(*alice_, "first");
  Exchange(*alice_, *bob_, "second");
  // The thief has both identity keys, the handshake and the message, but no prekey secret: those were erased.
  for (int attempt = 0; attempt < 2; ++attempt) {
    const keys::X25519KeyPair guess = keys::X25519KeyPair::Generate(rng_);
    keys::X25519KeyPair forged{guess.secret_key, prekey_.public_key}, forged_one_time{guess.secret_key, one_time_.public_key};
    EXPECT_STATUS(AnswerX3dh(bob_key_, "local", head_, forged, &forged_one_time, {}), kUnauthenticated);
    EXPECT_STATUS(AnswerX3dh(bob_key_, "local", head_, prekey_, &forged_one_time, {}), kUnauthenticated);
  }
  const std::string head = base::ToString(head_), name = base::ToString(alice_key_.public_key().view());
  EXPECT_EQ(head.find(name), std::string::npos) << "the sender is sealed";
}

TEST_F(RatchetTest, AStolenStateHealsAfterOneRoundTrip) {
  Exchange(*alice_, *bob_, "before");
  Exchange(*bob_, *alice_, "before too");
  ASSERT_OK_AND_ASSIGN(Ratchet thief, Ratchet::Parse(bob_->Serialize()));
  const base::Bytes readable = Seal(*alice_, "still readable");
  EXPECT_EQ(Open(thief, readable), "still readable") << "the theft is real";
  ASSERT_EQ(Open(*bob_, readable), "still readable");
  Exchange(*bob_, *alice_, "bob's key is new: the thief did not make it");
  const base::Bytes healed = Seal(*alice_, "secret again");
  EXPECT_EQ(Open(thief, healed), kNothing);
  ASSERT_EQ(Open(*bob_, healed), "secret again");
  EXPECT_NE(BytesOf(thief.receive_places()), BytesOf(bob_->receive_places())) << "places heal with the keys";
  EXPECT_EQ(BytesOf(alice_->send_places()), BytesOf(bob_->receive_places()));
}

TEST_F(RatchetTest, SkippedKeysAreBounded) {
  Exchange(*alice_, *bob_, "first");
  std::vector<base::Bytes> sent;
  for (uint32_t i = 0; i < kSkipPerMessageMax + 1; ++i) sent.push_back(Seal(*alice_, "skipped"));
  const base::Bytes before = bob_->Serialize();
  EXPECT_EQ(Open(*bob_, Seal(*alice_, "too far")), kNothing);
  EXPECT_EQ(bob_->Serialize(), before);
  EXPECT_EQ(Open(*bob_, sent.back()), "skipped");
  EXPECT_EQ(bob_->skipped_count(), kSkipPerMessageMax);
  for (int round = 0; round < 8; ++round) {
    base::Bytes last;
    for (uint32_t i = 0; i < kSkipPerMessageMax; ++i) last = Seal(*alice_, "more");
    ASSERT_EQ(Open(*bob_, last), "more");
  }
  EXPECT_EQ(bob_->skipped_count(), kSkippedKeysMax);
  bob_->ForgetSkipped();
  EXPECT_EQ(Open(*bob_, sent[0]), kNothing);
}

TEST_F(RatchetTest, DamagedStatesAreRefused) {
  Exchange(*alice_, *bob_, "one");
  const base::Bytes good = bob_->Serialize();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_STATUS(Ratchet::Parse(base::ByteView(good).first(size)), kDataLoss);
  }
}

TEST(X3dh, RefusesWhatIsNotForThisPerson) {
  support::SeededRng rng(5);
  const keys::SigningKey alice = keys::SigningKey::Generate(rng), bob = keys::SigningKey::Generate(rng);
  const keys::SigningKey carol = keys::SigningKey::Generate(rng);
  const keys::X25519KeyPair prekey = keys::X25519KeyPair::Generate(rng);
  const base::Bytes psk(kPskSize, 7);
  ASSERT_OK_AND_ASSIGN(const X3dhStart start, StartX3dh(alice, "local", bob.public_key(), prekey.public_key, {}, psk, rng));
  ASSERT_OK_AND_ASSIGN(const X3dhAnswer answer, AnswerX3dh(bob, "local", start.head, prekey, nullptr, psk));
  EXPECT_EQ(answer.peer, alice.public_key());
  EXPECT_EQ(BytesOf(answer.secrets.root), BytesOf(start.secrets.root));
  EXPECT_STATUS(AnswerX3dh(carol, "local", start.head, prekey, nullptr, psk), kUnauthenticated);
  EXPECT_STATUS(AnswerX3dh(bob, "other", start.head, prekey, nullptr, psk), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const X3dhAnswer without_psk, AnswerX3dh(bob, "local", start.head, prekey, nullptr, {}));
  EXPECT_NE(BytesOf(without_psk.secrets.root), BytesOf(start.secrets.root)) << "the invite's secret is part of the key";
  for (size_t bit = 0; bit < 8 * start.head.size(); ++bit) {
    base::Bytes flipped = start.head;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_TRUE(absl::IsUnauthenticated(AnswerX3dh(bob, "local", flipped, prekey, nullptr, psk).status())) << bit;
  }
  const keys::X25519Public degenerate{};
  EXPECT_STATUS(StartX3dh(alice, "local", bob.public_key(), degenerate, {}, {}, rng), kUnauthenticated);
}

}  // namespace
}  // namespace chat
