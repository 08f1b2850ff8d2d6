// SPDX-License-Identifier: Apache-2.0
#include "keys/onion_handshake.h"

#include "tests/keys/scripted_rng.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

bool SameKeys(const HopKeys& a, const HopKeys& b) {
  return ConstantTimeEqual(a.forward_key.view(), b.forward_key.view()) &&
         ConstantTimeEqual(a.backward_key.view(), b.backward_key.view()) && a.forward_tweak == b.forward_tweak &&
         a.backward_tweak == b.backward_tweak && a.channel_binding == b.channel_binding;
}

X25519KeyPair PairOf(const base::Bytes& secret) {
  support::ScriptedRng rng(secret);
  return X25519KeyPair::Generate(rng);
}

void ExpectKeys(const HopKeys& keys, const support::Vector& vector) {
  EXPECT_EQ(base::ToHex(keys.forward_key.view()), vector.Text("forward_key"));
  EXPECT_EQ(base::ToHex(keys.backward_key.view()), vector.Text("backward_key"));
  EXPECT_EQ(base::ToHex(keys.forward_tweak), vector.Text("forward_tweak"));
  EXPECT_EQ(base::ToHex(keys.backward_tweak), vector.Text("backward_tweak"));
  EXPECT_EQ(base::ToHex(keys.channel_binding), vector.Text("channel_binding"));
}

TEST(OnionHandshake, AgreesWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("onx1.json")) {
    const HandshakeContext context{vector.Text("network"), static_cast<uint16_t>(vector.Number("protocol_version"))};
    const PublicKey relay_id{vector.Array<32>("relay_id")};
    const X25519KeyPair onion_key = PairOf(vector.Hex("relay_onion_secret"));
    support::ScriptedRng client_rng(vector.Hex("client_ephemeral_secret")), relay_rng(vector.Hex("relay_ephemeral_secret"));

    ASSERT_OK_AND_ASSIGN(const ClientStartResult started, ClientStart(context, relay_id, onion_key.public_key, client_rng));
    EXPECT_EQ(started.onion_skin, vector.Hex("onion_skin"));
    ASSERT_OK_AND_ASSIGN(const ServerReplyResult replied,
                         ServerReply(context, relay_id, {&onion_key, 1}, started.onion_skin, relay_rng));
    EXPECT_EQ(replied.reply, vector.Hex("reply"));
    ExpectKeys(replied.keys, vector);
    ASSERT_OK_AND_ASSIGN(const HopKeys finished, ClientFinish(context, started.state, replied.reply));
    ExpectKeys(finished, vector);
  }
}

// One client and one relay, both random but repeatable.
class OnionHandshakeTest : public testing::Test {
 protected:
  absl::StatusOr<ServerReplyResult> Reply(base::ByteView skin) {
    return ServerReply(context_, relay_id_, onion_keys_, skin, rng_);
  }

  support::SeededRng rng_{11};
  HandshakeContext context_{"local", 1};
  PublicKey relay_id_ = SigningKey::Generate(rng_).public_key();
  std::vector<X25519KeyPair> onion_keys_ = {X25519KeyPair::Generate(rng_), X25519KeyPair::Generate(rng_)};
  ClientStartResult started_ = ClientStart(context_, relay_id_, onion_keys_[0].public_key, rng_).value();
};

TEST_F(OnionHandshakeTest, ThePreviousOnionKeyStillWorks) {
  ASSERT_OK_AND_ASSIGN(const ClientStartResult started, ClientStart(context_, relay_id_, onion_keys_[1].public_key, rng_));
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult replied, Reply(started.onion_skin));
  ASSERT_OK_AND_ASSIGN(const HopKeys keys, ClientFinish(context_, started.state, replied.reply));
  EXPECT_TRUE(SameKeys(keys, replied.keys));
}

TEST_F(OnionHandshakeTest, ADroppedOnionKeyDoesNot) {
  onion_keys_.erase(onion_keys_.begin());
  EXPECT_STATUS(Reply(started_.onion_skin), kUnauthenticated);
}

