// SPDX-License-Identifier: Apache-2.0
#include "keys/key_store.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "keys/key_file.h"
#include "keys/owner_only_directory.h"

namespace keys {
namespace {

using Access = OwnerOnlyDirectory::Access;
constexpr size_t kNameSizeMax = 32;
constexpr std::string_view kSuffix = ".key";
constexpr char kNodeKeyName[] = "node";

std::string FileOf(const std::string& name) { return absl::StrCat(name, ".key"); }

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameSizeMax && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
}

absl::Status CheckName(const std::string& name) {
  if (IsName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError("a name has 1 to 32 letters, digits, - and _");
}

// The file's text, wiped when it goes: without a passphrase the seed stands in it.
class KeyText {
 public:
  explicit KeyText(std::string text) : text_(std::move(text)) {}
  ~KeyText() { Wipe({reinterpret_cast<uint8_t*>(text_.data()), text_.size()}); }
  KeyText(const KeyText&) = delete;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status Naming(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<LoadedKey> LoadFrom(const OwnerOnlyDirectory& directory, const std::string& name,
                                   const std::optional<std::string>& passphrase) {
  ASSIGN_OR_RETURN(std::string content, directory.Read(FileOf(name), kKeyFileSizeMax));
  const KeyText text(std::move(content));
  ASSIGN_OR_RETURN(LoadedKey loaded, DecodeKeyFile(text.text(), passphrase));
  loaded.info.name = name;
  return loaded;
}

absl::StatusOr<KeyFileInfo> InfoFrom(const OwnerOnlyDirectory& directory, const std::string& name) {
  ASSIGN_OR_RETURN(std::string content, directory.Read(FileOf(name), kKeyFileSizeMax));
  const KeyText text(std::move(content));
  ASSIGN_OR_RETURN(KeyFileInfo info, DecodeKeyFileInfo(text.text()));
  info.name = name;
  return info;
}

absl::StatusOr<SigningKey> CreateNodeKey(const OwnerOnlyDirectory& directory, base::Rng& rng) {
  SigningKey key = SigningKey::Generate(rng);
  KeyFileInfo info;
  info.created = absl::Now();
  ASSIGN_OR_RETURN(std::string content, EncodeKeyFile(info, key, std::nullopt, {}, rng));
  const KeyText text(std::move(content));
  RETURN_IF_ERROR(directory.WriteNew(FileOf(kNodeKeyName), text.text(), rng));
  return key;
}

}  // namespace

absl::Status FileKeyStore::Save(const KeyFileInfo& info, const SigningKey& key, const std::optional<std::string>& passphrase,
                                base::Rng& rng) {
  RETURN_IF_ERROR(CheckName(info.name));
  RETURN_IF_ERROR(OwnerOnlyDirectory::Create(directory_));
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(directory_, Access::kClosed));
  ASSIGN_OR_RETURN(std::string content, EncodeKeyFile(info, key, passphrase, options_, rng));
  const KeyText text(std::move(content));
  return directory.WriteNew(FileOf(info.name), text.text(), rng);
}

absl::Status FileKeyStore::Replace(const KeyFileInfo& info, const SigningKey& key, const std::optional<std::string>& passphrase,
                                   base::Rng& rng) {
  RETURN_IF_ERROR(Info(info.name).status());
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(directory_, Access::kClosed));
  ASSIGN_OR_RETURN(std::string content, EncodeKeyFile(info, key, passphrase, options_, rng));
  const KeyText text(std::move(content));
  return directory.Overwrite(FileOf(info.name), text.text(), rng);
}

absl::StatusOr<LoadedKey> FileKeyStore::Load(const std::string& name, const std::optional<std::string>& passphrase) const {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(directory_, Access::kClosed));
  return LoadFrom(directory, name, passphrase);
}

absl::StatusOr<std::vector<KeyFileInfo>> FileKeyStore::List() const {
  const auto directory = OwnerOnlyDirectory::Open(directory_, Access::kClosed);
  if (absl::IsNotFound(directory.status())) return std::vector<KeyFileInfo>();
  if (!directory.ok()) return directory.status();
  ASSIGN_OR_RETURN(const std::vector<std::string> files, directory->List());
  std::vector<KeyFileInfo> infos;
  for (const std::string& file : files) {
    if (file.size() <= kSuffix.size() || file.substr(file.size() - kSuffix.size()) != kSuffix) continue;
    const std::string name = file.substr(0, file.size() - kSuffix.size());
    if (!IsName(name)) continue;
    auto info = InfoFrom(*directory, name);
    if (absl::IsUnauthenticated(info.status())) return Naming(PathOf(name), info.status());
    if (!info.ok()) return info.status();
    infos.push_back(*std::move(info));
  }
  return infos;
}

absl::StatusOr<KeyFileInfo> FileKeyStore::Info(const std::string& name) const {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(directory_, Access::kClosed));
  return InfoFrom(directory, name);
}

absl::Status FileKeyStore::Remove(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name));
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(directory_, Access::kClosed));
  return directory.Remove(FileOf(name));
}

absl::StatusOr<SigningKey> LoadOrCreateNodeKey(const std::string& path, base::Rng& rng) {
  RETURN_IF_ERROR(OwnerOnlyDirectory::Create(path));
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(path, Access::kReadable));
  absl::StatusOr<LoadedKey> loaded = LoadFrom(directory, kNodeKeyName, std::nullopt);
  if (absl::IsNotFound(loaded.status())) {
    absl::StatusOr<SigningKey> created = CreateNodeKey(directory, rng);
    if (!absl::IsAlreadyExists(created.status())) return created;
    loaded = LoadFrom(directory, kNodeKeyName, std::nullopt);  // another process made it in between
  }
  if (!loaded.ok()) return loaded.status();
  return std::move(loaded->key);
}

}  // namespace keys
