// SPDX-License-Identifier: Apache-2.0
// The guards and relays that nodes of network `local` keep, which the program shows to nobody: read with each node's own key, for
// `./dev soak hostile`.
//
// usage: pool_reader NODE_DIRECTORY...      one JSON line each: {"key": HEX, "guards": [HEX...], "relays": [HEX...], "provisional": N}
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/byte_reader.h"
#include "circuits/guard_set.h"
#include "circuits/relay_pool.h"
#include "cli/relay_file.h"
#include "keys/key_store.h"
#include "keys/system_rng.h"

namespace {

std::string Listed(const std::vector<std::string>& keys) {
  return keys.empty() ? "[]" : absl::StrCat("[\"", absl::StrJoin(keys, "\", \""), "\"]");
}

int Read(const std::string& directory) {
  keys::SystemRng rng;
  const absl::StatusOr<keys::SigningKey> key = keys::LoadOrCreateNodeKey(directory, rng);
  if (!key.ok()) return 1;
  const base::Bytes content = cli::RelayFile(directory, *key).Load();
  base::ByteReader reader(content);
  circuits::GuardSet guards(rng);
  circuits::RelayPool pool(rng);
  std::vector<std::string> guard_keys, relay_keys;
  int provisional = 0;
  const base::ByteView kept_guards = reader.Long();
  if (!content.empty() && (!guards.Decode(overlay::Network::Local(), kept_guards).ok() ||
                           !pool.Decode(overlay::Network::Local(), reader.Rest(), absl::Now(), absl::Now()).ok())) {
    return 1;
  }
  for (const auto& guard : guards.guards()) guard_keys.push_back(base::ToHex(guard.peer.node_key.view()));
  for (const auto& relay : pool.relays()) {
    relay_keys.push_back(base::ToHex(relay.descriptor.node_key.view()));
    provisional += relay.provisional;
  }
  std::printf("{\"key\": \"%s\", \"guards\": %s, \"relays\": %s, \"provisional\": %d}\n", base::ToHex(key->public_key().view()).c_str(),
              Listed(guard_keys).c_str(), Listed(relay_keys).c_str(), provisional);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  keys::InitCrypto();
  for (int i = 1; i < argc; ++i) {
    if (const int failed = Read(argv[i]); failed != 0) return failed;
  }
  return 0;
}
