# SPDX-License-Identifier: Apache-2.0
"""Makes sessions.json, boxes.json and bundles.json beside it out of an independent reference of handshakes, ratchets, private
boxes and bundles: python3 tests/chat/vectors/sessions.py

Standard library only, and the plain-Python primitives of tests/vectors. Written from docs/wire.md and the Signal specifications
of X3DH and of the Double Ratchet with header encryption, not from the C++.
"""
import hashlib
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "vectors"))
from primitives import (L, P, decode, ed25519_public, ed25519_scalar_and_prefix, ed25519_sign, encode, labelled, made_up,  # noqa: E402
                        multiply, seal, sign_with, x25519, x25519_base, xchacha20_stream, xor)

DAY_SECONDS = 86400
BUNDLE, BOX = 3, 4


def unseal(key, nonce, associated, sealed):
    """The text, or None."""
    text = xor(sealed[:-16], xchacha20_stream(key, nonce, 64 + len(sealed) - 16)[64:])
    return text if seal(key, nonce, associated, text) == sealed else None


ZERO = bytes(24)


def twin_public(public):
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


def twin_secret(seed):
    return ed25519_scalar_and_prefix(seed)[0].to_bytes(32, "little")


# ---- X3DH
def x3dh(network, initiator, responder, public_part, dhs, psk):
    e, s, o = (public_part[i:i + 32] for i in (0, 32, 64))
    sk = labelled("x3dh", [network, initiator, responder, e, s, o] + dhs + [psk], size=64)
    labels = {"root": "x3dh root", "header_key": "x3dh header", "next_header_key": "x3dh next header",
              "forward_places": "boxchain forward", "backward_places": "boxchain backward"}
    secrets = {name: labelled(label, [], key=sk) for name, label in labels.items()}
    secrets["associated"] = labelled("x3dh associated", [network, initiator, responder])
    return secrets


def start(network, own_seed, peer, spk, opk, psk, ephemeral):
    e = x25519_base(ephemeral)
    public_part = e + spk + (opk or bytes(32))
    dhs = [x25519(twin_secret(own_seed), spk), x25519(ephemeral, twin_public(peer)), x25519(ephemeral, spk),
           x25519(ephemeral, opk) if opk else b""]
    own = ed25519_public(own_seed)
    sender_key = labelled("x3dh sender", [network, peer, e, spk, opk or bytes(32)] + dhs[1:])
    return public_part + seal(sender_key, ZERO, public_part, own), x3dh(network, own, peer, public_part, dhs, psk)


# ---- the Double Ratchet with header encryption, after the pseudocode of its specification, section 4.2
class Ratchet:
    def step(self, dh):
        s = labelled("ratchet root step", [dh], key=self.rk, size=64)
        self.rk = labelled("ratchet root", [], key=s)
        return labelled("ratchet chain", [], key=s), labelled("ratchet next header", [], key=s), labelled("boxchain", [], key=s)

    @classmethod
    def alice(cls, secrets, spk, random):
        self = cls()
        self.rk, self.dhs, self.dhr = secrets["root"], random, spk
        self.cks, self.nhks, self.send_places = self.step(x25519(self.dhs, spk))
        self.hks, self.nhkr, self.hkr, self.ckr = secrets["header_key"], secrets["next_header_key"], None, None
        self.ns = self.nr = self.pn = 0
        self.receive_places, self.skipped = bytes(32), {}
        return self

    @classmethod
    def bob(cls, secrets, spk_secret):
        self = cls()
        self.rk, self.dhs, self.dhr = secrets["root"], spk_secret, None
        self.cks = self.ckr = self.hks = self.hkr = None
        self.nhks, self.nhkr = secrets["next_header_key"], secrets["header_key"]
        self.ns = self.nr = self.pn = 0
        self.send_places = self.receive_places = bytes(32)
        self.skipped = {}
        return self

    @staticmethod
    def advance(chain):
        return labelled("ratchet chain step", [], key=chain), labelled("ratchet message", [], key=chain)

    def encrypt(self, associated, text, nonce):
        self.cks, mk = self.advance(self.cks)
        header = x25519_base(self.dhs) + struct.pack(">II", self.pn, self.ns)
        head = nonce + seal(self.hks, nonce, associated, header)
        self.ns += 1
        return head + seal(mk, ZERO, associated + head, text)

    def skip(self, until):
        while self.ckr and self.nr < until:
            self.ckr, mk = self.advance(self.ckr)
            self.skipped[self.hkr, self.nr] = mk
            self.nr += 1

    def decrypt(self, associated, sealed, random):
        head, body = sealed[:80], sealed[80:]

        def header_under(key):
            return key and unseal(key, head[:24], associated, head[24:])

        for (hk, number), mk in list(self.skipped.items()):
            header = header_under(hk)
            if header and struct.unpack(">I", header[36:])[0] == number:
                del self.skipped[hk, number]
                return unseal(mk, ZERO, associated + head, body)
        header = header_under(self.hkr)
        if not header:
            header = header_under(self.nhkr)
            self.skip(struct.unpack(">I", header[32:36])[0])
            self.pn, self.ns, self.nr = self.ns, 0, 0
            self.hks, self.hkr, self.dhr = self.nhks, self.nhkr, header[:32]
            self.ckr, self.nhkr, self.receive_places = self.step(x25519(self.dhs, self.dhr))
            self.dhs = random
            self.cks, self.nhks, self.send_places = self.step(x25519(self.dhs, self.dhr))
        self.skip(struct.unpack(">I", header[36:])[0])
        self.ckr, mk = self.advance(self.ckr)
        self.nr += 1
        return unseal(mk, ZERO, associated + head, body)


