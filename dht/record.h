// SPDX-License-Identifier: Apache-2.0
// dht/record.h — a record, and what makes one acceptable.
//
//   kind 1 ‖ point 32 ‖ id 32 ‖ expiry 8 (seconds since 1970, UTC) ‖ len 4 ‖ body
// Records are immutable: (kind, point, id) names one body for ever. Each kind says when a record is acceptable, so any replica
// can verify any record whoever sent it (design.md 4), and how records of one place exclude each other (doors: protocol.md 8).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "overlay/node_id.h"

namespace dht {

enum class Kind : uint8_t {
  kBlob = 1,       // id = point = H("blob", body)
  kEnvelope = 2,   // chat/: a sealed note in a door
  kBundle = 3,     // chat/: signed prekeys
  kBox = 4,        // chat/: single-use private place
  kTombstone = 5,  // chat/: signed deletion of envelopes of one door place and day
};

using RecordId = std::array<uint8_t, 32>;

struct RecordName {
  Kind kind;
  overlay::NodeId point;
  RecordId id;

  auto operator<=>(const RecordName&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const RecordName& name) {
    return H::combine(std::move(h), name.kind, name.point, name.id);
  }
};

inline constexpr size_t kRecordBodyMax = 64 * 1024;  // one record fits one call
inline constexpr size_t kRecordHeaderSize = 1 + 32 + 32 + 8 + 4;
inline constexpr size_t kRecordNameSize = 1 + 32 + 32;  // kind ‖ point ‖ id
inline constexpr size_t kBlobsPerPoint = 64;            // a quota for any one place, whatever may land there
inline constexpr absl::Duration kTtlDefault = absl::Hours(14 * 24), kTtlMax = absl::Hours(30 * 24);
inline constexpr absl::Duration kClockTolerance = absl::Hours(1);

struct Record {
  RecordName name;
  absl::Time expiry;
  base::Bytes body;

  bool operator==(const Record&) const = default;
};

// A record of any kind number and length up to kRecordBodyMax; judging it is RecordKinds' work. InvalidArgument: truncated,
// left-over bytes, an oversized body, a kind no version knows, an expiry beyond any clock.
base::Bytes EncodeRecord(const Record& record);
absl::StatusOr<Record> DecodeRecord(base::ByteView bytes);
base::Bytes EncodeRecordName(const RecordName& name);
absl::StatusOr<RecordName> DecodeRecordName(base::ByteView bytes);

// Who brings a record: a client's put obeys tighter rules than a copy between replicas.
enum class Source { kClient, kReplica };

// What is held at one point of the ring, as a kind sees it when it decides.
class PlaceView {
 public:
  virtual ~PlaceView() = default;
  virtual void ForEach(Kind kind, const std::function<void(const Record&)>& visit) const = 0;
  virtual bool Holds(const RecordName& name) const = 0;
};

struct Admission {
  enum class Verdict {
    kStore,
    kAlready,  // held, or deleted, or outranked in a merge: to a client the same answer as kStore
    kFull,     // the place is full for this record; `detail` is what the kind tells the client (effort needed)
  };
  Verdict verdict = Verdict::kStore;
  std::vector<RecordName> remove;  // records of this place that give way, in the same batch
  uint32_t detail = 0;
};

class RecordKind {
 public:
  virtual ~RecordKind() = default;
  // OK, or InvalidArgument / Unauthenticated: never stored, whoever brings it. Judges the record alone: shape, id, signature,
  // expiry (not past, not beyond what the kind allows, both within kClockTolerance).
  virtual absl::Status Acceptable(const Record& record, Source source, absl::Time wall_now) const = 0;
  // For an acceptable record: what becomes of it at its place. Must be a merge: commutative, associative, idempotent.
  // Unless a kind says otherwise: of the same name the later expiry stays, nothing gives way, and the place holds kBlobsPerPoint.
  virtual Admission Admit(const Record& record, Source source, const PlaceView& place) const;
  // Whether Acceptable would take long for this record, as to look at a proof of work does: then it should be asked on a worker
  // first, and is brief when it is asked again (a kind remembers the outcome). From any thread, like Acceptable.
  virtual bool IsSlow(const Record&) const { return false; }
  // Whether anyone who knows the name may ask for it (Get). Envelopes and tombstones have no GET (protocol.md 7).
  virtual bool AnswersGet() const { return false; }
};

// The kinds a node knows; those not registered are refused. The composition root fills it.
class RecordKinds {
 public:
  RecordKinds();  // registers kBlob
  void Register(Kind kind, std::unique_ptr<RecordKind> rules);
  const RecordKind* Find(Kind kind) const;
  // Acceptable() of its kind; InvalidArgument for an unknown one or an oversized body.
  absl::Status Check(const Record& record, Source source, absl::Time wall_now) const;
  // IsSlow() of its kind; false for what Check refuses at once.
  bool IsSlow(const Record& record) const;

 private:
  absl::flat_hash_map<Kind, std::unique_ptr<RecordKind>> kinds_;
};

Record MakeBlob(base::ByteView body, absl::Time expiry);

}  // namespace dht
