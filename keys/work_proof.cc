// SPDX-License-Identifier: Apache-2.0
#include "keys/work_proof.h"

#include <sodium.h>

#include <span>

#include "base/check.h"

namespace keys {

namespace {

constexpr int kFilterStep = 2048;  // hashes of one step
constexpr size_t kFilterSize = 8;

std::optional<bool> ProvesWork(const Digest& challenge, uint32_t effort, const WorkProof& proof) {
  static_assert(crypto_pwhash_argon2id_SALTBYTES == sizeof(WorkProof));
  Digest tag;
  const int result = crypto_pwhash(tag.data(), tag.size(), reinterpret_cast<const char*>(challenge.data()), challenge.size(),
                                   proof.data(), /*opslimit=*/1, kWorkMemory, crypto_pwhash_ALG_ARGON2ID13);
  if (result != 0) return std::nullopt;
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof number; ++i) number = number << 8 | tag[i];
  return number <= UINT64_MAX / effort;
}

}  // namespace

bool PassesWorkFilter(const Digest& challenge, const WorkProof& proof) {
  const Digest digest = Hash("work-filter", {challenge, base::ByteView(proof).first(kFilterSize)});
  return digest[0] == 0 && digest[1] == 0;
}

std::optional<bool> JudgeWork(const Digest& challenge, uint32_t effort, const WorkProof& proof) {
  CHECK(effort > 0);
  if (!PassesWorkFilter(challenge, proof)) return false;
  return ProvesWork(challenge, effort, proof);
}

bool VerifyWork(const Digest& challenge, uint32_t effort, const WorkProof& proof) {
  return JudgeWork(challenge, effort, proof).value_or(false);
}

WorkSearch::WorkSearch(const Digest& challenge, uint32_t effort, base::Rng& rng)
    : challenge_(challenge), effort_(effort), proof_(rng.Array<sizeof(WorkProof)>()) {
  CHECK(effort > 0);
}

std::optional<WorkProof> WorkSearch::Advance() {
  for (int i = 0; i < kFilterStep && !passes_filter_; ++i) {
    passes_filter_ = PassesWorkFilter(challenge_, proof_);
    if (!passes_filter_) sodium_increment(proof_.data(), kFilterSize);
  }
  if (!passes_filter_) return std::nullopt;
  const std::optional<bool> proves = ProvesWork(challenge_, effort_, proof_);
  if (!proves) return std::nullopt;  // the same once more, when there is memory
  if (*proves) return proof_;
  sodium_increment(proof_.data() + kFilterSize, sizeof proof_ - kFilterSize);
  return std::nullopt;
}

}  // namespace keys
