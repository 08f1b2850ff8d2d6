// SPDX-License-Identifier: Apache-2.0
#include "overlay/call_slots.h"

namespace overlay {

bool CallSlots::HasRoom(From from, const keys::PublicKey& caller, bool is_stream) const {
  if (from == From::kLocal) return local_ < kServedCallsLocalMax;
  if (held_.size() - local_ >= kServedCallsMax) return false;
  const auto found = of_callers_.find(caller);
  const Counts has = found == of_callers_.end() ? Counts{} : found->second;
  if (from == From::kKnown) return has.calls < kServedCallsPerKnownMax;
  if (is_stream && stranger_streams_ >= kStreamsOfStrangersMax) return false;
  return has.calls < kServedCallsPerStrangerMax && has.unread < kUnreadPerStrangerMax;
}

CallSlots::Taken CallSlots::Take(From from, const keys::PublicKey& caller, bool is_stream) {
  if (!HasRoom(from, caller, is_stream)) return {};
  Taken taken;
  if (from == From::kStranger && strangers_ >= kServedCallsOfStrangersMax) {
    if (unread_strangers_.empty()) return {};
    taken.ousted = unread_strangers_.begin()->first;
    Release(*taken.ousted);
  }
  taken.slot = ++last_;
  held_.emplace(taken.slot, Held{from, caller, is_stream, /*unread=*/true});
  if (from == From::kLocal) {
    ++local_;
    return taken;
  }
  Counts& has = of_callers_[caller];
  ++has.calls;
  ++has.unread;
  if (from == From::kStranger) {
    ++strangers_;
    stranger_streams_ += is_stream ? 1 : 0;
    unread_strangers_.emplace(taken.slot, caller);
  }
  return taken;
}

void CallSlots::OnRead(Slot slot) {
  const auto held = held_.find(slot);
  if (held == held_.end() || !held->second.unread) return;
  held->second.unread = false;
  unread_strangers_.erase(slot);
  if (held->second.from != From::kLocal) --of_callers_.at(held->second.caller).unread;
}

void CallSlots::Release(Slot slot) {
  const auto found = held_.find(slot);
  if (found == held_.end()) return;
  OnRead(slot);
  const Held held = found->second;
  held_.erase(found);
  if (held.from == From::kLocal) {
    --local_;
    return;
  }
  const auto has = of_callers_.find(held.caller);
  if (--has->second.calls == 0) of_callers_.erase(has);
  if (held.from == From::kKnown) return;
  --strangers_;
  stranger_streams_ -= held.is_stream ? 1 : 0;
}

}  // namespace overlay
