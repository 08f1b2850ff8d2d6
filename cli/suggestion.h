// SPDX-License-Identifier: Apache-2.0
// cli/suggestion.h — "Did you mean": the known word nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cli {

// Edits (insert, delete, replace, swap of two neighbours) that turn one word into the other.
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest word, the first of equals; empty if all are further than a third of the typed word's length (at least one edit).
std::string Nearest(std::string_view typed, const std::vector<std::string>& words);

}  // namespace cli
