// SPDX-License-Identifier: Apache-2.0
// cli/json.h — one JSON object a line, members in the order they were added (RFC 8259).
//
// For what a command itself has to say; answers of a node become JSON out of their protobuf messages (control_wire.h).
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace cli {

// A JSON string with its quotes. Escapes quote, backslash and all below U+0020 and U+007F; the text has to be UTF-8, and what is
// not becomes U+FFFD byte by byte.
std::string JsonString(std::string_view text);

class JsonObject {
 public:
  JsonObject& Add(std::string_view name, std::string_view value) { return AddRaw(name, JsonString(value)); }
  JsonObject& Add(std::string_view name, const char* value) { return Add(name, std::string_view(value)); }
  JsonObject& Add(std::string_view name, const std::string& value) { return Add(name, std::string_view(value)); }
  JsonObject& Add(std::string_view name, const std::vector<std::string>& values);
  JsonObject& Add(std::string_view name, double value);
  template <std::same_as<bool> Bool>
  JsonObject& Add(std::string_view name, Bool value) {
    return AddRaw(name, value ? "true" : "false");
  }
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) JsonObject& Add(std::string_view name, Number value) {
    return AddRaw(name, std::to_string(value));
  }
  // `value` is JSON already.
  JsonObject& AddRaw(std::string_view name, std::string_view value);

  std::string Text() const { return "{" + members_ + "}"; }
  std::string Line() const { return Text() + "\n"; }

 private:
  std::string members_;
};

}  // namespace cli
