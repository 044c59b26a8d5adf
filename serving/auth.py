"""Who may ask, and who may change: keys, and what holds where none is set."""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from tandem.errors import ConfigError, Forbidden, Unauthorized

Role = Literal["user", "admin"]


@dataclass(frozen=True)
class Identity:
    """Who a request comes from; without keys everyone is `local` and may do everything."""

    owner: str
    role: Role
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Owner:
    """Whose a key is."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Keys:
    """Digests of the accepted keys, so that comparing takes the same time whatever their length."""

    user: frozenset[bytes] = frozenset()
    admin: frozenset[bytes] = frozenset()
    owners: Mapping[bytes, Owner] = field(default_factory=dict)
    """Whose a key is, by its digest, for the keys that say so."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read TANDEM_API_KEY and TANDEM_ADMIN_KEY, or the files that TANDEM_…_KEY_FILE name.

        One key a line: `KEY`, `KEY OWNER` or `KEY OWNER GROUP,GROUP`. Raises ConfigError: an empty key, an unreadable
        file, a line of another form, both for one role, one key for both roles.
        """
        user, admin = _read(environment, "TANDEM_API_KEY"), _read(environment, "TANDEM_ADMIN_KEY")
        if user.keys() & admin.keys():
            raise ConfigError("The same key is set for users and for administrators; make them different.")
        owners = {digest: owner for digest, owner in (user | admin).items() if owner is not None}
        return cls(frozenset(user), frozenset(admin), owners)

    @property
    def required(self) -> bool:
        """Whether requests need a key."""
        return bool(self.user or self.admin)

    def identify(self, authorization: str | None) -> Identity:
        """The identity behind an `Authorization` header; raises Unauthorized."""
        if not self.required:
            return Identity("local", "admin")
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("This server needs a key; send it as `Authorization: Bearer KEY`.")
        digest = _digest(key.strip())
        is_admin, is_user = _among(digest, self.admin), _among(digest, self.user)
        if is_admin or is_user:
            role: Role = "admin" if is_admin else "user"
            owner = self.owners.get(digest, Owner(role))
            return Identity(owner.name, role, owner.groups)
        raise Unauthorized("The key is not valid here.")

    def principals(self, identity: Identity, user: str | None = None) -> frozenset[str] | None:
        """The names under which `identity` sees documents, None for an administrator, who sees all.

        `user`, from a request, narrows them to what that user sees as well, and never widens them. Raises Forbidden
        for a user whom no key belongs to; where no key has an owner, nobody is known and any name is taken.
        """
        own = None if identity.role == "admin" else frozenset({identity.owner, *identity.groups})
        if user is None or user == identity.owner:
            return own
        if self.owners and user not in {owner.name for owner in self.owners.values()}:
            raise Forbidden(
                f"There is no user {user!r} here: leave `user` out, or name one whom a key belongs to.",
                code="unknown_user",
            )
        groups = (owner.groups for owner in self.owners.values() if owner.name == user)
        theirs = frozenset({user}).union(*groups)
        return theirs if own is None else own & theirs


def check_admin(identity: Identity) -> None:
    """Raise Forbidden unless the identity may change things."""
    if identity.role != "admin":
        raise Forbidden("This needs an administrator's key (TANDEM_ADMIN_KEY on the server); yours may only ask.")


def check_address(host: str, keys: Keys) -> None:
    """Raise ConfigError when the server would answer everyone: another address than loopback, and no key."""
    if not keys.required and not is_loopback(host):
        raise ConfigError(
            f"Refusing to listen on {host} without keys, where anyone could ask and change documents: "
            "set TANDEM_API_KEY and TANDEM_ADMIN_KEY, or listen on 127.0.0.1."
        )


def check_origin(host: str | None, origin: str | None) -> None:
    """Raise Forbidden when a keyless request was not meant for this machine, or comes from another site's page.

    Without keys all that protects the server is that only this machine reaches it; a web page that has its own name
    point to 127.0.0.1 (DNS rebinding), or posts a form here, would otherwise act as its user.
    """
    if not is_loopback(_host_name(f"//{host or ''}")):
        raise Forbidden(
            f"Without keys this server answers to localhost only, not to {host!r}; set TANDEM_API_KEY to serve it.",
            code="host_not_allowed",
        )
    if origin is not None and not is_loopback(_host_name(origin)):
        raise Forbidden(
            f"Without keys this server takes no requests from pages of {origin!r}.", code="origin_not_allowed"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _read(environment: Mapping[str, str], name: str) -> dict[bytes, Owner | None]:
    """Digest of each key → whose it is."""
    value, file = environment.get(name), environment.get(f"{name}_FILE")
    if value is not None and file is not None:
        raise ConfigError(f"Both {name} and {name}_FILE are set; keep one.")
    if file is not None:
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The key file {file} ({name}_FILE) cannot be read: {error}.") from error
    if value is None:
        return {}
    keys: dict[bytes, Owner | None] = {}
    for number, line in enumerate(value.splitlines(), start=1):
        if line.strip():
            key, owner = _parse(line, f"Line {number} of {name}")
            keys[_digest(key)] = owner
    if not keys:
        raise ConfigError(f"{name} is empty; give it a value, or do not set it.")
    return keys


def _parse(line: str, place: str) -> tuple[str, Owner | None]:
    key, *rest = line.split()
    if len(rest) > 2:
        # The line itself is a secret.
        raise ConfigError(
            f"{place} has {1 + len(rest)} words; it has to be `KEY`, `KEY OWNER` or `KEY OWNER GROUP,GROUP`."
        )
    groups = frozenset(filter(None, rest[1].split(","))) if len(rest) == 2 else frozenset()
    return key, Owner(rest[0], groups) if rest else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _among(digest: bytes, accepted: frozenset[bytes]) -> bool:
    # No early end: the time taken does not tell which key was near.
    return sum(hmac.compare_digest(digest, other) for other in accepted) > 0
