// SPDX-License-Identifier: Apache-2.0
#include "keys/bech32m.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace keys {
namespace {

constexpr std::string_view kCharset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr uint32_t kConstant = 0x2bc830a3;  // what the checksum of a right text comes to (BIP 350; BIP 173 has 1)
constexpr size_t kChecksumSize = 6;

using Groups = std::vector<uint8_t>;  // five bits each

uint32_t Polymod(uint32_t check, uint8_t group) {
  static constexpr uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  const uint32_t top = check >> 25;
  check = (check & 0x1ffffff) << 5 ^ group;
  for (int i = 0; i < 5; ++i) {
    if (top >> i & 1) check ^= kGenerator[i];
  }
  return check;
}

uint32_t Checksum(std::string_view prefix, const Groups& groups) {
  uint32_t check = 1;
  for (char c : prefix) check = Polymod(check, static_cast<uint8_t>(c) >> 5);
  check = Polymod(check, 0);
  for (char c : prefix) check = Polymod(check, static_cast<uint8_t>(c) & 31);
  for (uint8_t group : groups) check = Polymod(check, group);
  return check;
}

size_t GroupCount(size_t data_size) { return (data_size * 8 + 4) / 5; }

Groups ToGroups(base::ByteView data) {
  Groups groups;
  uint32_t bits = 0;
  int bit_count = 0;
  for (uint8_t byte : data) {
    bits = (bits << 8 | byte) & 0xfff;
    for (bit_count += 8; bit_count >= 5;) groups.push_back(static_cast<uint8_t>(bits >> (bit_count -= 5) & 31));
  }
  if (bit_count > 0) groups.push_back(static_cast<uint8_t>(bits << (5 - bit_count) & 31));
  return groups;
}

// Nothing if the bits left over are not zero or are a whole group.
std::optional<base::Bytes> ToBytes(std::span<const uint8_t> groups) {
  base::Bytes data;
  uint32_t bits = 0;
  int bit_count = 0;
  for (uint8_t group : groups) {
    bits = (bits << 5 | group) & 0xfff;
    if ((bit_count += 5) >= 8) data.push_back(static_cast<uint8_t>(bits >> (bit_count -= 8)));
  }
  if (bit_count >= 5 || (bits & ((1u << bit_count) - 1)) != 0) return std::nullopt;
  return data;
}

bool HasMixedCase(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_isupper(static_cast<unsigned char>(c)); }) &&
         std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_islower(static_cast<unsigned char>(c)); });
}

// The reason for a character that stands for no group. What a terminal might act on is not repeated.
absl::Status NeverUsed(size_t place, char c) {
  if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == '"') {
    return absl::InvalidArgumentError(absl::StrCat("character ", place, " is never used in addresses"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("character ", place, ": \"", std::string(1, c), "\" is never used in addresses"));
}

// The place in `groups` where another character would make the checksum right. At most one place does: two would be two right
// texts that differ in two characters, and right texts of this length differ in five.
std::optional<size_t> SingleWrongGroup(std::string_view prefix, Groups groups) {
  for (size_t i = 0; i < groups.size(); ++i) {
    const uint8_t original = groups[i];
    for (uint8_t group = 0; group < 32; ++group) {
      groups[i] = group;
      if (Checksum(prefix, groups) == kConstant) return i;
    }
    groups[i] = original;
  }
  return std::nullopt;
}

absl::Status WrongChecksum(std::string_view prefix, const Groups& groups) {
  const std::optional<size_t> wrong = SingleWrongGroup(prefix, groups);
  if (!wrong) return absl::InvalidArgumentError("the checksum does not match: several characters are wrong");
  return absl::InvalidArgumentError(
      absl::StrCat("the checksum does not match: character ", prefix.size() + 2 + *wrong, " is probably wrong"));
}

absl::StatusOr<Groups> ReadGroups(std::string_view prefix, const std::string& lower_case, std::string_view text) {
  Groups groups;
  for (size_t i = prefix.size() + 1; i < lower_case.size(); ++i) {
    const size_t group = kCharset.find(lower_case[i]);
    if (group == kCharset.npos) return NeverUsed(i + 1, text[i]);
    groups.push_back(static_cast<uint8_t>(group));
  }
  return groups;
}

}  // namespace

std::string EncodeBech32m(std::string_view prefix, base::ByteView data) {
  Groups groups = ToGroups(data);
  const size_t data_groups = groups.size();
  groups.resize(data_groups + kChecksumSize);
  const uint32_t check = Checksum(prefix, groups) ^ kConstant;
  for (size_t i = 0; i < kChecksumSize; ++i)
    groups[data_groups + i] = static_cast<uint8_t>(check >> (5 * (kChecksumSize - 1 - i)) & 31);
  std::string text = std::string(prefix) + "1";
  for (uint8_t group : groups) text.push_back(kCharset[group]);
  return text;
}

absl::StatusOr<base::Bytes> DecodeBech32m(std::string_view prefix, size_t data_size, std::string_view text) {
  if (HasMixedCase(text)) return absl::InvalidArgumentError("upper and lower case are mixed");
  const std::string lower_case = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  const std::string start = std::string(prefix) + "1";
  if (lower_case.compare(0, start.size(), start) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("it does not begin with \"", start, "\""));
  }
  const size_t size = start.size() + GroupCount(data_size) + kChecksumSize;
  if (text.size() > size) return absl::InvalidArgumentError(absl::StrCat("it has ", text.size(), " characters, not ", size));
  ASSIGN_OR_RETURN(const Groups groups, ReadGroups(prefix, lower_case, text));
  if (text.size() < size) return absl::InvalidArgumentError(absl::StrCat("it has ", text.size(), " characters, not ", size));
  if (Checksum(prefix, groups) != kConstant) return WrongChecksum(prefix, groups);
  const auto data = ToBytes(std::span(groups).first(groups.size() - kChecksumSize));
  if (!data) return absl::InvalidArgumentError("its last data character is impossible");
  return *data;
}

}  // namespace keys
