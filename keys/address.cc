// SPDX-License-Identifier: Apache-2.0
#include "keys/address.h"

#include <sodium.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "keys/bech32m.h"

namespace keys {
namespace {

constexpr std::string_view kAddressPrefix = "bulb", kSecretPrefix = "bulb-secret-key-";
constexpr uint8_t kVersion = 0;
constexpr size_t kDataSize = 1 + 32;

std::string Format(std::string_view prefix, std::span<const uint8_t, 32> bytes) {
  WipedArray<kDataSize> data;
  data.mutable_view()[0] = kVersion;
  std::copy(bytes.begin(), bytes.end(), data.mutable_view().begin() + 1);
  return EncodeBech32m(prefix, data.view());
}

absl::string_view Trimmed(std::string_view text) {
  return absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));  // copied lines end with a newline
}

bool LooksSecret(absl::string_view text) {
  return absl::StartsWithIgnoreCase(text, absl::string_view(kSecretPrefix.data(), kSecretPrefix.size()));
}

// Version byte and 32 bytes.
absl::StatusOr<base::Bytes> Decode(std::string_view prefix, absl::string_view text) {
  ASSIGN_OR_RETURN(base::Bytes data, DecodeBech32m(prefix, kDataSize, std::string_view(text.data(), text.size())));
  if (data[0] != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat("it is of version ", data[0], ", which this program does not know"));
  }
  return data;
}

}  // namespace

std::string FormatAddress(const PublicKey& identity) { return Format(kAddressPrefix, identity.bytes); }

absl::StatusOr<PublicKey> ParseAddress(std::string_view text) {
  const absl::string_view trimmed = Trimmed(text);
  if (LooksSecret(trimmed)) return absl::PermissionDeniedError("this is a SECRET key, not an address");
  ASSIGN_OR_RETURN(const base::Bytes data, Decode(kAddressPrefix, trimmed));
  PublicKey identity;
  std::copy(data.begin() + 1, data.end(), identity.bytes.begin());
  if (crypto_core_ed25519_is_valid_point(identity.bytes.data()) != 1) {
    return absl::InvalidArgumentError("no key can have this address");
  }
  return identity;
}

std::string FormatSecretKey(const SigningKey& identity) {
  return absl::AsciiStrToUpper(Format(kSecretPrefix, identity.seed().view()));
}

absl::StatusOr<SigningKey> ParseSecretKey(std::string_view text) {
  const absl::string_view trimmed = Trimmed(text);
  if (!LooksSecret(trimmed)) return absl::InvalidArgumentError("a secret key begins with BULB-SECRET-KEY-1");
  ASSIGN_OR_RETURN(base::Bytes data, Decode(kSecretPrefix, trimmed));
  SigningKey key{Secret<32>(base::ByteView(data).subspan(1))};
  Wipe(data);
  return key;
}

}  // namespace keys
