"""How peers misbehave: each is a talk with the gateway, and what is to come of it if nobody else has the metadata."""

from __future__ import annotations

import hashlib
import socket
import struct
import time
from collections.abc import Callable, Iterable

from hostile_peer import BLOCK, EXTENDED, OWN_METADATA, PROTOCOL, REJECT, Talk
from hostile_torrents import MIB, Raw, bencode

Manner = Callable[[Talk], None]
# What is to come of it. Wrong bytes may spoil what others send: libtorrent cannot tell whose they were, and asks none
# of them again for a while. Data that is right may be used although it comes in a way that is not.
NOTHING, SPOILT, FOUND, EITHER = "nothing", "spoilt", "found", "either"

NOISE = hashlib.sha512(b"noise").digest()


def silent(talk: Talk) -> None:
    """Hears all, until the other side hangs up."""
    for _ in talk.messages():
        pass


def claiming(size: object, **keys) -> Manner:
    """Says that the metadata has this size, and sends it as it is."""

    def manner(talk: Talk) -> None:
        talk.greet()
        talk.introduce(size, **keys)
        for piece in talk.asked():
            talk.data(piece, **({"total_size": size} if isinstance(size, int) else {}))
    return manner


def off_by(difference: int) -> Manner:
    return lambda talk: claiming(len(talk.info) + difference)(talk)


def answering(answer: Callable[[Talk, int], None], *, size: object = None) -> Manner:
    """Answers a request in its own way."""

    def manner(talk: Talk) -> None:
        talk.greet()
        talk.introduce(size)
        for piece in talk.asked():
            answer(talk, piece)
    return manner


def opening(raw: bytes | Iterable[bytes]) -> Manner:
    """Answers the handshake with this, and is silent then."""

    def manner(talk: Talk) -> None:
        for part in [raw] if isinstance(raw, bytes) else raw:
            talk.send(part)
        silent(talk)
    return manner


def introducing(payload: bytes | None = None, **keys) -> Manner:
    """Introduces itself with this, or with what is right but for some keys; then answers as is right."""

    def manner(talk: Talk) -> None:
        talk.greet()
        said = {"m": {"ut_metadata": OWN_METADATA}, "metadata_size": len(talk.info), **keys}
        talk.extended(0, bencode(said) if payload is None else payload)
        talk.answer()
    return manner


def after_greeting(act: Callable[[Talk], None]) -> Manner:
    def manner(talk: Talk) -> None:
        talk.greet()
        act(talk)
        silent(talk)
    return manner


def after_introduction(act: Callable[[Talk], None]) -> Manner:
    def manner(talk: Talk) -> None:
        talk.greet()
        talk.introduce()
        act(talk)
        talk.answer()
    return manner


def wrong(talk: Talk, piece: int) -> None:
    talk.data(piece, bytes(byte ^ 1 for byte in talk.part(piece)))


def another(talk: Talk, piece: int) -> None:
    talk.data(piece, talk.part(0))


def last_wrong(talk: Talk, piece: int) -> None:
    (wrong if piece == talk.count - 1 else Talk.data)(talk, piece)


def hanging_up(talk: Talk, piece: int) -> None:
    """Behind a piece and the half of one."""
    if piece == 0:
        return talk.data(0)
    talk.send((BLOCK + 40).to_bytes(4, "big") + bytes([EXTENDED, talk.numbers["ut_metadata"]]) + talk.part(piece)[:99])
    talk.connection.shutdown(socket.SHUT_RDWR)


def resetting(talk: Talk, _: int) -> None:
    talk.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise OSError("the connection is reset")


def slowly(talk: Talk, _: int) -> None:
    """A byte now and then of a piece that would be right."""
    talk.send((BLOCK + 45).to_bytes(4, "big") + bytes([EXTENDED, talk.numbers["ut_metadata"]]))
    while True:
        talk.send(b"d")
        time.sleep(0.2)


def raw_data(head: bytes) -> Callable[[Talk, int], None]:
    return lambda talk, piece: talk.extended(talk.numbers["ut_metadata"], head + talk.part(piece))


def rejecting(talk: Talk, piece: int) -> None:
    talk.extended(talk.numbers["ut_metadata"], bencode({"msg_type": REJECT, "piece": piece}))


def unasked(talk: Talk) -> None:
    """All of the metadata at once, and a little more."""
    for piece in [*range(talk.count), talk.count, -1, 1 << 31]:
        talk.data(piece, talk.part(0) if piece not in range(talk.count) else None)


def unasked_megabytes(talk: Talk) -> None:
    for piece in range(600):
        talk.data(piece, bytes(BLOCK), total_size=8 * MIB)


def asking(talk: Talk) -> None:
    """For what the gateway has not, many times; it may well hang up."""
    ask = [bencode({"msg_type": 0, "piece": piece}) for piece in (0, 1, -1, 1 << 31, (1 << 63) - 1)]
    for number in range(5000):
        talk.extended(talk.numbers["ut_metadata"], ask[number % len(ask)])


