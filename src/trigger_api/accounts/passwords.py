"""Passwords: argon2, in a thread of its own."""

from __future__ import annotations

import unicodedata

from pwdlib import PasswordHash

from trigger_api.inference import PreprocessPool

_WAITING = 32


class Passwords:
    """Hashes and verifies passwords.

    A flood of log-ins takes one thread, and neither the event loop nor the threads that decode recordings.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHash.recommended()
        self._pool = PreprocessPool(1, _WAITING)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The hash of a password.

        Raises:
            Overloaded: too many are waiting already.
        """
        return await self._pool.run(self._hasher.hash, _normal(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether a password is the one that was hashed. Without a hash it is not, which takes as long to tell.

        Raises:
            Overloaded: too many are waiting already.
        """
        return await self._pool.run(self._verify, _normal(password), password_hash)

    def close(self) -> None:
        """Stop the thread."""
        self._pool.close()

    def _verify(self, password: str, password_hash: str | None) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash("nobody's")
        matches = self._hasher.verify(password, password_hash or self._nobodys)
        return matches and password_hash is not None


def _normal(password: str) -> str:
    """The same characters, however a keyboard composes them."""
    return unicodedata.normalize("NFC", password)
