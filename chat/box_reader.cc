// SPDX-License-Identifier: Apache-2.0
#include "chat/box_reader.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "chat/group_chain.h"

namespace chat {

namespace {

// The first place two times of three, then one of the others.
uint32_t TurnOf(uint32_t count) { return count % 3 == 2 ? 1 + ((count / 3) % 2) : 0; }

}  // namespace

Probe BoxReader::ProbeOf(uint32_t seq, const keys::WipedArray<32>& seed, uint32_t turn) const {
  Probe probe;
  probe.seq = seq;
  probe.box_key = writer_ ? GroupBoxKey(*writer_, seed) : BoxKeyOf(seed);
  probe.place = static_cast<uint8_t>((FirstBoxPlace(probe.box_key) + turn) % kPlaceCount);
  probe.point = BoxPoint(probe.box_key, probe.place);
  return probe;
}

std::vector<Probe> BoxReader::BeginRound() {
  ++round_;
  std::vector<Probe> probes = NextHead();
  for (const Missing& one : missing_) probes.push_back(ProbeOf(one.seq, one.seed, round_));
  return probes;
}

std::vector<Probe> BoxReader::NextHead() { return {ProbeOf(head_, chain_.Seed(), 0)}; }

std::vector<Probe> BoxReader::OnAbsent(const Probe& probe) {
  if (probe.seq != head_ || probe.place != FirstBoxPlace(probe.box_key)) return {};
  std::vector<Probe> probes = {ProbeOf(head_, chain_.Seed(), 1 + (round_ % 2))};
  PlaceChain ahead = chain_;
  const uint32_t far = 2 + (round_ % (kLookAhead - 1));
  for (uint32_t step = 1; step <= far; ++step) {
    ahead.Advance();
    if (step == 1) probes.push_back(ProbeOf(head_ + step, ahead.Seed(), TurnOf(round_)));
    if (step == far) probes.push_back(ProbeOf(head_ + step, ahead.Seed(), TurnOf(round_ / (kLookAhead - 1))));
  }
  return probes;
}

bool BoxReader::OnFound(uint32_t seq, absl::Time expiry) {
  const auto held = std::find_if(missing_.begin(), missing_.end(), [&](const Missing& one) { return one.seq == seq; });
  if (held != missing_.end()) {
    missing_.erase(held);
    return true;
  }
  if (seq < head_ || seq > head_ + kLookAhead) return false;
  for (; head_ < seq; ++head_, chain_.Advance()) missing_.push_back({head_, chain_.Seed(), absl::InfiniteFuture()});
  for (Missing& one : missing_) one.expiry = std::min(one.expiry, expiry);
  ++head_;
  chain_.Advance();
  return true;
}

bool BoxReader::Await(PlaceChain chain, uint32_t from, uint32_t to, absl::Time expiry) {
  if (to - from > kMissingMax) return false;
  std::vector<Missing> all;
  for (; from < to; ++from, chain.Advance()) all.push_back({from, chain.Seed(), expiry});
  missing_.insert(missing_.begin(), all.begin(), all.end());
  return true;
}

std::optional<keys::WipedArray<32>> BoxReader::SeedOf(uint32_t seq) const {
  for (const Missing& one : missing_) {
    if (one.seq == seq) return one.seed;
  }
  if (seq < head_ || seq - head_ > kLookAhead) return std::nullopt;
  PlaceChain ahead = chain_;
  for (uint32_t at = head_; at < seq; ++at) ahead.Advance();
  return ahead.Seed();
}

std::vector<uint32_t> BoxReader::GiveUp(absl::Time wall_now) {
  std::vector<uint32_t> lost;
  std::erase_if(missing_, [&](const Missing& one) {
    const bool gone = one.expiry + kGiveUpAfter <= wall_now;
    if (gone) lost.push_back(one.seq);
    return gone;
  });
  while (missing_.size() > kMissingMax) {
    lost.push_back(missing_.front().seq);
    missing_.erase(missing_.begin());
  }
  return lost;
}

base::Bytes BoxReader::Serialize() const {
  base::ByteWriter out;
  out.Append(chain_.secret().view()).U32(head_).U32(round_).U16(static_cast<uint16_t>(missing_.size()));
  for (const Missing& one : missing_) {
    const bool known = one.expiry != absl::InfiniteFuture();
    out.U32(one.seq).Append(one.seed.view()).U64(known ? static_cast<uint64_t>(absl::ToUnixSeconds(one.expiry)) : 0);
  }
  return out.Take();
}

absl::StatusOr<BoxReader> BoxReader::Parse(base::ByteView bytes, std::optional<keys::PublicKey> writer) {
  base::ByteReader in(bytes);
  const auto key = [&] { return keys::WipedArray<32>(in.Array<32>()); };
  BoxReader reader;
  reader.writer_ = writer;
  reader.chain_ = PlaceChain(key());
  reader.head_ = in.U32();
  reader.round_ = in.U32();
  const size_t count = in.U16();
  for (size_t i = 0; i < count && in.ok(); ++i) {
    Missing one;
    one.seq = in.U32();
    one.seed = key();
    const uint64_t expiry = in.U64();
    if (expiry != 0) one.expiry = absl::FromUnixSeconds(static_cast<int64_t>(expiry & INT64_MAX));
    reader.missing_.push_back(one);
  }
  if (!in.Done()) return absl::DataLossError("damaged reader state");
  return reader;
}

}  // namespace chat
