"""The grants graph of one account: who holds which documents, as many small rows. Bounded, plain data.

Rows are never changed in place: a change is a list of edits, so that what was and what will be can be compared before
anything is learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from models.grants.allowed import Holding
from models.grants.document import Policy, PolicyError, parse
from models.grants.tables import managed_document
from models.rows import Tracked

MAX_ROWS: Final = 20_000  # holders, policies and resources of one account; the longest untouched goes first
MAX_VERSIONS: Final = 5  # of a managed policy: AWS keeps no more
MAX_DOCUMENT: Final = 65_536  # characters of a document that are kept
MAX_NAMES: Final = 100  # policies of one holder, groups of one user
MAX_GRANTS: Final = 100  # to other accounts, of one KMS key; further ones are not taken in
MAX_SOURCES: Final = 200  # rows whose documents one holder has through groups, assignments and roles

TRUST: Final = "trust"
RESOURCE_POLICY: Final = "resource-policy"
GRANT: Final = "grant/"  # and its id: what a KMS key is granted for


class Holder(Struct, frozen=True, tag=True):
    """A user, group, role, permission set, assignment or profile: what it holds, and who may become it."""

    inline: dict[str, str] = {}  # policy name -> document
    attached: tuple[str, ...] = ()  # policy ARNs
    boundary: str | None = None  # policy ARN
    groups: tuple[
        str, ...
    ] = ()  # whose documents it has as well: a user's groups, an assignment's set, a profile's roles
    session: str | None = None  # of a profile: the document that narrows its sessions
    session_attached: tuple[str, ...] = ()  # managed policies that do
    trust: str | None = None  # of a role
    is_known: bool = False  # made in the trail, or in the inventory: what is not here, it does not hold
    assumed: tuple[str, ...] = ()  # policies and groups that the inventory alone tells of: since when, nobody knows

    def without(self, item: str) -> Holder:
        """Give the row as it was before an assumed policy or group came to it."""
        return replace(
            self,
            inline={name: text for name, text in self.inline.items() if name != item},
            attached=without_item(self.attached, item),
            groups=without_item(self.groups, item),
            assumed=without_item(self.assumed, item),
        )


class ManagedPolicy(Struct, frozen=True, tag=True):
    """A customer managed policy."""

    versions: dict[str, str] = {}  # version id -> document
    default: str = "v1"
    is_known: bool = False

    @property
    def document(self) -> str | None:
        """The document in force."""
        return self.versions.get(self.default)


class Resource(Struct, frozen=True, tag=True):
    """A resource with a policy of its own."""

    policy: str | None = None
    is_known: bool = False
    grants: dict[str, str] = {}  # of a KMS key, to other accounts: grant id -> as a document; at most MAX_GRANTS


class Membership(Struct, frozen=True, tag=True):
    """Who became a member of which group, by ids: some calls name the membership alone."""

    user: str
    group: str


Row = Holder | ManagedPolicy | Resource | Membership


class Graph(Struct):
    """The rows of one account, by ARN."""

    rows: Tracked[Row] = field(default_factory=Tracked)
    edits: int = 0  # how often it changed: what follows from all of it is worked out anew only then

    def apply(self, edits: Mapping[str, Row | None]) -> None:
        """Learn what a change leaves: a row for each ARN, or none where it is gone."""
        self.edits += 1 if edits else 0
        for arn, row in edits.items():
            self.rows.pop(arn, None)
            if row is not None:
                self.rows[arn] = row
        while len(self.rows) > MAX_ROWS:
            del self.rows[next(iter(self.rows))]

    def after(self, edits: Mapping[str, Row | None]) -> Graph:
        """Give the rows as a change will leave them."""
        changed = Graph()
        changed.rows.update(self.rows)
        changed.apply(edits)
        return changed

    def holder(self, arn: str) -> Holder:
        """Give a holder's row; an empty one where nothing is known."""
        return row if isinstance(row := self.rows.get(arn), Holder) else Holder()

    def policy(self, arn: str) -> ManagedPolicy:
        """Give a customer managed policy's row; an empty one where nothing is known."""
        return row if isinstance(row := self.rows.get(arn), ManagedPolicy) else ManagedPolicy()

    def resource(self, arn: str) -> Resource:
        """Give a resource's row; an empty one where nothing is known."""
        return row if isinstance(row := self.rows.get(arn), Resource) else Resource()

    def document(self, arn: str) -> str | None:
        """Give the document in force of a managed policy, the customer's or AWS's; None where it was never seen."""
        if is_aws_managed(arn):
            return managed_document(arn)
        return self.policy(arn).document

    def sources(self, arn: str) -> Iterator[Holder]:
        """List the rows whose documents a holder has: its own, its groups', its assignments'; at most MAX_SOURCES."""
        waiting = {arn: None}
        for _ in range(MAX_SOURCES):
            if (each := next(iter(waiting), None)) is None:
                return
            del waiting[each]
            holder = self.holder(each)
            yield holder
            waiting.update(dict.fromkeys(holder.groups))
            if ":identitystore:" in each and not is_assignment(each):
                waiting.update((key, None) for key, _ in self.holders() if key.startswith(f"{each}{_IN}"))

    def holding(self, arn: str) -> tuple[Holding, list[str]]:
        """Give all that a holder holds, through its groups too, and the name or ARN of each document."""
        names: list[str] = []
        policies: list[Policy] = []
        for each in self.sources(arn):
            for name, text in each.inline.items():
                _add(policies, names, name, text)
            for attached in each.attached:
                _add(policies, names, attached, self.document(attached))
        return Holding(tuple(policies), self._boundary(self.holder(arn))), names

    def _boundary(self, holder: Holder) -> Policy | None:
        """Give what a holder's rights are cut down to: its boundary, or what narrows a profile's sessions."""
        if holder.boundary is not None:
            return read(self.document(holder.boundary))
        narrowing = [read(holder.session), *(read(self.document(each)) for each in holder.session_attached)]
        statements = tuple(statement for each in narrowing if each is not None for statement in each.statements)
        return Policy(statements) if statements else None

    def holders(self) -> Iterator[tuple[str, Holder]]:
        """List all holders."""
        return ((arn, row) for arn, row in self.rows.items() if isinstance(row, Holder))

    def holders_of(self, policy: str) -> list[str]:
        """List who holds a managed policy, or uses it as a boundary: members of groups too, by ARN."""
        direct = {arn for arn, each in self.holders() if policy in each.attached or each.boundary == policy}
        return sorted(direct | {member for group in direct for member in self.members(group)})

    def members(self, arn: str) -> list[str]:
        """List a group's users, or to whom a permission set is assigned."""
        if ":group/" not in arn and ":permissionSet/" not in arn:
            return []
        return sorted({key.partition(_IN)[0] for key, each in self.holders() if arn in each.groups})


