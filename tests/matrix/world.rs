//! The columns of the matrix: who asks, with what in hand, under which rules; never what is asked.

use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mcr_tests::accounts::{ADMIN, GUEST, MACHINE, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::{Client, Image, Random, push};
use serde_json::{Value, json};

use crate::grpc::Grpc;

/// The rules of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// None but the built-in ones.
    None,
    /// A user and a machine may do everything in repositories, another user may manage rules, a guest has all that a
    /// rule can give, and who sends nothing may pull.
    Allow,
    /// A user and the administrator are allowed everything, and denied everything by a rule that stands behind it.
    Deny,
}

impl Rules {
    pub(crate) const ALL: [Self; 3] = [Self::None, Self::Allow, Self::Deny];
}

/// What a caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    /// A token of the administrator with a signature that is not ours.
    Forged,
    /// A token of the administrator, signed with the registry's own key, whose time is past.
    Expired,
    /// Name and password of an account.
    Account(&'static str),
    /// An API token of the administrator, for pulls only.
    ApiToken,
}

/// A kind of caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
    pub(crate) holds: Holds,
}

const fn column(name: &'static str, rules: Rules, holds: Holds) -> Column {
    Column { name, rules, holds }
}

/// All of them, in the order of the table.
pub(crate) const COLUMNS: [Column; 15] = [
    column("nobody", Rules::None, Holds::Nothing),
    column("nobody+pull", Rules::Allow, Holds::Nothing),
    column("forged", Rules::None, Holds::Forged),
    column("expired", Rules::None, Holds::Expired),
    column("guest", Rules::None, Holds::Account(GUEST)),
    column("guest+all", Rules::Allow, Holds::Account(GUEST)),
    column("user", Rules::None, Holds::Account(USER)),
    column("user+allow", Rules::Allow, Holds::Account(USER)),
    column("user+deny", Rules::Deny, Holds::Account(USER)),
    column("user+rules", Rules::Allow, Holds::Account(OTHER)),
    column("system", Rules::None, Holds::Account(MACHINE)),
    column("system+allow", Rules::Allow, Holds::Account(MACHINE)),
    column("admin", Rules::None, Holds::Account(ADMIN)),
    column("admin+deny", Rules::Deny, Holds::Account(ADMIN)),
    column("admin/pull", Rules::None, Holds::ApiToken),
];

/// How credentials travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As HTTP Basic on every request.
    Basic,
    /// As container clients do below `/v2/`: a token for what the challenge asks for; elsewhere a token of a login.
    Tokens,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Basic, Self::Tokens];
}

/// A registry with rules, and an image in it that places are made of.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) rules: Rules,
    pub(crate) image: Image,
    /// The administrator's, to make what is asked about.
    pub(crate) admin: Client,
}

/// The repository that holds the blobs everything is made of.
pub(crate) const BASE: &str = "base/blobs";
/// A repository for those who only read.
pub(crate) const READ: &str = "base/read";

impl World {
    pub(crate) fn start(mode: Mode, rules: Rules) -> Self {
        let setup = Setup::default().set("server", "grpc_addr = \"127.0.0.1:0\"");
        let registry = Registry::with(mode, &setup);
        let image = Image::random(&mut Random::new(7), 1, 300);
        let admin = registry.admin();
        for repository in [BASE, READ] {
            push::image(&admin, repository, "v1", &image);
        }
        let world = Self { registry, rules, image, admin };
        world.write_rules();
        world
    }

    fn write_rules(&self) {
        let everything = ["pull", "push", "delete", "catalog"].map(|action| format!("registry:{action}"));
        let rule = |priority: u32, effect: &str, actions: &Value, more: (&str, Value)| {
            let mut rule = json!({"priority": priority, "effect": effect, "actions": actions});
            rule[more.0] = more.1;
            let _ = self.registry.rule(&rule);
        };
        let subject = |name: &str| ("subject_uuid", Value::from(self.registry.subject(name)));
        match self.rules {
            Rules::None => {}
            Rules::Allow => {
                rule(10, "allow", &json!(everything), subject(USER));
                rule(10, "allow", &json!(everything), subject(MACHINE));
                rule(10, "allow", &json!(["policy:manage"]), subject(OTHER));
                rule(10, "allow", &json!([]), subject(GUEST));
                rule(10, "allow", &json!(["registry:pull"]), ("account_types", json!(["anonymous"])));
            }
            Rules::Deny => {
                for name in [USER, ADMIN] {
                    rule(1, "allow", &json!([]), subject(name));
                    rule(100, "deny", &json!([]), subject(name));
                }
            }
        }
    }

