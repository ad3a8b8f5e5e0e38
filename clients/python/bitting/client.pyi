# Written by `UPDATE=1 cargo test --test native openapi` from the OpenAPI document. Do not edit it by hand.

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, List, Literal, NotRequired, TypeAlias, TypedDict

class BittingError(Exception):
    status: int
    code: str
    request_id: str | None
    retry_after_seconds: float | None
    problem: dict[str, Any]

def all_items(list_page: Callable[..., Any], /, **params: Any) -> Iterator[Any]: ...
def all_items_async(list_page: Callable[..., Awaitable[Any]], /, **params: Any) -> AsyncIterator[Any]: ...

class Client:
    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 10) -> None: ...
    def close(self) -> None: ...
    audit: AuditOperations
    bootstrap: BootstrapOperations
    device_links: DeviceLinksOperations
    invitations: InvitationsOperations
    keys: KeysOperations
    leaks: LeaksOperations
    members: MembersOperations
    organizations: OrganizationsOperations
    teams: TeamsOperations
    tokens: TokensOperations

class AsyncClient:
    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 10) -> None: ...
    async def aclose(self) -> None: ...
    audit: AsyncAuditOperations
    bootstrap: AsyncBootstrapOperations
    device_links: AsyncDeviceLinksOperations
    invitations: AsyncInvitationsOperations
    keys: AsyncKeysOperations
    leaks: AsyncLeaksOperations
    members: AsyncMembersOperations
    organizations: AsyncOrganizationsOperations
    teams: AsyncTeamsOperations
    tokens: AsyncTokensOperations

class AuditOperations:
    def list(self, *, action: str = ..., actor_id: str = ..., limit: int = ..., refused: bool = ..., since: str = ..., starting_after: int = ..., subject: str = ..., until: str = ..., user_id: str = ...) -> EventPage:
        """List or export the audit log, the newest event first."""
    def verify(self, *, starting_after: int = ...) -> AuditVerification:
        """Verify the audit log, a part of it."""

class BootstrapOperations:
    def create(self, *, email: str, key_name: str, organization: str) -> BootstrapResult:
        """Create the first organization, its owner and their key."""
    def create_sign_in_link(self, *, email: str | None = ...) -> OwnerLink:
        """Create a link that signs in an owner of the operator's organization."""

class DeviceLinksOperations:
    def claim(self, *, token: str) -> CreatedKey:
        """Claim the key of an approved device link."""

class InvitationsOperations:
    def get(self, *, token: str) -> InvitationPreview:
        """Get an invitation by its secret."""
    def accept(self, *, token: str, key_name: str) -> CreatedKey:
        """Accept an invitation."""
    def list(self, *, organization_id: str = ..., created_by: str = ..., created_by_user: str = ..., limit: int = ..., starting_after: str = ...) -> InvitationPage:
        """List open invitations, the newest first."""
    def create(self, *, email: str, role: Role, organization_id: str = ..., expires_in_days: int = ..., idempotency_key: str = ...) -> CreatedInvitation:
        """Create an invitation."""
    def revoke(self, *, invitation_id: str, organization_id: str = ...) -> Deleted:
        """Revoke an invitation."""

