// SPDX-License-Identifier: Apache-2.0
#include "chat/box.h"

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr int64_t kDaySeconds = 86400;

keys::WipedArray<32> Derive(const keys::WipedArray<32>& secret, std::string_view label) {
  keys::Digest digest = keys::KeyedHash(secret.view(), label, {});
  keys::WipedArray<32> derived(digest);
  keys::Wipe(digest);
  return derived;
}

uint64_t Seconds(absl::Time expiry) { return static_cast<uint64_t>(absl::ToUnixSeconds(expiry)); }

keys::Digest SignedDigest(const Box& box, std::string_view network) {
  return keys::Hasher("box").Add(network).Add(box.key.view()).AddU64(Seconds(box.expiry)).Add(box.sealed).Finish();
}

// The order in which boxes of one place exclude each other; the place itself does not enter it.
keys::Digest OrderOf(const Box& box) {
  return keys::Hasher("box-order").Add(box.key.view()).AddU64(Seconds(box.expiry)).Add(box.sealed).Add(box.signature).Finish();
}

keys::Digest OrderOf(const dht::Record& record) {
  const auto box = DecodeBox(record.body);
  return box.ok() ? OrderOf(*box) : keys::Digest{};
}

}  // namespace

keys::WipedArray<32> PlaceChain::Seed() const { return Derive(secret_, "box"); }
void PlaceChain::Advance() { secret_ = Derive(secret_, "next"); }

keys::PublicKey BoxKeyOf(const keys::WipedArray<32>& seed) {
  return keys::SigningKey(keys::Secret<32>(base::ByteView(seed.view()))).public_key();
}

overlay::NodeId BoxPoint(const keys::PublicKey& box_key, uint8_t place) {
  return {keys::Hash("loc", {box_key.view(), base::ByteView(&place, 1)})};
}

uint8_t FirstBoxPlace(const keys::PublicKey& box_key) {
  return static_cast<uint8_t>(keys::Hash("first", {box_key.view()})[0] % kPlaceCount);
}

absl::Time BoxExpiry(absl::Time wall_now) { return StartOfDay(DayOf(wall_now) + kBoxDays + 1); }

Box MakeBox(const keys::WipedArray<32>& seed, std::string_view network, base::Bytes sealed, absl::Time expiry) {
  CHECK(sealed.size() == kBoxSealedSize);
  const keys::SigningKey key(keys::Secret<32>(base::ByteView(seed.view())));
  Box box{key.public_key(), 0, expiry, std::move(sealed), {}};
  box.signature = key.Sign(SignedDigest(box, network));
  return box;
}

absl::StatusOr<Box> MakeBlindedBox(const keys::SigningKey& writer, const std::array<uint8_t, 64>& blinding,
                                   std::string_view network, base::Bytes sealed, absl::Time expiry, base::Rng& rng) {
  CHECK(sealed.size() == kBoxSealedSize);
  ASSIGN_OR_RETURN(const keys::PublicKey key, keys::BlindPublicKeyWith(writer.public_key(), blinding));
  Box box{key, 0, expiry, std::move(sealed), {}};
  ASSIGN_OR_RETURN(box.signature, keys::SignBlindedWith(writer, blinding, network, SignedDigest(box, network), rng));
  return box;
}

bool VerifyBox(const Box& box, std::string_view network) {
  return keys::Verify(box.key, SignedDigest(box, network), box.signature);
}

base::Bytes EncodeBox(const Box& box) {
  CHECK(box.sealed.size() == kBoxSealedSize);
  base::ByteWriter out;
  out.Append(box.key.view()).U8(box.place).U64(Seconds(box.expiry)).Append(box.sealed).Append(box.signature);
  return out.Take();
}

absl::StatusOr<Box> DecodeBox(base::ByteView body) {
  if (body.size() != kBoxBodySize) return absl::InvalidArgumentError(absl::StrCat("box of ", body.size(), " bytes"));
  base::ByteReader in(body);
  Box box;
  box.key.bytes = in.Array<32>();
  box.place = in.U8();
  const uint64_t expiry = in.U64();
  box.sealed = base::ToBytes(in.Take(kBoxSealedSize));
  box.signature = in.Array<64>();
  if (box.place >= kPlaceCount) return absl::InvalidArgumentError("box for a place that there is not");
  if (expiry > (uint64_t{1} << 40) || expiry % kDaySeconds != 0) return absl::InvalidArgumentError("box with an odd expiry");
  box.expiry = absl::FromUnixSeconds(static_cast<int64_t>(expiry));
  return box;
}

dht::Record MakeBoxRecord(const Box& box) {
  dht::Record record;
  record.body = EncodeBox(box);
  record.name.kind = dht::Kind::kBox;
  record.name.point = BoxPoint(box.key, box.place);
  const uint8_t kind = static_cast<uint8_t>(dht::Kind::kBox);
  record.name.id = keys::Hash("box-id", {base::ByteView(&kind, 1), record.name.point.view(), record.body});
  record.expiry = box.expiry;
  return record;
}

absl::StatusOr<Box> ReadBoxRecord(const dht::Record& record) {
  ASSIGN_OR_RETURN(Box box, DecodeBox(record.body));
  if (MakeBoxRecord(box) != record) return absl::InvalidArgumentError("box under a wrong name or expiry");
  return box;
}

absl::Status BoxKind::Acceptable(const dht::Record& record, dht::Source, absl::Time wall_now) const {
  ASSIGN_OR_RETURN(const Box box, ReadBoxRecord(record));
  if (box.expiry + dht::kClockTolerance <= wall_now) return absl::InvalidArgumentError("expired box");
  if (box.expiry > wall_now + dht::kTtlMax + dht::kClockTolerance) return absl::InvalidArgumentError("box that lives too long");
  if (!VerifyBox(box, network_)) return absl::UnauthenticatedError("box with a wrong signature");
  return absl::OkStatus();
}

dht::Admission BoxKind::Admit(const dht::Record& record, dht::Source source, const dht::PlaceView& place) const {
  using Verdict = dht::Admission::Verdict;
  if (place.Holds(record.name)) return {Verdict::kAlready};
  const keys::Digest own = OrderOf(record);
  dht::Admission admission{Verdict::kStore};
  bool outranked = false;
  place.ForEach(dht::Kind::kBox, [&](const dht::Record& held) {
    outranked = outranked || OrderOf(held) < own;
    admission.remove.push_back(held.name);
  });
  if (admission.remove.empty()) return admission;
  if (source == dht::Source::kClient) return {Verdict::kFull};  // taken
  return outranked ? dht::Admission{Verdict::kAlready} : admission;
}

}  // namespace chat
