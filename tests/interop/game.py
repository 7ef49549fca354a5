"""The game server against UDP sockets of Python."""

import os
import socket
import struct

from harness import DEADLINE, example, main, test

NOBODY = 255


class Player:
    """A player by hand, as examples/game.h describes it."""

    def __init__(self, server, name):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((server.host, server.port))
        self.name, self.tick = name, 0

    def joins(self):
        self.socket.send(b"J" + self.name.encode())
        return self.hears()

    def goes(self, dx, dy):
        self.socket.send(struct.pack("!cbb", b"I", dx, dy))

    def hears(self):
        """The next snapshot: the coin's place, and number, score and place of each player, ourselves first."""
        snapshot = self.socket.recv(2000)
        kind, tick, coin_x, coin_y, winner, count = struct.unpack_from("!cIBBBB", snapshot)
        assert kind == b"S" and len(snapshot) == 9 + 4 * count and tick > self.tick and winner == NOBODY, snapshot
        self.tick = tick
        return (coin_x, coin_y), [struct.unpack_from("!BBBB", snapshot, 9 + 4 * i) for i in range(count)]


def server():
    return example("game_server", "udp://127.0.0.1:0")


@test
def a_player_moves():
    with server() as game:
        player = Player(game, "ann")
        _, [(_, _, x, y)] = player.joins()
        player.goes(1, 1)
        places = [(x, y)]
        while places[-1][0] < x + 12:
            _, [(_, _, *place)] = player.hears()
            places.append(tuple(place))
        assert all(b[0] - a[0] == b[1] - a[1] and b[0] - a[0] in (0, 4) for a, b in zip(places, places[1:])), places


@test
def players_see_each_other():
    with server() as game:
        players = [Player(game, name) for name in ("ann", "bob", "tom")]
        for player in players:
            player.joins()
        for player in players:
            while len(player.hears()[1]) < 3:
                pass
        seen = [player.hears()[1] for player in players]
        assert sorted(mine[0][0] for mine in seen) == [0, 1, 2], seen


@test
def the_fifth_plays_in_another_match():
    with server() as game:
        players = [Player(game, f"player{number}") for number in range(5)]
        for player in players:
            player.joins()
        while len(players[3].hears()[1]) < 4:
            pass
        assert len(players[4].hears()[1]) == 1


@test
def a_bot_of_ours_plays_with_us():
    with server() as game, example("game_server", game.address, "bot", announces=None):
        player = Player(game, "ann")
        _, players = player.joins()
        while not any(score > 0 for _, score, _, _ in players[1:]):
            _, players = player.hears()


def garbage(player):
    for text in (b"", b"J", b"J" + b"x" * 16, b"Ja\0b", b"I", b"I\1", b"I\1\1\1", b"S" * 30, b"?", os.urandom(1400), b"J" * 60_000):
        player.socket.send(text)


@test
def garbage_is_ignored():
    with server() as game:
        stranger, player = Player(game, "stranger"), Player(game, "ann")
        player.joins()
        garbage(stranger)
        garbage(player)
        _, before = player.hears()
        for _ in range(5):
            _, after = player.hears()
        assert len(after) == 1 and after == before, (before, after)


main()
