// SPDX-License-Identifier: Apache-2.0
#include "cli/relay_file.h"

#include <algorithm>

#include "keys/aead.h"
#include "keys/hash.h"
#include "keys/owner_only_directory.h"
#include "spdlog/spdlog.h"

namespace cli {
namespace {

using keys::OwnerOnlyDirectory;

constexpr char kName[] = "relays";
constexpr size_t kNonceSize = sizeof(keys::SealNonce);

base::ByteView Label() { return base::AsBytes(kName); }

absl::Status Write(const std::string& directory, const base::Bytes& content, base::Rng& rng) {
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory, OwnerOnlyDirectory::Access::kReadable);
  if (!opened.ok()) return opened.status();
  return opened->Overwrite(kName, base::ToString(content), rng);
}

}  // namespace

RelayFile::RelayFile(std::string directory, const keys::SigningKey& node_key)
    : directory_(std::move(directory)), key_(std::span<const uint8_t, 32>(keys::KeyedHash(node_key.seed().view(), kName, {}))) {}

base::Bytes RelayFile::Load() const {
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory_, OwnerOnlyDirectory::Access::kReadable);
  if (!opened.ok()) return {};
  const absl::StatusOr<std::string> content = opened->Read(kName, kRelayFileMax);
  if (!content.ok() && !absl::IsNotFound(content.status())) {
    spdlog::warn("circuits: the file of kept relays cannot be read; new ones are chosen");
  }
  if (!content.ok() || content->size() < kNonceSize) return {};
  const base::ByteView bytes = base::AsBytes(*content);
  keys::SealNonce nonce;
  std::copy_n(bytes.begin(), kNonceSize, nonce.begin());
  absl::StatusOr<base::Bytes> relays = keys::Open(key_.view(), nonce, Label(), bytes.subspan(kNonceSize));
  if (!relays.ok()) {
    spdlog::warn("circuits: the file of kept relays is not this node's; new ones are chosen");
    return {};
  }
  return *std::move(relays);
}

void RelayFile::Save(base::ByteView relays, base::Rng& rng) const {
  const auto nonce = rng.Array<kNonceSize>();
  base::Bytes content(nonce.begin(), nonce.end());
  const base::Bytes sealed = keys::Seal(key_.view(), nonce, Label(), relays);
  content.insert(content.end(), sealed.begin(), sealed.end());
  if (const absl::Status status = Write(directory_, content, rng); !status.ok()) {
    spdlog::warn("circuits: guards and relays could not be kept on disk");
  }
}

}  // namespace cli