    /// Where gRPC is served.
    pub(crate) fn grpc(&self) -> Grpc {
        let line = &self.registry.server().ready().line;
        let (_, rest) = line.split_once(" grpc ").expect("the ready line names the address of gRPC");
        Grpc::new(rest.split_whitespace().next().unwrap(), &self.registry.issuer().certificate())
    }

    /// What a caller has in hand.
    pub(crate) fn hand(&self, holds: Holds) -> Hand {
        let basic = |name: &str, password: &str| {
            let pair = STANDARD.encode(format!("{name}:{password}"));
            Hand {
                pair: Some((name.to_owned(), password.to_owned())),
                basic: Some(format!("Basic {pair}")),
                bearer: None,
            }
        };
        let bearer = |token: String| Hand { pair: None, basic: None, bearer: Some(token) };
        match holds {
            Holds::Nothing => Hand { pair: None, basic: None, bearer: None },
            Holds::Forged => bearer(self.forged()),
            Holds::Expired => bearer(self.expired()),
            Holds::Account(name) => {
                let hand = basic(name, &self.registry.password(name));
                // A machine of the identity service has a token instead of a password, and that is its login.
                let is_token = name == MACHINE && self.registry.mode() == Mode::Mcias;
                let token = hand.pair.as_ref().filter(|_| is_token).map(|(_, token)| token.clone());
                Hand { bearer: Some(token.unwrap_or_else(|| self.session(name))), ..hand }
            }
            Holds::ApiToken => {
                let token = self.api_token(&self.admin, &["pull"], &["**"])["token"].as_str().unwrap().to_owned();
                Hand { bearer: Some(token.clone()), ..basic("token", &token) }
            }
        }
    }

    /// A token of `POST /v1/auth/login`.
    pub(crate) fn session(&self, name: &str) -> String {
        let body = json!({"username": name, "password": self.registry.password(name)});
        let answer = send_json(&self.registry.nobody(), "POST", "/v1/auth/login", &body).expect(200);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Makes an API token of whoever `client` is.
    pub(crate) fn api_token(&self, client: &Client, actions: &[&str], repositories: &[&str]) -> Value {
        let expires = jiff::Timestamp::now() + Duration::from_secs(3600);
        let body = json!({
            "name": "matrix", "actions": actions, "repositories": repositories, "expires_at": expires.to_string(),
        });
        send_json(client, "POST", "/v1/tokens", &body).expect(201).json()
    }

    /// A token for whatever an administrator may be given one for.
    fn issued(&self) -> String {
        let names = [READ, BASE].map(|name| format!("repository:{name}:pull,push,delete"));
        self.registry.token(ADMIN, &[&names[0], &names[1], "registry:catalog:*"])
    }

    fn forged(&self) -> String {
        let token = self.issued();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[10] ^= 1;
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A token as it was given away an hour ago: everything in it is right but its time.
    fn expired(&self) -> String {
        let token = self.issued();
        let parts: Vec<&str> = token.split('.').collect();
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let now = jiff::Timestamp::now().as_second();
        for (claim, time) in [("iat", now - 3600), ("nbf", now - 3600), ("exp", now - 1)] {
            claims[claim] = Value::from(time);
        }
        let signed = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()));
        let text = std::fs::read_to_string(self.registry.home().join("token-keys.json")).expect("the key file");
        let file: Value = serde_json::from_str(&text).unwrap();
        let seed = file["keys"][0]["ed25519_seed"].as_str().expect("a seed");
        let seed = URL_SAFE_NO_PAD.decode(seed).or_else(|_| STANDARD.decode(seed)).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        // The same token with its own time is taken: so it is the time that is refused.
        let own = format!("{}.{}", parts[0], parts[1]);
        let again = format!("{own}.{}", URL_SAFE_NO_PAD.encode(key.sign(own.as_bytes())));
        let _ = self.registry.server().client().with_bearer(&again).get("/v2/_catalog").expect(200);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
    }
}

/// What a caller can show.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    /// Name and password.
    pub(crate) pair: Option<(String, String)>,
    /// The same as a header.
    pub(crate) basic: Option<String>,
    /// A token.
    pub(crate) bearer: Option<String>,
}

impl Hand {
    /// The header for whatever wants no scope.
    pub(crate) fn header(&self, form: Form) -> Option<String> {
        let bearer = self.bearer.as_ref().map(|token| format!("Bearer {token}"));
        match form {
            Form::Basic => self.basic.clone().or(bearer),
            Form::Tokens => bearer,
        }
    }
}

/// Sends a JSON document.
#[track_caller]
pub(crate) fn send_json(client: &Client, method: &str, target: &str, body: &Value) -> mcr_tests::Response {
    let text = body.to_string();
    client.request(method, target).header("Content-Type", "application/json").body(text.as_bytes()).call()
}
