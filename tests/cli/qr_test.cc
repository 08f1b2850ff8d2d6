// SPDX-License-Identifier: Apache-2.0
#include "cli/qr.h"

#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "cli/values.h"

namespace cli {
namespace {

constexpr char kAddress[] = "bulb1qzglxjjpdq7hwsz86u9tqq7rq2znlkv83h5rr839g496a6kzhru5w3s8zxe";

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n', absl::SkipEmpty()); }

size_t CellsOf(const std::string& line) {
  size_t cells = 0;
  for (size_t at = 0; at < line.size(); at += Utf8Length(line.substr(at))) ++cells;
  return cells;
}

TEST(Qr, AnAddressIs29ModulesWideWhateverItsCase) {
  const std::vector<std::string> lines = Lines(DrawQr(kAddress, {}));
  EXPECT_EQ(lines.size(), 17u) << "(29 + 2 * 2) modules, two to a line";
  for (const std::string& line : lines) EXPECT_EQ(CellsOf(line), 33u);
  EXPECT_EQ(DrawQr(kAddress, {}), DrawQr("BULB1QZGLXJJPDQ7HWSZ86U9TQQ7RQ2ZNLKV83H5RR839G496A6KZHRU5W3S8ZXE", {}));
}

TEST(Qr, HasFinderPatternsInThreeCorners) {
  const std::vector<std::string> lines = Lines(DrawQr(kAddress, {}));
  const std::string top = "██ ▄▄▄▄▄ █";
  EXPECT_EQ(lines[1].rfind(top, 0), 0u) << lines[1];
  const std::string right = "█ ▄▄▄▄▄ ██";
  EXPECT_EQ(lines[1].substr(lines[1].size() - right.size()), right);
  EXPECT_EQ(lines[12].rfind(top, 0), 0u) << lines[12];
}

TEST(Qr, InvertedIsTheOppositeInEveryCell) {
  const std::vector<std::string> dark = Lines(DrawQr(kAddress, {.margin = 3})),
                                 light = Lines(DrawQr(kAddress, {.margin = 3, .invert = true}));
  ASSERT_EQ(dark.size(), light.size());
  const auto opposite = [](std::string cell) { return cell == "█" ? " " : cell == " " ? "█" : cell == "▀" ? "▄" : "▀"; };
  for (size_t row = 0; row < dark.size(); ++row) {
    for (size_t a = 0, b = 0; a < dark[row].size();) {
      const size_t a_size = Utf8Length(dark[row].substr(a)), b_size = Utf8Length(light[row].substr(b));
      ASSERT_EQ(light[row].substr(b, b_size), opposite(dark[row].substr(a, a_size))) << "row " << row;
      a += a_size;
      b += b_size;
    }
  }
}

TEST(Qr, MarginIsTheQuietZone) {
  const std::vector<std::string> lines = Lines(DrawQr(kAddress, {.margin = 4}));
  EXPECT_EQ(CellsOf(lines[0]), 37u);
  for (int i = 0; i < 2; ++i) {
    for (size_t at = 0; at < lines[i].size(); at += 3) EXPECT_EQ(lines[i].substr(at, 3), "█") << "a quiet zone is light";
  }
}

}  // namespace
}  // namespace cli
