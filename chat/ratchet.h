// SPDX-License-Identifier: Apache-2.0
// chat/ratchet.h — the Double Ratchet with header encryption: every message under a key of its own, erased when used.
//
// Source: Perrin and Marlinspike, "The Double Ratchet Algorithm", revision 1, sections 3 and 4. Differs from it:
//  - the KDFs are labelled keyed BLAKE2b, the cipher is XChaCha20-Poly1305;
//  - each step of the root key also yields the secret of a chain of places (protocol.md 10), so places heal with the keys.
//   root step   s = H-512(key = root, "ratchet root step", X25519(own, theirs)); then H(key = s, label):
//               "ratchet root", "ratchet chain", "ratchet next header", "boxchain"
//   chain step  message key = H(key = chain, "ratchet message"), next chain = H(key = chain, "ratchet chain step")
//   sealed, 96 bytes longer than its text:
//   offset size field
//        0   24 header nonce, random
//       24   56 header: ratchet key 32 ‖ previous chain's length 4 ‖ number 4, sealed under the header key, associated data as
//       given 80    n text, sealed under the message key, zero nonce, associated data as given ‖ the 80 bytes before
// Two states never share a message: the first is dropped before the second is made, and a message is sealed once and kept as
// bytes (chat/outbox.h). Keys of skipped messages are kept until they come, at most kSkippedKeysMax. Pure; not thread-safe.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "chat/x3dh.h"
#include "keys/x25519.h"

namespace chat {

inline constexpr size_t kSealedHeaderSize = 24 + 40 + 16;
inline constexpr size_t kRatchetOverhead = kSealedHeaderSize + 16;
inline constexpr uint32_t kSkipPerMessageMax = 128;  // a message that jumps further is refused; readers look 8 places ahead
inline constexpr size_t kSkippedKeysMax = 512;       // 32 KiB a conversation; the oldest make room

class Ratchet {
 public:
  // `responder_prekey`: the signed prekey of the handshake. Unauthenticated if it is degenerate.
  static absl::StatusOr<Ratchet> Initiator(const SessionSecrets& secrets, const keys::X25519Public& responder_prekey,
                                           base::Rng& rng);
  static Ratchet Responder(const SessionSecrets& secrets, const keys::X25519KeyPair& prekey);

  // False for a responder that has opened nothing yet.
  bool CanSeal() const { return sending_.has_value(); }
  // CHECKs CanSeal(). The state moves on: what is returned has to be kept before it is sent.
  base::Bytes Seal(base::ByteView associated, base::ByteView text, base::Rng& rng);

  struct Opened {
    base::Bytes text;
    bool stepped = false;  // the first message under a new key of the other side: places() changed too
  };
  // Unauthenticated, with one text, whatever is wrong: the state is as before.
  absl::StatusOr<Opened> Open(base::ByteView associated, base::ByteView sealed, base::Rng& rng);

  // True if the next message sealed is the first under a new key of this side.
  bool AtStart() const { return sent_ == 0; }
  // Secrets of the chains of places that belong to the newest key of this side, and of the other.
  const keys::WipedArray<32>& send_places() const { return send_places_; }
  const keys::WipedArray<32>& receive_places() const { return receive_places_; }

  // When nothing is missing any more, no skipped key is needed.
  void ForgetSkipped() { skipped_.clear(); }
  size_t skipped_count() const { return skipped_.size(); }

  // All of the state, secrets in the clear: seal it, and wipe the bytes.
  base::Bytes Serialize() const;
  // DataLoss for anything Serialize does not write.
  static absl::StatusOr<Ratchet> Parse(base::ByteView bytes);

 private:
  struct Chain {
    keys::WipedArray<32> key, header_key;
  };
  struct Skipped {
    keys::WipedArray<32> header_key, message_key;
    uint32_t number = 0;
  };
  struct Header;

  static std::optional<Header> OpenHeader(const keys::WipedArray<32>& header_key, base::ByteView associated,
                                          base::ByteView sealed);
  std::optional<base::Bytes> OpenSkipped(base::ByteView associated, base::ByteView sealed);
  absl::Status Skip(uint32_t until);
  absl::Status Step(const keys::X25519Public& theirs, base::Rng& rng);
  absl::StatusOr<Opened> OpenNext(base::ByteView associated, base::ByteView sealed, base::Rng& rng);

  keys::WipedArray<32> root_;
  keys::X25519KeyPair own_;
  std::optional<keys::X25519Public> theirs_;
  std::optional<Chain> sending_, receiving_;
  keys::WipedArray<32> next_send_header_key_, next_receive_header_key_;
  keys::WipedArray<32> send_places_, receive_places_;
  uint32_t sent_ = 0, received_ = 0, previous_sent_ = 0;
  std::vector<Skipped> skipped_;  // oldest first
};

}  // namespace chat
