// SPDX-License-Identifier: Apache-2.0
#include "cli/qr.h"

#include <qrcodegen.hpp>

#include "absl/strings/ascii.h"

namespace cli {

std::string DrawQr(std::string_view text, const QrOptions& options) {
  using qrcodegen::QrCode;
  const std::string upper = absl::AsciiStrToUpper(std::string(text));
  const QrCode code = QrCode::encodeText(upper.c_str(), QrCode::Ecc::LOW);
  const int last = code.getSize() + options.margin;
  // Outside the code getModule is false: light. Drawn is what is light on a dark terminal, or dark on a light one. The size is
  // odd, so the last line holds a row more of the quiet zone.
  const auto drawn = [&](int x, int y) { return code.getModule(x, y) == options.invert; };
  std::string out;
  for (int y = -options.margin; y < last; y += 2) {
    for (int x = -options.margin; x < last; ++x) {
      const bool top = drawn(x, y), bottom = drawn(x, y + 1);
      out += top && bottom ? "█" : top ? "▀" : bottom ? "▄" : " ";
    }
    out += "\n";
  }
  return out;
}

}  // namespace cli
