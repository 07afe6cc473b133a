//! The one table of configuration keys: name, type, default, reloadable, meaning; never a value that somebody set.

mod later;

use std::time::Duration;

use later::LATER_LISTS;
pub use later::{LATER, is_later};

/// What a key's value may be. Parsing, messages and the reference all read this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `IP:PORT`, or `:PORT` for all addresses.
    Address,
    /// A path, kept absolute; relative ones start at the working directory.
    Path,
    /// `true` or `false`.
    Flag,
    /// `"30s"`, `"24h"`, `"7d"`; at least `min`, and 0 only where `zero` says so.
    Duration {
        /// The shortest length accepted, except a permitted zero.
        min: Duration,
        /// The longest length accepted, if there is a bound.
        max: Option<Duration>,
        /// Whether 0 is accepted.
        zero: bool,
    },
    /// A number of bytes: `"1GiB"`, `"50MB"`, or a plain integer.
    Size,
    /// A number of bytes in a second: `"50MiB/s"`.
    Rate,
    /// A whole number within these bounds, both included.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A regular expression.
    Pattern,
    /// A list of repository name patterns.
    Globs,
    /// A schedule as crontab writes it, or `off`.
    Schedule,
    /// A time zone of the IANA database.
    Zone,
    /// One or several base URLs.
    Urls,
    /// An https URL.
    HttpsUrl,
    /// A list of networks.
    Networks,
    /// A list of account names, or patterns of them.
    Names,
    /// A short text without spaces.
    Token,
    /// A list of those.
    Tokens,
    /// A list of what people may do in repositories.
    Actions,
}

/// What holds when nobody sets the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It must be set.
    Required,
    /// It is simply not set; the text says what that means.
    Unset(&'static str),
    /// This value, written as in a file without quotes.
    Value(&'static str),
    /// Computed from another key; the text says how.
    Derived(&'static str),
}

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Section and name: `server.listen_addr`, `integrity.rule.commit`.
    pub full: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// Whether a running server takes a new value without a restart.
    pub reloadable: bool,
    /// Whether its value must never be printed.
    pub secret: bool,
    /// The value the annotated example shows, if it sets the key.
    pub example: Option<&'static str>,
    /// The value a line shows that is commented out, where that is not the default.
    pub hint: Option<&'static str>,
    /// What it does, in one or two sentences.
    pub doc: &'static str,
}

impl Key {
    /// The section: `server`, `integrity.rule`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.full.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The name within its section: `listen_addr`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.full.rsplit_once('.').map_or(self.full, |(_, name)| name)
    }

    /// How messages name it: `[server] listen_addr`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", header(self.section()), self.name())
    }
}

/// The header of a section as it is written in a file: `[server]`, `[[integrity.rule]]`.
#[must_use]
pub fn header(section: &str) -> String {
    if list_named(section).is_some() || LATER_LISTS.contains(&section) {
        format!("[[{section}]]")
    } else {
        format!("[{section}]")
    }
}

/// A section that may stand in a file several times, each with values of its own, in an order that matters.
#[derive(Debug)]
pub struct ListSection {
    /// Its name: `integrity.rule`.
    pub name: &'static str,
    /// The keys of each.
    pub keys: &'static [Key],
    /// What it is for, in one sentence.
    pub doc: &'static str,
}

impl ListSection {
    /// The section it stands in, and its name there: `integrity` and `rule`.
    #[must_use]
    pub fn place(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }
}

/// The rules of what an incomplete push meets.
pub const INTEGRITY_RULES: &str = "integrity.rule";
/// The rules of which tags are kept.
pub const RETENTION_RULES: &str = "retention.rule";

/// Every section that may stand in a file several times.
pub static LISTS: &[ListSection] = &[
    ListSection {
        name: INTEGRITY_RULES,
        keys: RULE_KEYS,
        doc: "Rules for some repositories; the first one with a matching pattern decides.",
    },
    ListSection {
        name: RETENTION_RULES,
        keys: RETENTION_KEYS,
        doc: "Which tags of some repositories are kept; the first rule with a matching pattern decides, and a tag stays if any of its keep keys says so. Without a rule, and by a rule without a keep key, no tag is deleted. Runs before each scheduled GC. A new or changed rule only reports, until somebody confirmed its first plan: mcrctl plan list",
    },
];

/// The list section of this name.
#[must_use]
pub fn list_named(name: &str) -> Option<&'static ListSection> {
    LISTS.iter().find(|list| list.name == name)
}

/// Every key there is, those of list sections after the others.
pub fn all_keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(LISTS.iter().flat_map(|list| list.keys))
}

const fn key(full: &'static str, kind: Kind, fallback: Fallback, doc: &'static str) -> Key {
    Key { full, kind, fallback, reloadable: false, secret: false, example: None, hint: None, doc }
}

