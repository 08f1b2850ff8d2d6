// SPDX-License-Identifier: Apache-2.0
#include "overlay/address_prefix.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace overlay {
namespace {

// The first two groups, an elided one as 0, without leading zeros: equal prefixes give equal texts.
std::string PrefixOfV6(absl::string_view host) {
  const std::vector<std::string> groups = absl::StrSplit(host, ':');
  std::string prefix;
  bool elided = false;
  for (size_t i = 0; i < 2; ++i) {
    const absl::string_view group = i < groups.size() ? absl::string_view(groups[i]) : absl::string_view();
    elided = elided || group.empty();
    const size_t digit = group.find_first_not_of('0');
    absl::StrAppend(&prefix, i == 0 ? "" : ":",
                    elided || digit == absl::string_view::npos ? "0" : absl::AsciiStrToLower(group.substr(digit)));
  }
  return prefix;
}

}  // namespace

std::string PrefixOf(const std::string& address) {
  if (!address.empty() && address[0] == '[') return PrefixOfV6(absl::string_view(address).substr(1, address.find(']') - 1));
  const size_t first_dot = address.find('.');
  return address.substr(0, first_dot == std::string::npos ? first_dot : address.find('.', first_dot + 1));
}

}  // namespace overlay
