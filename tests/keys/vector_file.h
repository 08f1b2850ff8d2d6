// SPDX-License-Identifier: Apache-2.0
// tests/keys/vector_file.h — reads the files of tests/vectors: JSON with one "name": "value" a line, and { and } on lines of
// their own around each vector. That is all the JSON there is in them, so no JSON library is needed.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace support {

class Vector {
 public:
  void Set(const std::string& name, const std::string& value) { fields_[name] = value; }
  bool empty() const { return fields_.empty(); }

  // Fails the test, and returns nothing, if the field is absent or (for bytes) is no hexadecimal.
  std::string Text(const std::string& name) const {
    const auto it = fields_.find(name);
    if (it == fields_.end()) ADD_FAILURE() << "no field " << name;
    return it == fields_.end() ? "" : it->second;
  }
  base::Bytes Hex(const std::string& name) const {
    const auto bytes = base::FromHex(Text(name));
    if (!bytes) ADD_FAILURE() << name << " is no hexadecimal";
    return bytes.value_or(base::Bytes());
  }
  template <size_t N>
  std::array<uint8_t, N> Array(const std::string& name) const {
    const base::Bytes bytes = Hex(name);
    std::array<uint8_t, N> array{};
    if (bytes.size() == N) {
      std::copy(bytes.begin(), bytes.end(), array.begin());
    } else {
      ADD_FAILURE() << name << " has " << bytes.size() << " bytes, not " << N;
    }
    return array;
  }
  uint64_t Number(const std::string& name) const { return std::strtoull(Text(name).c_str(), nullptr, 10); }

 private:
  std::map<std::string, std::string> fields_;
};

inline std::vector<Vector> ReadVectors(const std::string& file) {
  std::ifstream in(std::string(BULBIL_SOURCE_DIR "/tests/vectors/") + file);
  EXPECT_TRUE(in.is_open()) << file;
  std::vector<Vector> vectors;
  Vector current;
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find_first_not_of(' ');
    if (first == line.npos) continue;
    if (line[first] == '{') current = Vector();
    if (line[first] == '}' && !current.empty()) vectors.push_back(std::exchange(current, Vector()));
    std::vector<size_t> quotes;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '"') quotes.push_back(i);
    }
    if (quotes.size() != 4) continue;
    current.Set(line.substr(quotes[0] + 1, quotes[1] - quotes[0] - 1), line.substr(quotes[2] + 1, quotes[3] - quotes[2] - 1));
  }
  EXPECT_FALSE(vectors.empty()) << file;
  return vectors;
}

}  // namespace support
