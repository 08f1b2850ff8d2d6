// SPDX-License-Identifier: Apache-2.0
// keys/onion_key_file.h — a node's onion keys on disk, so that a restart breaks no circuit that clients are about to build.
//
// DIR/onion.keys, owner-only and written whole like DIR/node.key beside it (key_store.h). Text, one item a line, in this order:
//   bulbil-onion-keys 1                          format version
//   made 2026-11-23T14:00:00Z                    UTC; when the current one was made
//   current HEX                                  32 bytes, X25519 secret key
//   previous HEX                                 the same; missing before the first rotation
// Keys that are too old are the caller's to replace (RingDriver): the file says only how old they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/rng.h"
#include "keys/x25519.h"

namespace keys {

struct OnionKeys {
  std::vector<X25519KeyPair> pairs;  // the current one first, then the previous one, if there is one
  absl::Time made;                   // the current one; whole seconds in the file
};

// The caller wipes the text. DecodeOnionKeys: Unauthenticated unless the text is exactly as EncodeOnionKeys writes it.
std::string EncodeOnionKeys(const OnionKeys& keys);
absl::StatusOr<OnionKeys> DecodeOnionKeys(std::string_view text);

// No pairs if there is no file or a damaged one: the node makes new keys then. FailedPrecondition (E6) as for node.key.
// `directory` exists.
absl::StatusOr<OnionKeys> LoadOnionKeys(const std::string& directory);
// Slow: on disk when it returns, or as it was before.
absl::Status SaveOnionKeys(const std::string& directory, const OnionKeys& keys, base::Rng& rng);

}  // namespace keys