impl Key {
    const fn shown_as(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }

    const fn such_as(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    const fn live(mut self) -> Self {
        self.reloadable = true;
        self
    }
}

/// A length of time that nobody means to be none: to leave it out is to leave the key out.
const SOME: Kind = seconds(1);

const fn seconds(min: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min), max: None, zero: false }
}

/// Any duration, 0 included.
const ANY: Kind = Kind::Duration { min: Duration::ZERO, max: None, zero: true };

/// How long a token of ours may live: shorter ones no client asks for, longer ones outlive what they were made from
/// (contract section 10).
const TOKEN_TTL: Kind =
    Kind::Duration { min: Duration::from_secs(60), max: Some(Duration::from_secs(300)), zero: false };

/// Events of less than a day ago are never dropped; 0 keeps all.
const AUDIT_KEEP: Kind = Kind::Duration { min: Duration::from_secs(24 * 3600), max: None, zero: true };

use Fallback::{Derived, Required, Unset, Value};

/// Every key this version knows, in the order files and documents show them.
pub static KEYS: &[Key] = &[
    key("server.listen_addr", Kind::Address, Required,
        "Where the registry listens. `$PORT` or `$PORT_REST` replaces the port and listens on all addresses.")
        .shown_as("127.0.0.1:8443"),
    key("server.grpc_addr", Kind::Address, Unset("no gRPC listener"),
        "Where gRPC listens. `$PORT_GRPC` replaces the port and listens on all addresses.")
        .shown_as("127.0.0.1:9443"),
    key("server.tls_cert", Kind::Path, Unset("plain HTTP, only on loopback or behind a proxy"),
        "Certificate chain in PEM, the server's own certificate first. Re-read on SIGHUP and when the file changes.")
        .shown_as("/srv/mcr/certs/cert.pem"),
    key("server.tls_key", Kind::Path, Unset("plain HTTP, only on loopback or behind a proxy"),
        "Private key of `tls_cert` in PEM. Re-read together with it.")
        .shown_as("/srv/mcr/certs/key.pem"),
    key("server.min_tls", Kind::Choice(&["1.3", "1.2"]), Value("1.3"),
        "The oldest TLS version that is served."),
    key("server.behind_tls_proxy", Kind::Flag, Value("false"),
        "Permits plain HTTP on an address that is not loopback, because a proxy in front ends TLS."),
    key("server.external_url", Kind::Urls, Unset("the name a client came by"),
        "The URL, or a list of them, under which clients reach the registry. Token realms use the entry whose host and port a client came by, and where none has them the name it came by; the first entry only for a request that names no host. Never a redirect to another name.")
        .such_as("https://registry.example").live(),
    key("server.trusted_proxies", Kind::Networks, Unset("no proxy is trusted"),
        "Networks of the proxies in front whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are believed; from anybody else they are ignored. A change holds for new connections. `/metrics` on the main listener is open to these networks.")
        .such_as("10.0.0.0/8").live(),
    key("server.proxy_protocol", Kind::Choice(&["off", "optional", "required"]), Value("off"),
        "Whether connections begin with a PROXY protocol header (version 1 or 2) that says who the client is. `optional` believes it from `trusted_proxies`, which must be set; `required` refuses connections without it, except from loopback, and with `trusted_proxies` set from anybody else too."),
    key("server.read_timeout", seconds(1), Value("30s"),
        "Limits reading a request's head and the silence between two pieces of its body, never a whole body."),
    key("server.write_timeout", ANY, Value("0s"),
        "Limits writing one response; 0 is no limit, which large blobs and slow clients need."),
    key("server.idle_timeout", seconds(1), Value("120s"),
        "How long a connection may stay open between requests."),
    key("server.shutdown_timeout", ANY, Value("60s"),
        "How long SIGTERM waits for running requests before it cuts them off."),
    key("server.read_only", Kind::Flag, Value("false"),
        "Refuses every write with 405; pulls go on.").live(),
    key("server.timezone", Kind::Zone, Value("UTC"),
        "The time zone whose clock the schedules follow, summer time included.")
        .such_as("Europe/Vienna"),
    key("database.path", Kind::Path, Required,
        "The SQLite database. Its directory also holds the lock file `mcr.lock`.")
        .shown_as("/srv/mcr/mcr.db"),
    key("database.allow_network_filesystem", Kind::Flag, Value("false"),
        "Permits database and blobs on NFS, CIFS or 9p, where locks and syncs may not hold what they promise."),
    key("storage.layers_path", Kind::Path, Required,
        "The directory of the blobs. Another directory for each registry.")
        .shown_as("/srv/mcr/layers"),
    key("storage.uploads_path", Kind::Path, Derived("`<layers_path>/../uploads`"),
        "The directory of unfinished uploads, on the same file system as `layers_path`.")
        .such_as("/srv/mcr/uploads"),
    key("storage.reserve", Kind::Size, Value("1GiB"),
        "Free space below which uploads are refused with 507, while pulls and deletes go on."),
    key("storage.upload_ttl", seconds(1), Value("7d"),
        "How long an upload may rest before it is forgotten."),
    key("auth.mode", Kind::Choice(&["none", "htpasswd", "mcias"]), Derived("`mcias` where `[mcias] server_url` is set, otherwise it must be set"),
        "Who may log in: accounts of the identity service (`mcias`), of a password file (`htpasswd`), or nobody, because everybody who reaches `listen_addr`, which must be loopback, may do everything (`none`).")
        .shown_as("htpasswd"),
    key("auth.htpasswd_file", Kind::Path, Unset("needed by mode htpasswd"),
        "The password file of mode htpasswd: lines `name:hash` with bcrypt hashes, as `htpasswd -B` writes them. Re-read on SIGHUP and when it changes.")
        .shown_as("/srv/mcr/htpasswd"),
    key("auth.admins", Kind::Names, Unset("nobody; mode htpasswd needs at least one"),
        "Accounts of the password file, or patterns of their names, that may do everything. `*` stands for anything within a name.")
        .shown_as("admin"),
    key("auth.guests", Kind::Names, Unset("nobody"),
        "Accounts of the password file that may do only what policy rules give them.")
        .such_as("visitor-*"),
    key("auth.system", Kind::Names, Unset("nobody"),
        "Accounts of the password file that are machines: they may do only what policy rules give them.")
        .such_as("ci-*"),
    key("auth.token_ttl", TOKEN_TTL, Value("5m"),
        "How long the tokens of `/v2/token` are good for."),
    key("mcias.server_url", Kind::HttpsUrl, Unset("needed by mode mcias"),
        "The identity service, called over TLS 1.3.")
        .such_as("https://mcias.example:8443"),
    key("mcias.ca_cert", Kind::Path, Unset("the authorities of this system"),
        "Certificate authorities, PEM, that sign the identity service's certificate.")
        .such_as("/srv/mcr/certs/ca.pem"),
    key("mcias.service_name", Kind::Token, Value("mcr"),
        "The name this registry logs accounts in for."),
    key("mcias.tags", Kind::Tokens, Unset("none"),
        "Tags of this registry, which the identity service's rules may ask for.")
        .such_as("env:restricted"),
    key("policy.user_default", Kind::Actions, Derived("`[\"pull\", \"push\", \"delete\", \"catalog\"]` with mode mcias, `[\"pull\", \"catalog\"]` with mode htpasswd"),
        "What people who are neither administrators nor guests may do in every repository, unless a policy rule denies it: built-in rule -2. `[]` for nothing.")
        .such_as("pull, catalog").live(),
    key("integrity.verify_on_read", Kind::Choice(&["off", "stale", "always"]), Value("stale"),
        "Whether a full GET of a blob hashes it while sending: never, when its last hash is older than `fresh_for`, or always."),
    key("integrity.fresh_for", ANY, Value("1h"),
        "How long a hash counts as fresh for `verify_on_read = \"stale\"`."),
    key("integrity.broken_index", Kind::Choice(&["serve", "hide"]), Value("serve"),
        "What a GET of an index above a broken image answers: the index with a Warning header, or 404."),
    key("integrity.quarantine_keep", ANY, Value("30d"),
        "How long damaged bytes are kept aside for forensics."),
    key("probe.schedule", Kind::Schedule, Value("*/15 * * * *"),
        "When the registry probes itself through its own listener: five fields as in crontab, or six with seconds first. The first run comes within a minute of the start. `\"off\"` or an empty text: never."),
    key("probe.level", Kind::Choice(&["head", "tail", "full"]), Value("tail"),
        "How closely the probe looks at blobs: `head` asks whether each is there, `tail` also for its last byte, `full` reads and hashes every byte of the store on each run."),
    key("scrub.rate", Kind::Rate, Value("50MiB/s"),
        "How many bytes a second the scrub reads at most, which hashes every blob and manifest again in the background, the longest unseen first."),
    key("scrub.full_pass", ANY, Value("30d"),
        "Within which time the scrub goes through everything once. 0: it does not run."),
    key("gc.schedule", Kind::Schedule, Value("30 3 * * *"),
        "When retention and then garbage collection run: five fields as in crontab, or six with seconds first. A tick that comes while either runs is dropped. `\"off\"` or an empty text: never by itself."),
    key("gc.max_delete_percent", Kind::Number { min: 0, max: 100 }, Value("10"),
        "A plan over 100 digests that would take more than this percentage of the bytes or tags waits 7 days for somebody to confirm it, and is then discarded."),
    key("gc.grace", ANY, Value("24h"),
        "How long content that nothing refers to any more is kept at least."),
    key("gc.lease", seconds(10), Value("1h"),
        "How long an answer that promised unreferenced content holds it; at least 10 s."),
    key("gc.undo", ANY, Value("7d"),
        "How long a deleted tag or manifest can be restored."),
    key("backup.schedule", Kind::Schedule, Value("off"),
        "When the server takes a snapshot of its database into `backups/` beside it, as `mcrsrv snapshot` does. `\"off\"`: never by itself.")
        .such_as("0 2 * * *"),
    key("backup.keep", Kind::Number { min: 1, max: 10_000 }, Value("14"),
        "How many snapshots are kept; the oldest go when another one is taken."),
    key("backup.hold", ANY, Value("48h"),
        "How long garbage collection leaves alone what a snapshot refers to, so that a copy of the blobs made after it is complete."),
    key("backup.blobs", Kind::Path, Unset("snapshots are of the database alone"),
        "A directory, best on another disk, into which each scheduled snapshot also copies the blobs it refers to.")
        .such_as("/backup/mcr-blobs"),
    key("audit.keep", AUDIT_KEEP, Value("400d"),
        "How long events of the audit log are kept. What ages out leaves a signed anchor, so that the rest can still be verified. 0 keeps all."),
    key("metrics.listen_addr", Kind::Address, Unset("`/metrics` is on the main listener"),
        "A listener of its own for `/metrics`. `$PORT_METRICS` replaces the port and listens on all addresses.")
        .such_as(":9100"),
    key("log.level", Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]), Value("info"),
        "The least severe lines that are logged.").live(),
    key("log.format", Kind::Choice(&["text", "json"]), Value("text"),
        "The form of log lines on stderr. `--log-format` wins over it."),
];

