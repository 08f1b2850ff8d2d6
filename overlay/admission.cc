// SPDX-License-Identifier: Apache-2.0
#include "overlay/admission.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "overlay/address_prefix.h"

namespace overlay {
namespace {

int64_t LengthOf(const Network& network) { return absl::ToInt64Seconds(network.admission_epoch); }

int64_t OffsetOf(const Network& network, const keys::PublicKey& node_key) {
  const keys::Digest digest = keys::Hash("admission-offset", {base::AsBytes(network.name), node_key.view()});
  return static_cast<int64_t>(base::ByteReader(digest).U64() % static_cast<uint64_t>(LengthOf(network)));
}

keys::WorkProof ProofOf(base::ByteView admission) {
  base::ByteReader reader(admission);
  reader.U32();
  return reader.Array<sizeof(keys::WorkProof)>();
}

base::Bytes Number(uint32_t value) { return base::ByteWriter().U32(value).Take(); }

}  // namespace

uint32_t AdmissionEpoch(const Network& network, const keys::PublicKey& node_key, absl::Time wall_now) {
  const int64_t seconds = std::max<int64_t>(absl::ToUnixSeconds(wall_now), 0);
  return static_cast<uint32_t>((seconds + OffsetOf(network, node_key)) / LengthOf(network));
}

absl::Time AdmissionEnd(const Network& network, const keys::PublicKey& node_key, uint32_t epoch) {
  return absl::FromUnixSeconds((int64_t{epoch} + 1) * LengthOf(network) - OffsetOf(network, node_key));
}

keys::Digest AdmissionChallenge(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                                uint32_t epoch) {
  const std::string prefix = PrefixOf(address);
  return keys::Hash("admission", {base::AsBytes(network.name), node_key.view(), base::AsBytes(prefix), Number(epoch),
                                  Number(network.admission_effort)});
}

base::Bytes EncodeAdmission(uint32_t epoch, const keys::WorkProof& proof) {
  return base::ByteWriter().U32(epoch).Append(proof).Take();
}

uint32_t EpochOf(base::ByteView admission) { return base::ByteReader(admission).U32(); }

absl::Status CheckAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                            base::ByteView admission) {
  if (network.admission_effort == 0) {
    return admission.empty() ? absl::OkStatus() : absl::InvalidArgumentError("admission where none is asked");
  }
  if (admission.size() != kAdmissionSize) return absl::InvalidArgumentError("no admission");
  const keys::Digest challenge = AdmissionChallenge(network, node_key, address, EpochOf(admission));
  if (!keys::PassesWorkFilter(challenge, ProofOf(admission))) return absl::InvalidArgumentError("admission without work");
  return absl::OkStatus();
}

absl::Status CheckAdmissionTime(const Network& network, const keys::PublicKey& node_key, base::ByteView admission,
                                absl::Time wall_now) {
  if (network.admission_effort == 0) return absl::OkStatus();
  const uint32_t epoch = EpochOf(admission);
  if (epoch < AdmissionEpoch(network, node_key, wall_now - network.admission_overlap) ||
      epoch > AdmissionEpoch(network, node_key, wall_now + network.admission_overlap)) {
    return absl::UnavailableError("admission of another epoch");
  }
  return absl::OkStatus();
}

absl::Duration AdmissionLeft(const Network& network, const keys::PublicKey& node_key, base::ByteView admission,
                             absl::Time wall_now) {
  if (!CheckAdmissionTime(network, node_key, admission, wall_now).ok()) return -absl::InfiniteDuration();
  return AdmissionEnd(network, node_key, EpochOf(admission)) - wall_now;
}

bool VerifyAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                     base::ByteView admission) {
  return JudgeAdmission(network, node_key, address, admission).value_or(false);
}

std::optional<bool> JudgeAdmission(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                                   base::ByteView admission) {
  if (!CheckAdmission(network, node_key, address, admission).ok()) return false;
  if (network.admission_effort == 0) return true;
  const keys::Digest challenge = AdmissionChallenge(network, node_key, address, EpochOf(admission));
  return keys::JudgeWork(challenge, network.admission_effort, ProofOf(admission));
}

keys::Digest AdmissionName(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                           base::ByteView admission) {
  return keys::Hash("admission-judged", {AdmissionChallenge(network, node_key, address, EpochOf(admission)), admission});
}

bool VerifyAdmissionOnce(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                         base::ByteView admission, keys::WorkMemory& seen) {
  if (!CheckAdmission(network, node_key, address, admission).ok()) return false;
  if (network.admission_effort == 0) return true;
  const keys::Digest name = AdmissionName(network, node_key, address, admission);
  std::optional<bool> good = seen.Find(name);
  if (!good) {
    good = JudgeAdmission(network, node_key, address, admission);
    if (good) seen.Remember(name, *good);
  }
  return good.value_or(false);
}

absl::Status AdmissionBook::Check(const Network& network, const keys::PublicKey& node_key, const std::string& address,
                                  base::ByteView admission, JudgedFor sort, absl::Time wall_now) {
  RETURN_IF_ERROR(CheckAdmission(network, node_key, address, admission));
  if (network.admission_effort == 0) return absl::OkStatus();
  RETURN_IF_ERROR(CheckAdmissionTime(network, node_key, admission, wall_now));
  const keys::Digest name = AdmissionName(network, node_key, address, admission);
  std::optional<bool> good = judged_.Find(name);
  if (!good) {
    const absl::Time second = absl::FromUnixSeconds(absl::ToUnixSeconds(wall_now));
    if (second != second_) in_second_[0] = in_second_[1] = 0;
    second_ = second;
    if (++in_second_[static_cast<size_t>(sort)] > kJudgedPerSecond) {
      return absl::ResourceExhaustedError("too many admissions to look at");
    }
    good = JudgeAdmission(network, node_key, address, admission);
    if (!good) return absl::ResourceExhaustedError("no memory to look at an admission");
    judged_.Remember(name, *good);
  }
  return *good ? absl::OkStatus() : absl::PermissionDeniedError("admission without work");
}

}  // namespace overlay