TEST_F(OnionHandshakeTest, TheSameSkinTwiceGivesOtherKeys) {
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult first, Reply(started_.onion_skin));
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult second, Reply(started_.onion_skin));
  EXPECT_FALSE(SameKeys(first.keys, second.keys));
}

TEST_F(OnionHandshakeTest, AnyFlippedBitOfTheSkinIsRefused) {
  for (size_t bit = 0; bit < kOnionSkinSize * 8; ++bit) {
    base::Bytes skin = started_.onion_skin;
    skin[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_FALSE(Reply(skin).ok()) << bit;
  }
}

TEST_F(OnionHandshakeTest, AnyFlippedBitOfTheReplyIsRefused) {
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult replied, Reply(started_.onion_skin));
  for (size_t bit = 0; bit < kOnionReplySize * 8; ++bit) {
    base::Bytes reply = replied.reply;
    reply[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_EQ(ClientFinish(context_, started_.state, reply).status().code(), absl::StatusCode::kUnauthenticated) << bit;
  }
}

TEST_F(OnionHandshakeTest, WrongSizesAndSuitesAreMalformed) {
  for (size_t size = 0; size < kOnionSkinSize; ++size) {
    ASSERT_EQ(Reply(base::ByteView(started_.onion_skin).first(size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
  base::Bytes skin = started_.onion_skin;
  skin.push_back(0);
  EXPECT_STATUS(Reply(skin), kInvalidArgument);
  skin.pop_back();
  skin[0] = 2;
  EXPECT_STATUS(Reply(skin), kInvalidArgument);
  EXPECT_STATUS(ClientFinish(context_, started_.state, base::Bytes(kOnionReplySize - 1)), kInvalidArgument);
  EXPECT_STATUS(ClientFinish(context_, started_.state, base::Bytes(kOnionReplySize + 1)), kInvalidArgument);
}

TEST_F(OnionHandshakeTest, ZeroPointsAreRefusedEverywhere) {
  EXPECT_STATUS(ClientStart(context_, relay_id_, X25519Public{}, rng_), kUnauthenticated);
  base::Bytes skin = started_.onion_skin;
  std::fill_n(skin.begin() + 65, 32, uint8_t{0});
  EXPECT_STATUS(Reply(skin), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(ServerReplyResult replied, Reply(started_.onion_skin));
  std::fill_n(replied.reply.begin(), 32, uint8_t{0});
  EXPECT_STATUS(ClientFinish(context_, started_.state, replied.reply), kUnauthenticated);
}

TEST_F(OnionHandshakeTest, AnotherRelayNetworkOrVersionRefuses) {
  const PublicKey other_id = SigningKey::Generate(rng_).public_key();
  EXPECT_STATUS(ServerReply(context_, other_id, onion_keys_, started_.onion_skin, rng_), kUnauthenticated);
  EXPECT_STATUS(ServerReply({"other", 1}, relay_id_, onion_keys_, started_.onion_skin, rng_), kUnauthenticated);
  EXPECT_STATUS(ServerReply({"local", 2}, relay_id_, onion_keys_, started_.onion_skin, rng_), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult replied, Reply(started_.onion_skin));
  EXPECT_STATUS(ClientFinish({"other", 1}, started_.state, replied.reply), kUnauthenticated);
}

// A relay in the middle that answers by itself, without b, gets nowhere: it does not know X25519(x, B).
TEST_F(OnionHandshakeTest, AReplyByAnotherOnionKeyIsRefused) {
  const X25519KeyPair impostor = X25519KeyPair::Generate(rng_);
  ASSERT_OK_AND_ASSIGN(const ClientStartResult to_impostor, ClientStart(context_, relay_id_, impostor.public_key, rng_));
  ASSERT_OK_AND_ASSIGN(const ServerReplyResult forged,
                       ServerReply(context_, relay_id_, {&impostor, 1}, to_impostor.onion_skin, rng_));
  EXPECT_STATUS(ClientFinish(context_, started_.state, forged.reply), kUnauthenticated);
}

}  // namespace
}  // namespace keys
