# SPDX-License-Identifier: Apache-2.0
"""Makes doors.json beside it out of an independent reference of doors, envelopes, notes and tombstones:
python3 tests/chat/vectors/generate.py

Standard library only, and the plain-Python primitives of tests/vectors. Written from docs/wire.md, not from the C++.
"""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "vectors"))
from primitives import (L, P, decode, ed25519_public, ed25519_scalar_and_prefix, ed25519_sign, encode, labelled, made_up,  # noqa: E402
                        multiply, seal, sign_with, x25519, x25519_base)

DAY_SECONDS = 86400
ENVELOPE, TOMBSTONE = 2, 5


def u64(number):
    return struct.pack(">Q", number)


def blinding(network, public, day):
    return int.from_bytes(labelled("door", [network, public, struct.pack("<Q", day)], size=64), "little") % L


def montgomery(public):
    """The X25519 twin of an Ed25519 key: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


def fragments(text, note_id, hour, network, recipient, sender_seed):
    kind = 2 if sender_seed else 1
    sender = b""
    if sender_seed:
        digest = labelled("note-sig", [network, recipient, note_id, labelled("note-text", [text])])
        sender = ed25519_public(sender_seed) + ed25519_sign(sender_seed, digest)
    pieces, rest = [], text
    while not pieces or rest:
        room = 1807 - 25 - (len(sender) if not pieces else 0)
        pieces.append(rest[:room])
        rest = rest[room:]
    for index, piece in enumerate(pieces):
        head = note_id + struct.pack(">BBHIB", index, len(pieces), len(piece), hour, kind)
        plain = head + (sender if index == 0 else b"") + piece
        yield plain + bytes(1807 - len(plain))


def doors():
    cases = [("local", 20780, 0, 0, b"a", False), ("local", 20781, 1, 7, "gr\u00fc\u00dfe \U0001f9c5".encode(), True),
             ("other", 0, 2, 2**32 - 1, made_up("long", 3000), True)]
    for number, (network, day, place, effort, text, is_signed) in enumerate(cases):
        network = network.encode()
        seed, sender_seed = made_up("reader", 32), made_up("writer", 32)
        public = ed25519_public(seed)
        scalar, _ = ed25519_scalar_and_prefix(seed)
        factor = blinding(network, public, day)
        blinded = encode(multiply(factor, decode(public)))
        point = labelled("loc", [blinded, u64(day), bytes([place])])
        note_id, hour = made_up(f"note {number}", 16), 480000 + number
        plain = list(fragments(text, note_id, hour, network, public, sender_seed if is_signed else None))
        secret = made_up(f"ephemeral {number}", 32)
        ephemeral = x25519_base(secret)
        key = labelled("note", [network, ephemeral, public, blinded], key=x25519(secret, montgomery(public)))
        sealed = b"\x01" + ephemeral + seal(key, bytes(24), b"\x01", plain[-1])
        stamp = made_up(f"stamp {number}", 16)
        body = blinded + struct.pack(">IBI", day, place, effort) + stamp + sealed
        envelope_id = labelled("envelope-id", [bytes([ENVELOPE]), point, u64(day), body])
        ids = sorted([envelope_id, made_up("another id", 32)])
        digest = labelled("door-del", [network, blinded, u64(day), bytes([place]), b"".join(ids)])
        nonce = int.from_bytes(made_up(f"nonce {number}", 64), "little") % L
        tombstone = blinded + struct.pack(">IBB", day, place, len(ids)) + b"".join(ids)
        tombstone += sign_with(factor * scalar % L, nonce, blinded, digest)
        yield {"network": network.decode(), "seed": seed, "sender_seed": sender_seed, "signed": str(int(is_signed)),
               "day": str(day), "place": str(place), "effort": str(effort), "stamp": stamp, "blinded_key": blinded, "point": point,
               "note_id": note_id, "sent_hour": str(hour), "text": text, "count": str(len(plain)),
               "first_fragment": plain[0], "last_fragment": plain[-1], "ephemeral_secret": secret, "sealed": sealed,
               "first_place": str(labelled("first", [sealed])[0] % 3),
               "body": body, "id": envelope_id, "expiry": str((day + 15) * DAY_SECONDS),
               "lot": labelled("rank", [u64(day), envelope_id]), "tombstone": tombstone,
               "tombstone_id": labelled("tombstone-id", [bytes([TOMBSTONE]), point, u64(day), tombstone]),
               "tombstone_expiry": str((day + 16) * DAY_SECONDS)}


def main():
    texts = [{field: value if isinstance(value, str) else value.hex() for field, value in vector.items()} for vector in doors()]
    with open(os.path.join(HERE, "doors.json"), "w", encoding="ascii") as file:
        json.dump({"source": "tests/chat/vectors/generate.py", "vectors": texts}, file, indent=0)
        file.write("\n")


main()
