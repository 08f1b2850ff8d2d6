// SPDX-License-Identifier: Apache-2.0
// cli/qr.h — an address as a QR code in the terminal, two modules to a character by half blocks.
//
// The text is upper-cased: bech32m allows it, and QR's alphanumeric mode then needs 29 x 29 modules for 64 characters, not 33
// x 33.
#pragma once

#include <string>
#include <string_view>

namespace cli {

struct QrOptions {
  int margin = 2;       // modules of quiet zone; strict scanners want 4
  bool invert = false;  // for a light terminal: dark modules are drawn, else light ones are
};

inline constexpr int kQrMarginMax = 16;

// Lines, each with its newline. The text must fit a code (an address does).
std::string DrawQr(std::string_view text, const QrOptions& options);

}  // namespace cli
