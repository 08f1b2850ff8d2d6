// SPDX-License-Identifier: Apache-2.0
#include "chat/bundle.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/aead.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr size_t kHeadSize = 32 + 4 + 1 + 8;
constexpr size_t kSignedSize = kBundleBodySize - 64;

absl::Status NotTheirs() { return absl::UnauthenticatedError("bundle does not open"); }

keys::Digest SealKey(const keys::PublicKey& owner, std::string_view network, Day day) {
  return keys::Hasher("bundle").Add(network).Add(owner.view()).AddU64(day).Finish();
}

keys::Digest ContentsDigest(const keys::PublicKey& owner, std::string_view network, base::ByteView fields) {
  return keys::Hash("bundle-sig", {base::AsBytes(network), owner.view(), fields});
}

base::Bytes HeadOf(const Bundle& bundle) {
  base::ByteWriter head;
  head.Append(bundle.door.blinded.view()).U32(bundle.door.day).U8(bundle.place).U64(bundle.version);
  return head.Take();
}

keys::Digest RecordDigest(const Bundle& bundle, std::string_view network) {
  const base::Bytes body = EncodeBundle(bundle);
  return keys::Hash("bundle-rec", {base::AsBytes(network), base::ByteView(body).first(kSignedSize)});
}

base::Bytes EncodeFields(const BundleContents& contents) {
  base::ByteWriter out;
  out.Append(contents.signed_prekey).U32(contents.door_effort).U8(static_cast<uint8_t>(contents.one_time.size()));
  for (size_t i = 0; i < kOneTimePrekeysMax; ++i) {
    out.Append(i < contents.one_time.size() ? contents.one_time[i] : keys::X25519Public{});
  }
  return out.Take();
}

// Which of two records of one place stays: greater version, then smaller id.
struct Seniority {
  uint64_t version = 0;
  dht::RecordId id{};

  bool operator<(const Seniority& other) const { return std::tie(other.version, id) < std::tie(version, other.id); }
};

Seniority SeniorityOf(const dht::Record& record) {
  base::ByteReader in(record.body);
  in.Take(32 + 4 + 1);
  return {in.U64(), record.name.id};
}

}  // namespace

bool Bundle::operator==(const Bundle& other) const { return EncodeBundle(*this) == EncodeBundle(other); }

uint64_t VersionAt(const keys::SigningKey& identity, Day day, uint8_t place, uint64_t made) {
  constexpr uint64_t kHour = 3600, kMicros = 1'000'000;
  constexpr uint8_t kBits = 12;  // of the second within an hour; 30 minutes at least, quartered so often, leave each second its own
  const auto below = [&](uint64_t end, uint64_t start, uint8_t bits) {  // pseudo-random, for the stretch of 2^bits seconds at `start`
    const keys::Digest digest = keys::Hasher("bundle-age", identity.seed().view())
                                    .AddU64(day)
                                    .Add(base::ByteView(&place, 1))
                                    .AddU64(start)
                                    .Add(base::ByteView(&bits, 1))
                                    .Finish();
    return base::ByteReader(digest).U64() % end;
  };
  const auto begin = [&](uint64_t hour) { return (hour - 2) * kHour * kMicros + below(kHour / 2 * kMicros, hour * kHour, kBits + 1); };
  const uint64_t hour = std::max<uint64_t>(made / kHour, 2);
  uint64_t low = begin(hour), high = begin(hour + 1), start = hour * kHour;
  for (uint8_t bits = kBits; bits > 0; --bits) {
    const uint64_t middle = low + (high - low) / 4 + below((high - low) / 2, start, bits);
    const uint64_t half = uint64_t{1} << (bits - 1);
    const bool later = made >= start + half;
    (later ? low : high) = middle;
    if (later) start += half;
  }
  return low;
}

overlay::NodeId BundlePoint(const Door& door, uint8_t place) {
  return {keys::Hasher("pre").Add(door.blinded.view()).AddU64(door.day).Add(base::ByteView(&place, 1)).Finish()};
}

absl::StatusOr<Bundle> SealBundle(const keys::SigningKey& identity, std::string_view network, Day day, uint8_t place,
                                  uint64_t version, const BundleContents& contents, base::Rng& rng) {
  CHECK(contents.one_time.size() <= kOneTimePrekeysMax);
  Bundle bundle;
  ASSIGN_OR_RETURN(bundle.door, DoorOf(identity.public_key(), network, day));
  bundle.place = place;
  bundle.version = version;
  bundle.nonce = rng.Array<24>();
  base::Bytes plain = EncodeFields(contents);
  const keys::Signature signature = identity.Sign(ContentsDigest(identity.public_key(), network, plain));
  plain.insert(plain.end(), signature.begin(), signature.end());
  bundle.sealed = keys::Seal(SealKey(identity.public_key(), network, day), bundle.nonce, HeadOf(bundle), plain);
  ASSIGN_OR_RETURN(bundle.signature, keys::SignBlinded(identity, network, day, RecordDigest(bundle, network), rng));
  return bundle;
}

