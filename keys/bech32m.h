// SPDX-License-Identifier: Apache-2.0
// keys/bech32m.h — bytes as text that people copy, with a checksum (BIP 173 and BIP 350).
//
// Text = prefix ‖ "1" ‖ five-bit groups of the data, most significant bit first, zero-filled ‖ 6 characters of checksum, each
// group a character of "qpzry9x8gf2tvdw0s3jn54khce6mua7l"; all lower or all upper case. Any four wrong characters are detected.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace keys {

// `prefix` in lower case; the text is too.
std::string EncodeBech32m(std::string_view prefix, base::ByteView data);

// InvalidArgument whose text is the reason for a person, with places counted from 1: mixed case, another prefix, a character that
// is never used, a wrong length (for `data_size` bytes), a wrong checksum. One wrong character is named, never replaced: a guess
// at what was meant could be somebody else's address (BIP 173).
absl::StatusOr<base::Bytes> DecodeBech32m(std::string_view prefix, size_t data_size, std::string_view text);

}  // namespace keys
