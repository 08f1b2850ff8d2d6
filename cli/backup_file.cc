// SPDX-License-Identifier: Apache-2.0
#include "cli/backup_file.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "keys/aead.h"
#include "keys/hash.h"
#include "keys/key_file.h"

namespace cli {
namespace {

constexpr std::string_view kFirstLine = "bulbil-backup 2\n", kFirstLineBefore = "bulbil-backup 1\n", kContactsWord = "contacts ";

absl::Status NoBackup() { return absl::InvalidArgumentError("this is no backup of bulbil"); }

keys::WipedArray<32> SealKey(const keys::SigningKey& identity) {
  keys::Digest digest = keys::KeyedHash(identity.seed().view(), "backup", {});
  keys::WipedArray<32> key(digest);
  keys::Wipe(digest);
  return key;
}

base::Bytes EncodePeople(const std::vector<chat::Contact>& contacts, const std::vector<chat::Group>& groups) {
  base::ByteWriter out;
  out.U16(static_cast<uint16_t>(contacts.size()));
  for (const chat::Contact& contact : contacts) {
    out.Append(contact.key.view())
        .U8(contact.verified ? 1 : 0)
        .U8(static_cast<uint8_t>((contact.acknowledge ? 1 : 0) | contact.life << 1))
        .Short(base::AsBytes(contact.name));
  }
  for (const chat::Group& group : groups) out.Long(chat::EncodeGroup(group));
  return out.Take();
}

absl::Status DecodePeople(base::ByteView bytes, bool has_groups, Backup& backup) {
  base::ByteReader in(bytes);
  std::vector<chat::Contact>& contacts = backup.contacts;
  const size_t count = has_groups ? in.U16() : chat::kContactsMax;
  if (count > chat::kContactsMax) return NoBackup();
  while (in.ok() && in.left() > 0 && contacts.size() < count) {
    chat::Contact contact;
    contact.key.bytes = in.Array<32>();
    contact.verified = in.U8() == 1;
    const uint8_t settings = in.U8();
    contact.acknowledge = (settings & 1) != 0;
    contact.life = std::min<uint8_t>(settings >> 1, chat::kMessageLifeCodes - 1);
    contact.name = base::ToString(in.Short());
    contacts.push_back(std::move(contact));
  }
  while (has_groups && in.ok() && in.left() > 0 && backup.groups.size() < chat::kGroupsMax) {
    ASSIGN_OR_RETURN(chat::Group group, chat::DecodeGroup(in.Long()));
    backup.groups.push_back(std::move(group));
  }
  return in.Done() ? absl::OkStatus() : NoBackup();
}

// The three parts: lines before the contacts, the key file among them, and what stands behind "contacts ".
struct Parts {
  std::string_view head, key_file, contacts;
};

absl::StatusOr<Parts> Split(std::string_view text) {
  const size_t at = text.rfind(kContactsWord);
  const std::string_view first = text.substr(0, kFirstLine.size());
  if (text.size() > kBackupSizeMax || (first != kFirstLine && first != kFirstLineBefore) || at == text.npos ||
      at < kFirstLine.size() || text.back() != '\n') {
    return NoBackup();
  }
  Parts parts{text.substr(0, at), text.substr(kFirstLine.size(), at - kFirstLine.size()), text.substr(at + kContactsWord.size())};
  parts.contacts.remove_suffix(1);
  return parts;
}

}  // namespace

absl::StatusOr<std::string> EncodeBackup(const keys::LoadedKey& identity, const std::vector<chat::Contact>& contacts,
                                         const std::vector<chat::Group>& groups, const std::optional<std::string>& passphrase,
                                         base::Rng& rng) {
  ASSIGN_OR_RETURN(const std::string key_file, keys::EncodeKeyFile(identity.info, identity.key, passphrase, {}, rng));
  std::string text = absl::StrCat(absl::string_view(kFirstLine.data(), kFirstLine.size()), key_file);
  const keys::SealNonce nonce = rng.Array<24>();
  const base::Bytes sealed =
      base::ByteWriter()
          .Append(nonce)
          .Append(keys::Seal(SealKey(identity.key).view(), nonce, base::AsBytes(text), EncodePeople(contacts, groups)))
          .Take();
  absl::StrAppend(&text, "contacts ", base::ToHex(sealed), "\n");
  return text;
}

absl::StatusOr<bool> IsSealedBackup(std::string_view text) {
  ASSIGN_OR_RETURN(const Parts parts, Split(text));
  const auto info = keys::DecodeKeyFileInfo(parts.key_file);
  return info.ok() ? absl::StatusOr<bool>(info->sealed) : NoBackup();
}

absl::StatusOr<Backup> DecodeBackup(std::string_view text, const std::optional<std::string>& passphrase) {
  ASSIGN_OR_RETURN(const Parts parts, Split(text));
  ASSIGN_OR_RETURN(keys::LoadedKey identity, keys::DecodeKeyFile(parts.key_file, passphrase));
  const auto sealed = base::FromHex(parts.contacts);
  if (!sealed || sealed->size() < 24) return NoBackup();
  const keys::SealNonce nonce = base::ByteReader(*sealed).Array<24>();
  ASSIGN_OR_RETURN(const base::Bytes plain, keys::Open(SealKey(identity.key).view(), nonce, base::AsBytes(parts.head),
                                                       base::ByteView(*sealed).subspan(24)));
  Backup backup{std::move(identity), {}, {}};
  RETURN_IF_ERROR(DecodePeople(plain, text.substr(0, kFirstLine.size()) == kFirstLine, backup));
  return backup;
}

}  // namespace cli
