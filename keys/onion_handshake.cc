// SPDX-License-Identifier: Apache-2.0
#include "keys/onion_handshake.h"

#include <sodium.h>

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/hash.h"

namespace keys {
namespace {

constexpr size_t kDataSize = 16;
using Data = std::array<uint8_t, kDataSize>;

struct OnionSkin {
  uint8_t suite = kSuiteX25519HPolyC;
  PublicKey relay_id;
  X25519Public relay_onion_key{}, client_key{};
  Data client_data{};  // encrypted
  std::array<uint8_t, 32> mac{};
};
struct OnionReply {
  X25519Public relay_key{};
  std::array<uint8_t, 32> auth{};
  Data server_data{};  // encrypted
};
static_assert(1 + 32 + 32 + 32 + kDataSize + 32 == kOnionSkinSize && 32 + 32 + kDataSize == kOnionReplySize);

absl::Status Refused() { return absl::UnauthenticatedError("onion handshake refused"); }

base::Bytes Encode(const OnionSkin& skin) {
  base::ByteWriter writer;
  writer.U8(skin.suite).Append(skin.relay_id.bytes).Append(skin.relay_onion_key).Append(skin.client_key);
  return writer.Append(skin.client_data).Append(skin.mac).Take();
}

absl::StatusOr<OnionSkin> DecodeOnionSkin(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  OnionSkin skin;
  skin.suite = reader.U8();
  skin.relay_id.bytes = reader.Array<32>();
  skin.relay_onion_key = reader.Array<32>();
  skin.client_key = reader.Array<32>();
  skin.client_data = reader.Array<kDataSize>();
  skin.mac = reader.Array<32>();
  if (!reader.Done()) return absl::InvalidArgumentError("onion skin of a wrong size");
  if (skin.suite != kSuiteX25519HPolyC) return absl::InvalidArgumentError("unknown handshake suite");
  return skin;
}

absl::StatusOr<OnionReply> DecodeOnionReply(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  OnionReply reply;
  reply.relay_key = reader.Array<32>();
  reply.auth = reader.Array<32>();
  reply.server_data = reader.Array<kDataSize>();
  if (!reader.Done()) return absl::InvalidArgumentError("onion reply of a wrong size");
  return reply;
}

// VER: what both sides must agree on before anything else.
void AddVersion(const HandshakeContext& context, Hasher& hasher) {
  const uint8_t version[2] = {static_cast<uint8_t>(context.protocol_version >> 8),
                              static_cast<uint8_t>(context.protocol_version)};
  hasher.Add(context.network).Add(base::ByteView(version)).Add(base::ByteView(&kSuiteX25519HPolyC, 1));
}

WipedArray<64> Finish64(Hasher& hasher) {
  Digest512 digest = hasher.Finish512();
  WipedArray<64> secret(digest);
  Wipe(digest);
  return secret;
}

WipedArray<32> Derive(const WipedArray<64>& seed, std::string_view label) {
  Digest digest = KeyedHash(seed.view(), label, {});
  WipedArray<32> secret(digest);
  Wipe(digest);
  return secret;
}

// ChaCha20-IETF under a one-time key, hence the zero nonce; encrypts and decrypts.
Data XorOneTime(std::span<const uint8_t, 32> key, const Data& data) {
  static constexpr uint8_t kZeroNonce[crypto_stream_chacha20_ietf_NONCEBYTES] = {};
  Data result;
  CHECK(crypto_stream_chacha20_ietf_xor(result.data(), data.data(), data.size(), kZeroNonce, key.data()) == 0);
  return result;
}

// Reserved, so zero: the two sides of one protocol version cannot differ in it.
bool IsReserved(const Data& data) { return data == Data{}; }

// Ke1 and Km1 as one: the client's first flight is sealed by what only it and the owner of B can compute.
WipedArray<64> FirstKeys(const HandshakeContext& context, const WipedArray<32>& shared_bx, const OnionSkin& skin) {
  Hasher hasher("onx1 phase1", {}, 64);
  hasher.Add(shared_bx.view()).Add(skin.relay_id.view()).Add(skin.client_key).Add(skin.relay_onion_key);
  AddVersion(context, hasher);
  return Finish64(hasher);
}

std::array<uint8_t, 32> ClientMac(const WipedArray<64>& first_keys, const OnionSkin& skin) {
  return KeyedHash(first_keys.view().last<32>(), "onx1 client mac",
                   {skin.relay_id.view(), skin.relay_onion_key, skin.client_key, skin.client_data});
}

WipedArray<64> Seed(const HandshakeContext& context, const WipedArray<32>& shared_xy, const WipedArray<32>& shared_bx,
                    const OnionSkin& skin, const X25519Public& relay_key) {
  Hasher hasher("onx1 seed", {}, 64);
  hasher.Add(shared_xy.view()).Add(shared_bx.view()).Add(skin.relay_id.view()).Add(skin.relay_onion_key);
  hasher.Add(skin.client_key).Add(relay_key);
  AddVersion(context, hasher);
  return Finish64(hasher);
}

std::array<uint8_t, 32> Auth(const WipedArray<64>& seed, const OnionSkin& skin, const OnionReply& reply) {
  return KeyedHash(Derive(seed, "onx1 verify").view(), "onx1 server",
                   {skin.relay_id.view(), skin.relay_onion_key, reply.relay_key, skin.client_key, skin.mac, reply.server_data});
}

HopKeys MakeHopKeys(const WipedArray<64>& seed) {
  HopKeys keys;
  keys.forward_key = Derive(seed, "onx1 forward key");
  keys.backward_key = Derive(seed, "onx1 backward key");
  const WipedArray<32> forward_tweak = Derive(seed, "onx1 forward tweak"), backward_tweak = Derive(seed, "onx1 backward tweak");
  const WipedArray<32> channel_binding = Derive(seed, "onx1 channel binding");
  std::copy_n(forward_tweak.view().begin(), keys.forward_tweak.size(), keys.forward_tweak.begin());
  std::copy_n(backward_tweak.view().begin(), keys.backward_tweak.size(), keys.backward_tweak.begin());
  std::copy_n(channel_binding.view().begin(), keys.channel_binding.size(), keys.channel_binding.begin());
  return keys;
}

const X25519KeyPair* FindOnionKey(std::span<const X25519KeyPair> onion_keys, const X25519Public& named) {
  const auto it =
      std::find_if(onion_keys.begin(), onion_keys.end(), [&](const X25519KeyPair& pair) { return pair.public_key == named; });
  return it == onion_keys.end() ? nullptr : &*it;
}

// What the relay learns from a skin that is meant for it and unaltered: X25519(b, X).
absl::StatusOr<WipedArray<32>> OpenOnionSkin(const HandshakeContext& context, const PublicKey& own_id,
                                             std::span<const X25519KeyPair> onion_keys, const OnionSkin& skin) {
  const X25519KeyPair* onion_key = FindOnionKey(onion_keys, skin.relay_onion_key);
  if (onion_key == nullptr || skin.relay_id != own_id) return Refused();
  auto shared_bx = X25519(onion_key->secret_key.view(), skin.client_key);
  if (!shared_bx.ok()) return Refused();
  const WipedArray<64> first_keys = FirstKeys(context, *shared_bx, skin);
  if (!ConstantTimeEqual(ClientMac(first_keys, skin), skin.mac)) return Refused();
  if (!IsReserved(XorOneTime(first_keys.view().first<32>(), skin.client_data))) return Refused();
  return shared_bx;
}

}  // namespace

absl::StatusOr<ClientStartResult> ClientStart(const HandshakeContext& context, const PublicKey& relay_id,
                                              const X25519Public& relay_onion_key, base::Rng& rng) {
  const X25519KeyPair ephemeral = X25519KeyPair::Generate(rng);
  OnionSkin skin;
  skin.relay_id = relay_id;
  skin.relay_onion_key = relay_onion_key;
  skin.client_key = ephemeral.public_key;
  ASSIGN_OR_RETURN(const WipedArray<32> shared_bx, X25519(ephemeral.secret_key.view(), relay_onion_key));
  const WipedArray<64> first_keys = FirstKeys(context, shared_bx, skin);
  skin.client_data = XorOneTime(first_keys.view().first<32>(), Data{});
  skin.mac = ClientMac(first_keys, skin);
  return ClientStartResult{{relay_id, relay_onion_key, ephemeral, shared_bx, skin.mac}, Encode(skin)};
}

absl::StatusOr<ServerReplyResult> ServerReply(const HandshakeContext& context, const PublicKey& own_id,
                                              std::span<const X25519KeyPair> onion_keys, base::ByteView onion_skin,
                                              base::Rng& rng) {
  ASSIGN_OR_RETURN(const OnionSkin skin, DecodeOnionSkin(onion_skin));
  ASSIGN_OR_RETURN(const WipedArray<32> shared_bx, OpenOnionSkin(context, own_id, onion_keys, skin));
  const X25519KeyPair ephemeral = X25519KeyPair::Generate(rng);
  const auto shared_xy = X25519(ephemeral.secret_key.view(), skin.client_key);
  if (!shared_xy.ok()) return Refused();
  const WipedArray<64> seed = Seed(context, *shared_xy, shared_bx, skin, ephemeral.public_key);
  OnionReply reply;
  reply.relay_key = ephemeral.public_key;
  reply.server_data = XorOneTime(Derive(seed, "onx1 server data").view(), Data{});
  reply.auth = Auth(seed, skin, reply);
  base::ByteWriter writer;
  writer.Append(reply.relay_key).Append(reply.auth).Append(reply.server_data);
  return ServerReplyResult{MakeHopKeys(seed), writer.Take()};
}

absl::StatusOr<HopKeys> ClientFinish(const HandshakeContext& context, const ClientHandshake& state, base::ByteView reply_bytes) {
  ASSIGN_OR_RETURN(const OnionReply reply, DecodeOnionReply(reply_bytes));
  const auto shared_xy = X25519(state.ephemeral.secret_key.view(), reply.relay_key);
  if (!shared_xy.ok()) return Refused();
  OnionSkin skin;
  skin.relay_id = state.relay_id;
  skin.relay_onion_key = state.relay_onion_key;
  skin.client_key = state.ephemeral.public_key;
  skin.mac = state.mac;
  const WipedArray<64> seed = Seed(context, *shared_xy, state.shared_bx, skin, reply.relay_key);
  if (!ConstantTimeEqual(Auth(seed, skin, reply), reply.auth)) return Refused();
  if (!IsReserved(XorOneTime(Derive(seed, "onx1 server data").view(), reply.server_data))) return Refused();
  return MakeHopKeys(seed);
}

}  // namespace keys
