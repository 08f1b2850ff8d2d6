// SPDX-License-Identifier: Apache-2.0
#include "chat/assembler.h"

#include <algorithm>

namespace chat {

namespace {

// Fragments of one note agree in all that describes the note.
bool Agree(const Fragment& a, const Fragment& b) {
  return a.count == b.count && a.sent_hour == b.sent_hour && a.kind == b.kind;
}

}  // namespace

Assembler::Result Assembler::Add(const Fragment& fragment, absl::Time expiry) {
  if (finished_.contains(fragment.note_id)) return {Verdict::kKnown, {}};
  auto [it, added] = incomplete_.try_emplace(fragment.note_id);
  Incomplete& note = it->second;
  if (!added && !Agree(note.fragments.begin()->second, fragment)) return {Verdict::kBad, {}};
  const auto [held, is_new] = note.fragments.try_emplace(fragment.index, fragment);
  if (!is_new) return {held->second == fragment ? Verdict::kKnown : Verdict::kBad, {}};
  note.expiry = added ? expiry : std::max(note.expiry, expiry);
  if (note.fragments.size() < fragment.count) return {Verdict::kKept, {}};
  return Finish(it);
}

Assembler::Result Assembler::Finish(std::map<NoteId, Incomplete>::iterator it) {
  std::vector<Fragment> fragments;
  for (auto& [index, fragment] : it->second.fragments) fragments.push_back(std::move(fragment));
  RememberFinished(it->first, it->second.expiry);
  incomplete_.erase(it);
  auto note = JoinNote(fragments, network_, recipient_);
  if (!note.ok()) return {Verdict::kBad, {}};
  return {Verdict::kFinished, *std::move(note)};
}

void Assembler::RememberFinished(const NoteId& id, absl::Time expiry) {
  finished_[id] = expiry;
  if (finished_.size() <= kFinishedNotesMax) return;
  finished_.erase(std::min_element(finished_.begin(), finished_.end(),
                                   [](const auto& a, const auto& b) { return a.second < b.second; }));
}

std::vector<NoteId> Assembler::Settle() {
  std::vector<NoteId> dropped;
  for (auto it = incomplete_.begin(); it != incomplete_.end() && incomplete_.size() > kIncompleteNotesMax;) {
    if (it->second.settled) {
      ++it;
      continue;
    }
    dropped.push_back(it->first);
    it = incomplete_.erase(it);
  }
  for (auto& [id, note] : incomplete_) note.settled = true;
  return dropped;
}

std::vector<Assembler::Expired> Assembler::Expire(absl::Time wall_now) {
  std::vector<Expired> expired;
  for (auto it = incomplete_.begin(); it != incomplete_.end();) {
    if (it->second.expiry > wall_now) {
      ++it;
      continue;
    }
    const Incomplete& note = it->second;
    expired.push_back({it->first, static_cast<int>(note.fragments.size()), note.fragments.begin()->second.count});
    it = incomplete_.erase(it);
  }
  std::erase_if(finished_, [&](const auto& entry) { return entry.second <= wall_now; });
  return expired;
}

}  // namespace chat
