// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "cli/values.h"

namespace cli {
namespace {

void AppendEscaped(unsigned char byte, std::string& out) {
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
  }
  char text[8];
  std::snprintf(text, sizeof text, "\\u%04x", byte);
  out += text;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = Utf8Length(text.substr(i));
    const bool is_c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;  // some terminals obey it
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length == 1 && (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f)) {
      AppendEscaped(byte, out);
    } else if (is_c1) {
      AppendEscaped(static_cast<unsigned char>(text[i + 1]), out);
    } else {
      out += text.substr(i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return out + "\"";
}

JsonObject& JsonObject::Add(std::string_view name, double value) {
  return AddRaw(name, std::isfinite(value) ? absl::StrCat(value) : "null");
}

JsonObject& JsonObject::Add(std::string_view name, const std::vector<std::string>& values) {
  std::string array = "[";
  for (const std::string& value : values) {
    if (array.size() > 1) array += ",";
    array += JsonString(value);
  }
  return AddRaw(name, array + "]");
}

JsonObject& JsonObject::AddRaw(std::string_view name, std::string_view value) {
  if (!members_.empty()) members_ += ",";
  members_ += JsonString(name);
  members_ += ":";
  members_ += value;
  return *this;
}

}  // namespace cli
