// SPDX-License-Identifier: Apache-2.0
// tests/dht/note_kinds.h — two small kinds that exclude each other like chat's envelopes and tombstones do.
//
// A note may lie at any point, its id is the hash of its body; a place keeps the kNotesPerPlace smallest ids. A tombstone's body
// is a list of 32-byte ids of notes of its place: they are removed, and never stored again.
#pragma once

#include <algorithm>
#include <memory>

#include "dht/record.h"
#include "keys/hash.h"

namespace dht {

inline constexpr size_t kNotesPerPlace = 8;

inline Record MakeNote(const overlay::NodeId& point, base::ByteView body, absl::Time expiry, Kind kind = Kind::kEnvelope) {
  const keys::Digest id = keys::Hash("test-note", {body});
  return {.name = {.kind = kind, .point = point, .id = id}, .expiry = expiry, .body = base::ToBytes(body)};
}

inline Record MakeTombstone(const std::vector<Record>& notes, absl::Time expiry) {
  base::Bytes body;
  for (const Record& note : notes) body.insert(body.end(), note.name.id.begin(), note.name.id.end());
  return MakeNote(notes.front().name.point, body, expiry, Kind::kTombstone);
}

class NoteKind : public RecordKind {
 public:
  absl::Status Acceptable(const Record& record, Source, absl::Time wall_now) const override {
    if (record.name.id != keys::Hash("test-note", {record.body})) return absl::InvalidArgumentError("forged note");
    if (record.expiry <= wall_now) return absl::InvalidArgumentError("late note");
    return absl::OkStatus();
  }
  Admission Admit(const Record& record, Source, const PlaceView& place) const override {
    if (place.Holds(record.name) || IsDeleted(record, place)) return {.verdict = Admission::Verdict::kAlready};
    std::vector<RecordName> held;
    place.ForEach(Kind::kEnvelope, [&](const Record& note) { held.push_back(note.name); });
    if (held.size() < kNotesPerPlace) return {.verdict = Admission::Verdict::kStore};
    const RecordName last = *std::max_element(held.begin(), held.end());
    if (last < record.name) return {.verdict = Admission::Verdict::kFull, .detail = 7};
    return {.verdict = Admission::Verdict::kStore, .remove = {last}};
  }

 private:
  static bool IsDeleted(const Record& record, const PlaceView& place) {
    bool deleted = false;
    place.ForEach(Kind::kTombstone, [&](const Record& tombstone) {
      for (size_t at = 0; at + 32 <= tombstone.body.size(); at += 32) {
        deleted |= std::equal(record.name.id.begin(), record.name.id.end(), tombstone.body.begin() + static_cast<ptrdiff_t>(at));
      }
    });
    return deleted;
  }
};

class TombstoneKind : public NoteKind {
 public:
  Admission Admit(const Record& record, Source, const PlaceView& place) const override {
    if (place.Holds(record.name)) return {.verdict = Admission::Verdict::kAlready};
    Admission admission;
    for (size_t at = 0; at + 32 <= record.body.size(); at += 32) {
      RecordName name{.kind = Kind::kEnvelope, .point = record.name.point, .id = {}};
      std::copy_n(record.body.begin() + static_cast<ptrdiff_t>(at), 32, name.id.begin());
      if (place.Holds(name)) admission.remove.push_back(name);
    }
    return admission;
  }
};

inline void RegisterNotes(RecordKinds& kinds) {
  kinds.Register(Kind::kEnvelope, std::make_unique<NoteKind>());
  kinds.Register(Kind::kTombstone, std::make_unique<TombstoneKind>());
}

}  // namespace dht
