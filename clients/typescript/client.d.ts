// Written by `UPDATE=1 cargo test --test native openapi` from the OpenAPI document. Do not edit it by hand.

export interface ClientOptions {
  /** The address of Bitting. */
  url: string | URL;
  /** The key that acts, or the operator's secret for the operator's routes. */
  key?: string;
  /** The time that Bitting has for an answer: 10,000. */
  timeoutMs?: number;
  /** Asks Bitting in place of `fetch`, such as the `fetch` of a service binding. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface RepeatableOptions extends CallOptions {
  /** Sent again with the same value, the request gets the first result. */
  idempotencyKey?: string;
}

export interface ConditionalOptions extends CallOptions {
  /** The `ETag` that the resource must still have. */
  ifMatch?: string;
}

/** A refusal by Bitting. */
export class BittingError extends Error {
  readonly status: number;
  /** A stable name for programs, such as `insufficient_scope`. */
  readonly code: string;
  readonly requestId?: string;
  /** The time to wait, for 429 and 503. */
  readonly retryAfterSeconds?: number;
  /** The whole answer. */
  readonly problem: Record<string, unknown>;
}

/** All items of a list, which is read page by page. */
export function all<Item, Params>(
  list: (params: Params) => Promise<{ items: Item[]; has_more: boolean; next_cursor: string | null }>,
  params?: Params,
): AsyncGenerator<Item, void>;

/** Calls the routes that manage keys, organizations and people. `organization_id` is the key's own if it is left out. */
export class Client {
  constructor(options: ClientOptions);
  /** Sends a request with the key, and returns the response, also if it is not JSON. Throws `BittingError` for a refusal. */
  request(method: string, path: string, init?: RequestInit): Promise<Response>;
  readonly audit: AuditOperations;
  readonly bootstrap: BootstrapOperations;
  readonly deviceLinks: DeviceLinksOperations;
  readonly invitations: InvitationsOperations;
  readonly keys: KeysOperations;
  readonly leaks: LeaksOperations;
  readonly members: MembersOperations;
  readonly organizations: OrganizationsOperations;
  readonly teams: TeamsOperations;
  readonly tokens: TokensOperations;
}

export interface AuditOperations {
  /** List or export the audit log, the newest event first. */
  list(params?: {
    /** Only events with this action, such as `key.created`. */
    action?: string;
    /** Only events that this key caused. */
    actor_id?: string;
    /** The maximum number of events on the page. Not allowed for an export. */
    limit?: number;
    /** True for refused attempts only; false for all other events. */
    refused?: boolean;
    /** Only events at or after this instant: a date-time with its offset, or a date. */
    since?: string;
    /** The id of the last event on the previous page. */
    starting_after?: number;
    /** Only events about the key or other resource with this id. */
    subject?: string;
    /** Only events before this instant: a date-time with its offset, or a date. */
    until?: string;
    /** Only events that this user caused, with any key. */
    user_id?: string;
  }, options?: CallOptions): Promise<EventPage>;
  /** Verify the audit log, a part of it. */
  verify(params?: {
    /** The `next_cursor` of the answer about the part before. */
    starting_after?: number;
  }, options?: CallOptions): Promise<AuditVerification>;
}

export interface BootstrapOperations {
  /** Create the first organization, its owner and their key. */
  create(params: {
    /** The owner's email address. */
    email: string;
    /** The name of the owner's key. */
    key_name: string;
    /** The name of the organization. */
    organization: string;
  }, options?: CallOptions): Promise<BootstrapResult>;
  /** Create a link that signs in an owner of the operator's organization. */
  createSignInLink(params?: {
    /** The owner's address; without it, the owner who has been there longest. */
    email?: string | null;
  }, options?: CallOptions): Promise<OwnerLink>;
}

export interface DeviceLinksOperations {
  /** Claim the key of an approved device link. */
  claim(params: {
    /** The token that the program has drawn: the brand, `_dev_`, and a secret with a checksum like that of a key. The link that a person approves contains its SHA-256. */
    token: string;
  }, options?: CallOptions): Promise<CreatedKey>;
}