def introducing_often(talk: Talk) -> None:
    for number in range(5000):
        talk.extended(0, bencode({"m": {"ut_metadata": OWN_METADATA}, "metadata_size": number * 7919}))


def thrice(talk: Talk, piece: int) -> None:
    for _ in range(3):
        talk.data(piece)


def backwards(talk: Talk) -> None:
    """The pieces in the order in which nobody asked for them."""
    talk.greet()
    talk.introduce()
    held: list[int] = []
    for piece in talk.asked():
        held.append(piece)
        if len(held) == 2 or piece == talk.count - 1:
            while held:
                talk.data(held.pop())


def late(talk: Talk) -> None:
    time.sleep(0.3)
    talk.greet()
    time.sleep(0.3)
    talk.introduce()
    talk.send(bytes(4 * 100))  # to be kept alive
    talk.answer()


def twice(talk: Talk) -> None:
    """Introduces itself twice: only the second time it says what it has."""
    talk.greet()
    talk.extended(0, bencode({"m": {}}))
    talk.introduce()
    talk.answer()


def flood() -> Iterable[bytes]:
    for _ in range(50):
        yield NOISE * (MIB // len(NOISE))


HUGE = (1 << 63) - 1

MANNERS: dict[str, tuple[Manner, str]] = {
    # What it says of the size.
    "the size is 0": (claiming(0), NOTHING),
    "the size is negative": (claiming(-1), NOTHING),
    "the size is -2^31": (claiming(-(1 << 31)), NOTHING),
    "the size is 2^31": (claiming(1 << 31), NOTHING),
    "the size is 2^32 and the right one": (off_by(1 << 32), EITHER),
    "the size is 2^63 - 1": (claiming(HUGE), NOTHING),
    "the size is more than 64 bits": (claiming(Raw(b"i" + b"9" * 40 + b"e")), NOTHING),
    "the size is 1 GB": (claiming(1_000_000_000), NOTHING),
    "the size is a byte above 8 MiB": (claiming(8 * MIB + 1), NOTHING),
    "the size is 8 MiB, and no piece follows": (answering(lambda *_: None, size=8 * MIB), NOTHING),
    "the size is a string": (claiming(b"1000"), EITHER),
    "the size is a list": (claiming([1]), EITHER),
    "the size is missing": (claiming("absent"), EITHER),
    "the size is a byte too small": (off_by(-1), SPOILT),
    "the size is a byte too large": (off_by(1), SPOILT),
    "the size is a piece too small": (off_by(-BLOCK), SPOILT),
    "the size is a piece too large": (off_by(BLOCK), SPOILT),
    # What it sends as pieces.
    "every piece is wrong": (answering(wrong), SPOILT),
    "the last piece is wrong": (answering(last_wrong), SPOILT),
    "each piece is the first": (answering(another), SPOILT),
    "each piece is called the next": (answering(lambda talk, piece: talk.data(piece + 1, talk.part(piece))), SPOILT),
    "each piece is called -1": (answering(lambda talk, piece: talk.data(-1, talk.part(piece))), NOTHING),
    "each piece is called -2^31": (answering(lambda talk, piece: talk.data(-(1 << 31), talk.part(piece))), NOTHING),
    "each piece is called 2^31": (answering(lambda talk, piece: talk.data(1 << 31, talk.part(piece))), NOTHING),
    "each piece is called 2^63 - 1": (answering(lambda talk, piece: talk.data(HUGE, talk.part(piece))), NOTHING),
    "pieces say of another size": (answering(lambda talk, piece: talk.data(piece, total_size=99)), NOTHING),
    "pieces say of a size of 0": (answering(lambda talk, piece: talk.data(piece, total_size=0)), NOTHING),
    "pieces say of a negative size": (answering(lambda talk, piece: talk.data(piece, total_size=-5)), NOTHING),
    "pieces say of 2^31 bytes": (answering(lambda talk, piece: talk.data(piece, total_size=1 << 31)), NOTHING),
    "pieces say of no size": (answering(lambda talk, piece: talk.data(piece, total_size="absent")), EITHER),
    "pieces are cut off": (answering(lambda talk, piece: talk.data(piece, talk.part(piece)[:100])), SPOILT),
    "pieces are empty": (answering(lambda talk, piece: talk.data(piece, b"")), SPOILT),
    "pieces are too long": (answering(lambda talk, piece: talk.data(piece, talk.part(piece) + bytes(900_000))), EITHER),
    "pieces are of a kind that is none": (answering(lambda talk, piece: talk.data(piece, msg_type=99)), NOTHING),
    "pieces are of a negative kind": (answering(lambda talk, piece: talk.data(piece, msg_type=-1)), NOTHING),
    "pieces have an empty head": (answering(raw_data(b"de")), NOTHING),
    "pieces have no head": (answering(raw_data(b"")), NOTHING),
    "pieces have a list as their head": (answering(raw_data(b"le")), NOTHING),
    "pieces have a head without an end": (answering(raw_data(b"d8:msg_type")), NOTHING),
    "pieces have a head 100,000 deep": (answering(raw_data(b"l" * 100_000)), NOTHING),
    "every request is rejected": (answering(rejecting), NOTHING),
    "pieces that nobody asked for": (after_introduction(unasked), EITHER),
    "pieces that nobody asked for, without an introduction": (after_greeting(unasked), EITHER),
    "10 MB that nobody asked for": (after_introduction(unasked_megabytes), EITHER),
    "pieces come three times": (answering(thrice), FOUND),
    "pieces come in another order": (backwards, FOUND),
    "pieces come late, among keep-alives": (late, FOUND),
    "it introduces itself twice": (twice, EITHER),
    "unknown keys in the introduction": (claiming(None, x=[{"y": -1}], p=HUGE, e=1, yourip=b"xyz"), FOUND),
    "unknown keys in the pieces": (answering(lambda talk, piece: talk.data(piece, a=[1], zz={"q": b""})), FOUND),
    # When it says nothing, or no more.
    "nothing comes": (silent, NOTHING),
    "nothing comes behind the handshake": (lambda talk: (talk.greet(), silent(talk)), NOTHING),
    "nothing comes behind the introduction": (answering(lambda *_: None), NOTHING),
    "it hangs up at once": (lambda _: None, NOTHING),
    "it hangs up in the handshake": (lambda talk: talk.send(PROTOCOL), NOTHING),
    "it hangs up behind the handshake": (Talk.greet, NOTHING),
    "it hangs up behind the introduction": (lambda talk: (talk.greet(), talk.introduce()), NOTHING),
    "it hangs up within a piece": (answering(hanging_up), NOTHING),
    "it resets the connection when asked": (answering(resetting), NOTHING),
    "a byte comes now and then": (answering(slowly), NOTHING),
    # What is no such talk at all.
    "another protocol": (opening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), NOTHING),
    "a protocol's name of 255 bytes": (opening(b"\xff" + bytes(400)), NOTHING),
    "the handshake of another torrent": (lambda talk: (talk.greet(bytes(range(20))), silent(talk)), NOTHING),
    "50 MB of noise": (opening(flood()), NOTHING),
    "a message of 4 GiB": (after_greeting(lambda talk: talk.send(b"\xff\xff\xff\xff\x14\x00")), NOTHING),
    "a message of 2 GiB": (after_greeting(lambda talk: talk.send(b"\x7f\xff\xff\xff\x14\x00")), NOTHING),
    "a message of 1 MiB without its end": (after_greeting(lambda talk: talk.send(b"\0\x10\0\0\x14\0")), NOTHING),
    "an extended message of no bytes": (after_greeting(lambda talk: talk.message(EXTENDED)), NOTHING),
    "extended messages of every number": (
        after_introduction(lambda talk: [talk.extended(number, NOISE) for number in range(4, 256)]), EITHER),
    "messages of every kind, empty": (
        after_introduction(lambda talk: [talk.message(kind) for kind in range(256)]), EITHER),
    "messages of every kind, noise": (
        after_introduction(lambda talk: [talk.message(kind, NOISE) for kind in range(21, 256)]), EITHER),
    "5,000 requests for what it must not have": (after_introduction(asking), EITHER),
    "5,000 introductions": (after_greeting(introducing_often), NOTHING),
    # Introductions.
    "the introduction is empty": (introducing(b""), NOTHING),
    "the introduction is noise": (introducing(NOISE), NOTHING),
    "the introduction is a number": (introducing(b"i1e"), NOTHING),
    "the introduction is a list": (introducing(b"le"), NOTHING),
    "the introduction is an empty dictionary": (introducing(b"de"), NOTHING),
    "the introduction is cut off": (introducing(b"d1:md11:ut_metadatai3ee13:metadata_sizei9999e"), NOTHING),
    "the introduction is 100,000 deep": (introducing(b"d1:a" + b"l" * 100_000), NOTHING),
    "the introduction has 100,000 values": (introducing(b"d1:al" + b"0:" * 100_000 + b"ee"), NOTHING),
    "the introduction has a string beyond its end": (introducing(b"d1:a999999999:x"), NOTHING),
    "the introduction is 900 kB": (introducing(v=b"v" * 900_000), EITHER),
    "the introduction names extensions by numbers": (introducing(m=[1, 2]), NOTHING),
    "the introduction has extensions of strings": (introducing(m={"ut_metadata": b"3"}), NOTHING),
    "the introduction has ut_metadata as 0": (introducing(m={"ut_metadata": 0}), NOTHING),
    "the introduction has ut_metadata as -1": (introducing(m={"ut_metadata": -1}), NOTHING),
    "the introduction has ut_metadata as 2^31": (introducing(m={"ut_metadata": 1 << 31}), NOTHING),
    "the introduction has odd values": (
        introducing(reqq=-1, p=-1, yourip=b"x" * 5, ipv4=b"y", ipv6=b"z" * 15, v=7, complete_ago=HUGE), EITHER),
}
