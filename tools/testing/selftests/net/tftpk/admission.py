#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""How many transfers and requests there may be at one time: of all, of a client, of
a source; and what they may hold.
"""

import time

from lib import (
    CLIENTS, Code, Error, Growth, Oack, Op, ack, between, content, during, equal, fetch, idle, inside, make,
    note, request, run, same, served, settings, test, trusting,
)
from lib.forge import WIDE, answers, ask, away, crowded, guest, guests, lan, leave, stranger, strangers
from lib.host import family

FILE = make("file", content(400 * 512))
SHORT = make("short", content(3000, 2))
WINDOW = (("blksize", 1024), ("windowsize", 8))
LARGE = (("blksize", 1400), ("windowsize", 64))


def begin(client):
    """A transfer whose first window was acknowledged, as only who got it can."""
    client.open("file", *WINDOW)
    client.ack(0)
    client.blocks(1, 8)
    client.ack(8)
    client.blocks(9, 16)


def goes_on(client):
    """So it does, after any silence: meanwhile it is asked for the second window."""
    again = {packet.block for _, packet in client.arrived()}
    assert again <= {*range(9, 17)}, again
    client.ack(16)
    client.blocks(17, 24)


def held(server, number, **more):
    """So many of these."""
    clients = guests(number, server, **more)
    for client in clients:
        begin(client)
    return clients


def gets(client):
    same(SHORT, fetch(client, "short", *WINDOW))
    client.peer = None


def refused(client, reply):
    """A request gets silence, or ERROR 0 where that is set."""
    client.request("short", WINDOW)
    if reply:
        client.expect(Error, code=Code.UNDEFINED)
        client.peer = None
    client.expect_silence(0.2)


# ---- how many ----


@test("max-transfers: no more at one time, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    during(settings(max_transfers=10, reply_at_limit=reply))
    during(trusting(CLIENTS[family(server)]))
    growth = Growth()
    clients, client = held(server, 10), guest(server)
    refused(client, reply)
    growth.expect(requests_dropped=1, transfers_started=10)
    # One goes, one comes.
    leave(clients[0])
    growth.expect(transfers_active=9)
    gets(client)
    growth.expect(transfers_active=9, transfers_started=11)
    goes_on(clients[1])


@test("max-per-client: no more of one address, {0}", cases=["silence", "reply-at-limit"])
def _(server, how):
    reply = how == "reply-at-limit"
    during(settings(max_per_client=3, reply_at_limit=reply))
    growth = Growth()
    clients, client = held(server, 3), guest(server)
    refused(client, reply)
    growth.expect(requests_dropped=1)
    gets(guest(server, source=lan(server, 1)))
    # Whichever goes, one may come.
    for gone in (0, 2, 1, 1):
        leave(clients.pop(gone))
        growth.expect(transfers_active=2)
        clients += held(server, 1)
        refused(client, reply)
    growth.expect(requests_dropped=5, transfers_active=3)
    leave(*clients)
    growth.expect(transfers_active=0)
    gets(client)


def windows(server, number, validated=True, **more):
    """Clients, one after the other, and the windows that they are granted."""
    clients = guests(number, server, **more)
    granted = []
    for client in clients:
        granted.append(int(client.open("file", *LARGE)["windowsize"]))
        if validated:
            client.ack(0)
            client.block(1)
            client.ack(1)
    note(f"windows {granted}")
    return clients, granted


@test("max-pinned: beyond the budget one block at a time, and nobody is denied")
def _(server):
    during(trusting(CLIENTS[family(server)]))
    with settings(max_pinned=1):
        clients, granted = windows(server, 16)
        # The budget is 256 pages. Each of the first takes the 50 of its file.
        equal("windows", [64] * 5 + [1] * 11, granted)
        # These as well get whatever they want, block by block.
        for block in range(2, 60):
            same(FILE[(block - 1) * 1400 : block * 1400], clients[-1].block(block))
            clients[-1].ack(block)
        leave(*clients)
        idle()
        # What they held can be had again.
        clients, granted = windows(server, 1)
        equal("window", [64], granted)
        leave(*clients)
    equal("windows without that budget", [64] * 16, windows(server, 16)[1])


@test("max-pinned: who never acknowledged anything gives way")
def _(server):
    during(trusting(CLIENTS[family(server)]))
    during(settings(max_pinned=1))
    growth = Growth()
    windows(server, 16, validated=False)
    # Nobody gives way who may just be on his way.
    equal("window", [1], windows(server, 1)[1])
    equal("transfers evicted", 0, growth["transfers_evicted"])
    time.sleep(1.2)
    equal("windows", [64] * 3, windows(server, 3)[1])
    # These take the 24 of their window only: the room of two is enough for three.
    growth.expect(transfers_evicted=2, requests_dropped=0)


@test("max-unverified: the oldest one that never acknowledged a block gives way")
def _(server):
    during(settings(max_unverified=4))
    growth = Growth()
    (validated,) = held(server, 1)
    clients = guests(6, server)
    for client in clients:
        client.open("file", *WINDOW)
        if client is clients[1]:
            # This validates nothing yet.
            clients[0].ack(0)
            clients[0].blocks(1, 8)
    growth.expect(transfers_evicted=2, transfers_active=5, requests_dropped=0)
    for client in clients[:2]:
        client.ack(0)
        client.expect_silence(0.2)
    for client in clients[2:]:
        client.ack(0)
        client.blocks(1, 8)
    goes_on(validated)
    # Who is gone may ask again.
    gets(clients[0])


def first_blocks(number, server, **more):
    """Clients that ask for a file and acknowledge its first block, as long as they are
    let in.
    """
    clients = []
    for client in guests(number, server, **more):
        client.request("file")
        if client.poll(0.2) is None:
            break
        client.ack(1)
        client.block(2)
        clients.append(client)
    return clients


@test("max-transfers: once most are taken a source may have a quarter")
def _(server):
    """Nobody keeps others out by acknowledging a block now and then."""
    during(settings(max_transfers=40))
    greedy = lan(server, 40)
    taken = first_blocks(40, server, source=greedy)
    equal("transfers of one who takes all", 30, len(taken))
    equal("transfers of another", 5, len(first_blocks(5, server, source=lan(server, 41))))
    # A NAT is one source, and may be trusted.
    with trusting(f"{greedy}/{128 if ':' in server else 32}"):
        equal("transfers of one that is trusted", 5, len(first_blocks(9, server, source=greedy)))


@test("max-pinned: once most is taken a source may have a quarter")
def _(server):
    """The budget is 1,024 pages, and each takes 50."""
    during(settings(max_pinned=4))
    equal("windows of one", [64] * 15 + [1] * 5, windows(server, 20)[1])
    equal("windows of another", [64] * 5, windows(server, 5, source=lan(server, 42))[1])


@test("max-pinned: requests alone take none of it")
def _(server):
    """Anybody may have forged them."""
    during(settings(max_pinned=1))
    during(trusting(CLIENTS[family(server)]))
    for number in range(100):
        stranger(server, 100 + number).open("file", *LARGE)
    equal("windows", [64] * 5, windows(server, 5)[1])


# ---- how often ----


@test("source-burst: requests of an address at once, then source-rate", timed=True)
def _(server):
    with settings(source_burst=8, source_rate=1):
        growth, begun = Growth(), time.monotonic()
        source = lan(server, 10)
        equal("answers", 8, answers(guests(12, server, source=source)))
        growth.expect(requests_limited=4)
        # Others on the link are not concerned.
        gets(guest(server, source=lan(server, 11)))
        # One a second from then on.
        late = guest(server, source=source)
        ask(late)
        while late.poll(0.01) is None:
            ask(late)
        between("seconds until the next one", 1, time.monotonic() - begun, 1.05)
    with settings(source_burst=8, source_rate=100):
        source = lan(server, 12)
        equal("answers", 8, answers(guests(10, server, source=source)))
        # Meanwhile there is room for as many again, and no more.
        equal("answers", 8, answers(guests(10, server, source=source)))


@test("source-burst: a repeated request counts once")
def _(server):
    during(settings(source_burst=4, source_rate=1))
    one, *others = guests(7, server, source=lan(server, 20))
    for _ in range(10):
        one.send(request("short"), one.listener)
    one.block(1)
    equal("answers", 3, answers(others))


# An ERROR or an OACK is hardly larger than the request. So many go to a source at once,
# and as many in a second after that.
SMALL = 128


def small_answers(server, source, clients, how):
    """So many of these come, whatever blocks are allowed."""
    during(settings(source_burst=4, source_rate=1))
    begun = time.monotonic()
    for client in clients:
        how(client)
    took = time.monotonic() - begun
    time.sleep(0.2)
    packets = [packet for client in set(clients) for _, packet in client.arrived()]
    note(f"{len(packets)} of {len(clients)} answered, asked in {took:.2f} s")
    between("answers", SMALL, len(packets), SMALL * (1 + took) + 1)
    # Blocks are counted by themselves.
    equal("answers", 4, answers(guests(8, server, source=source)))


@test(
    "source-burst: {0} are limited apart from blocks",
    cases=[
        ("refusals", 30, lambda client, _: client.request("short", mode="mail")),
        ("ERRORs to strangers", 31, lambda client, other: client.send(ack(0), to=other.peer)),
        ("refused writes", 32, lambda client, _: client.request("short", op=Op.WRQ)),
    ],
)
def _(server, _, number, how):
    """Or else the server could be made to send ERRORs to anybody."""
    other = guest(server, source=lan(server, 33))
    begin(other)
    client = guest(server, source=lan(server, number))
    small_answers(server, lan(server, number), [client] * 400, lambda client: how(client, other))


@test(
    "source-burst: {0} are limited apart from blocks",
    cases=[("missing files", 34, "nothing", ()), ("OACKs", 35, "short", WINDOW)],
)
def _(server, _, number, name, options):
    clients = guests(400, server, source=lan(server, number))
    small_answers(server, lan(server, number), clients, lambda client: client.request(name, options))
    leave(*clients)


@test("forty files at once, of one beyond a router, each get their answer: {0}", cases=["missing", "there"])
def _(server, which):
    """Some loaders ask for dozens of names."""
    during(settings(source_burst=64, source_rate=32))
    clients = [client for _ in range(2) for client in strangers(server, 40)]
    name, options = ("nothing", ()) if which == "missing" else ("short", WINDOW)
    for client in clients:
        client.request(name, options)
    for client in clients:
        client.expect(Error, 0.2, code=Code.NOT_FOUND) if which == "missing" else client.expect(Oack, 0.2)
    leave(*clients)


@test("source-burst 0: no limit")
def _(server):
    during(settings(source_rate=1))
    equal("answers", 100, answers(guests(100, server)))


@test("source-burst: beyond a router a quarter of it, but for those trusted")
def _(server):
    during(settings(source_burst=16, source_rate=1))
    for number in (10, 11):
        equal("answers", 4, answers(strangers(server, number)))
    with trusting(WIDE[family(server)]):
        equal("answers", 16, answers(strangers(server, 12)))


@test("source-burst: beyond a router a source is a network of 64 bits", ["IPv6"])
def _(server):
    during(settings(source_burst=16, source_rate=1))
    where = away(server, 20).removesuffix("1")
    with inside("attacker"):
        clients = [guest(server, source=f"{where}{number + 1:x}") for number in range(20)]
    equal("answers", 4, answers(clients))
    with trusting(f"{where}/64"):
        equal("answers", 20, answers(clients))


@test("on the link every address counts by itself")
def _(server):
    during(settings(source_burst=1, source_rate=1))
    equal("answers", 50, answers([guest(server, source=lan(server, 100 + n)) for n in range(50)]))


run(served(), crowded())