_IN: Final = " in "


def assignment(principal: str, account: str) -> str:
    """Key the row of what Identity Center assigned to a user or group in one account."""
    return f"{principal}{_IN}{account}"


def is_assignment(key: str) -> bool:
    """Say whether a row is an assignment's."""
    return _IN in key


def _add(policies: list[Policy], names: list[str], name: str, text: str | None) -> None:
    if (policy := read(text)) is not None:
        policies.append(policy)
        names.append(name)


def is_aws_managed(policy: str) -> bool:
    """Say whether a policy's ARN is of those that AWS manages, in any partition."""
    return policy.startswith("arn:") and policy.split(":", 5)[3:5] == ["", "aws"]


def with_item(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    """Add to a sorted set, within its bound."""
    return tuple(sorted({*items, item}))[:MAX_NAMES]


def without_item(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    """Take out of a set."""
    return tuple(each for each in items if each != item)


def with_version(policy: ManagedPolicy, version: str, text: str, *, is_default: bool) -> ManagedPolicy:
    """Add a version; beyond the bound the oldest that is not in force goes."""
    versions = {**policy.versions, version: text}
    default = version if is_default else policy.default
    while len(versions) > MAX_VERSIONS:
        del versions[next(each for each in versions if each != default)]
    return replace(policy, versions=versions, default=default)


@lru_cache(maxsize=1024)
def read(text: str | None) -> Policy | None:
    """Parse a document; None where there is none, or none that can be read."""
    if text is None:
        return None
    try:
        return parse(text)
    except PolicyError:
        return None


def joined(texts: Iterable[str | None]) -> Holding:
    """Make a holding of the documents that can be read."""
    return Holding(tuple(policy for text in texts if (policy := read(text)) is not None))
