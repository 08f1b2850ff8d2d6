// SPDX-License-Identifier: Apache-2.0
#include "cli/admission_file.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "keys/owner_only_directory.h"
#include "keys/system_rng.h"
#include "overlay/admission.h"
#include "spdlog/spdlog.h"

namespace cli {
namespace {

using keys::OwnerOnlyDirectory;

constexpr char kName[] = "admission";
constexpr char kFirstLine[] = "bulbil-admission 1\n";
constexpr size_t kSizeMax = 256, kKept = 2;

}  // namespace

absl::StatusOr<base::Bytes> AdmissionFile::Obtain(const overlay::Network& network, const keys::PublicKey& node_key,
                                                  const std::string& address, uint32_t epoch, base::Rng& rng,
                                                  const std::function<bool()>& stop) const {
  if (network.admission_effort == 0) return base::Bytes();
  std::vector<base::Bytes> kept = Load();
  for (const base::Bytes& admission : kept) {
    if (overlay::EpochOf(admission) == epoch && overlay::VerifyAdmission(network, node_key, address, admission)) return admission;
  }
  spdlog::info("node: working for a place in the network \"{}\": about {} s", network.name, network.admission_effort / 2000);
  keys::WorkSearch search(overlay::AdmissionChallenge(network, node_key, address, epoch), network.admission_effort, rng);
  std::optional<keys::WorkProof> proof;
  while (!proof && !stop()) proof = search.Advance();
  if (!proof) return absl::CancelledError("stopped");
  kept.push_back(overlay::EncodeAdmission(epoch, *proof));
  if (kept.size() > kKept) kept.erase(kept.begin());
  Save(kept, rng);
  return kept.back();
}

AdmissionWork::AdmissionWork(std::string directory, const overlay::Network& network, const keys::PublicKey& node_key,
                             std::string address, uint32_t epoch)
    : thread_([this, file = AdmissionFile(std::move(directory)), network, node_key, address = std::move(address), epoch] {
        keys::SystemRng rng;
        file.Obtain(network, node_key, address, epoch, rng, [this] { return stopped_.load(); }).IgnoreError();
      }) {}

AdmissionWork::~AdmissionWork() {
  stopped_ = true;
  thread_.join();
}

std::vector<base::Bytes> AdmissionFile::Load() const {
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory_, OwnerOnlyDirectory::Access::kReadable);
  if (!opened.ok()) return {};
  const absl::StatusOr<std::string> content = opened->Read(kName, kSizeMax);
  absl::string_view rest = content.ok() ? absl::string_view(*content) : absl::string_view();
  std::vector<base::Bytes> admissions;
  if (!absl::ConsumePrefix(&rest, kFirstLine)) return admissions;
  for (const absl::string_view line : absl::StrSplit(rest, '\n')) {
    std::optional<base::Bytes> admission = base::FromHex(std::string_view(line.data(), line.size()));
    if (admission && admission->size() == overlay::kAdmissionSize) admissions.push_back(*std::move(admission));
  }
  return admissions;
}

void AdmissionFile::Save(const std::vector<base::Bytes>& admissions, base::Rng& rng) const {
  std::string text = kFirstLine;
  for (const base::Bytes& admission : admissions) absl::StrAppend(&text, base::ToHex(admission), "\n");
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory_, OwnerOnlyDirectory::Access::kReadable);
  const absl::Status saved = opened.ok() ? opened->Overwrite(kName, text, rng) : opened.status();
  if (!saved.ok()) spdlog::warn("node: the work for a place in the network was not kept on disk; the next start does it anew");
}

}  // namespace cli