export interface InvitationsOperations {
  /** Get an invitation by its secret. */
  get(params: {
    /** The secret of the invitation. */
    token: string;
  }, options?: CallOptions): Promise<InvitationPreview>;
  /** Accept an invitation. */
  accept(params: {
    /** The secret of the invitation. */
    token: string;
    /** The name for the first key of the new member. */
    key_name: string;
  }, options?: CallOptions): Promise<CreatedKey>;
  /** List open invitations, the newest first. */
  list(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** Only invitations that this key created, or this session on the settings pages. */
    created_by?: string;
    /** Only invitations that were created for this user. */
    created_by_user?: string;
    /** The maximum number of invitations on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last invitation on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<InvitationPage>;
  /** Create an invitation. */
  create(params: {
    /** The email address of the invited person. */
    email: string;
    /** The role that the invited person receives. */
    role: Role;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The life of the invitation, in days. `7` by default. */
    expires_in_days?: number;
  }, options?: RepeatableOptions): Promise<CreatedInvitation>;
  /** Revoke an invitation. */
  revoke(params: {
    /** The id of the invitation. */
    invitation_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Deleted>;
}

export interface KeysOperations {
  /** List keys, the newest first. */
  list(params?: {
    /** Only keys that this key created, or this session on the settings pages. */
    created_by?: string;
    /** Only keys that were created for this user. */
    created_by_user?: string;
    /** The id of the first key on the next page, to go backwards. Cannot be combined with `starting_after`. */
    ending_before?: string;
    /** Only keys with one of these ids, separated by commas or sent as several parameters. */
    id?: Array<string>;
    /** The maximum number of keys on the page. A page also ends when its keys are about 1 MB long. */
    limit?: number;
    /** Only keys with this name. */
    name?: string;
    /** Only keys whose text begins with this. */
    prefix?: string;
    /** Only keys of this project. */
    project_id?: string;
    /** The id of the last key on the previous page. */
    starting_after?: string;
    /** Only keys in this state. The default is all keys that are not revoked. */
    status?: "active" | "disabled" | "expired" | "revoked" | "all";
    /** Only keys of this user. */
    user_id?: string;
  }, options?: CallOptions): Promise<KeyPage>;
  /** Create a key. */
  create(params: {
    /** The name of the key. */
    name: string;
    /** The scopes of the key: scopes, names of bundles, or both. They resolve to at most 100 scopes. */
    scopes: Array<string>;
    /** The conditions of the key; null for none. If they are left out, the key has those of the key that sends the request. */
    conditions?: Conditions | null;
    /** The time when the key expires: a date-time with its offset, or a date; null for never. If neither this nor `expires_in_days` is sent, the key expires with the key that sends the request. */
    expires_at?: string | null;
    /** The life of the key in days from now. Cannot be combined with `expires_at`. */
    expires_in_days?: number | null;
    /** The kind of the key. The default is the kind of the key that sends the request. */
    kind?: NewKeyKind | null;
    /** A label in the key's text, after the brand, such as an environment or a region. */
    label?: string | null;
    /** Free-form metadata of at most 4,096 bytes and 32 levels. `{}` by default. */
    metadata?: Record<string, unknown>;
    /** Metadata of the operator, of the same size. Only an owner's or admin's key of the operator's own organization that holds `organization:write` can set it. `{}` by default. */
    operator_metadata?: Record<string, unknown>;
    /** The project of the key. Required for the kind `proj`, and not allowed for any other. */
    project_id?: string | null;
  }, options?: RepeatableOptions): Promise<CreatedKey>;
  /** Revoke the secret of the request. */
  revokeSelf(params?: {}, options?: CallOptions): Promise<RevokedKey>;
  /** Get the key of the request. */
  getSelf(params?: {}, options?: CallOptions): Promise<Key>;
  /** Verify a key. */
  verify(params: {
    /** The text of the key. */
    key: string;
    /** The number of a change that the result must know of: the `seq` or the `head` of an earlier answer. */
    at_least?: number | null;
    /** The client that has presented the key to you. A condition of the key about what is not told here is not met. */
    client?: RequestClient;
    /** True to be told each check, and why it passes or does not. `false` by default. */
    explain?: boolean;
    /** The freshness of the result. The default is `bounded`. */
    freshness?: Freshness | null;
    /** The scopes that the key must hold. `[]` by default. */
    scopes?: Array<string>;
  }, options?: CallOptions): Promise<VerificationResult>;
  /** Revoke a key. */
  revoke(params: {
    /** The id of the key. */
    key_id: string;
    /** True to allow the end even if no key that can manage keys is left. */
    force?: boolean;
    /** True to end all that descends from it, too: the keys that it created, those that they created, and so on, and the invitations, sign-in links and sessions of all of these. The default is to keep them. */
    with_descendants?: boolean;
  }, options?: CallOptions): Promise<RevokedKey>;
  /** Get a key. */
  get(params: {
    /** The id of the key. */
    key_id: string;
  }, options?: CallOptions): Promise<Key>;
  /** Change a key. */
  change(params: {
    /** The id of the key. */
    key_id: string;
    /** True to allow the change even if it disables or revokes the last key that can manage keys. */
    force?: boolean;
    /** The conditions of the key, in place of all that it has; null for none. */
    conditions?: Conditions | null;
    /** True if the key is enabled. A disabled key can be enabled again. */
    enabled?: boolean;
    /** The time when the key expires: a date-time with its offset, or a date; null for never. */
    expires_at?: string | null;
    /** The life of the key in days from now. Cannot be combined with `expires_at`. */
    expires_in_days?: number;
    /** Free-form metadata of at most 4,096 bytes and 32 levels. */
    metadata?: Record<string, unknown>;
    /** The name of the key. */
    name?: string;
    /** Metadata of the operator, of the same size. Only an owner's or admin's key of the operator's own organization that holds `organization:write` can set it: alone, also on a key of another organization. */
    operator_metadata?: Record<string, unknown>;
    /** The scopes of the key: scopes, names of bundles, or both. They resolve to at most 100 scopes. */
    scopes?: Array<string>;
  }, options?: ConditionalOptions): Promise<Key>;
  /** Get what would end with a key. */
  getDescendants(params: {
    /** The id of the key. */
    key_id: string;
  }, options?: CallOptions): Promise<DescendantsPreview>;
  /** List the events of a key, the newest first. */
  listEvents(params: {
    /** The id of the key. */
    key_id: string;
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: number;
  }, options?: CallOptions): Promise<EventPage>;
  /** Rotate a key. */
  rotate(params: {
    /** The id of the key. */
    key_id: string;
    /** A new expiry: a date-time with its offset, or a date; null for never. It makes an expired key valid again. */
    expires_at?: string | null;
    /** The life of the key in days from now. Cannot be combined with `expires_at`. */
    expires_in_days?: number | null;
    /** The number of seconds for which the old secret still works. `0` by default. */
    grace_period_seconds?: number;
  }, options?: RepeatableOptions): Promise<CreatedKey>;
  /** Cancel a rotation and keep the old secret. */
  cancelRotation(params: {
    /** The id of the key. */
    key_id: string;
  }, options?: CallOptions): Promise<Key>;
  /** Finish a rotation and end the old secret. */
  finishRotation(params: {
    /** The id of the key. */
    key_id: string;
  }, options?: CallOptions): Promise<Key>;
  /** Try what a key would be let do. */
  simulate(params: {
    /** The id of the key. */
    key_id: string;
    /** The time of the use: a date-time with its offset, or a date. The default is now. */
    at?: string | null;
    /** The client of the use. */
    client?: RequestClient;
    /** The scopes that the key must hold. `[]` by default. */
    scopes?: Array<string>;
  }, options?: CallOptions): Promise<VerifiedKey>;
  /** Get the daily uses of a key in the last 30 days. */
  getUsage(params: {
    /** The id of the key. */
    key_id: string;
  }, options?: CallOptions): Promise<KeyUsage>;
  /** List scopes, bundles and presets. */
  listScopes(params?: {}, options?: CallOptions): Promise<ScopeCatalogue>;
}

export interface LeaksOperations {
  /** Get the format of keys, for scanners. */
  getFormat(params?: {}, options?: CallOptions): Promise<KeyFormat>;
  /** Report keys that you have found in public. */
  report(params: {
    /** The keys, at most 1,000. Other texts are ignored. */
    keys: Array<string>;
    /** The address of the place where they were found. */
    url?: string | null;
  }, options?: CallOptions): Promise<LeakReceipt>;
}

export interface MembersOperations {
  /** List members, the newest first. */
  list(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<MemberPage>;
  /** Remove a member and revoke all their keys. */
  remove(params: {
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** True to allow the end even if no key that can manage keys is left. */
    force?: boolean;
    /** True to end all that descends from it, too: the keys that it created, those that they created, and so on, and the invitations, sign-in links and sessions of all of these. The default is to keep them. */
    with_descendants?: boolean;
  }, options?: CallOptions): Promise<RemovedMember>;
  /** Get a member. */
  get(params: {
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Member>;
  /** Change the role of a member. */
  change(params: {
    /** The id of the user. */
    user_id: string;
    /** The role of the member, which limits all their keys. */
    role: Role;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** True to allow the change even if it disables or revokes the last key that can manage keys. */
    force?: boolean;
  }, options?: ConditionalOptions): Promise<Member>;
  /** Get what would end with a member. */
  getDescendants(params: {
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<DescendantsPreview>;
  /** Create a link that signs a member in. */
  createSignInLink(params: {
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<SignInLink>;
  /** List open sign-in links, the newest first. */
  listSignInLinks(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<OpenSignInLinkPage>;
  /** Revoke a sign-in link. */
  revokeSignInLink(params: {
    /** The id of the link. */
    sign_in_link_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Deleted>;
}

export interface OrganizationsOperations {
  /** List organizations, the newest first. */
  list(params?: {
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<OrganizationPage>;
  /** Create an organization, its owner and their key. */
  create(params: {
    /** The owner's email address. */
    email: string;
    /** The name of the owner's key. */
    key_name: string;
    /** The name of the organization. */
    name: string;
  }, options?: RepeatableOptions): Promise<CreatedOrganization>;
  /** Get an organization. */
  get(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Organization>;
  /** Change an organization. */
  change(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The number of days for which new audit events are kept. */
    audit_retention_days?: number | null;
    /** The number of credits that are left, for runs of live evaluations and for questions to the language model; null for no limit. Only the operator can set it. */
    credits?: number | null;
    /** The default life of a new key, in days, up to `longest_expiry_days`. */
    default_expiry_days?: number | null;
    /** The maximum life of a key, in days. */
    longest_expiry_days?: number | null;
    /** The maximum number of personal keys of a user, without revoked and expired ones. */
    max_keys_per_user?: number | null;
    /** The name of the organization. */
    name?: string;
    /** The response to a key that somebody has found in public and reported. */
    on_leak?: LeakResponse;
    /** The quotas: the maximum of each thing; null for the default. Only the operator can set them. */
    quotas?: QuotaChange;
    /** The state of the subscription. Only the operator can set it. */
    subscription?: Subscription;
    /** True to refuse all keys of the organization. Only the operator can set it. */
    suspended?: boolean;
    /** The number of days for which traces are kept. */
    trace_retention_days?: number | null;
  }, options?: ConditionalOptions): Promise<Organization>;
  /** List projects, the newest first. */
  listProjects(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<ProjectPage>;
  /** Create a project and its first key. */
  createProject(params: {
    /** The name of the project. */
    name: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The description. */
    description?: string | null;
  }, options?: RepeatableOptions): Promise<CreatedProject>;
  /** Delete a project and revoke all its keys. */
  deleteProject(params: {
    /** The id of the project. */
    project_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<DeletedProject>;
  /** Get a project. */
  getProject(params: {
    /** The id of the project. */
    project_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Project>;
  /** Change a project. */
  changeProject(params: {
    /** The id of the project. */
    project_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The description; null for none. */
    description?: string | null;
    /** The name of the project. */
    name?: string;
  }, options?: ConditionalOptions): Promise<Project>;
}

export interface TeamsOperations {
  /** List teams, the newest first. */
  list(params?: {
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
    /** The maximum number of items on the page. A page also ends when its items are about 1 MB long. */
    limit?: number;
    /** The id of the last item on the previous page. */
    starting_after?: string;
  }, options?: CallOptions): Promise<TeamPage>;
  /** Create a team. */
  create(params: {
    /** The name of the team, unique in its organization. */
    name: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: RepeatableOptions): Promise<Team>;
  /** Delete a team. */
  delete(params: {
    /** The id of the team. */
    team_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Deleted>;
  /** Get a team and its members. */
  get(params: {
    /** The id of the team. */
    team_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<TeamDetails>;
  /** Rename a team. */
  rename(params: {
    /** The id of the team. */
    team_id: string;
    /** The name of the team, unique in its organization. */
    name: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: ConditionalOptions): Promise<Team>;
  /** Remove a member from a team. */
  remove(params: {
    /** The id of the team. */
    team_id: string;
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<Deleted>;
  /** Add a member to a team. */
  add(params: {
    /** The id of the team. */
    team_id: string;
    /** The id of the user. */
    user_id: string;
    /** The id of the organization, or `self` for the organization of the key. */
    organization_id?: string;
  }, options?: CallOptions): Promise<void>;
}

export interface TokensOperations {
  /** Get the public keys that verify derived tokens. */
  getKeySet(params?: {}, options?: CallOptions): Promise<KeySet>;
  /** Derive a short-lived token from the key of the request. */
  create(params: {
    /** The service that the token is for, such as its origin. The service must refuse a token for another. */
    audience: string;
    /** The life of the token, in seconds. It ends with the key at the latest. `300` by default. */
    expires_in_seconds?: number;
    /** The scopes of the token: scopes, names of bundles, or both. The default is the scopes of the key; a key with full access must name them. */
    scopes?: Array<string> | null;
  }, options?: CallOptions): Promise<Token>;
}

/** The actor of an event. */
export type Actor = {
  /** The id of the key or the session. */
  id: string | null;
  /** The kind of actor: `key`, `session` for a session on the settings pages without a key, `operator` for the operator of the service, whose keys can act in all organizations, or `system` for automatic changes. */
  kind: string;
  /** The id of the session, for actions on the settings pages. */
  session_id?: string | null;
  /** The id of the user that the actor acted for. */
  user_id: string | null;
};

/** A fault of the audit log. */
export type AuditFault = {
  /** The kind of fault: an event that is missing, one that was added in the place of a deleted one, one that was changed, or a seal that was. */
  code: "event_missing" | "event_added" | "event_changed" | "seal_changed";
  /** The number of the event. For what was changed, that of the first event of its seal. */
  number: number;
};

/** A seal of the audit log. */
export type AuditSeal = {
  /** The hash of all events up to this one. */
  hash: string;
  /** The number of the last event that is sealed. */
  number: number;
  /** The time of the seal. */
  sealed_at: string;
};

/** The result of a verification of a part of the audit log. */
export type AuditVerification = {
  /** The first fault. */
  fault: AuditFault | null;
  /** True if there is more to verify. */
  has_more: boolean;
  /** The newest seal of the organization. Keep it elsewhere: what it seals cannot be changed without another seal. */
  newest_seal: AuditSeal | null;
  /** The value of `starting_after` for the next part; null if there is none. */
  next_cursor: string | null;
  /** The number of events in this part that were deleted after their retention. Only their seals were verified. */
  pruned: number;
  /** The number of events after the newest seal, at most some hundreds. Only their numbers were verified. */
  unsealed: number;
  /** True if no fault was found in this part. */
  valid: boolean;
  /** The number of the last event that is sealed and was verified. */
  verified_up_to: number;
};

/** The owner's key, and their link to the settings pages. */
export type BootstrapResult = {
  /** The conditions of the key; null for none. */
  conditions: Conditions | null;
  /** The time when the key was created. */
  created_at: string;
  /** The id of the key that created this one, or whose invitation was accepted, or of the session on the settings pages if it was signed in without a key; null for the operator. */
  created_by: string | null;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The time when the key was disabled; null if it is enabled. */
  disabled_at: string | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. It never changes. */
  id: string;
  /** The key's text, which is the secret. It is shown only once. */
  key: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The time of the last use of the newest secret, at most a minute late. */
  last_used_at: string | null;
  /** The client of that use; null if it is not known, and after a verification, where only the service's is known. */
  last_used_from: UsedFrom | null;
  /** The id of the only live evaluation that this key can run. */
  live_evaluation_id: string | null;
  /** Free-form metadata of those who manage the key. It is returned with every verification. */
  metadata: Record<string, unknown>;
  /** The name of the key. */
  name: string;
  /** Free-form metadata of the operator, which nobody else can change. It is returned with every verification. */
  operator_metadata: Record<string, unknown>;
  /** The id of the organization that the key belongs to. */
  organization_id: string;
  /** The beginning and the end of the key's text. */
  preview: string;
  /** The id of the only project that a project's key can see, or of the project of the key's live evaluation. */
  project_id: string | null;
  /** The time when the key was revoked; null if it was not. */
  revoked_at: string | null;
  /** The role that limits the key in its organization, in addition to its scopes. */
  role: Role;
  /** The rotation in progress. */
  rotation: Rotation | null;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** A link that signs the owner in on the settings pages. It works once, within a day. */
  sign_in_link: string;
  /** The state of the key, or the reason why it does not work. */
  status: KeyStatus;
  /** The time of the last change. */
  updated_at: string;
  /** The id of the user that a personal key acts for. */
  user_id: string | null;
};

/** A check of a key. */
export type Check = {
  /** The name of the check; for a condition, that of its field. */
  check: string;
  /** The explanation for people. */
  detail: string;
  /** True if the check passes. The first that does not decides the result. */
  passed: boolean;
};

/** The conditions of a key. The key works only if all of them are met. */
export type Conditions = {
  /** The countries for which the key works: codes of ISO 3166-1 in capitals, and `T1` for Tor. */
  allowed_countries?: Array<string> | null;
  /** The addresses for which the key works: ranges like `192.0.2.0/24` or `2001:db8::/32`, and single addresses. */
  allowed_ips?: Array<string> | null;
  /** The countries for which the key does not work, even if they are allowed. */
  denied_countries?: Array<string> | null;
  /** The addresses for which the key does not work, even if they are allowed. */
  denied_ips?: Array<string> | null;
  /** The periods of the week in which the key works, in UTC. */
  hours?: Array<Period> | null;
  /** The time from which the key works: a date-time with its offset. */
  not_before?: string | null;
};

/** A new invitation, with its secret. */
export type CreatedInvitation = {
  /** The time when the invitation was created. */
  created_at: string;
  /** The id of the key that created the invitation, or of the session on the settings pages if it was signed in without a key. */
  created_by: string;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The email address of the invited person. */
  email: string;
  /** The time when the invitation expires. */
  expires_at: string;
  /** The id of the invitation. It does not open the invitation. */
  id: string;
  /** The time when the key of the invited person expires; null for never. */
  key_expires_at: string | null;
  /** The address of the page where the invitation can be accepted. It contains the secret. */
  link: string;
  /** The role that the invited person receives. */
  role: Role;
  /** The secret that opens the invitation. It is shown only once. */
  token: string;
};

/** A key that was created or rotated, with its secret. */
export type CreatedKey = {
  /** The conditions of the key; null for none. */
  conditions: Conditions | null;
  /** The time when the key was created. */
  created_at: string;
  /** The id of the key that created this one, or whose invitation was accepted, or of the session on the settings pages if it was signed in without a key; null for the operator. */
  created_by: string | null;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The time when the key was disabled; null if it is enabled. */
  disabled_at: string | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. It never changes. */
  id: string;
  /** The key's text, which is the secret. It is shown only once. */
  key: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The time of the last use of the newest secret, at most a minute late. */
  last_used_at: string | null;
  /** The client of that use; null if it is not known, and after a verification, where only the service's is known. */
  last_used_from: UsedFrom | null;
  /** The id of the only live evaluation that this key can run. */
  live_evaluation_id: string | null;
  /** Free-form metadata of those who manage the key. It is returned with every verification. */
  metadata: Record<string, unknown>;
  /** The name of the key. */
  name: string;
  /** Free-form metadata of the operator, which nobody else can change. It is returned with every verification. */
  operator_metadata: Record<string, unknown>;
  /** The id of the organization that the key belongs to. */
  organization_id: string;
  /** The beginning and the end of the key's text. */
  preview: string;
  /** The id of the only project that a project's key can see, or of the project of the key's live evaluation. */
  project_id: string | null;
  /** The time when the key was revoked; null if it was not. */
  revoked_at: string | null;
  /** The role that limits the key in its organization, in addition to its scopes. */
  role: Role;
  /** The rotation in progress. */
  rotation: Rotation | null;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The state of the key, or the reason why it does not work. */
  status: KeyStatus;
  /** The time of the last change. */
  updated_at: string;
  /** The id of the user that a personal key acts for. */
  user_id: string | null;
};

/** A new organization, with its owner's key. */
export type CreatedOrganization = {
  /** The owner's key. */
  key: CreatedKey;
  /** The organization. */
  organization: Organization;
};

/** A new project, with its first key. */
export type CreatedProject = {
  /** The first key of the project. */
  key: CreatedKey;
  /** The project. */
  project: Project;
};

/** The number of uses of a key on one day. */
export type DailyUsage = {
  /** The beginning of the day, in UTC. */
  day: string;
  /** The number of uses. */
  uses: number;
};

/** A resource that was deleted. */
export type Deleted = {
  /** The time from which routes that use the database know of it. */
  effective_at: string;
  /** The id of the resource. */
  id: string;
  /** The maximum time after that until all other routes know of it, too, in milliseconds. 0 unless keys end with the resource. */
  max_staleness_ms: number;
};

/** A deleted project. Its keys are deleted, too. */
export type DeletedProject = {
  /** The time when the project was created. */
  created_at: string;
  /** The description. */
  description: string | null;
  /** The time from which routes that use the database refuse the project's keys. */
  effective_at: string;
  /** The id of the project. */
  id: string;
  /** The maximum time after that until every other route refuses them, too, in milliseconds. */
  max_staleness_ms: number;
  /** The name of the project. */
  name: string;
  /** The id of the organization that the project belongs to. */
  organization_id: string;
  /** The time of the last change. */
  updated_at: string;
};

/** The number of things that end with a key or a person. */
export type Descendants = {
  /** The number of open invitations. */
  invitations: number;
  /** The number of keys, without those of the key or person itself. */
  keys: number;
  /** The number of open sessions on the settings pages. */
  sessions: number;
  /** The number of open sign-in links. */
  sign_in_links: number;
  /** The number of trusts. */
  trusts: number;
};

/** A preview of the end of a key or a person. */
export type DescendantsPreview = {
  /** The number of things that would end. */
  descendants: Descendants;
  /** The keys that would end, at most the newest 100. */
  keys: Array<Key>;
  /** False if the key of the request lacks the role or the reach to end all of this. */
  may_end: boolean;
  /** The keys that would stay, but that the person has rotated, so that they have seen the secret: rotate them again. At most the newest 100; none for a key. */
  seen_keys: Array<Key>;
};

/** An event of the audit log: a change, or a refused attempt. */
export type Event = {
  /** The action, such as `key.created`. */
  action: string;
  /** The actor. */
  actor: Actor;
  /** The time of the event. */
  at: string;
  /** The fields that were set, with their new values. */
  details: Record<string, unknown>;
  /** The number of the event in its organization. Later events have higher numbers, without a gap. */
  id: number;
  /** The IP address that the request came from. */
  ip: string | null;
  /** The error code of a refused attempt; null for a change. */
  refusal: string | null;
  /** The id of the request. */
  request_id: string | null;
  /** The id of the key or other resource that was changed. */
  subject: string;
};

/** A page of a list, the newest first. */
export type EventPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Event>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** The freshness of a verification. - `bounded`: The result can be a few seconds old, so a key that was just revoked may still be valid. - `strong`: The result is read from the database. */
export type Freshness = "bounded" | "strong";

/** A key that is not valid, or that lacks a required scope. */
export type InvalidKey = {
  /** The maximum age of the information about the key, in milliseconds. */
  age_ms: number;
  /** The checks in their order, if `explain` was set. */
  checks?: Array<Check> | null;
  /** `valid`, or the reason why the key is not. */
  code: "api_key_expired" | "conditions_not_met" | "insufficient_scope" | "key_disabled" | "key_revoked" | "key_rotated" | "organization_suspended" | "project_deleted" | "user_removed";
  /** True if the key has conditions, so that the result is for this client and this time alone: ask again each time. */
  conditional: boolean;
  /** True if the database does not answer, and the information is older than it may be otherwise. */
  degraded: boolean;
  /** The time after which this secret ends, in milliseconds, by its expiry or a rotation; null for never. */
  ends_in_ms: number | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** The name of the first condition that is not met. */
  failed_condition?: "not_before" | "hours" | "allowed_ips" | "denied_ips" | "allowed_countries" | "denied_countries";
  /** The time for which the result may be used again without the feed, in milliseconds. */
  fresh_for_ms: number;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. */
  key_id: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The metadata of the key, as written by those who manage it: its holder, if the key can change itself. */
  metadata: Record<string, unknown>;
  /** The required scopes that the key lacks, if it is otherwise valid. */
  missing_scopes?: Array<string> | null;
  /** The name of the key. */
  name: string;
  /** The operator's metadata of the key, which nobody else can change. */
  operator_metadata: Record<string, unknown>;
  /** The time when this secret stops working, if a rotation is replacing it. */
  outgoing_until?: string | null;
  /** The owner of the key. */
  owner: KeyOwner;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The number of the change up to which the result is known to be current. */
  seq: number;
  /** The source of the information about the key. */
  source: "memory" | "kv" | "replica" | "d1";
  /** The ids in the feed whose later change makes the result stale. */
  subjects: Array<string>;
  /** True if the key is valid. */
  valid: false;
  /** The furthest source that this request has waited for, for its caller's key or for this one; null if the answer was ready. */
  waited_for: "kv" | "holder" | "replica" | "d1" | null;
};

/** An open invitation. */
export type Invitation = {
  /** The time when the invitation was created. */
  created_at: string;
  /** The id of the key that created the invitation, or of the session on the settings pages if it was signed in without a key. */
  created_by: string;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The email address of the invited person. */
  email: string;
  /** The time when the invitation expires. */
  expires_at: string;
  /** The id of the invitation. It does not open the invitation. */
  id: string;
  /** The time when the key of the invited person expires; null for never. */
  key_expires_at: string | null;
  /** The role that the invited person receives. */
  role: Role;
};

/** A page of a list, the newest first. */
export type InvitationPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Invitation>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** An open invitation, as the invited person sees it. */
export type InvitationPreview = {
  /** The email address of the invited person. */
  email: string;
  /** The time when the invitation expires. */
  expires_at: string;
  /** Instructions to accept the invitation. */
  next: string;
  /** The name of the organization. */
  organization: string;
  /** The role that the invited person receives. */
  role: Role;
};

/** A key. */
export type Key = {
  /** The conditions of the key; null for none. */
  conditions: Conditions | null;
  /** The time when the key was created. */
  created_at: string;
  /** The id of the key that created this one, or whose invitation was accepted, or of the session on the settings pages if it was signed in without a key; null for the operator. */
  created_by: string | null;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The time when the key was disabled; null if it is enabled. */
  disabled_at: string | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. It never changes. */
  id: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The time of the last use of the newest secret, at most a minute late. */
  last_used_at: string | null;
  /** The client of that use; null if it is not known, and after a verification, where only the service's is known. */
  last_used_from: UsedFrom | null;
  /** The id of the only live evaluation that this key can run. */
  live_evaluation_id: string | null;
  /** Free-form metadata of those who manage the key. It is returned with every verification. */
  metadata: Record<string, unknown>;
  /** The name of the key. */
  name: string;
  /** Free-form metadata of the operator, which nobody else can change. It is returned with every verification. */
  operator_metadata: Record<string, unknown>;
  /** The id of the organization that the key belongs to. */
  organization_id: string;
  /** The beginning and the end of the key's text. */
  preview: string;
  /** The id of the only project that a project's key can see, or of the project of the key's live evaluation. */
  project_id: string | null;
  /** The time when the key was revoked; null if it was not. */
  revoked_at: string | null;
  /** The role that limits the key in its organization, in addition to its scopes. */
  role: Role;
  /** The rotation in progress. */
  rotation: Rotation | null;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The state of the key, or the reason why it does not work. */
  status: KeyStatus;
  /** The time of the last change. */
  updated_at: string;
  /** The id of the user that a personal key acts for. */
  user_id: string | null;
};

/** The format of keys, for programs that search for leaked ones. */
export type KeyFormat = {
  /** The first word of every key. */
  brand: string;
  /** The checksum at the end of every key, by which a scanner can tell a key from a text that looks like one. */
  checksum: string;
  /** A rule for gitleaks, in TOML. */
  gitleaks: string;
  /** A text that every key contains. */
  keyword: string;
  /** A regular expression that matches every key. */
  pattern: string;
  /** The address that takes reports of leaked keys. */
  report_url: string;
  /** A detector for trufflehog, in YAML. */
  trufflehog: string;
};

/** The kind of a key. Its name is part of the key's text. - `pat`: A personal key: acts as its user. - `org`: An organization's key: administers the organization, independent of any person. - `proj`: A project's key: sees one project. - `sk`: A bound key: acts for one live evaluation and has no user. */
export type KeyKind = "pat" | "org" | "proj" | "sk";

/** The owner of a key. */
export type KeyOwner = {
  /** The id of the live evaluation, for the key of one. */
  live_evaluation_id: string | null;
  /** The id of the organization. */
  organization_id: string;
  /** The id of the user, for a personal key. */
  user_id: string | null;
};

/** A page of a list, the newest first. */
export type KeyPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Key>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** The public keys of this deployment (RFC 7517). */
export type KeySet = {
  /** The keys, the one that signs first. */
  keys: Array<PublicKey>;
};

/** The status of a key in lists: its state, unless that on which it depends is gone. - `active`: The key works. - `disabled`: The key is disabled and can be enabled again. - `expired`: The key's expiry has passed. - `revoked`: The key is revoked for good. - `user_removed`: The key's user is no longer in the organization. - `project_deleted`: The key's project was deleted. - `organization_suspended`: The key's organization is suspended. */
export type KeyStatus = "active" | "disabled" | "expired" | "revoked" | "user_removed" | "project_deleted" | "organization_suspended";

/** The daily uses of a key. */
export type KeyUsage = {
  /** The last 30 days, the oldest first. */
  days: Array<DailyUsage>;
};

/** The receipt of a report. It is the same whether the texts were keys or not. */
export type LeakReceipt = {
  /** The number of texts that were received. */
  received: number;
};

/** The response of an organization to a key that somebody has found in public and reported. - `revoke`: The key is revoked. - `disable`: The key is disabled, and can be enabled again. - `notify`: The leak is recorded in the audit log, and the key goes on working. */
export type LeakResponse = "revoke" | "disable" | "notify";

/** A member of an organization. */
export type Member = {
  /** The email address. */
  email: string;
  /** The time when the member joined. */
  joined_at: string;
  /** The role of the member, which limits all their keys. */
  role: Role;
  /** The time of the last change of the role. */
  updated_at: string;
  /** The id of the user. */
  user_id: string;
};

/** A page of a list, the newest first. */
export type MemberPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Member>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** The kind of a new key. - `pat`: A personal key, which acts for the user who creates it. - `org`: A key of the organization, which does not depend on any user. - `proj`: A key of the project in `project_id`. */
export type NewKeyKind = "pat" | "org" | "proj";

/** An open sign-in link, without its secret. */
export type OpenSignInLink = {
  /** The time when the link was created. */
  created_at: string;
  /** The id of the key that created the link, or of the session on the settings pages if it was signed in without a key; null for the operator. */
  created_by: string | null;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The email address of that user. */
  email: string;
  /** The time when the link expires. */
  expires_at: string;
  /** The id of the link. It opens nothing. */
  id: string;
  /** The maximum role of the session. */
  role: Role;
  /** The id of the user whom it signs in. */
  user_id: string;
};

/** A page of a list, the newest first. */
export type OpenSignInLinkPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<OpenSignInLink>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** An organization with its settings. A setting that is null is not set. */
export type Organization = {
  /** The number of days for which audit events are kept; null for the operator's default. */
  audit_retention_days: number | null;
  /** The time when the organization was created. */
  created_at: string;
  /** The number of credits that are left, for runs of live evaluations and for questions to the language model; null for no limit. */
  credits: number | null;
  /** The default life of a new key, in days. */
  default_expiry_days: number | null;
  /** The id of the organization. */
  id: string;
  /** The maximum life of a key, in days. */
  longest_expiry_days: number | null;
  /** The maximum number of personal keys of a user, without revoked and expired ones. */
  max_keys_per_user: number | null;
  /** The name of the organization. */
  name: string;
  /** The response to a key that somebody has found in public and reported. */
  on_leak: LeakResponse;
  /** The quotas that the operator has set; null for the default. */
  quotas: Quotas;
  /** The state of the subscription, which the evaluation routes require. */
  subscription: Subscription;
  /** The time when the organization was suspended; null if it is not. */
  suspended_at: string | null;
  /** The number of days for which traces are kept; null for the operator's default. */
  trace_retention_days: number | null;
  /** The time of the last change. */
  updated_at: string;
  /** The amount of each thing that it has and may have. */
  usage: Quotas2;
};

/** A page of a list, the newest first. */
export type OrganizationPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Organization>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** A link that signs an owner of the operator's organization in on the settings pages, once. */
export type OwnerLink = {
  /** The owner's address. */
  email: string;
  /** The instant from which on the link opens nothing. */
  expires_at: string;
  /** The page on which they sign in. The secret in it is shown this once. */
  link: string;
  /** The owner. */
  user_id: string;
};

/** A period that begins on each of some days. */
export type Period = {
  /** The days on which the period begins. */
  days: Array<"mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun">;
  /** The time of its beginning, in UTC. */
  from: string;
  /** The time of its end, in UTC: the next such time after `from`, which may be on the next day. */
  to: string;
};

/** A preset for a new key. */
export type Preset = {
  /** Advice for people who choose the preset. */
  note: string;
  /** The scopes that the purpose needs. */
  scopes: Array<string>;
  /** The purpose of the key. */
  title: string;
};

/** A project. */
export type Project = {
  /** The time when the project was created. */
  created_at: string;
  /** The description. */
  description: string | null;
  /** The id of the project. */
  id: string;
  /** The name of the project. */
  name: string;
  /** The id of the organization that the project belongs to. */
  organization_id: string;
  /** The time of the last change. */
  updated_at: string;
};

/** A page of a list, the newest first. */
export type ProjectPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Project>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** A public key. */
export type PublicKey = {
  /** The algorithm. */
  alg: "EdDSA";
  /** The curve. */
  crv: "Ed25519";
  /** The id of the key, as in the header of a token. */
  kid: string;
  /** The type of the key. */
  kty: "OKP";
  /** The use of the key. */
  use: "sig";
  /** The key, in base64url. */
  x: string;
};

/** A change of quotas. Fields that are left out do not change, and null stands for the default. */
export type QuotaChange = {
  /** Bytes of the rows of data sets and of traces. */
  bytes?: number | null;
  /** Data sets. */
  datasets?: number | null;
  /** Open invitations. */
  invitations?: number | null;
  /** Keys that are not revoked. */
  keys?: number | null;
  /** People. */
  members?: number | null;
  /** Projects. */
  projects?: number | null;
};

/** A value for each quota. */
export type Quotas = {
  /** Bytes of the rows of data sets and of traces. */
  bytes: number | null;
  /** Data sets. */
  datasets: number | null;
  /** Open invitations. */
  invitations: number | null;
  /** Keys that are not revoked. */
  keys: number | null;
  /** People. */
  members: number | null;
  /** Projects. */
  projects: number | null;
};

/** A value for each quota. */
export type Quotas2 = {
  /** Bytes of the rows of data sets and of traces. */
  bytes: Usage;
  /** Data sets. */
  datasets: Usage;
  /** Open invitations. */
  invitations: Usage;
  /** Keys that are not revoked. */
  keys: Usage;
  /** People. */
  members: Usage;
  /** Projects. */
  projects: Usage;
};

/** A member who was removed. */
export type RemovedMember = {
  /** The number of things that have ended with the member, beside their own keys; null without `with_descendants`. */
  descendants: Descendants | null;
  /** The time from which routes that use the database know of it. */
  effective_at: string;
  /** The id of the resource. */
  id: string;
  /** The maximum time after that until all other routes know of it, too, in milliseconds. 0 unless keys end with the resource. */
  max_staleness_ms: number;
};

/** The client that presents a key. */
export type RequestClient = {
  /** The country of the client: a code of ISO 3166-1 in capitals, `T1` for Tor, or `XX` if it is not known. */
  country?: string | null;
  /** The address of the client, of IPv4 or IPv6. */
  ip?: string | null;
};

/** A key that was revoked. */
export type RevokedKey = {
  /** The conditions of the key; null for none. */
  conditions: Conditions | null;
  /** The time when the key was created. */
  created_at: string;
  /** The id of the key that created this one, or whose invitation was accepted, or of the session on the settings pages if it was signed in without a key; null for the operator. */
  created_by: string | null;
  /** The id of the user for whom the creator acted. */
  created_by_user: string | null;
  /** The number of things that have ended with the key; null without `with_descendants`. */
  descendants: Descendants | null;
  /** The time when the key was disabled; null if it is enabled. */
  disabled_at: string | null;
  /** The time from which routes that use the database refuse the key. */
  effective_at: string | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. It never changes. */
  id: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The time of the last use of the newest secret, at most a minute late. */
  last_used_at: string | null;
  /** The client of that use; null if it is not known, and after a verification, where only the service's is known. */
  last_used_from: UsedFrom | null;
  /** The id of the only live evaluation that this key can run. */
  live_evaluation_id: string | null;
  /** The maximum time after that until every other route refuses it, too, in milliseconds. */
  max_staleness_ms: number;
  /** Free-form metadata of those who manage the key. It is returned with every verification. */
  metadata: Record<string, unknown>;
  /** The name of the key. */
  name: string;
  /** Free-form metadata of the operator, which nobody else can change. It is returned with every verification. */
  operator_metadata: Record<string, unknown>;
  /** The id of the organization that the key belongs to. */
  organization_id: string;
  /** The beginning and the end of the key's text. */
  preview: string;
  /** The id of the only project that a project's key can see, or of the project of the key's live evaluation. */
  project_id: string | null;
  /** The time when the key was revoked; null if it was not. */
  revoked_at: string | null;
  /** The role that limits the key in its organization, in addition to its scopes. */
  role: Role;
  /** The rotation in progress. */
  rotation: Rotation | null;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The state of the key, or the reason why it does not work. */
  status: KeyStatus;
  /** The time of the last change. */
  updated_at: string;
  /** The id of the user that a personal key acts for. */
  user_id: string | null;
};

/** A role in an organization, from the least to the most powerful. - `member`: Sees and manages their own keys. - `admin`: Sees and manages all keys of the organization. - `owner`: An admin who also owns the organization. */
export type Role = "member" | "admin" | "owner";

/** A rotation in progress, with the uses of the old secret. */
export type Rotation = {
  /** The time of the last use of the old secret, at most a minute late. */
  outgoing_last_used_at: string | null;
  /** The client of that use, if it is known. */
  outgoing_last_used_from: UsedFrom | null;
  /** The beginning and the end of the old secret's text. */
  outgoing_preview: string;
  /** The number of uses of the old secret since the rotation began. */
  outgoing_uses: number;
  /** The time when the old secret stops working. */
  rotates_at: string;
};

/** The scopes, bundles and presets of this service. */
export type ScopeCatalogue = {
  /** The bundles by name. A bundle can stand in a key's list of scopes; null is full access. */
  bundles: Record<string, unknown>;
  /** The presets: suggested scopes for common uses of a key. */
  presets: Array<Preset>;
  /** The scopes. */
  scopes: Array<ScopeDetails>;
  /** The wildcard scopes. Each allows every action on its resource. */
  wildcards: Array<string>;
};

/** A scope. */
export type ScopeDetails = {
  /** The actions that the scope allows. */
  description: string;
  /** True if the key that sends the request holds the scope. */
  held: boolean;
  /** The scope. */
  scope: string;
};

/** A link that signs a member in on the settings pages once. */
export type SignInLink = {
  /** The time when the link expires. */
  expires_at: string;
  /** The address of the page that signs the member in. It contains a secret and is shown only once. */
  link: string;
};

/** The subscription of an organization to the resource routes, which the operator sells behind the keys. - `active`: The resource routes are available. - `inactive`: The resource routes are refused until payment. */
export type Subscription = "active" | "inactive";

/** A team of an organization. */
export type Team = {
  /** The time when the team was created. */
  created_at: string;
  /** The id of the team. */
  id: string;
  /** The name of the team, unique in its organization. */
  name: string;
  /** The time of the last change of the name. */
  updated_at: string;
};

/** A team with its members. */
export type TeamDetails = {
  /** The time when the team was created. */
  created_at: string;
  /** The id of the team. */
  id: string;
  /** The members of the team. */
  members: Array<TeamMember>;
  /** The name of the team, unique in its organization. */
  name: string;
  /** The time of the last change of the name. */
  updated_at: string;
};

/** A member of a team. */
export type TeamMember = {
  /** The time when the user was added. */
  added_at: string;
  /** The id of the user. */
  user_id: string;
};

/** A page of a list, the newest first. */
export type TeamPage = {
  /** True if there are more items after this page, or before it with `ending_before`. */
  has_more: boolean;
  /** The items on the page. */
  items: Array<Team>;
  /** The cursor of the next page: send it as `starting_after`, or as `ending_before` if that was sent. Null on the last page. */
  next_cursor: string | null;
};

/** A derived token. */
export type Token = {
  /** The time when the token expires. */
  expires_at: string;
  /** The scopes of the token. */
  scopes: Array<string>;
  /** The token: a JSON Web Token that is signed with Ed25519. */
  token: string;
};

/** A text that is no key, or a key that the caller cannot see. */
export type UnknownKey = {
  /** `valid`, or the reason why the key is not. */
  code: "invalid_api_key" | "malformed_api_key";
  /** True if the key is valid. */
  valid: false;
};

/** The amount of a thing that an organization has, and may have. */
export type Usage = {
  /** The amount that it may have. */
  limit: number;
  /** The amount that it has. */
  used: number;
};

/** The client that used a key. */
export type UsedFrom = {
  /** The address of the client. */
  ip: string | null;
  /** The first 100 characters of the client's `User-Agent`. */
  user_agent: string | null;
};

/** A valid key that holds all required scopes. */
export type ValidKey = {
  /** The maximum age of the information about the key, in milliseconds. */
  age_ms: number;
  /** The checks in their order, if `explain` was set. */
  checks?: Array<Check> | null;
  /** `valid`, or the reason why the key is not. */
  code: "valid";
  /** True if the key has conditions, so that the result is for this client and this time alone: ask again each time. */
  conditional: boolean;
  /** True if the database does not answer, and the information is older than it may be otherwise. */
  degraded: boolean;
  /** The time after which this secret ends, in milliseconds, by its expiry or a rotation; null for never. */
  ends_in_ms: number | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** The name of the first condition that is not met. */
  failed_condition?: "not_before" | "hours" | "allowed_ips" | "denied_ips" | "allowed_countries" | "denied_countries";
  /** The time for which the result may be used again without the feed, in milliseconds. */
  fresh_for_ms: number;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. */
  key_id: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The metadata of the key, as written by those who manage it: its holder, if the key can change itself. */
  metadata: Record<string, unknown>;
  /** The required scopes that the key lacks, if it is otherwise valid. */
  missing_scopes?: Array<string> | null;
  /** The name of the key. */
  name: string;
  /** The operator's metadata of the key, which nobody else can change. */
  operator_metadata: Record<string, unknown>;
  /** The time when this secret stops working, if a rotation is replacing it. */
  outgoing_until?: string | null;
  /** The owner of the key. */
  owner: KeyOwner;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The number of the change up to which the result is known to be current. */
  seq: number;
  /** The source of the information about the key. */
  source: "memory" | "kv" | "replica" | "d1";
  /** The ids in the feed whose later change makes the result stale. */
  subjects: Array<string>;
  /** True if the key is valid. */
  valid: true;
  /** The furthest source that this request has waited for, for its caller's key or for this one; null if the answer was ready. */
  waited_for: "kv" | "holder" | "replica" | "d1" | null;
};

/** The result of a verification. */
export type VerificationResult = ValidKey | InvalidKey | UnknownKey;

/** A key with the result of its verification. */
export type VerifiedKey = {
  /** The maximum age of the information about the key, in milliseconds. */
  age_ms: number;
  /** The checks in their order, if `explain` was set. */
  checks?: Array<Check> | null;
  /** `valid`, or the code of the reason why it is not. */
  code: string;
  /** True if the key has conditions, so that the result is for this client and this time alone: ask again each time. */
  conditional: boolean;
  /** True if the database does not answer, and the information is older than it may be otherwise. */
  degraded: boolean;
  /** The time after which this secret ends, in milliseconds, by its expiry or a rotation; null for never. */
  ends_in_ms: number | null;
  /** The time when the key expires; null for never. */
  expires_at: string | null;
  /** The name of the first condition that is not met. */
  failed_condition?: "not_before" | "hours" | "allowed_ips" | "denied_ips" | "allowed_countries" | "denied_countries";
  /** The time for which the result may be used again without the feed, in milliseconds. */
  fresh_for_ms: number;
  /** True if `scopes` is null. */
  full_access: boolean;
  /** The id of the key. */
  key_id: string;
  /** The kind of the key: what it acts as. */
  kind: KeyKind;
  /** The metadata of the key, as written by those who manage it: its holder, if the key can change itself. */
  metadata: Record<string, unknown>;
  /** The required scopes that the key lacks, if it is otherwise valid. */
  missing_scopes?: Array<string> | null;
  /** The name of the key. */
  name: string;
  /** The operator's metadata of the key, which nobody else can change. */
  operator_metadata: Record<string, unknown>;
  /** The time when this secret stops working, if a rotation is replacing it. */
  outgoing_until?: string | null;
  /** The owner of the key. */
  owner: KeyOwner;
  /** The scopes of the key; null for full access within its owner's role. */
  scopes: Array<string> | null;
  /** The number of the change up to which the result is known to be current. */
  seq: number;
  /** The source of the information about the key. */
  source: "memory" | "kv" | "replica" | "d1";
  /** The ids in the feed whose later change makes the result stale. */
  subjects: Array<string>;
  /** True if the key is valid and holds all required scopes. */
  valid: boolean;
  /** The furthest source that this request has waited for, for its caller's key or for this one; null if the answer was ready. */
  waited_for: "kv" | "holder" | "replica" | "d1" | null;
};
