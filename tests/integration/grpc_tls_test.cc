// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_tls.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "overlay/grpc_call.h"
#include "tests/support/grpc_node.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

constexpr char kEcho[] = "/bulbil.v1.Overlay/Describe";

std::string TakePem(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

// A self-signed certificate like ours, but for a P-256 key.
keys::TlsIdentity EllipticIdentity() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(keys::kCertificateName), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  keys::TlsIdentity identity;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  identity.certificate_pem = TakePem(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  identity.private_key_pem = TakePem(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

// A node that answers with the key that it saw.
class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    node_.server->Handle(kEcho, Access::kAnyone, [](const Caller& caller, std::string, const RpcResponder& respond) {
      respond(base::ToString(caller.tls_key.view()));
    });
    ASSERT_OK(node_.Start());
  }

  // A blocking call with credentials of the test's own making.
  grpc::StatusCode CallWith(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(keys::kCertificateName);
    grpc::GenericStub stub(grpc::CreateCustomChannel(node_.address(), credentials, arguments));
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + support::kPatience);
    const auto call = stub.PrepareUnaryCall(&context, kEcho, ToBuffer(""), &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) continue;
    return status.error_code();
  }

  support::GrpcNode node_{1};
  support::GrpcNode other_{2};
};

TEST_F(TlsTest, BothSidesLearnTheKeyOfTheOther) {
  ASSERT_OK(other_.Start());
  ASSERT_OK_AND_ASSIGN(const RpcAnswer answer, other_.Call(node_.target(), kEcho, ""));
  EXPECT_EQ(answer.server_key, node_.key.public_key());
  EXPECT_EQ(answer.message, base::ToString(other_.key.public_key().view()));
}

TEST_F(TlsTest, WithoutAPinTheKeyComesBack) {
  ASSERT_OK(other_.Start());
  ASSERT_OK_AND_ASSIGN(const RpcAnswer answer, other_.Call({node_.address(), std::nullopt}, kEcho, ""));
  EXPECT_EQ(answer.server_key, node_.key.public_key());
}

TEST_F(TlsTest, AnotherKeyThanThePinnedOneIsNobody) {
  ASSERT_OK(other_.Start());
  EXPECT_STATUS(other_.Call({node_.address(), other_.key.public_key()}, kEcho, ""), kUnavailable);
}

TEST_F(TlsTest, AClientShowsAFreshKeyToEachTarget) {
  support::GrpcNode client(3, {.serves = false});
  ASSERT_OK(client.Start());
  ASSERT_OK_AND_ASSIGN(const RpcAnswer pinned, client.Call(node_.target(), kEcho, ""));
  ASSERT_OK_AND_ASSIGN(const RpcAnswer again, client.Call(node_.target(), kEcho, ""));
  ASSERT_OK_AND_ASSIGN(const RpcAnswer unpinned, client.Call({node_.address(), std::nullopt}, kEcho, ""));
  EXPECT_EQ(pinned.message, again.message);  // one connection
  EXPECT_NE(pinned.message, unpinned.message);
  EXPECT_NE(pinned.message, base::ToString(client.key.public_key().view()));
}

TEST_F(TlsTest, RefusesACallerWithoutACertificate) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  EXPECT_EQ(CallWith(grpc::experimental::TlsCredentials(options)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, RefusesACallerWhoseCertificateIsNotEd25519) {
  EXPECT_EQ(CallWith(TlsChannelCredentials(EllipticIdentity(), std::nullopt)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, RefusesACallerInClear) { EXPECT_EQ(CallWith(grpc::InsecureChannelCredentials()), grpc::StatusCode::UNAVAILABLE); }

// The suite of a handshake of at most this version, nothing if it fails; our own program offers none but 1.3.
std::string ShakesHands(int port, int version, const keys::TlsIdentity& own) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_clear_options(context, SSL_OP_NO_TLSv1_2);  // this process's configuration reaches here, too
  SSL_CTX_set_max_proto_version(context, version);
  BIO* const certificate_bio = BIO_new_mem_buf(own.certificate_pem.data(), static_cast<int>(own.certificate_pem.size()));
  BIO* const key_bio = BIO_new_mem_buf(own.private_key_pem.data(), static_cast<int>(own.private_key_pem.size()));
  X509* const certificate = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context, kHttp2, sizeof kHttp2);
  BIO* const connection = BIO_new_ssl_connect(context);
  BIO_set_conn_hostname(connection, absl::StrCat("127.0.0.1:", port).c_str());
  const bool done = BIO_do_connect(connection) == 1 && BIO_do_handshake(connection) == 1;
  SSL* ssl = nullptr;
  BIO_get_ssl(connection, &ssl);
  const std::string suite = done ? SSL_get_cipher_name(ssl) : "";
  BIO_free_all(connection);
  EVP_PKEY_free(key);
  X509_free(certificate);
  BIO_free(key_bio);
  BIO_free(certificate_bio);
  SSL_CTX_free(context);
  return suite;
}

TEST_F(TlsTest, RefusesTls12) {
  EXPECT_EQ(ShakesHands(node_.port, TLS1_3_VERSION, other_.identity), "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(ShakesHands(node_.port, TLS1_2_VERSION, other_.identity), "");
}

TEST_F(TlsTest, TakesTheProperCaller) {
  EXPECT_EQ(CallWith(TlsChannelCredentials(other_.identity, node_.key.public_key())), grpc::StatusCode::OK);
}

}  // namespace
}  // namespace overlay
