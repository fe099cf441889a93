"""Raw bits: keyed (`Streams`) and in sequence (`Series`)."""

from hashlib import blake2b, shake_128
from struct import Struct
from typing import Any

from twin.streams.distributions import Distribution

__all__ = ["Series", "Streams"]

_TWO_52 = 2.0**-52
_TWO_53 = 2.0**-53
_PAIR = Struct("<QQ")
_BLOCK_STEPS = 128
_BLOCK_BYTES = 16 * _BLOCK_STEPS


class Streams:
    """Draws by key, the same on every machine and in every order of asking.

    A key's parts are strings and integers; `("ab", "c")` and `("a", "bc")` differ, as do `1` and `"1"`. The
    same key gives the same luck to `bits`, `uniform` and `draw`, so name in it what the draw is for. A key
    part of another type raises `TypeError`.
    """

    __slots__ = ("_keyed", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = _checked(seed)
        # Copying a keyed hasher saves the block that the key takes: a third of the time of a draw.
        self._keyed = blake2b(digest_size=16, key=_seed_bytes(seed), person=b"twin.streams")

    def bits(self, *key: str | int) -> int:
        """64 bits, as an integer of 0 to 2**64 - 1."""
        return int.from_bytes(self._digest(key)[:8], "little")

    def uniform(self, *key: str | int) -> float:
        """A float strictly between 0 and 1, of 52 bits."""
        # The half keeps both ends out, and 53 bits hold the sum exactly.
        return ((int.from_bytes(self._digest(key)[:8], "little") >> 12) + 0.5) * _TWO_52

    def draw(self, distribution: Distribution, *key: str | int) -> int:
        """A whole number from `distribution`, in its unit.

        The inverse CDF of the first 64 bits, rounded up with the probability of its fraction by the other 64:
        the mean is kept. Negative only where the distribution's parameters reach below zero.
        """
        first, second = _PAIR.unpack(self._digest(key))
        return _rounded(distribution.inverse(((first >> 12) + 0.5) * _TWO_52), second)

    def draw_beyond(self, distribution: Distribution, floor: int, *key: str | int) -> int | None:
        """A whole number from `distribution` under the condition that it is above `floor`, in its unit.

        The inverse CDF of a uniform on what is left of the unit interval, so the same key keeps its luck: a quantile
        of what may still come. None where nothing of the distribution is above the floor.
        """
        low, high = 0.0, 1.0 - _TWO_53
        if distribution.inverse(high) <= floor:
            return None
        for _ in range(60):
            middle = (low + high) / 2
            if distribution.inverse(middle) > floor:
                high = middle
            else:
                low = middle
        left = min(high + (1.0 - high) * self.uniform(*key), 1.0 - _TWO_53)
        return max(int(distribution.inverse(left)), floor + 1)

    def series(self, name: str) -> "Series":
        """The sequence called `name`, from its beginning."""
        return Series(self.seed, name)

    def _digest(self, key: tuple[str | int, ...]) -> bytes:
        text = ""
        for part in key:
            # A part is told by its own first characters where it ends and of which type it is.
            if type(part) is str:
                text += f"{len(part)}:{part}"
            elif type(part) is int:
                text += f"{part};"
            else:
                raise TypeError(f"a key is made of strings and integers, got {part!r} in {key!r}")
        hasher = self._keyed.copy()
        hasher.update(text.encode())
        return hasher.digest()

    def __reduce__(self) -> tuple[Any, ...]:
        return Streams, (self.seed,)  # hashers do not pickle

    def __repr__(self) -> str:
        return f"Streams({self.seed})"


class Series:
    """A sequence of random numbers, fixed by seed and name alone; pickling keeps the place.

    `bits`, `uniform` and `draw`, of whatever distribution, take one step of 128 bits each, so the n-th draw
    has the same luck under another distribution. Holds a block of 2 KiB while in use.
    """

    __slots__ = ("_block", "_block_number", "name", "position", "seed")

    def __init__(self, seed: int, name: str, position: int = 0) -> None:
        if type(name) is not str:
            raise TypeError(f"a series has a string for its name, got {name!r}")
        if type(position) is not int or position < 0:
            raise ValueError(f"a position in series {name!r} is 0 or more, got {position!r}")
        self.seed = _checked(seed)
        self.name = name
        self.position = position
        self._block = b""
        self._block_number = -1

    def bits(self) -> int:
        """The next 64 bits, as an integer of 0 to 2**64 - 1."""
        return self._step()[0]

    def uniform(self) -> float:
        """The next float, strictly between 0 and 1, of 52 bits."""
        return ((self._step()[0] >> 12) + 0.5) * _TWO_52

    def draw(self, distribution: Distribution) -> int:
        """The next whole number from `distribution`, in its unit, rounded as `Streams.draw` does."""
        first, second = self._step()
        return _rounded(distribution.inverse(((first >> 12) + 0.5) * _TWO_52), second)

    def _step(self) -> tuple[int, int]:
        number, place = divmod(self.position, _BLOCK_STEPS)
        if number != self._block_number:
            self._block = _block(self.seed, self.name, number)
            self._block_number = number
        self.position += 1
        first, second = _PAIR.unpack_from(self._block, place * 16)
        return first, second

    def __reduce__(self) -> tuple[type["Series"], tuple[int, str, int]]:
        return Series, (self.seed, self.name, self.position)

    def __repr__(self) -> str:
        return f"Series({self.seed}, {self.name!r}, {self.position})"


def _checked(seed: int) -> int:
    if type(seed) is not int or not -(2**63) <= seed < 2**64:
        raise ValueError(f"a seed is an integer of at most 64 bits, got {seed!r}")
    return seed


def _seed_bytes(seed: int) -> bytes:
    return f"{seed};".encode()


def _block(seed: int, name: str, number: int) -> bytes:
    return shake_128(f"twin.series;{seed};{len(name)}:{name}{number};".encode()).digest(_BLOCK_BYTES)


def _rounded(x: float, spare: int) -> int:
    """floor(x + v), v uniform by the `spare` 64 bits; taken apart, since x + v itself rounds for large x."""
    whole = int(x // 1.0)
    return whole + 1 if (spare >> 11) * _TWO_53 < x - whole else whole
