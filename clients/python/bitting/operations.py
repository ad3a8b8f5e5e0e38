# Written by `UPDATE=1 cargo test --test native openapi` from the OpenAPI document. Do not edit it by hand.
"""The operations: the method, the path, the parameters of the query, and whether there is a body."""

OPERATIONS: dict[str, dict[str, tuple[str, str, list[str], bool]]] = {
    "audit": {
        "list": ("GET", "/v1/audit-events", ["action", "actor_id", "limit", "refused", "since", "starting_after", "subject", "until", "user_id"], False),
        "verify": ("GET", "/v1/audit-events/verify", ["starting_after"], False),
    },
    "bootstrap": {
        "create": ("POST", "/v1/bootstrap", [], True),
        "create_sign_in_link": ("POST", "/v1/operator/sign-in-links", [], True),
    },
    "device_links": {
        "claim": ("POST", "/v1/device-links/claim", [], True),
    },
    "invitations": {
        "get": ("GET", "/v1/invitations/{token}", [], False),
        "accept": ("POST", "/v1/invitations/{token}/accept", [], True),
        "list": ("GET", "/v1/organizations/{organization_id}/invitations", ["created_by", "created_by_user", "limit", "starting_after"], False),
        "create": ("POST", "/v1/organizations/{organization_id}/invitations", [], True),
        "revoke": ("DELETE", "/v1/organizations/{organization_id}/invitations/{invitation_id}", [], False),
    },
    "keys": {
        "list": ("GET", "/v1/keys", ["created_by", "created_by_user", "ending_before", "id", "limit", "name", "prefix", "project_id", "starting_after", "status", "user_id"], False),
        "create": ("POST", "/v1/keys", [], True),
        "revoke_self": ("DELETE", "/v1/keys/self", [], False),
        "get_self": ("GET", "/v1/keys/self", [], False),
        "verify": ("POST", "/v1/keys/verify", [], True),
        "revoke": ("DELETE", "/v1/keys/{key_id}", ["force", "with_descendants"], False),
        "get": ("GET", "/v1/keys/{key_id}", [], False),
        "change": ("PATCH", "/v1/keys/{key_id}", ["force"], True),
        "get_descendants": ("GET", "/v1/keys/{key_id}/descendants", [], False),
        "list_events": ("GET", "/v1/keys/{key_id}/events", ["limit", "starting_after"], False),
        "rotate": ("POST", "/v1/keys/{key_id}/rotate", [], True),
        "cancel_rotation": ("POST", "/v1/keys/{key_id}/rotate/cancel", [], False),
        "finish_rotation": ("POST", "/v1/keys/{key_id}/rotate/finish", [], False),
        "simulate": ("POST", "/v1/keys/{key_id}/simulate", [], True),
        "get_usage": ("GET", "/v1/keys/{key_id}/usage", [], False),
        "list_scopes": ("GET", "/v1/scopes", [], False),
    },
    "leaks": {
        "get_format": ("GET", "/.well-known/api-key-format", [], False),
        "report": ("POST", "/v1/leaks", [], True),
    },
    "members": {
        "list": ("GET", "/v1/organizations/{organization_id}/members", ["limit", "starting_after"], False),
        "remove": ("DELETE", "/v1/organizations/{organization_id}/members/{user_id}", ["force", "with_descendants"], False),
        "get": ("GET", "/v1/organizations/{organization_id}/members/{user_id}", [], False),
        "change": ("PATCH", "/v1/organizations/{organization_id}/members/{user_id}", ["force"], True),
        "get_descendants": ("GET", "/v1/organizations/{organization_id}/members/{user_id}/descendants", [], False),
        "create_sign_in_link": ("POST", "/v1/organizations/{organization_id}/members/{user_id}/sign-in-links", [], False),
        "list_sign_in_links": ("GET", "/v1/organizations/{organization_id}/sign-in-links", ["limit", "starting_after"], False),
        "revoke_sign_in_link": ("DELETE", "/v1/organizations/{organization_id}/sign-in-links/{sign_in_link_id}", [], False),
    },
    "organizations": {
        "list": ("GET", "/v1/organizations", ["limit", "starting_after"], False),
        "create": ("POST", "/v1/organizations", [], True),
        "get": ("GET", "/v1/organizations/{organization_id}", [], False),
        "change": ("PATCH", "/v1/organizations/{organization_id}", [], True),
        "list_projects": ("GET", "/v1/organizations/{organization_id}/projects", ["limit", "starting_after"], False),
        "create_project": ("POST", "/v1/organizations/{organization_id}/projects", [], True),
        "delete_project": ("DELETE", "/v1/organizations/{organization_id}/projects/{project_id}", [], False),
        "get_project": ("GET", "/v1/organizations/{organization_id}/projects/{project_id}", [], False),
        "change_project": ("PATCH", "/v1/organizations/{organization_id}/projects/{project_id}", [], True),
    },
    "teams": {
        "list": ("GET", "/v1/organizations/{organization_id}/teams", ["limit", "starting_after"], False),
        "create": ("POST", "/v1/organizations/{organization_id}/teams", [], True),
        "delete": ("DELETE", "/v1/organizations/{organization_id}/teams/{team_id}", [], False),
        "get": ("GET", "/v1/organizations/{organization_id}/teams/{team_id}", [], False),
        "rename": ("PATCH", "/v1/organizations/{organization_id}/teams/{team_id}", [], True),
        "remove": ("DELETE", "/v1/organizations/{organization_id}/teams/{team_id}/members/{user_id}", [], False),
        "add": ("PUT", "/v1/organizations/{organization_id}/teams/{team_id}/members/{user_id}", [], False),
    },
    "tokens": {
        "get_key_set": ("GET", "/.well-known/jwks.json", [], False),
        "create": ("POST", "/v1/tokens", [], True),
    },
}
