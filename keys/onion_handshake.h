// SPDX-License-Identifier: Apache-2.0
// keys/onion_handshake.h — onx1: one round trip that gives a client and one relay fresh shared keys.
//
// Shape of ntor v3 (Tor proposal 332) with X25519 and keyed BLAKE2b: the relay is authenticated by its node key ID and its
// onion key B (both out of its signed descriptor), the client is anonymous, the whole transcript is confirmed by AUTH.
// Formulas: docs/wire.md, "onx1". No post-quantum secrecy: the suite byte leaves room for it.
//
//   client -> relay (kOnionSkinSize)          relay -> client (kOnionReplySize)
//   offset size field                          offset size field
//        0    1 suite (1)                           0   32 Y, relay's fresh X25519 key
//        1   32 ID, relay's node key               32   32 AUTH
//       33   32 B, relay's onion key               64   16 encrypted server data (zero: reserved)
//       65   32 X, client's fresh X25519 key
//       97   16 encrypted client data (zero: reserved)
//      113   32 MAC
//
// H is the labelled hash (hash.h), VER the three parts network, protocol version (2 bytes), suite (1 byte):
//   Ke1 ‖ Km1 = H-512("onx1 phase1", X25519(x, B), ID, X, B, VER)
//   MAC  = H(key = Km1, "onx1 client mac", ID, B, X, encrypted client data)
//   seed = H-512("onx1 seed", X25519(x, Y), X25519(x, B), ID, B, X, Y, VER)
//   K2   = H(key = seed, "onx1 server data")
//   AUTH = H(key = H(key = seed, "onx1 verify"), "onx1 server", ID, B, Y, X, MAC, encrypted server data)
//   keys = H(key = seed, "onx1 forward key"), "onx1 backward key", "onx1 channel binding"; the first 16 bytes of
//          H(key = seed, "onx1 forward tweak"), "onx1 backward tweak"
// Client data under Ke1 and server data under K2 by ChaCha20-IETF with the zero nonce; both keys are used once. Data that is not
// zero is refused, and so is a Diffie-Hellman result of zero.
// Pure functions; brief work (base::EventLoop::RunBrief): X25519 two times at ClientStart, three at ServerReply, once at
// ClientFinish, about 30 us each. Any thread.
#pragma once

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "keys/identity.h"
#include "keys/x25519.h"

namespace keys {

inline constexpr uint8_t kSuiteX25519HPolyC = 1;
inline constexpr size_t kOnionSkinSize = 145, kOnionReplySize = 80;
inline constexpr size_t kOnionSkinNames = 33, kOnionSkinNamesSize = 64;  // B and X of an onion skin: they tell it from others

// What a handshake gives both sides: a key and a start tweak for each direction, and a value that names this very circuit hop.
struct HopKeys {
  WipedArray<32> forward_key, backward_key;
  std::array<uint8_t, 16> forward_tweak, backward_tweak;
  std::array<uint8_t, 32> channel_binding;  // KH
};

// Binds a handshake to one network and protocol version (VER).
struct HandshakeContext {
  std::string network;
  uint16_t protocol_version = 1;
};

struct ClientHandshake {
  PublicKey relay_id;
  X25519Public relay_onion_key;
  X25519KeyPair ephemeral;
  WipedArray<32> shared_bx;  // X25519(x, B): needed again at the end
  std::array<uint8_t, 32> mac;
};
struct ClientStartResult {
  ClientHandshake state;
  base::Bytes onion_skin;
};
// Unauthenticated if the onion key is degenerate.
absl::StatusOr<ClientStartResult> ClientStart(const HandshakeContext& context, const PublicKey& relay_id,
                                              const X25519Public& relay_onion_key, base::Rng& rng);

struct ServerReplyResult {
  HopKeys keys;
  base::Bytes reply;
};
// InvalidArgument for a wrong size or suite, Unauthenticated for all else (one text): drop the circuit in silence.
// `onion_keys`: the current one first, then the previous one; B picks among them.
absl::StatusOr<ServerReplyResult> ServerReply(const HandshakeContext& context, const PublicKey& own_id,
                                              std::span<const X25519KeyPair> onion_keys, base::ByteView onion_skin,
                                              base::Rng& rng);

absl::StatusOr<HopKeys> ClientFinish(const HandshakeContext& context, const ClientHandshake& state, base::ByteView reply);

}  // namespace keys
