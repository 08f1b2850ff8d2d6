// SPDX-License-Identifier: Apache-2.0
#include "keys/key_file.h"

#include <sodium.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "keys/address.h"
#include "keys/aead.h"

namespace keys {
namespace {

constexpr char kFirstLine[] = "bulbil-key 1";
constexpr char kTimeFormat[] = "%Y-%m-%dT%H:%M:%SZ";
using Salt = std::array<uint8_t, crypto_pwhash_SALTBYTES>;
using SealedSeed = std::array<uint8_t, 32 + kSealOverhead>;

struct Sealing {
  uint64_t passes = 0, memory = 0;
  Salt salt{};
  SealNonce nonce{};
};

absl::Status Refused() { return absl::UnauthenticatedError("wrong passphrase, or the key file was altered"); }

std::string HeaderText(const KeyFileInfo& info) {
  return absl::StrCat(kFirstLine, "\naddress ", FormatAddress(info.public_key), "\ncreated ",
                      absl::FormatTime(kTimeFormat, info.created, absl::UTCTimeZone()), "\norigin ",
                      info.imported ? "imported" : "new", "\n");
}

std::string SealingText(const Sealing& sealing) {
  return absl::StrCat("argon2id ", sealing.passes, " ", sealing.memory, "\nsalt ", base::ToHex(sealing.salt), "\nnonce ",
                      base::ToHex(sealing.nonce), "\n");
}

absl::StatusOr<WipedArray<32>> SealingKey(const Sealing& sealing, const std::string& passphrase) {
  WipedArray<32> key;
  if (crypto_pwhash(key.mutable_view().data(), 32, passphrase.data(), passphrase.size(), sealing.salt.data(), sealing.passes,
                    sealing.memory, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("no ", sealing.memory >> 20, " MiB of memory for the passphrase"));
  }
  return key;
}

// Lines of "name value", each taken in its order; after the first failure everything is refused.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  std::string_view Take(std::string_view name) {
    const size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    if (!ok_ || end == rest_.npos || line.substr(0, name.size()) != name || line.substr(name.size(), 1) != " ") {
      ok_ = false;
      return {};
    }
    rest_.remove_prefix(end + 1);
    return line.substr(name.size() + 1);
  }
  template <size_t N>
  std::array<uint8_t, N> TakeHex(std::string_view name) {
    std::array<uint8_t, N> array{};
    auto bytes = base::FromHex(Take(name));
    if (!bytes || bytes->size() != N) {
      ok_ = false;
    } else {
      std::copy(bytes->begin(), bytes->end(), array.begin());
      Wipe(*bytes);
    }
    return array;
  }
  bool StartsWith(std::string_view name) const { return rest_.substr(0, name.size()) == name; }
  bool ok() const { return ok_; }
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::string Copy(std::string_view text) { return std::string(text); }

// The four lines of the header. The times and words are checked by writing them again: whatever differs was not written by us.
absl::StatusOr<KeyFileInfo> TakeHeader(LineReader& lines, std::string_view text) {
  KeyFileInfo info;
  lines.Take("bulbil-key");
  const auto public_key = ParseAddress(lines.Take("address"));
  std::string error;
  const bool time_ok = absl::ParseTime(kTimeFormat, Copy(lines.Take("created")), absl::UTCTimeZone(), &info.created, &error);
  info.imported = lines.Take("origin") == "imported";
  if (!lines.ok() || !public_key.ok() || !time_ok) return Refused();
  info.public_key = *public_key;
  info.sealed = lines.StartsWith("argon2id ");
  const std::string header = HeaderText(info);
  if (text.substr(0, header.size()) != header) return Refused();
  return info;
}

// Bounded before Argon2id sees it: the file could ask for all memory there is.
absl::StatusOr<Sealing> TakeSealing(LineReader& lines) {
  Sealing sealing;
  const std::string parameters = Copy(lines.Take("argon2id"));
  const std::vector<std::string> numbers = absl::StrSplit(parameters, ' ');
  sealing.salt = lines.TakeHex<crypto_pwhash_SALTBYTES>("salt");
  sealing.nonce = lines.TakeHex<sizeof(SealNonce)>("nonce");
  if (!lines.ok() || numbers.size() != 2 || !absl::SimpleAtoi(numbers[0], &sealing.passes) ||
      !absl::SimpleAtoi(numbers[1], &sealing.memory)) {
    return Refused();
  }
  if (sealing.passes < crypto_pwhash_OPSLIMIT_MIN || sealing.passes > kArgon2PassesMax ||
      sealing.memory < crypto_pwhash_MEMLIMIT_MIN || sealing.memory > kArgon2MemoryMax) {
    return Refused();
  }
  return sealing;
}

// A key file as it stands there, all lines taken.
struct Parsed {
  KeyFileInfo info;
  Sealing sealing;                 // if sealed
  SealedSeed sealed_seed{};        // if sealed
  WipedArray<32> seed;             // if not
  std::string_view authenticated;  // if sealed: the lines above the last
};

absl::StatusOr<Parsed> Parse(std::string_view text) {
  LineReader lines(text);
  Parsed parsed;
  ASSIGN_OR_RETURN(parsed.info, TakeHeader(lines, text));
  if (parsed.info.sealed) {
    ASSIGN_OR_RETURN(parsed.sealing, TakeSealing(lines));
    parsed.authenticated = text.substr(0, text.rfind("sealed "));
    parsed.sealed_seed = lines.TakeHex<sizeof(SealedSeed)>("sealed");
  } else {
    std::array<uint8_t, 32> seed = lines.TakeHex<32>("seed");
    parsed.seed = WipedArray<32>(seed);
    Wipe(seed);
  }
  if (!lines.Done()) return Refused();
  return parsed;
}

absl::StatusOr<SigningKey> OpenSeed(const Parsed& parsed, const std::string& passphrase) {
  ASSIGN_OR_RETURN(const WipedArray<32> sealing_key, SealingKey(parsed.sealing, passphrase));
  auto seed = Open(sealing_key.view(), parsed.sealing.nonce, base::AsBytes(parsed.authenticated), parsed.sealed_seed);
  if (!seed.ok()) return Refused();
  SigningKey key{Secret<32>(*seed)};
  Wipe(*seed);
  return key;
}

}  // namespace