/// The keys of each `[[integrity.rule]]`, the first rule whose pattern matches a repository deciding.
pub static RULE_KEYS: &[Key] = &[
    key(
        "integrity.rule.repositories",
        Kind::Globs,
        Required,
        "Repositories the rule is for: `*` stands for anything within a path segment, `**` across segments.",
    ),
    key(
        "integrity.rule.commit",
        Kind::Choice(&["enforce", "sparse"]),
        Value("enforce"),
        "`enforce` refuses an incomplete push; `sparse` accepts missing children of an index, never missing configs or layers.",
    ),
    key(
        "integrity.rule.immutable_tags",
        Kind::Pattern,
        Unset("every tag may move"),
        "A regular expression; a tag that matches it is neither moved nor deleted: as a whole, or as written where the expression has a `^` or `$` of its own.",
    ),
];

/// The keys of each `[[retention.rule]]`, the first rule whose pattern matches a repository deciding.
pub static RETENTION_KEYS: &[Key] = &[
    key(
        "retention.rule.repositories",
        Kind::Globs,
        Required,
        "Repositories the rule is for: `*` stands for anything within a path segment, `**` across segments.",
    ),
    key(
        "retention.rule.keep_last",
        Kind::Number { min: 1, max: 1_000_000 },
        Unset("no tag is kept for being among the newest"),
        "So many tags are kept, by when they last moved. Tags of signatures (`sha256-…`) follow their image and are not counted.",
    )
    .such_as("10"),
    key(
        "retention.rule.keep_within",
        SOME,
        Unset("no tag is kept for being new"),
        "Tags that moved within this time are kept.",
    )
    .such_as("30d"),
    key(
        "retention.rule.keep_pulled_within",
        SOME,
        Unset("no tag is kept for being pulled"),
        "Tags that were pulled within this time are kept.",
    )
    .such_as("90d"),
    key(
        "retention.rule.keep_tags",
        Kind::Pattern,
        Unset("no tag is kept for its name"),
        "A regular expression; a tag that matches it is kept: as a whole, or as written where the expression has a `^` or `$` of its own.",
    )
    .such_as("v[0-9.]+|latest"),
    key(
        "retention.rule.delete_untagged_after",
        ANY,
        Unset("never"),
        "How long a manifest that no tag leads to stays after the last reference to it went. Deployments that pin digests need it long.",
    )
    .such_as("90d"),
];

/// The key of this name, in whichever section.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    all_keys().find(|key| key.section() == section && key.name() == name)
}

/// The names that may stand at the top of a file: sections, and what list sections stand in.
#[must_use]
pub fn tops() -> Vec<&'static str> {
    let mut tops = sections();
    for (top, _) in LISTS.iter().map(ListSection::place) {
        if !tops.contains(&top) {
            tops.push(top);
        }
    }
    tops
}

/// Sections in the order of [`KEYS`], each once, without [`LISTS`].
#[must_use]
pub fn sections() -> Vec<&'static str> {
    let mut sections = Vec::new();
    for key in KEYS {
        if !sections.contains(&key.section()) {
            sections.push(key.section());
        }
    }
    sections
}
