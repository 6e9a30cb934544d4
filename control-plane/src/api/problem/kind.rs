//! The table of problems: name, status, sentence, and what to do about it.

use axum::http::StatusCode;

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:ident, $title:literal, $hint:literal;)*) => {
        /// The kinds of problem that the API answers with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(in super::super) enum ProblemKind { $($(#[$doc])* $kind,)* }

        impl ProblemKind {
            /// Every kind, so that the table can be checked and documented.
            pub(in super::super) const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The last part of `type`.
            #[must_use]
            pub(in super::super) const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub(in super::super) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The same short sentence for every occurrence.
            #[must_use]
            pub(in super::super) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// What to do about it, where no occurrence knows better.
            #[must_use]
            pub(in super::super) const fn hint(self) -> &'static str {
                match self { $(Self::$kind => $hint,)* }
            }
        }
    };
}

problem_kinds! {
    /// No token, or one that opens nothing (any more).
    Unauthorized = "unauthorized", UNAUTHORIZED, "the token is missing or wrong",
        "send it as \"Authorization: Bearer <token>\"";
    /// Whoever asks is known, and may not do this.
    Forbidden = "forbidden", FORBIDDEN, "you may not do this", "ask an owner of the tenant, or the operator";
    /// Wrong tokens keep coming from where this one came from.
    TooManyWrongTokens = "too-many-wrong-tokens", TOO_MANY_REQUESTS, "too many wrong tokens came from your address",
        "wait for a second; the token was not looked at";
    /// No such path.
    NotFound = "not-found", NOT_FOUND, "there is nothing at this path", "see /openapi.json for what there is";
    /// The path is right, the method is not.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "this path does not take this method",
        "see /openapi.json for what it takes";
    /// The body is not JSON.
    MalformedBody = "malformed-body", BAD_REQUEST, "the body is not valid JSON", "send one JSON object";
    /// The body is of another type than JSON.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "the body is not declared as JSON",
        "send \"Content-Type: application/json\"";
    /// The body is larger than the limit.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "the body is too large", "no request needs a body this large";
    /// The headers are larger than the limit.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large",
        "send fewer or shorter headers";
    /// The body names a field that does not exist.
    UnknownField = "unknown-field", UNPROCESSABLE_ENTITY, "the body names an unknown field",
        "check the spelling; an unknown field is never ignored";
    /// A field is missing, of the wrong type, or out of range.
    InvalidField = "invalid-field", UNPROCESSABLE_ENTITY, "a field is not valid", "see /openapi.json for its form";
    /// The slug breaks the naming rules.
    SlugInvalid = "slug-invalid", UNPROCESSABLE_ENTITY, "the slug is not valid",
        "use lower-case letters, digits and single hyphens, such as \"acme-eu\"";
    /// The query string is wrong.
    InvalidQuery = "invalid-query", BAD_REQUEST, "the query string is not valid", "see /openapi.json for its parameters";
    /// The cursor is none that a listing gave out.
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "the cursor is not valid",
        "pass next_cursor of the page before, unchanged, or leave it out";
    /// A header is wrong.
    InvalidHeader = "invalid-header", BAD_REQUEST, "a header is not valid", "see /openapi.json for its form";
    /// No region of this name is known.
    RegionNotFound = "region-not-found", NOT_FOUND, "there is no such region", "list them with GET /v1/regions";
    /// The body names a region that is not known.
    RegionUnknown = "region-unknown", UNPROCESSABLE_ENTITY, "the region is not known",
        "list the regions with GET /v1/regions, or create it first";
    /// The region exists.
    RegionExists = "region-exists", CONFLICT, "the region exists already", "choose another name";
    /// The tenant may not be placed in this region.
    RegionNotAllowed = "region-not-allowed", UNPROCESSABLE_ENTITY, "the tenant's allowed regions leave this region out",
        "choose one of allowed_regions, or add the region to them";
    /// No such cluster.
    ClusterNotFound = "cluster-not-found", NOT_FOUND, "there is no such cluster", "list them with GET /v1/clusters";
    /// The name or the server is registered.
    ClusterExists = "cluster-exists", CONFLICT, "the cluster is registered already",
        "a server is registered once, under one name";
    /// The DSN cannot be used as one.
    ClusterDsnInvalid = "cluster-dsn-invalid", UNPROCESSABLE_ENTITY, "the admin DSN is not usable",
        "give postgres://user:password@host:port/postgres with one host";
    /// The server does not answer or refuses the login.
    ClusterUnreachable = "cluster-unreachable", UNPROCESSABLE_ENTITY, "the cluster cannot be reached",
        "check host, port, user and password, and that the server lets this host in";
    /// The server is too old.
    ClusterVersion = "cluster-version", UNPROCESSABLE_ENTITY, "the cluster's PostgreSQL is too old",
        "upgrade the server to PostgreSQL 15 or newer";
    /// The admin role may not do what is needed.
    ClusterPrivileges = "cluster-privileges", UNPROCESSABLE_ENTITY, "the admin role lacks privileges",
        "ALTER ROLE … CREATEDB CREATEROLE, or use a superuser";
    /// The server is a standby.
    ClusterReadOnly = "cluster-read-only", UNPROCESSABLE_ENTITY, "the cluster is a standby",
        "register the primary: databases cannot be created on a standby";
    /// No such feature.
    FeatureNotFound = "feature-not-found", NOT_FOUND, "there is no such feature", "list them with GET /v1/features";
    /// Nothing was said of this tenant and this feature.
    TenantFeatureNotFound = "tenant-feature-not-found", NOT_FOUND, "nothing was said of this tenant and this feature",
        "list what it has with GET /v1/tenants/{tenant}/features";
    /// There is one of this name.
    FeatureExists = "feature-exists", CONFLICT, "there is already a feature of this name", "choose another name";
    /// The gateway itself asks for it.
    FeatureBuiltIn = "feature-built-in", CONFLICT, "the feature is the gateway's own", "switch it off in place of removing it";
    /// No such gateway.
    GatewayNotFound = "gateway-not-found", NOT_FOUND, "there is no such gateway", "list them with GET /v1/gateways";
    /// The gateway gave a sign of life lately.
    GatewayLive = "gateway-live", CONFLICT, "the gateway is alive",
        "stop it, which signs it off, or force it if you know that it has ended and its server connections with it";
    /// No cluster can take one more tenant.
    NoCapacity = "no-capacity", CONFLICT, "no cluster can take the tenant",
        "register a cluster in the region, or raise the capacity of one";
    /// No such tenant.
    TenantNotFound = "tenant-not-found", NOT_FOUND, "there is no such tenant", "list them with GET /v1/tenants";
    /// Another living tenant has the slug.
    SlugTaken = "slug-taken", CONFLICT, "the slug is taken", "choose another slug";
    /// No such plan.
    PlanUnknown = "plan-unknown", UNPROCESSABLE_ENTITY, "the plan is not known", "list the plans with GET /v1/plans";
    /// No plan of this name is known.
    PlanNotFound = "plan-not-found", NOT_FOUND, "there is no such plan", "list them with GET /v1/plans";
    /// The plan exists.
    PlanExists = "plan-exists", CONFLICT, "the plan exists already", "choose another name, or change it";
    /// This isolation level is not offered yet.
    IsolationNotAvailable = "isolation-not-available", UNPROCESSABLE_ENTITY, "the isolation level is not available yet",
        "use \"database\"";
    /// The tenant's state does not allow it.
    TenantState = "tenant-state", CONFLICT, "the tenant's state does not allow this",
        "see the tenant's state with GET /v1/tenants/{tenant}";
    /// The tenant has an unfinished operation.
    OperationInProgress = "operation-in-progress", CONFLICT, "the tenant has an unfinished operation",
        "wait for it, or cancel it, and try again";
    /// The thing has changed since it was read.
    StaleVersion = "stale-version", PRECONDITION_FAILED, "the tenant has changed since it was read",
        "read it again and repeat the change with its new ETag";
    /// No such credential.
    CredentialNotFound = "credential-not-found", NOT_FOUND, "there is no such credential",
        "list them with GET /v1/tenants/{tenant}/credentials";
    /// Two of a rotation are live.
    CredentialRotating = "credential-rotating", CONFLICT, "the credential is being rotated already",
        "wait until the one before has ended, or revoke it";
    /// No such service credential.
    ServiceNotFound = "service-not-found", NOT_FOUND, "there is no such service credential",
        "list them with GET /v1/service-credentials";
    /// No such domain of the tenant.
    DomainNotFound = "domain-not-found", NOT_FOUND, "the tenant has no such domain",
        "list them with GET /v1/tenants/{tenant}/domains";
    /// The tenant has the domain already.
    DomainExists = "domain-exists", CONFLICT, "the tenant has this domain already", "verify it, or delete it first";
    /// The domain is another tenant's.
    DomainTaken = "domain-taken", CONFLICT, "the domain is another tenant's", "have it removed there first";
    /// The record that proves a domain was not found.
    DomainUnproven = "domain-unproven", UNPROCESSABLE_ENTITY, "the domain's TXT record was not found",
        "add the record that the domain's challenge asks for, and wait until name servers know it";
    /// The name servers did not answer.
    DomainUnresolved = "domain-unresolved", SERVICE_UNAVAILABLE, "the name servers did not answer", "try again in a moment";
    /// No such issuer.
    IssuerNotFound = "issuer-not-found", NOT_FOUND, "there is no such issuer", "list them, the installation's or the tenant's";
    /// The issuer is registered.
    IssuerExists = "issuer-exists", CONFLICT, "the issuer is registered already", "change the one that there is";
    /// An issuer cannot be asked for its keys, or says of itself what does not fit.
    IssuerUnreachable = "issuer-unreachable", UNPROCESSABLE_ENTITY, "the issuer's keys cannot be had",
        "check its address, and that this process may reach it; jwks_ca names an authority of its own";
    /// No such external id.
    ExternalIdNotFound = "external-id-not-found", NOT_FOUND, "there is no such external id",
        "list them with GET /v1/tenants/{tenant}/external-ids";
    /// The issuer calls another tenant by this name.
    ExternalIdTaken = "external-id-taken", CONFLICT, "the issuer calls another tenant by this name",
        "remove it from the other tenant first";
    /// There are as many as there may be.
    LimitReached = "limit-reached", CONFLICT, "there are as many of these as there may be",
        "remove one that is not needed any more";
    /// No such user.
    UserNotFound = "user-not-found", NOT_FOUND, "there is no such user", "list them with GET /v1/users";
    /// An account is named by an address that nobody has vouched for.
    AddressUnproven = "address-unproven", CONFLICT, "nobody has vouched that the account is its address's holder's",
        "see whose it is with GET /v1/users/{user}, and name it by its id";
    /// Another user has the address.
    UserExists = "user-exists", CONFLICT, "there is already a user with this address",
        "sign in as this user, or use another address";
    /// Somebody is that at the identity provider already.
    IdentityTaken = "identity-taken", CONFLICT, "somebody has this identity already", "take it from them first";
    /// No such member.
    MemberNotFound = "member-not-found", NOT_FOUND, "the tenant has no such member",
        "list them with GET /v1/tenants/{tenant}/members";
    /// The user is a member already.
    MemberExists = "member-exists", CONFLICT, "the user is a member of the tenant already", "change the member's role instead";
    /// The tenant would be left without an owner.
    LastOwner = "last-owner", CONFLICT, "the tenant would be left without an owner", "make somebody else an owner first";
    /// No such role.
    RoleNotFound = "role-not-found", NOT_FOUND, "there is no such role",
        "use owner, admin, member or viewer, or one of GET /v1/tenants/{tenant}/roles";
    /// The body names a role that the tenant does not have.
    RoleUnknown = "role-unknown", UNPROCESSABLE_ENTITY, "the tenant has no such role",
        "use owner, admin, member or viewer, or one of GET /v1/tenants/{tenant}/roles";
    /// The tenant has a role of this name.
    RoleExists = "role-exists", CONFLICT, "the tenant has a role of this name already", "choose another name, or change it";
    /// Somebody has the role.
    RoleInUse = "role-in-use", CONFLICT, "somebody has this role or is invited to it",
        "give them another role, and withdraw the invites, first";
    /// No such invite, or one that cannot be accepted.
    InviteNotFound = "invite-not-found", NOT_FOUND, "there is no such invite",
        "an invite is accepted once and in time; ask for another";
    /// The invite is for somebody else.
    InviteForAnother = "invite-for-another", FORBIDDEN, "the invite is for another address",
        "sign in with the address that was invited";
    /// There is an account for the invite's address, so its holder has to sign in.
    SignInFirst = "sign-in-first", UNAUTHORIZED, "there is already an account for this address",
        "sign in and accept the invite with the session's token";
    /// No such session.
    SessionNotFound = "session-not-found", NOT_FOUND, "there is no such session", "list them with GET /v1/sessions";
    /// Unknown address, wrong password, or a token that is not taken: they are one.
    SignInRefused = "sign-in-refused", UNAUTHORIZED, "the sign-in is refused", "check the address and the password, or the token";
    /// Too many attempts to sign in.
    TooManySignIns = "too-many-sign-ins", TOO_MANY_REQUESTS, "too many attempts to sign in", "try again in a minute";
    /// The keys of a token's issuer cannot be had.
    IssuerUnavailable = "issuer-unavailable", SERVICE_UNAVAILABLE, "the token's issuer cannot be reached", "try again in a moment";
    /// A tenant has had its identity providers asked too often, or too many are being asked.
    TooManyInquiries = "too-many-inquiries", TOO_MANY_REQUESTS, "identity providers were asked too often",
        "try again in a minute";
    /// Too many passwords are being checked.
    SignInBusy = "sign-in-busy", SERVICE_UNAVAILABLE, "too many people sign in at once", "try again in a moment";
    /// The role opens no data.
    NoDataAccess = "no-data-access", FORBIDDEN, "the role opens no data of the tenant", "ask for a role with data.read";
    /// No such operation.
    OperationNotFound = "operation-not-found", NOT_FOUND, "there is no such operation",
        "list them with GET /v1/operations";
    /// The operation has ended.
    OperationFinished = "operation-finished", CONFLICT, "the operation has finished", "there is nothing left to cancel";
    /// The operation cannot be undone any more.
    OperationNotCancellable = "operation-not-cancellable", CONFLICT,
        "the operation is past its point of no return", "wait for it to finish";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY,
        "the idempotency key was used for a different request", "use a new key for a new request";
    /// The first request with this key has not ended.
    IdempotencyKeyInFlight = "idempotency-key-in-flight", CONFLICT,
        "a request with this idempotency key is still being worked on", "try again in a moment, with the same key";
    /// Too many progress streams are open.
    TooManyStreams = "too-many-streams", SERVICE_UNAVAILABLE, "too many progress streams are open",
        "poll GET /v1/operations/{operation} instead";
    /// The request took too long.
    RequestTimeout = "request-timeout", GATEWAY_TIMEOUT, "the request took too long",
        "try again; with the same Idempotency-Key nothing is done twice";
    /// The catalog cannot be reached.
    CatalogUnavailable = "catalog-unavailable", SERVICE_UNAVAILABLE, "the catalog cannot be reached",
        "try again in a moment; tenants that are in use are served meanwhile";
    /// A mistake of ours.
    Internal = "internal", INTERNAL_SERVER_ERROR, "something went wrong inside the control plane",
        "look for the request id in the control plane's log";
}
