// SPDX-License-Identifier: Apache-2.0
#include "keys/certificate.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

#include "tests/support/seeded_rng.h"

namespace keys {
namespace {

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct X509Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
std::unique_ptr<BIO, BioFree> Reading(const std::string& text) {
  return std::unique_ptr<BIO, BioFree>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

class CertificateTest : public testing::Test {
 protected:
  support::SeededRng rng_{7};
  SigningKey key_ = SigningKey::Generate(rng_);
  TlsIdentity identity_ = MakeTlsIdentity(key_, rng_);
};

TEST_F(CertificateTest, CarriesTheKeyItWasMadeOf) {
  EXPECT_EQ(identity_.public_key, key_.public_key());
  EXPECT_EQ(KeyOfCertificate(identity_.certificate_pem), key_.public_key());
}

TEST_F(CertificateTest, OpenSslReadsItAndItsSignatureHolds) {
  const std::unique_ptr<X509, X509Free> certificate(
      PEM_read_bio_X509(Reading(identity_.certificate_pem).get(), nullptr, nullptr, nullptr));
  const std::unique_ptr<EVP_PKEY, PkeyFree> secret(
      PEM_read_bio_PrivateKey(Reading(identity_.private_key_pem).get(), nullptr, nullptr, nullptr));
  ASSERT_NE(certificate, nullptr);
  ASSERT_NE(secret, nullptr);
  EXPECT_EQ(X509_verify(certificate.get(), secret.get()), 1);
  EXPECT_EQ(X509_check_private_key(certificate.get(), secret.get()), 1);
  EXPECT_EQ(X509_check_host(certificate.get(), kCertificateName, 0, 0, nullptr), 1);
}

TEST_F(CertificateTest, TwoOfOneKeyDifferOnlyInSerialAndSignature) {
  const TlsIdentity other = MakeTlsIdentity(key_, rng_);
  EXPECT_NE(other.certificate_pem, identity_.certificate_pem);
  EXPECT_EQ(other.certificate_pem.size(), identity_.certificate_pem.size());
  EXPECT_EQ(other.private_key_pem, identity_.private_key_pem);
}

TEST_F(CertificateTest, GarbageNamesNoKey) {
  const std::string& pem = identity_.certificate_pem;
  for (const std::string& garbage :
       {std::string(), std::string("-----BEGIN CERTIFICATE-----"), identity_.private_key_pem,
        std::string("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
        std::string("-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n"),
        std::string("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), std::string(9000, 'A') + pem}) {
    EXPECT_EQ(KeyOfCertificate(garbage), std::nullopt) << garbage.substr(0, 80);
  }
  for (size_t size = 0; size + 2 < pem.size(); ++size) ASSERT_EQ(KeyOfCertificate(pem.substr(0, size)), std::nullopt) << size;
}

TEST_F(CertificateTest, ACertificateOfAnotherAlgorithmNamesNoKey) {
  std::unique_ptr<EVP_PKEY, PkeyFree> ec(EVP_EC_gen("P-256"));
  std::unique_ptr<X509, X509Free> certificate(X509_new());
  ASSERT_EQ(X509_set_version(certificate.get(), 2), 1);
  ASSERT_EQ(ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 1000);
  ASSERT_EQ(X509_set_pubkey(certificate.get(), ec.get()), 1);
  ASSERT_GT(X509_sign(certificate.get(), ec.get(), EVP_sha256()), 0);
  const std::unique_ptr<BIO, BioFree> out(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_X509(out.get(), certificate.get()), 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  EXPECT_EQ(KeyOfCertificate(std::string_view(data, static_cast<size_t>(size))), std::nullopt);
}

// Whatever a peer sends: either no key, or the certificate still walks strictly to some key; never a read outside (asan).
TEST_F(CertificateTest, AnyChangedCharacterIsSurvived) {
  int other_keys = 0;
  for (size_t i = 0; i < identity_.certificate_pem.size(); ++i) {
    std::string changed = identity_.certificate_pem;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto key = KeyOfCertificate(changed);
    if (key && *key != key_.public_key()) ++other_keys;
  }
  EXPECT_GE(other_keys, 42);  // the 32 bytes of the key itself are about 43 characters
  EXPECT_LE(other_keys, 44);
}

}  // namespace
}  // namespace keys