class KeysOperations:
    def list(self, *, created_by: str = ..., created_by_user: str = ..., ending_before: str = ..., id: List[str] = ..., limit: int = ..., name: str = ..., prefix: str = ..., project_id: str = ..., starting_after: str = ..., status: Literal["active"] | Literal["all"] | Literal["disabled"] | Literal["expired"] | Literal["revoked"] = ..., user_id: str = ...) -> KeyPage:
        """List keys, the newest first."""
    def create(self, *, name: str, scopes: List[str], conditions: Conditions | None = ..., expires_at: str | None = ..., expires_in_days: int | None = ..., kind: NewKeyKind | None = ..., label: str | None = ..., metadata: dict[str, Any] = ..., operator_metadata: dict[str, Any] = ..., project_id: str | None = ..., idempotency_key: str = ...) -> CreatedKey:
        """Create a key."""
    def revoke_self(self) -> RevokedKey:
        """Revoke the secret of the request."""
    def get_self(self) -> Key:
        """Get the key of the request."""
    def verify(self, *, key: str, at_least: int | None = ..., client: RequestClient = ..., explain: bool = ..., freshness: Freshness | None = ..., scopes: List[str] = ...) -> VerificationResult:
        """Verify a key."""
    def revoke(self, *, key_id: str, force: bool = ..., with_descendants: bool = ...) -> RevokedKey:
        """Revoke a key."""
    def get(self, *, key_id: str) -> Key:
        """Get a key."""
    def change(self, *, key_id: str, force: bool = ..., conditions: Conditions | None = ..., enabled: bool = ..., expires_at: str | None = ..., expires_in_days: int = ..., metadata: dict[str, Any] = ..., name: str = ..., operator_metadata: dict[str, Any] = ..., scopes: List[str] = ..., if_match: str = ...) -> Key:
        """Change a key."""
    def get_descendants(self, *, key_id: str) -> DescendantsPreview:
        """Get what would end with a key."""
    def list_events(self, *, key_id: str, limit: int = ..., starting_after: int = ...) -> EventPage:
        """List the events of a key, the newest first."""
    def rotate(self, *, key_id: str, expires_at: str | None = ..., expires_in_days: int | None = ..., grace_period_seconds: int = ..., idempotency_key: str = ...) -> CreatedKey:
        """Rotate a key."""
    def cancel_rotation(self, *, key_id: str) -> Key:
        """Cancel a rotation and keep the old secret."""
    def finish_rotation(self, *, key_id: str) -> Key:
        """Finish a rotation and end the old secret."""
    def simulate(self, *, key_id: str, at: str | None = ..., client: RequestClient = ..., scopes: List[str] = ...) -> VerifiedKey:
        """Try what a key would be let do."""
    def get_usage(self, *, key_id: str) -> KeyUsage:
        """Get the daily uses of a key in the last 30 days."""
    def list_scopes(self) -> ScopeCatalogue:
        """List scopes, bundles and presets."""

class LeaksOperations:
    def get_format(self) -> KeyFormat:
        """Get the format of keys, for scanners."""
    def report(self, *, keys: List[str], url: str | None = ...) -> LeakReceipt:
        """Report keys that you have found in public."""

