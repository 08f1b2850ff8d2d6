// SPDX-License-Identifier: Apache-2.0
#include "cli/tables_mark.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "keys/owner_only_directory.h"
#include "spdlog/spdlog.h"

namespace cli {
namespace {

using keys::OwnerOnlyDirectory;

constexpr char kName[] = "tables.until";
constexpr char kFirstLine[] = "bulbil-tables-until 1\n";
constexpr size_t kSizeMax = 64;
constexpr int64_t kSecondsMax = int64_t{INT32_MAX} * 16;  // as in tables (overlay/routing_table.h)

}  // namespace

std::optional<absl::Time> TablesMark::Load() const {
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory_, OwnerOnlyDirectory::Access::kReadable);
  if (!opened.ok()) return std::nullopt;
  const absl::StatusOr<std::string> content = opened->Read(kName, kSizeMax);
  if (absl::IsNotFound(content.status())) return std::nullopt;
  absl::string_view rest = content.ok() ? absl::string_view(*content) : absl::string_view();
  int64_t seconds = 0;
  const bool is_mark = absl::ConsumePrefix(&rest, kFirstLine) && absl::ConsumeSuffix(&rest, "\n") &&
                       absl::SimpleAtoi(rest, &seconds) && seconds >= 0 && seconds <= kSecondsMax;
  if (is_mark) return absl::FromUnixSeconds(seconds);
  spdlog::warn("node: the file tables.until cannot be read; the clock is trusted not to have gone back");
  return std::nullopt;
}

absl::Status TablesMark::Save(absl::Time until, base::Rng& rng) const {
  const absl::StatusOr<OwnerOnlyDirectory> opened = OwnerOnlyDirectory::Open(directory_, OwnerOnlyDirectory::Access::kReadable);
  const absl::Status saved =
      opened.ok() ? opened->Overwrite(kName, absl::StrCat(kFirstLine, absl::ToUnixSeconds(until), "\n"), rng) : opened.status();
  if (!saved.ok()) spdlog::warn("node: the file tables.until was not written to disk; until it is, others get no new table");
  return saved;
}

}  // namespace cli
