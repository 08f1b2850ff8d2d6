// SPDX-License-Identifier: Apache-2.0
// cli/relay_file.h — the guards and the secret pool of a node over restarts: NODE_DIRECTORY/relays, owner-only.
//
//   nonce 24 ‖ XChaCha20-Poly1305 under H(key = seed of the node key, "relays") of what circuits_driver.h gives
// Sealed so that who gets a copy of the file, as of a backup without the node key, does not learn whose relays these are.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/rng.h"
#include "keys/identity.h"
#include "keys/secret.h"

namespace cli {

inline constexpr size_t kRelayFileMax = 128 * 1024;  // 64 descriptors of at most 512 bytes, and little else

class RelayFile {
 public:
  RelayFile(std::string directory, const keys::SigningKey& node_key);

  // Empty if there is none, or none that this node sealed: then relays are chosen anew.
  base::Bytes Load() const;
  // Whole or not at all; a failure is logged. Any thread, one call at a time.
  void Save(base::ByteView relays, base::Rng& rng) const;

 private:
  std::string directory_;
  keys::WipedArray<32> key_;
};

}  // namespace cli
