// SPDX-License-Identifier: Apache-2.0
// chat/prekeys.h — the prekey pairs of one identity: made, published in bundles (chat/bundle.h), and erased in time.
//
//   signed prekey    lives kSignedPrekeyLife, then a new one takes its place; its secret goes kSignedPrekeyKept after that. A
//   bundle
//                    lies ready for 14 days and an envelope made with it for 15 more, so nothing waits for it any longer
//   one-time prekeys kOneTimePrekeysMax are on offer. Two strangers may pick the same one before the bundles are renewed: its
//   secret
//                    stays kOneTimeKept after its first use, and it is offered no more
// Pure: time and randomness are arguments. Secrets are in the clear in Serialize: seal it, and wipe the bytes.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "chat/bundle.h"
#include "keys/x25519.h"

namespace chat {

inline constexpr absl::Duration kSignedPrekeyLife = absl::Hours(48);
inline constexpr absl::Duration kSignedPrekeyKept = absl::Hours(30 * 24);
inline constexpr absl::Duration kOneTimeKept = absl::Hours(48);
inline constexpr size_t kPrekeysMax = 256;  // of either kind, with those waiting to be erased; 64 bytes each

class Prekeys {
 public:
  // Makes what is missing, retires what is old, erases what is due. `door_effort`: what strangers are asked for from now on. True
  // if there is something new to publish.
  bool Renew(absl::Time wall_now, base::Rng& rng, uint32_t door_effort);

  // What the next bundles say, and their version. CHECKs that Renew was called before.
  BundleContents Contents() const;
  uint64_t version() const { return version_; }

  // Null if it was erased, or never was ours. Valid until the next call of Renew or Use.
  const keys::X25519KeyPair* FindSigned(const keys::X25519Public& key) const;
  const keys::X25519KeyPair* FindOneTime(const keys::X25519Public& key) const;
  // A handshake with this one-time prekey was opened.
  void Use(const keys::X25519Public& one_time, absl::Time wall_now);

  base::Bytes Serialize() const;
  // DataLoss for anything Serialize does not write.
  static absl::StatusOr<Prekeys> Parse(base::ByteView bytes);

 private:
  struct Held {
    keys::X25519KeyPair pair;
    absl::Time since;      // signed: made; one-time: first used
    bool retired = false;  // replaced, or used
  };
  static const keys::X25519KeyPair* Find(const std::vector<Held>& all, const keys::X25519Public& key);

  uint64_t version_ = 0;
  uint32_t door_effort_ = 0;
  std::vector<Held> signed_;  // the last one is current
  std::vector<Held> one_time_;
};

}  // namespace chat
