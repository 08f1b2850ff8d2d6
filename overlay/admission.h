// SPDX-License-Identifier: Apache-2.0
// overlay/admission.h — what a network may ask for a place on the ring: work, bound to node key, address prefix and epoch.
//
//   admission = epoch 4 ‖ proof 16 (keys/work_proof.h)          empty where no work is asked (Network::admission_effort 0)
//   challenge = H("admission", network, node key, prefix, epoch 4, effort 4)      prefix: address_prefix.h, /16 or v6 /32, as
//   text epoch     = (t + offset) / epoch's length, for seconds t; offset = first 8 bytes of H("admission-offset", network, node
//   key)
//               modulo that length
// Points follow from the admission (peer.h), so a place costs its work anew in every epoch, and each further try for a better one
// the same again; nobody can work ahead for more epochs than he has patience for, nor keep a place he found good. The offset puts
// the ends of epochs of different keys at different times: there is no wave. An hour to either side of its end both epochs are
// good. What others see costs more the later it comes: shape, epoch and the proof's filter are microseconds and looked at
// wherever an admission is named; Argon2id (0.5 ms, 1 MiB) once for each, when its owner shows a descriptor or a table or is to
// be called. Source: design.md 2; Castro et al. (OSDI 2002) on who may choose ids. Differs in memory: 1 MiB a try and the more
// tries, so that a check is cheap; docs/decisions/0023.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "keys/identity.h"
#include "keys/work_memory.h"
#include "keys/work_proof.h"
#include "overlay/network.h"

namespace overlay {

inline constexpr size_t kAdmissionSize = 4 + sizeof(keys::WorkProof);

uint32_t AdmissionEpoch(const Network& network, const keys::PublicKey& node_key, absl::Time wall_now);
absl::Time AdmissionEnd(const Network& network, const keys::PublicKey& node_key, uint32_t epoch);
keys::Digest AdmissionChallenge(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                                uint32_t epoch);
base::Bytes EncodeAdmission(uint32_t epoch, const keys::WorkProof& proof);
// Of an admission of the right shape.
uint32_t EpochOf(base::ByteView admission);

// Cheap, without a clock. InvalidArgument: another shape, empty where it is asked, not empty where none is, or past no filter.
absl::Status CheckAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                            base::ByteView admission);
// Of one that passed: Unavailable unless its epoch is now, or was or will be within admission_overlap.
absl::Status CheckAdmissionTime(const Network& network, const keys::PublicKey& node_key, base::ByteView admission,
                                absl::Time wall_now);
// How long its owner still stands at that place: less than no time once its epoch is over, or if it is yet to come by more than
// admission_overlap, as when a clock that was ahead has been put right.
absl::Duration AdmissionLeft(const Network& network, const keys::PublicKey& node_key, base::ByteView admission,
                             absl::Time wall_now);
// Half a millisecond. True at once where none is asked.
bool VerifyAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                     base::ByteView admission);
// The same; nothing if there is no memory for the look.
std::optional<bool> JudgeAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                                   base::ByteView admission);

// The name by which memories know what a look at it showed: it binds the admission and all that it is for.
keys::Digest AdmissionName(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                           base::ByteView admission);
// VerifyAdmission, once for each admission that `seen` still knows, good or not. For workers, which have no AdmissionBook.
bool VerifyAdmissionOnce(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                         base::ByteView admission, keys::WorkMemory& seen);

// New ones of each sort: a twentieth of a core in all, and who makes them up pays 14 ms for each. Two sorts, so that what anybody
// may show does not use up what the own calls need.
inline constexpr int kJudgedPerSecond = 50;
enum class JudgedFor { kOwnCalls, kShown };

// JudgeAdmission and what it said. Not thread-safe.
class AdmissionBook {
 public:
  // PermissionDenied: no work; Unavailable: not this epoch's; ResourceExhausted: too many new ones in this second, or no memory.
  absl::Status Check(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                     base::ByteView admission, JudgedFor sort, absl::Time wall_now);

 private:
  keys::WorkMemory judged_;  // by H("admission-judged", challenge, admission)
  absl::Time second_;
  int in_second_[2] = {};  // by JudgedFor
};

}  // namespace overlay
