// SPDX-License-Identifier: Apache-2.0
#include "chat/invite.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "keys/bech32m.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr std::string_view kPrefix = "bulbinvite";
constexpr size_t kCodeSize = 1 + 32 + 32 + 4 + 16;
constexpr uint8_t kWithReply = 1;  // on disk, in the place of the code's version

keys::WipedArray<32> Derive(const InviteCode& code, std::string_view label, std::string_view network) {
  keys::Digest digest = keys::KeyedHash(code.secret, label, {base::AsBytes(network), code.owner.view()});
  keys::WipedArray<32> key(digest);
  keys::Wipe(digest);
  return key;
}

base::Bytes EncodeCode(const InviteCode& code) {
  base::ByteWriter out;
  out.U8(0).Append(code.owner.view()).Append(code.prekey).U32(code.expiry_hour).Append(code.secret);
  return out.Take();
}

InviteCode ReadCode(base::ByteReader& in) {
  InviteCode code;
  in.U8();
  code.owner.bytes = in.Array<32>();
  code.prekey = in.Array<32>();
  code.expiry_hour = in.U32();
  code.secret = in.Array<16>();
  return code;
}

}  // namespace

keys::WipedArray<32> InviteCode::Psk(std::string_view network) const { return Derive(*this, "invite psk", network); }
keys::WipedArray<32> InviteCode::BoxSeed(std::string_view network) const { return Derive(*this, "invite box", network); }
keys::WipedArray<32> InviteCode::SealKey(std::string_view network) const { return Derive(*this, "invite seal", network); }

std::string FormatInvite(const InviteCode& code) { return keys::EncodeBech32m(kPrefix, EncodeCode(code)); }

absl::StatusOr<InviteCode> ParseInvite(std::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  ASSIGN_OR_RETURN(const base::Bytes data,
                   keys::DecodeBech32m(kPrefix, kCodeSize, std::string_view(trimmed.data(), trimmed.size())));
  if (data[0] != 0) return absl::InvalidArgumentError("it is of a version that this program does not know");
  base::ByteReader in(data);
  InviteCode code = ReadCode(in);
  if (!keys::ToX25519(code.owner).ok()) return absl::InvalidArgumentError("nobody can have made it");
  return code;
}

NoteReply EncodeReply(const InviteCode& code) {
  NoteReply reply{};
  static_assert(sizeof(reply) == kCodeSize - 1);
  const base::Bytes bytes = EncodeCode(code);
  std::copy(bytes.begin() + 1, bytes.end(), reply.begin());
  return reply;
}

absl::StatusOr<InviteCode> DecodeReply(const NoteReply& reply) {
  const base::Bytes bytes = base::ByteWriter().U8(0).Append(reply).Take();
  base::ByteReader in(bytes);
  InviteCode code = ReadCode(in);
  if (!keys::ToX25519(code.owner).ok()) return absl::InvalidArgumentError("nobody can have made it");
  return code;
}

Invite MakeInvite(const keys::PublicKey& owner, std::string name, absl::Time expiry, base::Rng& rng) {
  const keys::X25519KeyPair prekey = keys::X25519KeyPair::Generate(rng);
  Invite invite;
  invite.code.owner = owner;
  invite.code.prekey = prekey.public_key;
  invite.code.expiry_hour = static_cast<uint32_t>((absl::ToUnixSeconds(expiry) + 3599) / 3600);
  invite.code.secret = rng.Array<16>();
  invite.prekey_secret = prekey.secret_key;
  invite.name = std::move(name);
  return invite;
}

Invite MakeReply(const keys::PublicKey& recipient, std::string name, absl::Time expiry, base::Rng& rng) {
  const keys::SigningKey own = keys::SigningKey::Generate(rng);
  Invite invite = MakeInvite(own.public_key(), std::move(name), expiry, rng);
  invite.reply = Invite::Reply{keys::WipedArray<32>(std::span<const uint8_t, 32>(own.seed().view())), recipient};
  return invite;
}

base::Bytes EncodeInvite(const Invite& invite) {
  base::ByteWriter out;
  out.Append(EncodeCode(invite.code)).Append(invite.prekey_secret.view());
  if (invite.reply) out.Append(invite.reply->own_seed.view()).Append(invite.reply->only.view());
  base::Bytes bytes = out.Append(base::AsBytes(invite.name)).Take();
  bytes[0] = invite.reply ? kWithReply : 0;
  return bytes;
}

absl::StatusOr<Invite> DecodeInvite(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Invite invite;
  invite.code = ReadCode(in);
  invite.prekey_secret = keys::WipedArray<32>(in.Array<32>());
  if (!bytes.empty() && bytes[0] == kWithReply) {
    Invite::Reply reply{keys::WipedArray<32>(in.Array<32>()), {}};
    reply.only.bytes = in.Array<32>();
    invite.reply = reply;
  }
  invite.name = base::ToString(in.Rest());
  if (!in.ok()) return absl::DataLossError("damaged invite");
  return invite;
}

}  // namespace chat