# Who sends, and in which order what was sent arrives: A and B send; a and b receive the message of that number.
SCRIPT = "A0 b0 B1 a1 A2 A3 A4 b4 b2 B5 B6 a6 A7 b3 b7 a5 B8 a8 A9 b9".split()


def sessions():
    for case, (network, with_opk, with_psk) in enumerate(((b"local", True, False), (b"local", False, False), (b"other", False, True))):
        def chance(name):
            return made_up(f"{name} of session {case}", 32)
        seeds = chance("initiator"), chance("responder")
        spk_secret, opk_secret = chance("signed prekey"), chance("one-time prekey")
        opk = x25519_base(opk_secret) if with_opk else None
        psk = chance("psk") if with_psk else b""
        ephemeral, first = chance("ephemeral"), chance("first ratchet key")
        head, secrets = start(network, seeds[0], ed25519_public(seeds[1]), x25519_base(spk_secret), opk, psk, ephemeral)
        yield {"kind": "start", "network": network.decode(), "initiator_seed": seeds[0], "responder_seed": seeds[1],
               "signed_prekey_secret": spk_secret, "one_time_secret": opk_secret if with_opk else b"", "psk": psk,
               "ephemeral_secret": ephemeral, "first_ratchet_secret": first, "head": head, **secrets}
        alice, bob = Ratchet.alice(secrets, x25519_base(spk_secret), first), Ratchet.bob(secrets, spk_secret)
        sent, associated = {}, secrets["associated"]
        for move in SCRIPT:
            number, random = int(move[1:]), made_up(f"session {case} move {move}", 32)
            state = alice if move[0] in "Aa" else bob
            text = made_up(f"text {case} {number}", 40 * number)
            if move[0] in "AB":
                sent[number] = state.encrypt(associated, text, random[:24])
                yield {"kind": "send", "who": move[0], "random": random[:24], "text": text, "sealed": sent[number],
                       "send_places": state.send_places}
            else:
                assert state.decrypt(associated, sent[number], random) == text
                yield {"kind": "receive", "who": move[0].upper(), "random": random, "text": text, "sealed": sent[number],
                       "receive_places": state.receive_places, "skipped": str(len(state.skipped))}


# ---- boxes
def boxes():
    for case, (network, count, day) in enumerate(((b"local", 0, 20800), (b"local", 1, 20801), (b"other", 9, 0))):
        first = made_up(f"chain {case}", 32)
        chain = first
        for _ in range(count):
            chain = labelled("next", [], key=chain)
        seed = labelled("box", [], key=chain)
        public = ed25519_public(seed)
        sealed, expiry, place = made_up(f"sealed {case}", 1856), struct.pack(">Q", day * DAY_SECONDS), case
        body = public + bytes([place]) + expiry + sealed + ed25519_sign(seed, labelled("box", [network, public, expiry, sealed]))
        point = labelled("loc", [public, bytes([place])])
        yield {"network": network.decode(), "chain": first, "index": str(count), "seed": seed, "box_key": public, "sealed": sealed,
               "expiry": str(day * DAY_SECONDS), "place": str(place), "body": body, "point": point,
               "first_place": str(labelled("first", [public])[0] % 3), "id": labelled("box-id", [bytes([BOX]), point, body])}


# ---- bundles
def bundles():
    for case, (network, day, place, version, count) in enumerate(((b"local", 20780, 0, 5, 16), (b"local", 20781, 1, 2**40, 0),
                                                                  (b"other", 1, 2, 77, 3))):
        seed, chance, nonce = made_up("owner", 32), made_up(f"signing chance {case}", 32), made_up(f"bundle nonce {case}", 24)
        public = ed25519_public(seed)
        scalar, prefix = ed25519_scalar_and_prefix(seed)
        factor = int.from_bytes(labelled("door", [network, public, struct.pack("<Q", day)], size=64), "little") % L
        blinded = encode(multiply(factor, decode(public)))
        prekeys = [made_up(f"prekey {case} {i}", 32) for i in range(1 + count)]
        fields = prekeys[0] + struct.pack(">IB", 64 + case, count) + b"".join(prekeys[1:]) + bytes(32 * (16 - count))
        contents = fields + ed25519_sign(seed, labelled("bundle-sig", [network, public, fields]))
        head = blinded + struct.pack(">IBQ", day, place, version)
        day8 = struct.pack(">Q", day)
        signed = head + nonce + seal(labelled("bundle", [network, public, day8]), nonce, head, contents)
        message = labelled("bundle-rec", [network, signed])
        blinded_prefix = labelled("blind-nonce", [network, blinded], key=prefix, size=64)[:32]
        number = int.from_bytes(hashlib.sha512(blinded_prefix + chance + message).digest(), "little") % L
        body = signed + sign_with(factor * scalar % L, number, blinded, message)
        point = labelled("pre", [blinded, day8, bytes([place])])
        yield {"network": network.decode(), "seed": seed, "day": str(day), "place": str(place), "version": str(version),
               "door_effort": str(64 + case), "prekeys": b"".join(prekeys), "random": nonce + chance, "body": body, "point": point,
               "id": labelled("bundle-id", [bytes([BUNDLE]), point, body]), "expiry": str((day + 2) * DAY_SECONDS)}


def main():
    for name, make in (("sessions", sessions), ("boxes", boxes), ("bundles", bundles)):
        texts = [{field: value if isinstance(value, str) else value.hex() for field, value in vector.items()} for vector in make()]
        with open(os.path.join(HERE, name + ".json"), "w", encoding="ascii") as file:
            json.dump({"source": "tests/chat/vectors/sessions.py", "vectors": texts}, file, indent=0)
            file.write("\n")


main()
