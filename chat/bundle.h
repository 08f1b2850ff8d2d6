// SPDX-License-Identifier: Apache-2.0
// chat/bundle.h — signed prekeys of an identity for one day, readable by who knows its address (protocol.md 10).
//
//   contents, 613 bytes: signed prekey 32 ‖ door effort 4 ‖ count n 1 (0..16) ‖ 16 one-time prekeys of 32 (zeros behind the n-th)
//             ‖ Ed25519 signature by the identity over H("bundle-sig", network, A, the 549 bytes before) 64
//   record body, 762 bytes, big-endian
//   offset size field
//        0   32 A_e          blinded key of the day
//       32    4 day e
//       36    1 place j
//       37    8 version      microseconds since 1970 when the contents were made, less half an hour to three (VersionAt); the greatest wins
//       45   24 nonce        random
//       69  629 contents under XChaCha20-Poly1305, key H("bundle", network, A, e), associated data = the 45 bytes before
//      698   64 signature    by a_e over H("bundle-rec", network, the 698 bytes before)
//   record: point = H("pre", A_e, e as 8 bytes, j), id = H("bundle-id", kind, point, body), expiry = end of day e + 1
// At a place the greatest version stays, ties by the smaller id. A storing node learns neither A nor the prekeys.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/door.h"
#include "dht/record.h"
#include "keys/identity.h"
#include "keys/x25519.h"

namespace chat {

inline constexpr size_t kOneTimePrekeysMax = 16;
inline constexpr size_t kBundleContentsSize = 32 + 4 + 1 + (32 * kOneTimePrekeysMax) + 64;
inline constexpr size_t kBundleBodySize = 32 + 4 + 1 + 8 + 24 + kBundleContentsSize + 16 + 64;
static_assert(kBundleBodySize == 762);
inline constexpr Day kBundleDaysAhead = 14;  // published for today and so many days more

struct BundleContents {
  keys::X25519Public signed_prekey{};
  uint32_t door_effort = 0;  // what the owner asks of strangers; 0 where the network asks for no work
  std::vector<keys::X25519Public> one_time;

  bool operator==(const BundleContents&) const = default;
};

struct Bundle {
  Door door;  // A_e and e
  uint8_t place = 0;
  uint64_t version = 0;
  std::array<uint8_t, 24> nonce{};
  base::Bytes sealed;  // kBundleContentsSize + 16
  keys::Signature signature{};

  bool operator==(const Bundle& other) const;
};

// The version, in microseconds, of contents made `made` seconds after 1970 as one place shows it: half an hour to three earlier. It
// rises with every second of `made`, on whatever machine. The same moment in the doors of many days would say whose they are, and so
// would the same time between two versions: each place has pseudo-random times of its own for the hours, and each half of a stretch
// gets a quarter to three quarters of what the stretch has (a key of the identity's seed, "bundle-age").
uint64_t VersionAt(const keys::SigningKey& identity, Day day, uint8_t place, uint64_t made);
overlay::NodeId BundlePoint(const Door& door, uint8_t place);

// CHECKs at most kOneTimePrekeysMax one-time prekeys. InvalidArgument as DoorOf.
absl::StatusOr<Bundle> SealBundle(const keys::SigningKey& identity, std::string_view network, Day day, uint8_t place,
                                  uint64_t version, const BundleContents& contents, base::Rng& rng);
// Unauthenticated, with one text, if it is not a bundle of `owner`.
absl::StatusOr<BundleContents> OpenBundle(const keys::PublicKey& owner, std::string_view network, const Bundle& bundle);

base::Bytes EncodeBundle(const Bundle& bundle);
// InvalidArgument for a wrong size or place. The signature is not looked at.
absl::StatusOr<Bundle> DecodeBundle(base::ByteView body);
dht::Record MakeBundleRecord(const Bundle& bundle);
absl::StatusOr<Bundle> ReadBundleRecord(const dht::Record& record);

class BundleKind : public dht::RecordKind {
 public:
  explicit BundleKind(std::string network) : network_(std::move(network)) {}

  // A client's: for yesterday to today + 15. A replica's: until expiry.
  absl::Status Acceptable(const dht::Record& record, dht::Source source, absl::Time wall_now) const override;
  dht::Admission Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const override;

 private:
  const std::string network_;
};

}  // namespace chat
