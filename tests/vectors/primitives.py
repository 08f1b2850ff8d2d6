# SPDX-License-Identifier: Apache-2.0
"""The primitives under bulbil's cryptography, in plain Python: slow, not constant-time, for making test vectors only.

Written from the RFCs alone (7748, 8032, 8439), FIPS 197 and draft-irtf-cfrg-xchacha-03, independently of libsodium and OpenSSL.
check() holds each of them to a published vector.
"""
import hashlib
import struct

# ---- X25519 (RFC 7748, section 5)
P = 2**255 - 19


def x25519(scalar, point):
    k = int.from_bytes(scalar, "little")
    k = (k & ~(7 | 1 << 255) | 1 << 254) & (2**255 - 1)
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def x25519_base(scalar):
    return x25519(scalar, (9).to_bytes(32, "little"))


# ---- Ed25519 (RFC 8032, section 5.1), affine points
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * SQRT_M1 % P
    if (x * x - xx) % P:
        raise ValueError("not on the curve")
    return P - x if x & 1 != sign else x


G_Y = 4 * pow(5, P - 2, P) % P
G = (recover_x(G_Y, 0), G_Y)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P)


def multiply(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data):
    number = int.from_bytes(data, "little")
    y = number & (2**255 - 1)
    return (recover_x(y, number >> 255), y)


def ed25519_scalar_and_prefix(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | 1 << 254, digest[32:]


def ed25519_public(seed):
    return encode(multiply(ed25519_scalar_and_prefix(seed)[0], G))


def sign_with(scalar, nonce, public, message):
    r = encode(multiply(nonce, G))
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little")
    return r + ((nonce + k * scalar) % L).to_bytes(32, "little")


def ed25519_sign(seed, message):
    scalar, prefix = ed25519_scalar_and_prefix(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    return sign_with(scalar, nonce, ed25519_public(seed), message)


# ---- ChaCha20 (RFC 8439, section 2.3) and what XChaCha20 adds (draft-irtf-cfrg-xchacha-03)
def rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def quarter(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] = rotate(s[z] ^ s[x], bits)


def chacha_rounds(state):
    s = list(state)
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


def chacha_state(key, last_row):
    return list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", last_row))


def chacha20_stream(key, last_row, size):
    state, stream = chacha_state(key, last_row), b""
    while len(stream) < size:
        words = [(a + b) & 0xFFFFFFFF for a, b in zip(chacha_rounds(state), state)]
        stream += struct.pack("<16I", *words)
        state[12] += 1
    return stream[:size]


def chacha20_ietf(key, nonce, data, counter=0):
    return xor(data, chacha20_stream(key, struct.pack("<I", counter) + nonce, len(data)))


def xchacha20_stream(key, nonce, size):
    words = chacha_rounds(chacha_state(key, nonce[:16]))
    subkey = struct.pack("<8I", *(words[:4] + words[12:]))
    return chacha20_stream(subkey, bytes(8) + nonce[16:], size)


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


# ---- Poly1305 (RFC 8439, section 2.5)
def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(message), 16):
        total = (total + int.from_bytes(message[i:i + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


# ---- AES-256, one block (FIPS 197)
def times(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def make_sbox():
    box = []
    for value in range(256):
        inverse = next((i for i in range(256) if times(value, i) == 1), 0)
        byte = 0x63
        for shift in range(5):
            byte ^= inverse << shift & 0xFF | inverse >> (8 - shift)
        box.append(byte)
    return box


SBOX = make_sbox()


def aes256_round_keys(key):
    words, rcon = [list(key[i:i + 4]) for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        word = list(words[-1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = times(rcon, 2)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[-8], word)])
    return [sum(words[i:i + 4], []) for i in range(0, 60, 4)]


def aes256_encrypt_block(key, block):
    keys = aes256_round_keys(key)
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, round_key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]  # bytes and rows; columns are four bytes in a row
        if number < 14:
            columns = [state[i:i + 4] for i in range(0, 16, 4)]
            state = [times(c[r], 2) ^ times(c[(r + 1) % 4], 3) ^ c[(r + 2) % 4] ^ c[(r + 3) % 4] for c in columns for r in range(4)]
        state = [a ^ b for a, b in zip(state, round_key)]
    return bytes(state)


# ---- What the rest is built of (docs/wire.md 1); XChaCha20-Poly1305 as in the draft
def labelled(label, parts, key=b"", size=32):
    full = b"bulbil/1/" + label.encode()
    data = bytes([len(full)]) + full + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


def made_up(name, size):
    """Bytes that stand for random ones, different for every name."""
    stream = b""
    while len(stream) < size:
        stream += hashlib.sha256(name.encode() + struct.pack(">I", len(stream))).digest()
    return stream[:size]


def pad16(data):
    return data + bytes(-len(data) % 16)


def seal(key, nonce, associated, plain):
    stream = xchacha20_stream(key, nonce, 64 + len(plain))
    sealed = xor(plain, stream[64:])
    tag = poly1305(stream[:32], pad16(associated) + pad16(sealed) + struct.pack("<QQ", len(associated), len(sealed)))
    return sealed + tag


def check():
    h = bytes.fromhex
    # RFC 7748, section 5.2, first vector
    assert x25519(h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                  h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")) == h(
                      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    # RFC 8032, section 7.1, test 2
    seed = h("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    assert ed25519_public(seed) == h("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    assert ed25519_sign(seed, h("72")) == h("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
    # RFC 8439, sections 2.4.2 and 2.5.2
    assert chacha20_ietf(bytes(range(32)), h("000000000000004a00000000"), b"Ladies and Gentl", 1) == h("6e2e359a2568f98041ba0728dd0d6981")
    assert poly1305(h("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
                    b"Cryptographic Forum Research Group") == h("a8061dc1305136c6c22b8baf0c0127a9")
    # FIPS 197, appendix C.3
    assert aes256_encrypt_block(bytes(range(32)), h("00112233445566778899aabbccddeeff")) == h("8ea2b7ca516745bfeafc49904b496089")


check()
