// SPDX-License-Identifier: Apache-2.0
#include "keys/onion_key_file.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "keys/owner_only_directory.h"

namespace keys {
namespace {

using Access = OwnerOnlyDirectory::Access;
constexpr char kFileName[] = "onion.keys";
constexpr size_t kFileSizeMax = 512;  // ours have about 200 bytes
constexpr size_t kPairsMax = 2;
constexpr std::string_view kFirstLine = "bulbil-onion-keys 1\nmade ";
constexpr std::string_view kNames[kPairsMax] = {"current ", "previous "};
constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";

absl::Status Damaged() { return absl::UnauthenticatedError("the file of onion keys was altered"); }

void WipeText(std::string& text) { Wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()}); }

// What stands between `name` and the end of its line; the line is taken off `rest`.
std::string_view TakeLine(std::string_view& rest, std::string_view name) {
  const size_t end = rest.find('\n');
  if (end == rest.npos || rest.substr(0, name.size()) != name) return {};
  const std::string_view value = rest.substr(name.size(), end - name.size());
  rest.remove_prefix(end + 1);
  return value;
}

}  // namespace

std::string EncodeOnionKeys(const OnionKeys& keys) {
  std::string text = absl::StrCat(absl::string_view(kFirstLine.data(), kFirstLine.size()),
                                  absl::FormatTime(kTimeFormat, keys.made, absl::UTCTimeZone()), "\n");
  for (size_t i = 0; i < std::min(keys.pairs.size(), kPairsMax); ++i) {
    std::string hex = base::ToHex(keys.pairs[i].secret_key.view());
    text.append(kNames[i]).append(hex).append("\n");
    WipeText(hex);
  }
  return text;
}

absl::StatusOr<OnionKeys> DecodeOnionKeys(std::string_view text) {
  OnionKeys keys;
  std::string error;
  if (text.size() > kFileSizeMax || text.substr(0, kFirstLine.size()) != kFirstLine) return Damaged();
  std::string_view rest = text.substr(kFirstLine.size());
  const std::string made(TakeLine(rest, ""));
  if (!absl::ParseTime(kTimeFormat, made, absl::UTCTimeZone(), &keys.made, &error)) return Damaged();
  for (size_t i = 0; i < kPairsMax && !rest.empty(); ++i) {
    std::optional<base::Bytes> secret = base::FromHex(TakeLine(rest, kNames[i]));
    if (!secret || secret->size() != 32) return Damaged();
    keys.pairs.push_back(X25519KeyPair::FromSecret(base::ByteView(*secret).first<32>()));
    Wipe(*secret);
  }
  std::string again = EncodeOnionKeys(keys);
  const bool same = !keys.pairs.empty() && again == text;
  WipeText(again);
  if (!same) return Damaged();
  return keys;
}

absl::StatusOr<OnionKeys> LoadOnionKeys(const std::string& path) {
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(path, Access::kReadable));
  absl::StatusOr<std::string> text = directory.Read(kFileName, kFileSizeMax);
  if (absl::IsNotFound(text.status())) return OnionKeys();
  if (!text.ok()) return text.status();
  absl::StatusOr<OnionKeys> keys = DecodeOnionKeys(*text);
  WipeText(*text);
  if (!keys.ok()) return OnionKeys();
  return keys;
}

absl::Status SaveOnionKeys(const std::string& path, const OnionKeys& keys, base::Rng& rng) {
  ASSIGN_OR_RETURN(const OwnerOnlyDirectory directory, OwnerOnlyDirectory::Open(path, Access::kReadable));
  std::string text = EncodeOnionKeys(keys);
  const absl::Status saved = directory.Overwrite(kFileName, text, rng);
  WipeText(text);
  return saved;
}

}  // namespace keys