absl::StatusOr<std::string> EncodeKeyFile(const KeyFileInfo& info, const SigningKey& key,
                                          const std::optional<std::string>& passphrase, const KeyStoreOptions& options,
                                          base::Rng& rng) {
  KeyFileInfo own_info = info;
  own_info.public_key = key.public_key();
  const std::string header = HeaderText(own_info);
  if (!passphrase) return absl::StrCat(header, "seed ", base::ToHex(key.seed().view()), "\n");
  const Sealing sealing{options.argon2_passes, options.argon2_memory, rng.Array<crypto_pwhash_SALTBYTES>(),
                        rng.Array<sizeof(SealNonce)>()};
  ASSIGN_OR_RETURN(const WipedArray<32> sealing_key, SealingKey(sealing, *passphrase));
  const std::string authenticated = header + SealingText(sealing);
  const base::Bytes sealed = Seal(sealing_key.view(), sealing.nonce, base::AsBytes(authenticated), key.seed().view());
  return absl::StrCat(authenticated, "sealed ", base::ToHex(sealed), "\n");
}

absl::StatusOr<KeyFileInfo> DecodeKeyFileInfo(std::string_view text) {
  ASSIGN_OR_RETURN(const Parsed parsed, Parse(text));
  return parsed.info;
}

absl::StatusOr<LoadedKey> DecodeKeyFile(std::string_view text, const std::optional<std::string>& passphrase) {
  ASSIGN_OR_RETURN(const Parsed parsed, Parse(text));
  if (parsed.info.sealed && !passphrase) return absl::InvalidArgumentError("the key is sealed: its passphrase is needed");
  absl::StatusOr<SigningKey> key =
      parsed.info.sealed ? OpenSeed(parsed, *passphrase) : SigningKey(Secret<32>(parsed.seed.view()));
  if (!key.ok()) return key.status();
  if (key->public_key() != parsed.info.public_key) return Refused();
  return LoadedKey{parsed.info, *std::move(key)};
}

}  // namespace keys
