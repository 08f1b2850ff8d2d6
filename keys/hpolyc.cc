// SPDX-License-Identifier: Apache-2.0
#include "keys/hpolyc.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "keys/secret.h"

namespace keys {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are added as little-endian numbers");
__extension__ typedef unsigned __int128 Number128;

constexpr size_t kBlock = 16, kStreamBlock = 64;
using Block = std::array<uint8_t, kBlock>;

size_t RoundUp(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

struct CipherContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextFree>;

// Fetched once for the whole process: an implicit fetch per call costs more than the cipher. Never freed, on purpose.
const EVP_CIPHER* Fetched(const char* name) {
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}

CipherContext NewContext() {
  CipherContext context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  return context;
}

// One per thread, re-keyed for every message: ChaCha20 and Poly1305 have no key schedule worth keeping.
class ThreadCiphers {
 public:
  static ThreadCiphers& Get() {
    thread_local ThreadCiphers ciphers;
    return ciphers;
  }

  // Where a message is worked on: the hash's input in one piece. OpenSSL's vector code does whole groups of blocks only, and what
  // it is handed in pieces leaves a rest each time: over a cell that costs twice as much. The text has room for whole ChaCha20
  // blocks, for the same reason.
  struct Workspace {
    std::span<uint8_t> hashed, text, blocks;
  };
  // Sets the hash's input up: the tweak's length in bits (4 bytes, little-endian) and the tweak, padded with zeros to whole
  // blocks, then the text.
  Workspace Prepare(base::ByteView tweak, base::ByteView text) {
    const uint32_t tweak_bits = static_cast<uint32_t>(tweak.size() * 8);
    const size_t head = RoundUp(sizeof tweak_bits + tweak.size(), kBlock);
    const size_t size = head + RoundUp(text.size(), kStreamBlock);
    if (workspace_.size() < size) workspace_.resize(size);
    std::fill_n(workspace_.begin(), head, uint8_t{0});
    std::memcpy(workspace_.data(), &tweak_bits, sizeof tweak_bits);
    std::copy(tweak.begin(), tweak.end(), workspace_.begin() + sizeof tweak_bits);
    std::copy(text.begin(), text.end(), workspace_.begin() + static_cast<ptrdiff_t>(head));
    const std::span<uint8_t> all(workspace_.data(), size);
    return {all.first(head + text.size()), all.subspan(head, text.size()), all.subspan(head)};
  }

  // XChaCha20 over `text` in place. The nonce is `block`, 1, then zeros: HChaCha20 eats the block, ChaCha20 the rest.
  void XorStream(std::span<const uint8_t, 32> key, const Block& block, std::span<uint8_t> text) {
    static constexpr uint8_t kCounterAndNonce[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
    WipedArray<32> subkey;
    CHECK(crypto_core_hchacha20(subkey.mutable_view().data(), block.data(), key.data(), nullptr) == 0);
    CHECK(EVP_EncryptInit_ex(chacha20_.get(), nullptr, nullptr, subkey.view().data(), kCounterAndNonce) == 1);
    int written = 0;
    CHECK(EVP_EncryptUpdate(chacha20_.get(), text.data(), &written, text.data(), static_cast<int>(text.size())) == 1);
    CHECK(static_cast<size_t>(written) == text.size());
  }

  // Poly1305 with the constant term zero.
  Number128 Hash(std::span<const uint8_t, kBlock> r, base::ByteView input) {
    WipedArray<2 * kBlock> poly1305_key;
    std::copy(r.begin(), r.end(), poly1305_key.mutable_view().begin());
    CHECK(EVP_MAC_init(poly1305_.get(), poly1305_key.view().data(), poly1305_key.view().size(), nullptr) == 1);
    CHECK(EVP_MAC_update(poly1305_.get(), input.data(), input.size()) == 1);
    Number128 sum = 0;
    size_t written = 0;
    CHECK(EVP_MAC_final(poly1305_.get(), reinterpret_cast<uint8_t*>(&sum), &written, sizeof sum) == 1 && written == sizeof sum);
    return sum;
  }

 private:
  struct MacContextFree {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };

  ThreadCiphers() : chacha20_(NewContext()) {
    static const EVP_CIPHER* const chacha20 = Fetched("ChaCha20");
    static EVP_MAC* const poly1305 = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
    CHECK(EVP_EncryptInit_ex(chacha20_.get(), chacha20, nullptr, nullptr, nullptr) == 1);
    poly1305_.reset(EVP_MAC_CTX_new(poly1305));
    CHECK(poly1305_ != nullptr);
  }

  CipherContext chacha20_;
  std::unique_ptr<EVP_MAC_CTX, MacContextFree> poly1305_;
  std::vector<uint8_t> workspace_;  // grows to the longest message there was
};

// The block cipher in one direction, key schedule kept.
class AesBlock {
 public:
  AesBlock(std::span<const uint8_t, 32> key, bool encrypt) : context_(NewContext()) {
    static const EVP_CIPHER* const aes256 = Fetched("AES-256-ECB");
    CHECK(EVP_CipherInit_ex(context_.get(), aes256, nullptr, key.data(), nullptr, encrypt ? 1 : 0) == 1);
    CHECK(EVP_CIPHER_CTX_set_padding(context_.get(), 0) == 1);
  }

  void Apply(Block& block) const {
    int written = 0;
    CHECK(EVP_CipherUpdate(context_.get(), block.data(), &written, block.data(), kBlock) == 1 && written == kBlock);
  }

 private:
  CipherContext context_;
};

Block ToBlock(Number128 number) {
  Block block;
  std::memcpy(block.data(), &number, kBlock);
  return block;
}

Number128 ToNumber(std::span<const uint8_t> block) {
  Number128 number;
  std::memcpy(&number, block.data(), kBlock);
  return number;
}

}  // namespace

struct HPolyC::Impl {
  explicit Impl(std::span<const uint8_t, 32> stream_key) : key(stream_key) {
    const WipedArray<48> derived = Derived();
    std::copy(derived.view().begin() + 32, derived.view().end(), hash_key.mutable_view().begin());
  }

  // The AES-256 key and Poly1305's r: the key's own XChaCha20 stream under the nonce 1, 0, 0, ...
  WipedArray<48> Derived() const {
    static constexpr uint8_t kNonce[crypto_stream_xchacha20_NONCEBYTES] = {1};
    WipedArray<48> derived;
    CHECK(crypto_stream_xchacha20(derived.mutable_view().data(), 48, kNonce, key.view().data()) == 0);
    return derived;
  }

  // A circuit's layer works in one direction only, so each schedule is made when first asked for.
  const AesBlock& Aes(bool encrypt) {
    std::unique_ptr<AesBlock>& aes = encrypt ? encryptor : decryptor;
    if (aes == nullptr) aes = std::make_unique<AesBlock>(Derived().view().first<32>(), encrypt);
    return *aes;
  }

  // Hash, block cipher, stream, hash: decryption differs in the direction of the block cipher and in where the nonce comes from.
  void Apply(base::ByteView tweak, std::span<uint8_t> message, bool encrypt) {
    CHECK(message.size() >= kBlock);
    ThreadCiphers& ciphers = ThreadCiphers::Get();
    const std::span<uint8_t> left = message.first(message.size() - kBlock), right = message.last(kBlock);
    const ThreadCiphers::Workspace work = ciphers.Prepare(tweak, left);
    Block middle = ToBlock(ToNumber(right) + ciphers.Hash(hash_key.view(), work.hashed));
    Block nonce = middle;
    Aes(encrypt).Apply(middle);
    if (encrypt) nonce = middle;
    ciphers.XorStream(key.view(), nonce, work.blocks);
    const Block last = ToBlock(ToNumber(middle) - ciphers.Hash(hash_key.view(), work.hashed));
    std::copy(work.text.begin(), work.text.end(), left.begin());
    std::copy(last.begin(), last.end(), right.begin());
  }

  WipedArray<32> key;
  WipedArray<kBlock> hash_key;
  std::unique_ptr<AesBlock> encryptor, decryptor;
};

HPolyC::HPolyC(std::span<const uint8_t, 32> key) : impl_(std::make_unique<Impl>(key)) {}
HPolyC::~HPolyC() = default;
HPolyC::HPolyC(HPolyC&&) noexcept = default;
HPolyC& HPolyC::operator=(HPolyC&&) noexcept = default;

void HPolyC::Encrypt(base::ByteView tweak, std::span<uint8_t> message) const { impl_->Apply(tweak, message, /*encrypt=*/true); }
void HPolyC::Decrypt(base::ByteView tweak, std::span<uint8_t> message) const { impl_->Apply(tweak, message, /*encrypt=*/false); }

}  // namespace keys
