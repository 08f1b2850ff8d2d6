// SPDX-License-Identifier: Apache-2.0
#include "keys/certificate.h"

#include <sodium.h>

#include <cstring>

#include "base/byte_writer.h"
#include "base/check.h"

namespace keys {
namespace {

// DER tags (X.690) of what a certificate is made of.
enum Tag : uint8_t {
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kUtf8String = 0x0c,
  kUtcTime = 0x17,
  kGeneralizedTime = 0x18,
  kSequence = 0x30,
  kSet = 0x31,
  kDnsName = 0x82,     // [2] in GeneralName
  kVersion = 0xa0,     // [0] in TBSCertificate
  kExtensions = 0xa3,  // [3] in TBSCertificate
};
constexpr uint8_t kEd25519Algorithm[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};  // SEQUENCE { OID 1.3.101.112 }
constexpr uint8_t kCommonNameOid[] = {0x06, 0x03, 0x55, 0x04, 0x03};
constexpr uint8_t kAlternativeNameOid[] = {0x06, 0x03, 0x55, 0x1d, 0x11};
constexpr uint8_t kVersionThree[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
constexpr size_t kPemSizeMax = 8192;  // ours have about 500 bytes; a peer's certificate is bytes from outside
constexpr size_t kDerSizeMax = kPemSizeMax / 4 * 3;
constexpr size_t kPemLine = 64;

base::Bytes Joined(std::initializer_list<base::ByteView> parts) {
  base::ByteWriter joined;
  for (base::ByteView part : parts) joined.Append(part);
  return joined.Take();
}

base::Bytes Element(uint8_t tag, std::initializer_list<base::ByteView> parts) {
  const base::Bytes value = Joined(parts);
  base::ByteWriter element;
  element.U8(tag);
  if (value.size() >= 0x100) {
    element.U8(0x82).U16(static_cast<uint16_t>(value.size()));
  } else if (value.size() >= 0x80) {
    element.U8(0x81).U8(static_cast<uint8_t>(value.size()));
  } else {
    element.U8(static_cast<uint8_t>(value.size()));
  }
  return element.Append(value).Take();
}

std::string Pem(const std::string& what, base::ByteView der) {
  std::string base64(sodium_base64_ENCODED_LEN(der.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(base64.data(), base64.size(), der.data(), der.size(), sodium_base64_VARIANT_ORIGINAL);
  base64.resize(std::strlen(base64.c_str()));
  std::string pem = "-----BEGIN " + what + "-----\n";
  for (size_t i = 0; i < base64.size(); i += kPemLine) pem += base64.substr(i, kPemLine) + "\n";
  sodium_memzero(base64.data(), base64.size());
  return pem + "-----END " + what + "-----\n";
}

base::Bytes SubjectPublicKeyInfo(const PublicKey& key) {
  const uint8_t no_unused_bits = 0;
  return Element(kSequence, {kEd25519Algorithm, Element(kBitString, {{&no_unused_bits, 1}, key.bytes})});
}

// Positive and of full length, so that all certificates have one size.
base::Bytes Serial(base::Rng& rng) {
  auto serial = rng.Array<15>();
  serial[0] = static_cast<uint8_t>((serial[0] & 0x3f) | 0x40);
  return Element(kInteger, {serial});
}

base::Bytes ToBeSigned(const PublicKey& key, base::Rng& rng) {
  const base::ByteView common_name = base::AsBytes(kCertificateName);
  const base::Bytes name =
      Element(kSequence, {Element(kSet, {Element(kSequence, {kCommonNameOid, Element(kUtf8String, {common_name})})})});
  const base::Bytes validity = Element(kSequence, {Element(kUtcTime, {base::AsBytes("200101000000Z")}),
                                                   Element(kGeneralizedTime, {base::AsBytes("20991231235959Z")})});
  const base::Bytes alternative_name =
      Element(kSequence, {kAlternativeNameOid, Element(kOctetString, {Element(kSequence, {Element(kDnsName, {common_name})})})});
  return Element(kSequence, {kVersionThree, Serial(rng), kEd25519Algorithm, name, validity, name, SubjectPublicKeyInfo(key),
                             Element(kExtensions, {Element(kSequence, {alternative_name})})});
}

// PKCS#8 (RFC 8410, section 7): everything before the seed is constant.
std::string PrivateKeyPem(const SigningKey& key) {
  static constexpr uint8_t kPrefix[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                        0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
  WipedArray<sizeof kPrefix + 32> der;
  const auto seed = der.mutable_view().subspan<sizeof kPrefix>();
  std::copy(std::begin(kPrefix), std::end(kPrefix), der.mutable_view().begin());
  std::copy(key.seed().view().begin(), key.seed().view().end(), seed.begin());
  return Pem("PRIVATE KEY", der.view());
}

// What lies between the markers, decoded; nothing if it is no base64 or too large.
std::optional<base::Bytes> CertificateDer(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  if (pem.size() > kPemSizeMax) return std::nullopt;
  const size_t begin = pem.find(kBegin);
  if (begin == pem.npos) return std::nullopt;
  const std::string_view rest = pem.substr(begin + kBegin.size());
  const size_t end = rest.find(kEnd);
  if (end == rest.npos) return std::nullopt;
  base::Bytes der(kDerSizeMax);
  size_t size = 0;
  if (sodium_base642bin(der.data(), der.size(), rest.data(), end, "\r\n", &size, nullptr, sodium_base64_VARIANT_ORIGINAL) != 0) {
    return std::nullopt;
  }
  der.resize(size);
  return der;
}

// Reads one DER element after the other; definite, minimal lengths only (X.690, 10.1).
class DerReader {
 public:
  explicit DerReader(base::ByteView bytes) : rest_(bytes) {}

  // The value of the next element, which must have this tag; nothing if it has another or does not fit.
  std::optional<base::ByteView> Take(uint8_t tag) {
    if (rest_.size() < 2 || rest_[0] != tag) return std::nullopt;
    size_t header = 2, size = rest_[1];
    if (size >= 0x80) {
      const size_t size_bytes = size & 0x7f;
      if (size_bytes < 1 || size_bytes > 2 || rest_.size() < 2 + size_bytes) return std::nullopt;
      header += size_bytes;
      size = 0;
      for (size_t i = 2; i < header; ++i) size = size << 8 | rest_[i];
      if (size < (size_bytes == 1 ? 0x80u : 0x100u)) return std::nullopt;
    }
    if (rest_.size() - header < size) return std::nullopt;
    const base::ByteView value = rest_.subspan(header, size);
    rest_ = rest_.subspan(header + size);
    return value;
  }
  bool Done() const { return rest_.empty(); }

 private:
  base::ByteView rest_;
};

// Certificate { TBSCertificate, algorithm, signature }: the first of them; nothing if more or less is there.
std::optional<base::ByteView> TbsOf(base::ByteView der) {
  DerReader outer(der);
  const auto certificate = outer.Take(kSequence);
  if (!certificate || !outer.Done()) return std::nullopt;
  DerReader parts(*certificate);
  const auto tbs = parts.Take(kSequence);
  if (!tbs || !parts.Take(kSequence) || !parts.Take(kBitString) || !parts.Done()) return std::nullopt;
  return tbs;
}

// TBSCertificate { version, serial, algorithm, issuer, validity, subject, subjectPublicKeyInfo, ... }.
std::optional<base::ByteView> SubjectPublicKeyInfoOf(base::ByteView tbs) {
  DerReader fields(tbs);
  for (uint8_t tag : {kVersion, kInteger, kSequence, kSequence, kSequence, kSequence}) {
    if (!fields.Take(tag)) return std::nullopt;
  }
  return fields.Take(kSequence);
}

}  // namespace

TlsIdentity MakeTlsIdentity(const SigningKey& key, base::Rng& rng) {
  const base::Bytes to_be_signed = ToBeSigned(key.public_key(), rng);
  const Signature signature = key.Sign(to_be_signed);
  const uint8_t no_unused_bits = 0;
  const base::Bytes certificate =
      Element(kSequence, {to_be_signed, kEd25519Algorithm, Element(kBitString, {{&no_unused_bits, 1}, signature})});
  return {key.public_key(), Pem("CERTIFICATE", certificate), PrivateKeyPem(key)};
}

std::optional<PublicKey> KeyOfCertificate(std::string_view pem) {
  const auto der = CertificateDer(pem);
  if (!der) return std::nullopt;
  const auto tbs = TbsOf(*der);
  if (!tbs) return std::nullopt;
  const auto info = SubjectPublicKeyInfoOf(*tbs);
  if (!info || info->size() != sizeof kEd25519Algorithm + 3 + 32) return std::nullopt;
  PublicKey key;
  std::copy(info->end() - 32, info->end(), key.bytes.begin());
  const base::Bytes expected = SubjectPublicKeyInfo(key);  // element header included
  if (!std::equal(info->begin(), info->end(), expected.begin() + 2, expected.end())) return std::nullopt;
  return key;
}

}  // namespace keys
