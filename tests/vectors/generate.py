# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors beside it out of an independent reference of bulbil's constructions: python3 tests/vectors/generate.py

Standard library only. Written from docs/wire.md, not from the C++. The HPolyC of this file is itself held to the 180 vectors
of the cipher's authors before it is believed.
"""
import hashlib
import json
import os
import struct

from primitives import (L, aes256_encrypt_block, chacha20_ietf, decode, ed25519_public, ed25519_scalar_and_prefix, encode, labelled,
                        made_up, multiply, poly1305, sign_with, x25519, x25519_base, xchacha20_stream, xor)

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- HPolyC
def hpolyc_encrypt(key, tweak, message):
    derived = xchacha20_stream(key, b"\x01" + bytes(23), 48)

    def number(block):
        return int.from_bytes(block, "little")

    def digest(left):
        head = struct.pack("<I", 8 * len(tweak)) + tweak
        return number(poly1305(derived[32:] + bytes(16), head + bytes(-len(head) % 16) + left))

    left, right = message[:-16], message[-16:]
    middle = aes256_encrypt_block(derived[:32], ((number(right) + digest(left)) % 2**128).to_bytes(16, "little"))
    left = xor(left, xchacha20_stream(key, middle + b"\x01" + bytes(7), len(left)))
    return left + ((number(middle) - digest(left)) % 2**128).to_bytes(16, "little")


def check_hpolyc():
    with open(os.path.join(HERE, "hpolyc_xchacha20_aes256.json")) as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        key, tweak, plaintext = (bytes.fromhex(vector[name]) for name in ("key", "tweak", "plaintext"))
        assert hpolyc_encrypt(key, tweak, plaintext).hex() == vector["ciphertext"], vector["description"]


def hpolyc_cell():
    check_hpolyc()
    for i in range(4):
        key, tweak, plaintext = made_up(f"key {i}", 32), made_up(f"tweak {i}", 32), made_up(f"plaintext {i}", 2040)
        yield {"key": key, "tweak": tweak, "plaintext": plaintext, "ciphertext": hpolyc_encrypt(key, tweak, plaintext)}


# ---- the labelled hash
def labelled_hash():
    for label, parts, key in (("node", [], b""), ("node", [b""], b""), ("node", [b"ab", b"c"], b""), ("node", [b"a", b"bc"], b""),
                              ("loc", [made_up("part", 300)], b""), ("rekey", [], made_up("hash key", 32)),
                              ("rekey", [b"x"], made_up("hash key", 64))):
        yield {"label": label, "parts": b",".join(part.hex().encode() for part in parts).decode(), "part_count": str(len(parts)),
               "key": key, "digest": labelled(label, parts, key), "digest512": labelled(label, parts, key, 64)}


# ---- onx1
def onx1():
    for i, network in enumerate(("local", "a network of another name")):
        version, suite = struct.pack(">H", 1 + i), b"\x01"
        relay_id = ed25519_public(made_up(f"relay {i}", 32))
        b, x, y = (made_up(f"{name} {i}", 32) for name in ("b", "x", "y"))
        onion_key, client_key, relay_key = x25519_base(b), x25519_base(x), x25519_base(y)
        ver = [network.encode(), version, suite]
        phase1 = labelled("onx1 phase1", [x25519(x, onion_key), relay_id, client_key, onion_key] + ver, size=64)
        client_data = chacha20_ietf(phase1[:32], bytes(12), bytes(16))
        mac = labelled("onx1 client mac", [relay_id, onion_key, client_key, client_data], key=phase1[32:])
        skin = suite + relay_id + onion_key + client_key + client_data + mac

        seed = labelled("onx1 seed", [x25519(y, client_key), x25519(b, client_key), relay_id, onion_key, client_key, relay_key] + ver, size=64)
        server_data = chacha20_ietf(labelled("onx1 server data", [], key=seed), bytes(12), bytes(16))
        auth = labelled("onx1 server", [relay_id, onion_key, relay_key, client_key, mac, server_data], key=labelled("onx1 verify", [], key=seed))
        yield {"network": network, "protocol_version": str(1 + i), "relay_id": relay_id, "relay_onion_secret": b,
               "client_ephemeral_secret": x, "relay_ephemeral_secret": y, "onion_skin": skin, "reply": relay_key + auth + server_data,
               "forward_key": labelled("onx1 forward key", [], key=seed), "backward_key": labelled("onx1 backward key", [], key=seed),
               "forward_tweak": labelled("onx1 forward tweak", [], key=seed)[:16],
               "backward_tweak": labelled("onx1 backward tweak", [], key=seed)[:16],
               "channel_binding": labelled("onx1 channel binding", [], key=seed)}


# ---- keys blinded for a day
def blinded_keys():
    for i, (network, day) in enumerate((("local", 0), ("local", 20780), ("local", 20781), ("other", 20780), ("local", 2**63 + 5))):
        seed, message, chance = made_up("identity", 32), made_up(f"message {i}", 40 * i), made_up(f"chance {i}", 32)
        scalar, prefix = ed25519_scalar_and_prefix(seed)
        public = ed25519_public(seed)
        factor = int.from_bytes(labelled("door", [network.encode(), public, struct.pack("<Q", day)], size=64), "little") % L
        blinded = encode(multiply(factor, decode(public)))
        blinded_prefix = labelled("blind-nonce", [network.encode(), blinded], key=prefix, size=64)[:32]
        nonce = int.from_bytes(hashlib.sha512(blinded_prefix + chance + message).digest(), "little") % L
        yield {"network": network, "day": str(day), "seed": seed, "public_key": public, "blinded_key": blinded, "random": chance,
               "message": message, "signature": sign_with(factor * scalar % L, nonce, blinded, message)}


# ---- addresses and secret keys as text: bech32m (BIP 350)
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def polymod(values):
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    return check


def bech32m(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    groups = [int(bits[i:i + 5], 2) for i in range(0, len(bits), 5)]
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod(head + groups + [0] * 6) ^ 0x2BC830A3
    return prefix + "1" + "".join(CHARSET[g] for g in groups + [check >> 5 * (5 - i) & 31 for i in range(6)])


def addresses():
    for i in range(4):
        seed = made_up(f"owner {i}", 32)
        public = ed25519_public(seed)
        yield {"seed": seed, "public_key": public, "address": bech32m("bulb", b"\0" + public),
               "secret": bech32m("bulb-secret-key-", b"\0" + seed).upper()}


def write(name, vectors):
    texts = [{field: value if isinstance(value, str) else value.hex() for field, value in vector.items()} for vector in vectors]
    with open(os.path.join(HERE, name + ".json"), "w") as file:
        json.dump({"source": "tests/vectors/generate.py", "vectors": texts}, file, indent=0)
        file.write("\n")


for name, make in (("hpolyc_cell", hpolyc_cell), ("labelled_hash", labelled_hash), ("onx1", onx1), ("blinded_keys", blinded_keys),
                   ("addresses", addresses)):
    write(name, make())
