//! Who may not see a repository cannot tell whether it is there: equal answers, whatever is asked; never who may.

use mcr_oci::media_type::OCTET_STREAM;
use mcr_rpc::v1;
use mcr_tests::accounts::{GUEST, MACHINE, Mode, Registry, Setup, USER};
use mcr_tests::{Image, Random, Response, push};
use prost::Message as _;
use serde_json::json;

use crate::grpc::Grpc;

/// Two names of one length: one is there, one is not.
const THERE: &str = "hidden/there";
const GONE: &str = "hidden/gones";

/// Who may see nothing there.
struct Stranger {
    name: &'static str,
    authorization: Option<String>,
}

/// Method, target, and media type and bytes of a body.
type Question<'a> = (&'static str, String, Option<(&'a str, &'a [u8])>);

struct Scene {
    registry: Registry,
    image: Image,
    strangers: Vec<Stranger>,
}

impl Scene {
    /// A registry where everybody may do everything in `open/**`, and nobody but the administrator anything elsewhere.
    fn set(mode: Mode) -> Self {
        let setup = Setup::default().set("policy", "user_default = []").set("server", "grpc_addr = \"127.0.0.1:0\"");
        let registry = Registry::with(mode, &setup);
        let image = Image::random(&mut Random::new(11), 1, 400);
        let admin = registry.admin();
        for repository in [THERE, "open/there"] {
            push::image(&admin, repository, "v1", &image);
        }
        let _ = registry.rule(&json!({
            "priority": 5, "effect": "allow", "actions": ["registry:pull", "registry:push", "registry:delete"],
            "repositories": ["open/**"],
        }));
        let _ = registry.rule(&json!({"priority": 5, "effect": "allow", "actions": ["registry:catalog"]}));
        let strangers = Self::strangers(&registry);
        Self { registry, image, strangers }
    }

    fn strangers(registry: &Registry) -> Vec<Stranger> {
        use base64::Engine as _;
        let basic = |name: &str, password: &str| {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
            Some(format!("Basic {pair}"))
        };
        let of = |name: &'static str| Stranger { name, authorization: basic(name, &registry.password(name)) };
        let bearer = |name, token: &str| Stranger { name, authorization: Some(format!("Bearer {token}")) };
        let expires = (jiff::Timestamp::now() + std::time::Duration::from_secs(600)).to_string();
        let new = json!({
            "name": "t", "actions": ["pull", "push", "delete"], "repositories": ["open/**"], "expires_at": expires,
        });
        let made = crate::world::send_json(&registry.admin(), "POST", "/v1/tokens", &new).expect(201).json();
        // Asked for what the account may not do: it is given, and good for nothing.
        let wished = registry.token(USER, &["repository:hidden/there:pull,push,delete"]);
        vec![
            Stranger { name: "nobody", authorization: None },
            of(GUEST),
            of(USER),
            of(MACHINE),
            bearer("a token for what one may not do", &wished),
            bearer("a token for elsewhere", &registry.token(USER, &["repository:open/there:pull"])),
            bearer("an administrator's token for elsewhere", made["token"].as_str().unwrap()),
        ]
    }

    fn ask(&self, stranger: &Stranger, method: &str, target: &str, body: Option<(&str, &[u8])>) -> Response {
        let client = self.registry.nobody();
        let mut request = client.request(method, target);
        if let Some(authorization) = &stranger.authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some((media_type, bytes)) = body {
            request = request.header("Content-Type", media_type).body(bytes);
        }
        request.call()
    }

    /// Everything that can be asked about a repository.
    fn questions(&self, name: &str) -> Vec<Question<'_>> {
        let (manifest, config) = (self.image.digest(), &self.image.config.digest);
        let absent = mcr_oci::Digest::sha256(b"nobody has this");
        let put = Some((self.image.media_type.as_str(), self.image.manifest.bytes.as_slice()));
        let octets = Some((OCTET_STREAM, b"x".as_slice()));
        let empty = Some((OCTET_STREAM, b"".as_slice()));
        let mut all = Vec::new();
        for method in ["GET", "HEAD"] {
            for what in ["manifests/v1", "manifests/v2", "manifests/.v1", "tags/list", "tags/list?n=1&last=a"] {
                all.push((method, format!("/v2/{name}/{what}"), None));
            }
            for digest in [manifest, config, &absent] {
                for kind in ["manifests", "blobs", "referrers"] {
                    all.push((method, format!("/v2/{name}/{kind}/{digest}"), None));
                }
            }
            for what in ["", "/", "/tags", "/tags/v1/history", "/tags/v2/history"] {
                all.push((method, format!("/v1/repositories/{name}{what}"), None));
            }
        }
        for what in ["v1", "v2", ".v1", manifest.as_str(), config.as_str()] {
            all.push(("PUT", format!("/v2/{name}/manifests/{what}"), put));
            all.push(("DELETE", format!("/v2/{name}/manifests/{what}"), None));
            all.push(("PATCH", format!("/v2/{name}/manifests/{what}"), octets));
        }
        all.push(("DELETE", format!("/v2/{name}/blobs/{config}"), None));
        for query in [String::new(), format!("?mount={config}"), format!("?mount={config}&from=open/there")] {
            all.push(("POST", format!("/v2/{name}/blobs/uploads/{query}"), empty));
        }
        all.push(("POST", format!("/v2/{name}/blobs/uploads/?digest={config}"), octets));
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let body = matches!(method, "PATCH" | "PUT").then_some(octets).flatten();
            all.push((method, format!("/v2/{name}/blobs/uploads/00000000-0000-4000-8000-000000000000"), body));
        }
        all.push(("DELETE", format!("/v1/repositories/{name}"), None));
        all.push(("DELETE", format!("/v1/repositories/{name}/tags/v1"), None));
        all
    }
}

