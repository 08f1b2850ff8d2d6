// SPDX-License-Identifier: Apache-2.0
#include "chat/envelope.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/aead.h"
#include "keys/hash.h"
#include "keys/x25519.h"

namespace chat {

namespace {

constexpr keys::SealNonce kZeroNonce{};  // a fresh Ek makes every key a one-time key
constexpr uint8_t kAssociated[] = {kEnvelopeSuite};

absl::Status NotOurs() { return absl::UnauthenticatedError("envelope does not open"); }

keys::WipedArray<32> SealKey(const keys::WipedArray<32>& shared, std::string_view network, const keys::X25519Public& ephemeral,
                             const keys::PublicKey& identity, const keys::PublicKey& blinded) {
  keys::Digest key = keys::KeyedHash(shared.view(), "note", {base::AsBytes(network), ephemeral, identity.view(), blinded.view()});
  keys::WipedArray<32> wiped(key);
  keys::Wipe(key);
  return wiped;
}

dht::RecordId EnvelopeId(const overlay::NodeId& point, Day day, base::ByteView body) {
  const uint8_t kind = static_cast<uint8_t>(dht::Kind::kEnvelope);
  return keys::Hasher("envelope-id").Add(base::ByteView(&kind, 1)).Add(point.view()).AddU64(day).Add(body).Finish();
}

}  // namespace

absl::StatusOr<base::Bytes> SealEnvelope(const keys::PublicKey& recipient, std::string_view network,
                                         const keys::PublicKey& blinded, base::ByteView plain, base::Rng& rng) {
  CHECK(plain.size() == kPlainSize);
  ASSIGN_OR_RETURN(const keys::X25519Public twin, keys::ToX25519(recipient));
  const keys::X25519KeyPair ephemeral = keys::X25519KeyPair::Generate(rng);
  ASSIGN_OR_RETURN(const keys::WipedArray<32> shared, keys::X25519(ephemeral.secret_key.view(), twin));
  const keys::WipedArray<32> key = SealKey(shared, network, ephemeral.public_key, recipient, blinded);
  base::ByteWriter out;
  out.U8(kEnvelopeSuite).Append(ephemeral.public_key);
  out.Append(keys::Seal(key.view(), kZeroNonce, kAssociated, plain));
  CHECK(out.bytes().size() == kSealedSize);
  return out.Take();
}

absl::StatusOr<base::Bytes> OpenEnvelope(const keys::SigningKey& identity, std::string_view network,
                                         const keys::PublicKey& blinded, base::ByteView sealed) {
  base::ByteReader in(sealed);
  const uint8_t suite = in.U8();
  const keys::X25519Public ephemeral = in.Array<32>();
  const base::ByteView box = in.Rest();
  if (!in.ok() || suite != kEnvelopeSuite || sealed.size() != kSealedSize) return NotOurs();
  const keys::Secret<32> twin = keys::ToX25519(identity);
  const auto shared = keys::X25519(twin.view(), ephemeral);
  if (!shared.ok()) return NotOurs();
  const keys::WipedArray<32> key = SealKey(*shared, network, ephemeral, identity.public_key(), blinded);
  auto plain = keys::Open(key.view(), kZeroNonce, kAssociated, box);
  if (!plain.ok() || plain->size() != kPlainSize) return NotOurs();
  return plain;
}

bool Envelope::operator==(const Envelope& other) const { return EncodeEnvelope(*this) == EncodeEnvelope(other); }

base::Bytes EncodeEnvelope(const Envelope& envelope) {
  CHECK(envelope.sealed.size() == kSealedSize);
  base::ByteWriter out;
  out.Append(envelope.door.blinded.view()).U32(envelope.door.day).U8(envelope.place);
  out.U32(envelope.effort).Append(envelope.stamp).Append(envelope.sealed);
  return out.Take();
}

absl::StatusOr<Envelope> DecodeEnvelope(base::ByteView body) {
  if (body.size() != kEnvelopeBodySize) return absl::InvalidArgumentError(absl::StrCat("envelope of ", body.size(), " bytes"));
  base::ByteReader in(body);
  Envelope envelope;
  envelope.door.blinded.bytes = in.Array<32>();
  envelope.door.day = in.U32();
  envelope.place = in.U8();
  envelope.effort = in.U32();
  envelope.stamp = in.Array<kStampSize>();
  envelope.sealed = base::ToBytes(in.Rest());
  if (envelope.place >= kPlaceCount) return absl::InvalidArgumentError("envelope for a place that no door has");
  return envelope;
}

keys::Digest StampChallenge(std::string_view network, const Envelope& envelope) {
  return keys::Hasher("stamp")
      .Add(network)
      .Add(envelope.door.blinded.view())
      .AddU64(envelope.door.day)
      .AddU64(envelope.place)
      .AddU64(envelope.effort)
      .Add(envelope.sealed)
      .Finish();
}

bool HasTrueStamp(std::string_view network, const Envelope& envelope) { return JudgeStamp(network, envelope).value_or(false); }

std::optional<bool> JudgeStamp(std::string_view network, const Envelope& envelope) {
  if (envelope.effort == 0) return envelope.stamp == keys::WorkProof{};
  return keys::JudgeWork(StampChallenge(network, envelope), envelope.effort, envelope.stamp);
}

dht::Record MakeEnvelopeRecord(const Envelope& envelope) {
  dht::Record record;
  record.body = EncodeEnvelope(envelope);
  record.name.kind = dht::Kind::kEnvelope;
  record.name.point = envelope.door.Point(envelope.place);
  record.name.id = EnvelopeId(record.name.point, envelope.door.day, record.body);
  record.expiry = EnvelopeExpiry(envelope.door.day);
  return record;
}

absl::StatusOr<Envelope> ReadEnvelopeRecord(const dht::Record& record) {
  ASSIGN_OR_RETURN(Envelope envelope, DecodeEnvelope(record.body));
  if (MakeEnvelopeRecord(envelope) != record) return absl::InvalidArgumentError("envelope under a wrong name or expiry");
  return envelope;
}

bool Rank::operator<(const Rank& other) const { return std::tie(other.effort, lot, id) < std::tie(effort, other.lot, other.id); }

Rank RankOf(Day day, uint32_t effort, const dht::RecordId& id) {
  return {effort, keys::Hasher("rank").AddU64(day).Add(id).Finish(), id};
}

Rank RankOf(const dht::Record& record) {
  base::ByteReader in(record.body);
  in.Take(32);
  return RankOf(in.U32(), EffortOf(record), record.name.id);
}

uint32_t EffortOf(const dht::Record& record) {
  base::ByteReader in(record.body);
  in.Take(37);
  return in.U32();
}

}  // namespace chat