class MembersOperations:
    def list(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> MemberPage:
        """List members, the newest first."""
    def remove(self, *, user_id: str, organization_id: str = ..., force: bool = ..., with_descendants: bool = ...) -> RemovedMember:
        """Remove a member and revoke all their keys."""
    def get(self, *, user_id: str, organization_id: str = ...) -> Member:
        """Get a member."""
    def change(self, *, user_id: str, role: Role, organization_id: str = ..., force: bool = ..., if_match: str = ...) -> Member:
        """Change the role of a member."""
    def get_descendants(self, *, user_id: str, organization_id: str = ...) -> DescendantsPreview:
        """Get what would end with a member."""
    def create_sign_in_link(self, *, user_id: str, organization_id: str = ...) -> SignInLink:
        """Create a link that signs a member in."""
    def list_sign_in_links(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> OpenSignInLinkPage:
        """List open sign-in links, the newest first."""
    def revoke_sign_in_link(self, *, sign_in_link_id: str, organization_id: str = ...) -> Deleted:
        """Revoke a sign-in link."""

class OrganizationsOperations:
    def list(self, *, limit: int = ..., starting_after: str = ...) -> OrganizationPage:
        """List organizations, the newest first."""
    def create(self, *, email: str, key_name: str, name: str, idempotency_key: str = ...) -> CreatedOrganization:
        """Create an organization, its owner and their key."""
    def get(self, *, organization_id: str = ...) -> Organization:
        """Get an organization."""
    def change(self, *, organization_id: str = ..., audit_retention_days: int | None = ..., credits: int | None = ..., default_expiry_days: int | None = ..., longest_expiry_days: int | None = ..., max_keys_per_user: int | None = ..., name: str = ..., on_leak: LeakResponse = ..., quotas: QuotaChange = ..., subscription: Subscription = ..., suspended: bool = ..., trace_retention_days: int | None = ..., if_match: str = ...) -> Organization:
        """Change an organization."""
    def list_projects(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> ProjectPage:
        """List projects, the newest first."""
    def create_project(self, *, name: str, organization_id: str = ..., description: str | None = ..., idempotency_key: str = ...) -> CreatedProject:
        """Create a project and its first key."""
    def delete_project(self, *, project_id: str, organization_id: str = ...) -> DeletedProject:
        """Delete a project and revoke all its keys."""
    def get_project(self, *, project_id: str, organization_id: str = ...) -> Project:
        """Get a project."""
    def change_project(self, *, project_id: str, organization_id: str = ..., description: str | None = ..., name: str = ..., if_match: str = ...) -> Project:
        """Change a project."""

class TeamsOperations:
    def list(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> TeamPage:
        """List teams, the newest first."""
    def create(self, *, name: str, organization_id: str = ..., idempotency_key: str = ...) -> Team:
        """Create a team."""
    def delete(self, *, team_id: str, organization_id: str = ...) -> Deleted:
        """Delete a team."""
    def get(self, *, team_id: str, organization_id: str = ...) -> TeamDetails:
        """Get a team and its members."""
    def rename(self, *, team_id: str, name: str, organization_id: str = ..., if_match: str = ...) -> Team:
        """Rename a team."""
    def remove(self, *, team_id: str, user_id: str, organization_id: str = ...) -> Deleted:
        """Remove a member from a team."""
    def add(self, *, team_id: str, user_id: str, organization_id: str = ...) -> None:
        """Add a member to a team."""

class TokensOperations:
    def get_key_set(self) -> KeySet:
        """Get the public keys that verify derived tokens."""
    def create(self, *, audience: str, expires_in_seconds: int = ..., scopes: List[str] | None = ...) -> Token:
        """Derive a short-lived token from the key of the request."""

class AsyncAuditOperations:
    async def list(self, *, action: str = ..., actor_id: str = ..., limit: int = ..., refused: bool = ..., since: str = ..., starting_after: int = ..., subject: str = ..., until: str = ..., user_id: str = ...) -> EventPage:
        """List or export the audit log, the newest event first."""
    async def verify(self, *, starting_after: int = ...) -> AuditVerification:
        """Verify the audit log, a part of it."""

class AsyncBootstrapOperations:
    async def create(self, *, email: str, key_name: str, organization: str) -> BootstrapResult:
        """Create the first organization, its owner and their key."""
    async def create_sign_in_link(self, *, email: str | None = ...) -> OwnerLink:
        """Create a link that signs in an owner of the operator's organization."""

class AsyncDeviceLinksOperations:
    async def claim(self, *, token: str) -> CreatedKey:
        """Claim the key of an approved device link."""

class AsyncInvitationsOperations:
    async def get(self, *, token: str) -> InvitationPreview:
        """Get an invitation by its secret."""
    async def accept(self, *, token: str, key_name: str) -> CreatedKey:
        """Accept an invitation."""
    async def list(self, *, organization_id: str = ..., created_by: str = ..., created_by_user: str = ..., limit: int = ..., starting_after: str = ...) -> InvitationPage:
        """List open invitations, the newest first."""
    async def create(self, *, email: str, role: Role, organization_id: str = ..., expires_in_days: int = ..., idempotency_key: str = ...) -> CreatedInvitation:
        """Create an invitation."""
    async def revoke(self, *, invitation_id: str, organization_id: str = ...) -> Deleted:
        """Revoke an invitation."""

class AsyncKeysOperations:
    async def list(self, *, created_by: str = ..., created_by_user: str = ..., ending_before: str = ..., id: List[str] = ..., limit: int = ..., name: str = ..., prefix: str = ..., project_id: str = ..., starting_after: str = ..., status: Literal["active"] | Literal["all"] | Literal["disabled"] | Literal["expired"] | Literal["revoked"] = ..., user_id: str = ...) -> KeyPage:
        """List keys, the newest first."""
    async def create(self, *, name: str, scopes: List[str], conditions: Conditions | None = ..., expires_at: str | None = ..., expires_in_days: int | None = ..., kind: NewKeyKind | None = ..., label: str | None = ..., metadata: dict[str, Any] = ..., operator_metadata: dict[str, Any] = ..., project_id: str | None = ..., idempotency_key: str = ...) -> CreatedKey:
        """Create a key."""
    async def revoke_self(self) -> RevokedKey:
        """Revoke the secret of the request."""
    async def get_self(self) -> Key:
        """Get the key of the request."""
    async def verify(self, *, key: str, at_least: int | None = ..., client: RequestClient = ..., explain: bool = ..., freshness: Freshness | None = ..., scopes: List[str] = ...) -> VerificationResult:
        """Verify a key."""
    async def revoke(self, *, key_id: str, force: bool = ..., with_descendants: bool = ...) -> RevokedKey:
        """Revoke a key."""
    async def get(self, *, key_id: str) -> Key:
        """Get a key."""
    async def change(self, *, key_id: str, force: bool = ..., conditions: Conditions | None = ..., enabled: bool = ..., expires_at: str | None = ..., expires_in_days: int = ..., metadata: dict[str, Any] = ..., name: str = ..., operator_metadata: dict[str, Any] = ..., scopes: List[str] = ..., if_match: str = ...) -> Key:
        """Change a key."""
    async def get_descendants(self, *, key_id: str) -> DescendantsPreview:
        """Get what would end with a key."""
    async def list_events(self, *, key_id: str, limit: int = ..., starting_after: int = ...) -> EventPage:
        """List the events of a key, the newest first."""
    async def rotate(self, *, key_id: str, expires_at: str | None = ..., expires_in_days: int | None = ..., grace_period_seconds: int = ..., idempotency_key: str = ...) -> CreatedKey:
        """Rotate a key."""
    async def cancel_rotation(self, *, key_id: str) -> Key:
        """Cancel a rotation and keep the old secret."""
    async def finish_rotation(self, *, key_id: str) -> Key:
        """Finish a rotation and end the old secret."""
    async def simulate(self, *, key_id: str, at: str | None = ..., client: RequestClient = ..., scopes: List[str] = ...) -> VerifiedKey:
        """Try what a key would be let do."""
    async def get_usage(self, *, key_id: str) -> KeyUsage:
        """Get the daily uses of a key in the last 30 days."""
    async def list_scopes(self) -> ScopeCatalogue:
        """List scopes, bundles and presets."""

class AsyncLeaksOperations:
    async def get_format(self) -> KeyFormat:
        """Get the format of keys, for scanners."""
    async def report(self, *, keys: List[str], url: str | None = ...) -> LeakReceipt:
        """Report keys that you have found in public."""

class AsyncMembersOperations:
    async def list(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> MemberPage:
        """List members, the newest first."""
    async def remove(self, *, user_id: str, organization_id: str = ..., force: bool = ..., with_descendants: bool = ...) -> RemovedMember:
        """Remove a member and revoke all their keys."""
    async def get(self, *, user_id: str, organization_id: str = ...) -> Member:
        """Get a member."""
    async def change(self, *, user_id: str, role: Role, organization_id: str = ..., force: bool = ..., if_match: str = ...) -> Member:
        """Change the role of a member."""
    async def get_descendants(self, *, user_id: str, organization_id: str = ...) -> DescendantsPreview:
        """Get what would end with a member."""
    async def create_sign_in_link(self, *, user_id: str, organization_id: str = ...) -> SignInLink:
        """Create a link that signs a member in."""
    async def list_sign_in_links(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> OpenSignInLinkPage:
        """List open sign-in links, the newest first."""
    async def revoke_sign_in_link(self, *, sign_in_link_id: str, organization_id: str = ...) -> Deleted:
        """Revoke a sign-in link."""

class AsyncOrganizationsOperations:
    async def list(self, *, limit: int = ..., starting_after: str = ...) -> OrganizationPage:
        """List organizations, the newest first."""
    async def create(self, *, email: str, key_name: str, name: str, idempotency_key: str = ...) -> CreatedOrganization:
        """Create an organization, its owner and their key."""
    async def get(self, *, organization_id: str = ...) -> Organization:
        """Get an organization."""
    async def change(self, *, organization_id: str = ..., audit_retention_days: int | None = ..., credits: int | None = ..., default_expiry_days: int | None = ..., longest_expiry_days: int | None = ..., max_keys_per_user: int | None = ..., name: str = ..., on_leak: LeakResponse = ..., quotas: QuotaChange = ..., subscription: Subscription = ..., suspended: bool = ..., trace_retention_days: int | None = ..., if_match: str = ...) -> Organization:
        """Change an organization."""
    async def list_projects(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> ProjectPage:
        """List projects, the newest first."""
    async def create_project(self, *, name: str, organization_id: str = ..., description: str | None = ..., idempotency_key: str = ...) -> CreatedProject:
        """Create a project and its first key."""
    async def delete_project(self, *, project_id: str, organization_id: str = ...) -> DeletedProject:
        """Delete a project and revoke all its keys."""
    async def get_project(self, *, project_id: str, organization_id: str = ...) -> Project:
        """Get a project."""
    async def change_project(self, *, project_id: str, organization_id: str = ..., description: str | None = ..., name: str = ..., if_match: str = ...) -> Project:
        """Change a project."""

class AsyncTeamsOperations:
    async def list(self, *, organization_id: str = ..., limit: int = ..., starting_after: str = ...) -> TeamPage:
        """List teams, the newest first."""
    async def create(self, *, name: str, organization_id: str = ..., idempotency_key: str = ...) -> Team:
        """Create a team."""
    async def delete(self, *, team_id: str, organization_id: str = ...) -> Deleted:
        """Delete a team."""
    async def get(self, *, team_id: str, organization_id: str = ...) -> TeamDetails:
        """Get a team and its members."""
    async def rename(self, *, team_id: str, name: str, organization_id: str = ..., if_match: str = ...) -> Team:
        """Rename a team."""
    async def remove(self, *, team_id: str, user_id: str, organization_id: str = ...) -> Deleted:
        """Remove a member from a team."""
    async def add(self, *, team_id: str, user_id: str, organization_id: str = ...) -> None:
        """Add a member to a team."""

class AsyncTokensOperations:
    async def get_key_set(self) -> KeySet:
        """Get the public keys that verify derived tokens."""
    async def create(self, *, audience: str, expires_in_seconds: int = ..., scopes: List[str] | None = ...) -> Token:
        """Derive a short-lived token from the key of the request."""

class Actor(TypedDict):
    id: str | None
    kind: str
    session_id: NotRequired[str | None]
    user_id: str | None

class AuditFault(TypedDict):
    code: Literal["event_added"] | Literal["event_changed"] | Literal["event_missing"] | Literal["seal_changed"]
    number: int

class AuditSeal(TypedDict):
    hash: str
    number: int
    sealed_at: str

class AuditVerification(TypedDict):
    fault: AuditFault | None
    has_more: bool
    newest_seal: AuditSeal | None
    next_cursor: str | None
    pruned: int
    unsealed: int
    valid: bool
    verified_up_to: int

class BootstrapResult(TypedDict):
    conditions: Conditions | None
    created_at: str
    created_by: str | None
    created_by_user: str | None
    disabled_at: str | None
    expires_at: str | None
    full_access: bool
    id: str
    key: str
    kind: KeyKind
    last_used_at: str | None
    last_used_from: UsedFrom | None
    live_evaluation_id: str | None
    metadata: dict[str, Any]
    name: str
    operator_metadata: dict[str, Any]
    organization_id: str
    preview: str
    project_id: str | None
    revoked_at: str | None
    role: Role
    rotation: Rotation | None
    scopes: List[str] | None
    sign_in_link: str
    status: KeyStatus
    updated_at: str
    user_id: str | None

class Check(TypedDict):
    check: str
    detail: str
    passed: bool

class Conditions(TypedDict):
    allowed_countries: NotRequired[List[str] | None]
    allowed_ips: NotRequired[List[str] | None]
    denied_countries: NotRequired[List[str] | None]
    denied_ips: NotRequired[List[str] | None]
    hours: NotRequired[List[Period] | None]
    not_before: NotRequired[str | None]

class CreatedInvitation(TypedDict):
    created_at: str
    created_by: str
    created_by_user: str | None
    email: str
    expires_at: str
    id: str
    key_expires_at: str | None
    link: str
    role: Role
    token: str

class CreatedKey(TypedDict):
    conditions: Conditions | None
    created_at: str
    created_by: str | None
    created_by_user: str | None
    disabled_at: str | None
    expires_at: str | None
    full_access: bool
    id: str
    key: str
    kind: KeyKind
    last_used_at: str | None
    last_used_from: UsedFrom | None
    live_evaluation_id: str | None
    metadata: dict[str, Any]
    name: str
    operator_metadata: dict[str, Any]
    organization_id: str
    preview: str
    project_id: str | None
    revoked_at: str | None
    role: Role
    rotation: Rotation | None
    scopes: List[str] | None
    status: KeyStatus
    updated_at: str
    user_id: str | None

class CreatedOrganization(TypedDict):
    key: CreatedKey
    organization: Organization

class CreatedProject(TypedDict):
    key: CreatedKey
    project: Project

class DailyUsage(TypedDict):
    day: str
    uses: int

class Deleted(TypedDict):
    effective_at: str
    id: str
    max_staleness_ms: int

class DeletedProject(TypedDict):
    created_at: str
    description: str | None
    effective_at: str
    id: str
    max_staleness_ms: int
    name: str
    organization_id: str
    updated_at: str

class Descendants(TypedDict):
    invitations: int
    keys: int
    sessions: int
    sign_in_links: int
    trusts: int

class DescendantsPreview(TypedDict):
    descendants: Descendants
    keys: List[Key]
    may_end: bool
    seen_keys: List[Key]

class Event(TypedDict):
    action: str
    actor: Actor
    at: str
    details: dict[str, Any]
    id: int
    ip: str | None
    refusal: str | None
    request_id: str | None
    subject: str

class EventPage(TypedDict):
    has_more: bool
    items: List[Event]
    next_cursor: str | None

Freshness: TypeAlias = "Literal[\"bounded\"] | Literal[\"strong\"]"

class InvalidKey(TypedDict):
    age_ms: int
    checks: NotRequired[List[Check] | None]
    code: Literal["api_key_expired"] | Literal["conditions_not_met"] | Literal["insufficient_scope"] | Literal["key_disabled"] | Literal["key_revoked"] | Literal["key_rotated"] | Literal["organization_suspended"] | Literal["project_deleted"] | Literal["user_removed"]
    conditional: bool
    degraded: bool
    ends_in_ms: int | None
    expires_at: str | None
    failed_condition: NotRequired[Literal["allowed_countries"] | Literal["allowed_ips"] | Literal["denied_countries"] | Literal["denied_ips"] | Literal["hours"] | Literal["not_before"]]
    fresh_for_ms: int
    full_access: bool
    key_id: str
    kind: KeyKind
    metadata: dict[str, Any]
    missing_scopes: NotRequired[List[str] | None]
    name: str
    operator_metadata: dict[str, Any]
    outgoing_until: NotRequired[str | None]
    owner: KeyOwner
    scopes: List[str] | None
    seq: int
    source: Literal["d1"] | Literal["kv"] | Literal["memory"] | Literal["replica"]
    subjects: List[str]
    valid: Literal[False]
    waited_for: Literal["d1"] | Literal["holder"] | Literal["kv"] | Literal["replica"] | None

class Invitation(TypedDict):
    created_at: str
    created_by: str
    created_by_user: str | None
    email: str
    expires_at: str
    id: str
    key_expires_at: str | None
    role: Role

class InvitationPage(TypedDict):
    has_more: bool
    items: List[Invitation]
    next_cursor: str | None

class InvitationPreview(TypedDict):
    email: str
    expires_at: str
    next: str
    organization: str
    role: Role

class Key(TypedDict):
    conditions: Conditions | None
    created_at: str
    created_by: str | None
    created_by_user: str | None
    disabled_at: str | None
    expires_at: str | None
    full_access: bool
    id: str
    kind: KeyKind
    last_used_at: str | None
    last_used_from: UsedFrom | None
    live_evaluation_id: str | None
    metadata: dict[str, Any]
    name: str
    operator_metadata: dict[str, Any]
    organization_id: str
    preview: str
    project_id: str | None
    revoked_at: str | None
    role: Role
    rotation: Rotation | None
    scopes: List[str] | None
    status: KeyStatus
    updated_at: str
    user_id: str | None

class KeyFormat(TypedDict):
    brand: str
    checksum: str
    gitleaks: str
    keyword: str
    pattern: str
    report_url: str
    trufflehog: str

KeyKind: TypeAlias = "Literal[\"org\"] | Literal[\"pat\"] | Literal[\"proj\"] | Literal[\"sk\"]"

class KeyOwner(TypedDict):
    live_evaluation_id: str | None
    organization_id: str
    user_id: str | None

class KeyPage(TypedDict):
    has_more: bool
    items: List[Key]
    next_cursor: str | None

class KeySet(TypedDict):
    keys: List[PublicKey]

KeyStatus: TypeAlias = "Literal[\"active\"] | Literal[\"disabled\"] | Literal[\"expired\"] | Literal[\"organization_suspended\"] | Literal[\"project_deleted\"] | Literal[\"revoked\"] | Literal[\"user_removed\"]"

class KeyUsage(TypedDict):
    days: List[DailyUsage]

class LeakReceipt(TypedDict):
    received: int

LeakResponse: TypeAlias = "Literal[\"disable\"] | Literal[\"notify\"] | Literal[\"revoke\"]"

class Member(TypedDict):
    email: str
    joined_at: str
    role: Role
    updated_at: str
    user_id: str

class MemberPage(TypedDict):
    has_more: bool
    items: List[Member]
    next_cursor: str | None

NewKeyKind: TypeAlias = "Literal[\"org\"] | Literal[\"pat\"] | Literal[\"proj\"]"

class OpenSignInLink(TypedDict):
    created_at: str
    created_by: str | None
    created_by_user: str | None
    email: str
    expires_at: str
    id: str
    role: Role
    user_id: str

class OpenSignInLinkPage(TypedDict):
    has_more: bool
    items: List[OpenSignInLink]
    next_cursor: str | None

class Organization(TypedDict):
    audit_retention_days: int | None
    created_at: str
    credits: int | None
    default_expiry_days: int | None
    id: str
    longest_expiry_days: int | None
    max_keys_per_user: int | None
    name: str
    on_leak: LeakResponse
    quotas: Quotas
    subscription: Subscription
    suspended_at: str | None
    trace_retention_days: int | None
    updated_at: str
    usage: Quotas2

class OrganizationPage(TypedDict):
    has_more: bool
    items: List[Organization]
    next_cursor: str | None

class OwnerLink(TypedDict):
    email: str
    expires_at: str
    link: str
    user_id: str

Period = TypedDict("Period", {"days": "List[Literal[\"fri\"] | Literal[\"mon\"] | Literal[\"sat\"] | Literal[\"sun\"] | Literal[\"thu\"] | Literal[\"tue\"] | Literal[\"wed\"]]", "from": "str", "to": "str"})

class Preset(TypedDict):
    note: str
    scopes: List[str]
    title: str

class Project(TypedDict):
    created_at: str
    description: str | None
    id: str
    name: str
    organization_id: str
    updated_at: str

class ProjectPage(TypedDict):
    has_more: bool
    items: List[Project]
    next_cursor: str | None

class PublicKey(TypedDict):
    alg: Literal["EdDSA"]
    crv: Literal["Ed25519"]
    kid: str
    kty: Literal["OKP"]
    use: Literal["sig"]
    x: str

class QuotaChange(TypedDict):
    bytes: NotRequired[int | None]
    datasets: NotRequired[int | None]
    invitations: NotRequired[int | None]
    keys: NotRequired[int | None]
    members: NotRequired[int | None]
    projects: NotRequired[int | None]

class Quotas(TypedDict):
    bytes: int | None
    datasets: int | None
    invitations: int | None
    keys: int | None
    members: int | None
    projects: int | None

class Quotas2(TypedDict):
    bytes: Usage
    datasets: Usage
    invitations: Usage
    keys: Usage
    members: Usage
    projects: Usage

class RemovedMember(TypedDict):
    descendants: Descendants | None
    effective_at: str
    id: str
    max_staleness_ms: int

class RequestClient(TypedDict):
    country: NotRequired[str | None]
    ip: NotRequired[str | None]

class RevokedKey(TypedDict):
    conditions: Conditions | None
    created_at: str
    created_by: str | None
    created_by_user: str | None
    descendants: Descendants | None
    disabled_at: str | None
    effective_at: str | None
    expires_at: str | None
    full_access: bool
    id: str
    kind: KeyKind
    last_used_at: str | None
    last_used_from: UsedFrom | None
    live_evaluation_id: str | None
    max_staleness_ms: int
    metadata: dict[str, Any]
    name: str
    operator_metadata: dict[str, Any]
    organization_id: str
    preview: str
    project_id: str | None
    revoked_at: str | None
    role: Role
    rotation: Rotation | None
    scopes: List[str] | None
    status: KeyStatus
    updated_at: str
    user_id: str | None

Role: TypeAlias = "Literal[\"admin\"] | Literal[\"member\"] | Literal[\"owner\"]"

class Rotation(TypedDict):
    outgoing_last_used_at: str | None
    outgoing_last_used_from: UsedFrom | None
    outgoing_preview: str
    outgoing_uses: int
    rotates_at: str

class ScopeCatalogue(TypedDict):
    bundles: dict[str, Any]
    presets: List[Preset]
    scopes: List[ScopeDetails]
    wildcards: List[str]

class ScopeDetails(TypedDict):
    description: str
    held: bool
    scope: str

class SignInLink(TypedDict):
    expires_at: str
    link: str

Subscription: TypeAlias = "Literal[\"active\"] | Literal[\"inactive\"]"

class Team(TypedDict):
    created_at: str
    id: str
    name: str
    updated_at: str

class TeamDetails(TypedDict):
    created_at: str
    id: str
    members: List[TeamMember]
    name: str
    updated_at: str

class TeamMember(TypedDict):
    added_at: str
    user_id: str

class TeamPage(TypedDict):
    has_more: bool
    items: List[Team]
    next_cursor: str | None

class Token(TypedDict):
    expires_at: str
    scopes: List[str]
    token: str

class UnknownKey(TypedDict):
    code: Literal["invalid_api_key"] | Literal["malformed_api_key"]
    valid: Literal[False]

class Usage(TypedDict):
    limit: int
    used: int

class UsedFrom(TypedDict):
    ip: str | None
    user_agent: str | None

class ValidKey(TypedDict):
    age_ms: int
    checks: NotRequired[List[Check] | None]
    code: Literal["valid"]
    conditional: bool
    degraded: bool
    ends_in_ms: int | None
    expires_at: str | None
    failed_condition: NotRequired[Literal["allowed_countries"] | Literal["allowed_ips"] | Literal["denied_countries"] | Literal["denied_ips"] | Literal["hours"] | Literal["not_before"]]
    fresh_for_ms: int
    full_access: bool
    key_id: str
    kind: KeyKind
    metadata: dict[str, Any]
    missing_scopes: NotRequired[List[str] | None]
    name: str
    operator_metadata: dict[str, Any]
    outgoing_until: NotRequired[str | None]
    owner: KeyOwner
    scopes: List[str] | None
    seq: int
    source: Literal["d1"] | Literal["kv"] | Literal["memory"] | Literal["replica"]
    subjects: List[str]
    valid: Literal[True]
    waited_for: Literal["d1"] | Literal["holder"] | Literal["kv"] | Literal["replica"] | None

VerificationResult: TypeAlias = "InvalidKey | UnknownKey | ValidKey"

class VerifiedKey(TypedDict):
    age_ms: int
    checks: NotRequired[List[Check] | None]
    code: str
    conditional: bool
    degraded: bool
    ends_in_ms: int | None
    expires_at: str | None
    failed_condition: NotRequired[Literal["allowed_countries"] | Literal["allowed_ips"] | Literal["denied_countries"] | Literal["denied_ips"] | Literal["hours"] | Literal["not_before"]]
    fresh_for_ms: int
    full_access: bool
    key_id: str
    kind: KeyKind
    metadata: dict[str, Any]
    missing_scopes: NotRequired[List[str] | None]
    name: str
    operator_metadata: dict[str, Any]
    outgoing_until: NotRequired[str | None]
    owner: KeyOwner
    scopes: List[str] | None
    seq: int
    source: Literal["d1"] | Literal["kv"] | Literal["memory"] | Literal["replica"]
    subjects: List[str]
    valid: bool
    waited_for: Literal["d1"] | Literal["holder"] | Literal["kv"] | Literal["replica"] | None
