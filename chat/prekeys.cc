// SPDX-License-Identifier: Apache-2.0
#include "chat/prekeys.h"

#include <algorithm>
#include <utility>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "chat/saved_time.h"

namespace chat {

bool Prekeys::Renew(absl::Time wall_now, base::Rng& rng, uint32_t door_effort) {
  std::erase_if(signed_, [&](const Held& one) { return one.retired && one.since + kSignedPrekeyKept <= wall_now; });
  std::erase_if(one_time_, [&](const Held& one) { return one.retired && one.since + kOneTimeKept <= wall_now; });
  bool changed = std::exchange(door_effort_, door_effort) != door_effort;
  if (signed_.empty() || signed_.back().since + kSignedPrekeyLife <= wall_now) {
    if (!signed_.empty()) {
      signed_.back().retired = true;
      signed_.back().since = wall_now;
    }
    if (signed_.size() >= kPrekeysMax) signed_.erase(signed_.begin());
    signed_.push_back({keys::X25519KeyPair::Generate(rng), wall_now, false});
    changed = true;
  }
  auto offered = std::count_if(one_time_.begin(), one_time_.end(), [](const Held& one) { return !one.retired; });
  for (; offered < static_cast<ptrdiff_t>(kOneTimePrekeysMax); ++offered) {
    if (one_time_.size() >= kPrekeysMax) {  // somebody uses them up: those used longest ago go early
      one_time_.erase(std::find_if(one_time_.begin(), one_time_.end(), [](const Held& one) { return one.retired; }));
    }
    one_time_.push_back({keys::X25519KeyPair::Generate(rng), wall_now, false});
    changed = true;
  }
  if (changed) version_ = std::max(version_ + 1, Seconds(wall_now));
  return changed;
}

BundleContents Prekeys::Contents() const {
  CHECK(!signed_.empty());
  BundleContents contents;
  contents.signed_prekey = signed_.back().pair.public_key;
  contents.door_effort = door_effort_;
  for (const Held& one : one_time_) {
    if (!one.retired) contents.one_time.push_back(one.pair.public_key);
  }
  return contents;
}

const keys::X25519KeyPair* Prekeys::Find(const std::vector<Held>& all, const keys::X25519Public& key) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const Held& one) { return one.pair.public_key == key; });
  return it == all.end() ? nullptr : &it->pair;
}

const keys::X25519KeyPair* Prekeys::FindSigned(const keys::X25519Public& key) const { return Find(signed_, key); }
const keys::X25519KeyPair* Prekeys::FindOneTime(const keys::X25519Public& key) const { return Find(one_time_, key); }

void Prekeys::Use(const keys::X25519Public& one_time, absl::Time wall_now) {
  for (Held& one : one_time_) {
    if (one.pair.public_key != one_time || one.retired) continue;
    one.retired = true;
    one.since = wall_now;
  }
}

base::Bytes Prekeys::Serialize() const {
  base::ByteWriter out;
  out.U64(version_);
  for (const std::vector<Held>* all : {&signed_, &one_time_}) {
    out.U16(static_cast<uint16_t>(all->size()));
    for (const Held& one : *all) {
      out.Append(one.pair.secret_key.view()).Append(one.pair.public_key).U64(Seconds(one.since)).U8(one.retired ? 1 : 0);
    }
  }
  out.U32(door_effort_);
  return out.Take();
}

absl::StatusOr<Prekeys> Prekeys::Parse(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Prekeys prekeys;
  prekeys.version_ = in.U64();
  for (std::vector<Held>* all : {&prekeys.signed_, &prekeys.one_time_}) {
    const size_t count = in.U16();
    for (size_t i = 0; i < count && in.ok(); ++i) {
      Held one;
      const base::ByteView secret = in.Take(32);
      if (in.ok()) std::copy(secret.begin(), secret.end(), one.pair.secret_key.mutable_view().begin());
      one.pair.public_key = in.Array<32>();
      one.since = FromSeconds(in.U64());
      one.retired = in.U8() == 1;
      all->push_back(one);
    }
  }
  if (in.ok() && in.left() > 0) prekeys.door_effort_ = in.U32();  // earlier versions wrote none
  if (!in.Done()) return absl::DataLossError("damaged prekeys");
  return prekeys;
}

}  // namespace chat
