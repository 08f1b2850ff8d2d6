// SPDX-License-Identifier: Apache-2.0
// keys/work_proof.h — proof that work of a claimed effort was done for 32 bytes of challenge.
//
//   proof = a 8 ‖ b 8, such that
//     the first 16 bits of H("work-filter", challenge, a) are zero                     (65,536 hashes to find, one to check)
//     the first 8 bytes of Argon2id(challenge, salt = proof), big-endian, are at most (2^64 - 1) / effort
//                                                                                      (effort tries to find, one to check)
//   Argon2id: version 1.3 (RFC 9106), 1 pass, 1 MiB, 1 lane, tag of 32 bytes; about half a millisecond a try.
// The effort is to be part of the challenge: then luck buys nothing, and work for one effort is none for another. The filter
// makes a new claim without work cost 14 ms, and refuting one that fails it microseconds; repeats are free. Source: two stages and ranking by
// the claimed effort as in Tor's proposal 327, with Argon2id in the place of Equi-X; a challenge of its own for every claim
// instead of seeds that are handed out and a table of what was spent. Pure.
#pragma once

#include <optional>

#include "base/rng.h"
#include "keys/hash.h"

namespace keys {

using WorkProof = std::array<uint8_t, 16>;

inline constexpr size_t kWorkMemory = size_t{1} << 20;  // bytes of one try

// effort at least 1. Nothing if there is no memory for the look: that says nothing of the proof, so it is not to be remembered.
std::optional<bool> JudgeWork(const Digest& challenge, uint32_t effort, const WorkProof& proof);
// The same, and false if there is no memory.
bool VerifyWork(const Digest& challenge, uint32_t effort, const WorkProof& proof);
// The first stage alone: one hash.
bool PassesWorkFilter(const Digest& challenge, const WorkProof& proof);

class WorkSearch {
 public:
  // effort at least 1.
  WorkSearch(const Digest& challenge, uint32_t effort, base::Rng& rng);

  // A step of about half a millisecond: on a worker thread. The proof, once it is found.
  std::optional<WorkProof> Advance();

 private:
  const Digest challenge_;
  const uint32_t effort_;
  WorkProof proof_;  // tried next; from a random start
  bool passes_filter_ = false;
};

}  // namespace keys