absl::StatusOr<BundleContents> OpenBundle(const keys::PublicKey& owner, std::string_view network, const Bundle& bundle) {
  const auto door = DoorOf(owner, network, bundle.door.day);
  if (!door.ok() || door->blinded != bundle.door.blinded) return NotTheirs();
  if (!keys::Verify(bundle.door.blinded, RecordDigest(bundle, network), bundle.signature)) return NotTheirs();
  const auto plain = keys::Open(SealKey(owner, network, bundle.door.day), bundle.nonce, HeadOf(bundle), bundle.sealed);
  if (!plain.ok() || plain->size() != kBundleContentsSize) return NotTheirs();
  const base::ByteView fields = base::ByteView(*plain).first(kBundleContentsSize - 64);
  const keys::Signature signature = base::ByteReader(base::ByteView(*plain).last(64)).Array<64>();
  if (!keys::Verify(owner, ContentsDigest(owner, network, fields), signature)) return NotTheirs();
  base::ByteReader in(fields);
  BundleContents contents;
  contents.signed_prekey = in.Array<32>();
  contents.door_effort = in.U32();
  const size_t count = in.U8();
  if (count > kOneTimePrekeysMax) return NotTheirs();
  for (size_t i = 0; i < count; ++i) contents.one_time.push_back(in.Array<32>());
  return contents;
}

base::Bytes EncodeBundle(const Bundle& bundle) {
  CHECK(bundle.sealed.size() == kBundleContentsSize + keys::kSealOverhead);
  base::ByteWriter out;
  out.Append(HeadOf(bundle)).Append(bundle.nonce).Append(bundle.sealed).Append(bundle.signature);
  return out.Take();
}

absl::StatusOr<Bundle> DecodeBundle(base::ByteView body) {
  if (body.size() != kBundleBodySize) return absl::InvalidArgumentError(absl::StrCat("bundle of ", body.size(), " bytes"));
  base::ByteReader in(body);
  Bundle bundle;
  bundle.door.blinded.bytes = in.Array<32>();
  bundle.door.day = in.U32();
  bundle.place = in.U8();
  bundle.version = in.U64();
  bundle.nonce = in.Array<24>();
  bundle.sealed = base::ToBytes(in.Take(kBundleContentsSize + keys::kSealOverhead));
  bundle.signature = in.Array<64>();
  if (bundle.place >= kPlaceCount) return absl::InvalidArgumentError("bundle for a place that there is not");
  return bundle;
}

dht::Record MakeBundleRecord(const Bundle& bundle) {
  dht::Record record;
  record.body = EncodeBundle(bundle);
  record.name.kind = dht::Kind::kBundle;
  record.name.point = BundlePoint(bundle.door, bundle.place);
  const uint8_t kind = static_cast<uint8_t>(dht::Kind::kBundle);
  record.name.id = keys::Hash("bundle-id", {base::ByteView(&kind, 1), record.name.point.view(), record.body});
  record.expiry = StartOfDay(bundle.door.day) + absl::Hours(48);
  return record;
}

absl::StatusOr<Bundle> ReadBundleRecord(const dht::Record& record) {
  ASSIGN_OR_RETURN(Bundle bundle, DecodeBundle(record.body));
  if (MakeBundleRecord(bundle) != record) return absl::InvalidArgumentError("bundle under a wrong name or expiry");
  return bundle;
}

absl::Status BundleKind::Acceptable(const dht::Record& record, dht::Source, absl::Time wall_now) const {
  ASSIGN_OR_RETURN(const Bundle bundle, ReadBundleRecord(record));
  if (record.expiry + dht::kClockTolerance <= wall_now) return absl::InvalidArgumentError("expired bundle");
  if (bundle.door.day > DayOf(wall_now + dht::kClockTolerance) + kBundleDaysAhead + 1) {
    return absl::InvalidArgumentError("bundle of a day to come");
  }
  const absl::Time made = absl::FromUnixMicros(static_cast<int64_t>(bundle.version));
  if (bundle.version > INT64_MAX || made > wall_now + dht::kClockTolerance) return absl::InvalidArgumentError("bundle made in the future");
  if (!keys::Verify(bundle.door.blinded, RecordDigest(bundle, network_), bundle.signature)) {
    return absl::UnauthenticatedError("bundle with a wrong signature");
  }
  return absl::OkStatus();
}

dht::Admission BundleKind::Admit(const dht::Record& record, dht::Source, const dht::PlaceView& place) const {
  using Verdict = dht::Admission::Verdict;
  if (place.Holds(record.name)) return {Verdict::kAlready};
  dht::Admission admission{Verdict::kStore};
  bool outranked = false;
  place.ForEach(dht::Kind::kBundle, [&](const dht::Record& held) {
    outranked = outranked || SeniorityOf(held) < SeniorityOf(record);
    admission.remove.push_back(held.name);
  });
  return outranked ? dht::Admission{Verdict::kAlready} : admission;
}

}  // namespace chat