/// What a client can see of an answer, but for the name it asked about and what differs with every request.
fn shape(answer: &Response, name: &str) -> String {
    let differs = ["date", "x-request-id", "docker-upload-uuid", "location"];
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(field, _)| !differs.contains(&field.to_ascii_lowercase().as_str()))
        .map(|(field, value)| format!("{field}: {value}"))
        .collect();
    headers.sort();
    format!("{} {} {}", answer.status, headers.join("; "), answer.text()).replace(name, "NAME")
}

fn nothing_is_told(mode: Mode) {
    let scene = Scene::set(mode);
    let mut told = Vec::new();
    for stranger in &scene.strangers {
        for ((method, one, body), (_, other, _)) in scene.questions(THERE).into_iter().zip(scene.questions(GONE)) {
            let answer = scene.ask(stranger, method, &one, body);
            let (there, gone) = (shape(&answer, THERE), shape(&scene.ask(stranger, method, &other, body), GONE));
            let refused = if method == "PATCH" && one.contains("/manifests/") { 405 } else { 403 };
            if there != gone || ![401, refused].contains(&answer.status) {
                told.push(format!("{}: {method} {one}\n  there: {there}\n  gone:  {gone}", stranger.name));
            }
        }
    }
    assert!(told.is_empty(), "{mode:?}: who may not see a repository learns whether it is there:\n{}", told.join("\n"));
    // A mount names it and is never refused: it is an upload that begins.
    let stranger = &scene.strangers[2];
    let own = mcr_oci::Digest::sha256(b"nobody has this");
    for (digest, from) in [(&scene.image.config.digest, THERE), (&scene.image.config.digest, GONE), (&own, THERE)] {
        let target = format!("/v2/open/new/blobs/uploads/?mount={digest}&from={from}");
        let answer = scene.ask(stranger, "POST", &target, Some((OCTET_STREAM, b""))).expect(202);
        assert!(answer.header("docker-content-digest").is_none());
    }
    // What the caller sees in lists is what it may pull.
    let listed = scene.ask(stranger, "GET", "/v2/_catalog", None).expect(200);
    assert_eq!(listed.json()["repositories"], json!(["open/there"]));
    for target in [
        "/v1/repositories",
        "/v1/repositories?filter=hidden/**",
        "/v1/integrity",
        "/v1/integrity?repository=hidden/there",
    ] {
        let answer = scene.ask(stranger, "GET", target, None).expect(200);
        assert!(!answer.text().contains("hidden"), "{target}: {}", answer.text());
    }
    over_grpc(&scene, stranger);
}

fn over_grpc(scene: &Scene, stranger: &Stranger) {
    let line = &scene.registry.server().ready().line;
    let address = line.split_once(" grpc ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let grpc = Grpc::new(&address, &scene.registry.issuer().certificate());
    let messages = |name: &str| {
        let (name, tag, reference) = (name.to_owned(), "v1".to_owned(), "v1".to_owned());
        vec![
            ("GetRepository", v1::GetRepositoryRequest { name: name.clone(), ..Default::default() }.encode_to_vec()),
            ("ListTags", v1::ListTagsRequest { name: name.clone(), ..Default::default() }.encode_to_vec()),
            ("DeleteTag", v1::DeleteTagRequest { name: name.clone(), tag: tag.clone() }.encode_to_vec()),
            ("TagHistory", v1::TagHistoryRequest { name: name.clone(), tag, ..Default::default() }.encode_to_vec()),
            ("DeleteRepository", v1::DeleteRepositoryRequest { name: name.clone() }.encode_to_vec()),
            ("Verify", v1::VerifyRequest { repository: name, reference }.encode_to_vec()),
        ]
    };
    for ((method, one), (_, other)) in messages(THERE).into_iter().zip(messages(GONE)) {
        let service = if method == "Verify" { "IntegrityService" } else { "RegistryService" };
        let call = |message: &[u8], name: &str| {
            let path = format!("mcr.v1.{service}/{method}");
            let answer = grpc.call(&path, stranger.authorization.as_deref(), message);
            (answer.code, answer.message.replace(name, "NAME"))
        };
        let (there, gone) = (call(&one, THERE), call(&other, GONE));
        assert_eq!(there, gone, "{method}");
        assert_eq!(there.0, "PERMISSION_DENIED", "{method}");
    }
}

#[test]
fn nobody_learns_whether_a_repository_is_there_with_a_password_file() {
    nothing_is_told(Mode::Htpasswd);
}

#[test]
fn nobody_learns_whether_a_repository_is_there_with_the_identity_service() {
    nothing_is_told(Mode::Mcias);
}
