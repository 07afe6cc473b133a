//! A stand-in for the registry written in Go, from its plan's text: `/v2` to pull, `/v1` with login, rules and audit
//! log; never a push, and never a database.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcr_oci::media_type;
use serde_json::{Value, json};

use crate::{Image, Index};

/// The account that may log in.
pub const USERNAME: &str = "ann";
/// Its password.
pub const PASSWORD: &str = "correct horse";
/// The token it gets.
const TOKEN: &str = "a.signed.token";
/// Longest body of a request, in bytes.
const MAX_BODY: u64 = 64 << 10;

/// What it holds.
#[derive(Debug, Default)]
struct Held {
    /// Media type and bytes by `repository@digest`.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// Digest by `repository:tag`.
    tags: BTreeMap<String, String>,
    /// By `repository@digest`.
    blobs: BTreeMap<String, Vec<u8>>,
    rules: Vec<Value>,
    events: Vec<Value>,
}

/// A running stand-in. It ends with the test.
#[derive(Clone, Debug)]
pub struct GoMcr {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

/// One request.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    authorization: Option<String>,
    body: Vec<u8>,
}

/// One answer.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    fn oci(status: u16, code: &str) -> Self {
        Self::json(status, &json!({ "errors": [{ "code": code, "message": code.to_lowercase() }] }))
    }
}

impl GoMcr {
    /// Starts it on a free port, over plain HTTP.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let held = Arc::default();
        let shared = Arc::clone(&held);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes in the middle is no failure of the test.
                std::thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { address, held }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it hold an image under a tag, or without one.
    pub fn put_image(&self, repository: &str, tag: Option<&str>, image: &Image) {
        let mut held = self.held();
        for blob in image.blobs() {
            held.blobs.insert(format!("{repository}@{}", blob.digest), blob.bytes.clone());
        }
        let key = format!("{repository}@{}", image.digest());
        held.manifests.insert(key, (image.media_type.clone(), image.manifest.bytes.clone()));
        if let Some(tag) = tag {
            held.tags.insert(format!("{repository}:{tag}"), image.digest().to_string());
        }
    }

    /// Makes it hold an index with its images under a tag.
    pub fn put_index(&self, repository: &str, tag: &str, index: &Index) {
        for image in &index.images {
            self.put_image(repository, None, image);
        }
        let mut held = self.held();
        let manifest = (media_type::OCI_INDEX.to_owned(), index.manifest.bytes.clone());
        held.manifests.insert(format!("{repository}@{}", index.manifest.digest), manifest);
        held.tags.insert(format!("{repository}:{tag}"), index.manifest.digest.to_string());
    }

    /// Forgets a blob, as its removal of rows does.
    pub fn lose_blob(&self, repository: &str, digest: &mcr_oci::Digest) {
        self.held().blobs.remove(&format!("{repository}@{digest}"));
    }

    /// Adds a policy rule; it gets a number.
    pub fn add_rule(&self, mut rule: Value) {
        let mut held = self.held();
        rule["id"] = json!(held.rules.len() + 1);
        held.rules.push(rule);
    }

    /// Adds an event of its audit log.
    pub fn add_event(&self, event_type: &str, repository: &str, time: &str) {
        let mut held = self.held();
        let id = held.events.len() + 1;
        held.events.push(json!({
            "id": id, "event_time": time, "event_type": event_type, "actor_id": "0c1e-subject-of-ann",
            "repository": repository, "digest": "", "ip_address": "10.1.2.3", "details": {"n": id.to_string()},
        }));
    }
}

fn serve(stream: &TcpStream, held: &Mutex<Held>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(asked) = read(&mut reader)? else { return Ok(()) };
    let answer = answer(&asked, &held.lock().unwrap_or_else(PoisonError::into_inner));
    let mut head =
        format!("HTTP/1.1 {} Said\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = stream;
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut asked = Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.split('&').filter_map(pair).collect(),
        authorization: None,
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let _ = reader.take(length.min(MAX_BODY)).read_to_end(&mut asked.body)?;
    Ok(Some(asked))
}

fn answer(asked: &Asked, held: &Held) -> Answer {
    let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    let basic = format!("Basic {}", STANDARD.encode(format!("{USERNAME}:{PASSWORD}")));
    match parts.as_slice() {
        ["v1", "health"] => return Answer::json(200, &json!({ "status": "ok" })),
        ["v1", "auth", "login"] => {
            let said: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let right = said["username"] == USERNAME && said["password"] == PASSWORD && asked.method == "POST";
            return match right {
                true => Answer::json(200, &json!({ "token": TOKEN, "expires_at": "2036-01-01T00:00:00Z" })),
                false => Answer::json(401, &json!({ "error": "invalid credentials" })),
            };
        }
        ["v2", "token"] if asked.authorization.as_deref() == Some(&basic) => {
            return Answer::json(200, &json!({ "token": TOKEN, "expires_in": 300 }));
        }
        _ => {}
    }
    if asked.authorization.as_deref() != Some(&format!("Bearer {TOKEN}")) {
        let mut answer = Answer::oci(401, "UNAUTHORIZED");
        // As the plan writes it: not a whole URL.
        answer.headers.push(("WWW-Authenticate", "Bearer realm=\"/v2/token\",service=\"mcr\"".to_owned()));
        return answer;
    }
    match parts.as_slice() {
        ["v1", "policy", "rules"] => Answer::json(200, &Value::Array(page(&held.rules, &asked.query))),
        ["v1", "audit"] => Answer::json(200, &Value::Array(page(&held.events, &asked.query))),
        ["v2"] => Answer::json(200, &json!({})),
        ["v2", "_catalog"] => {
            let mut names: Vec<&str> =
                held.tags.keys().filter_map(|key| key.rsplit_once(':').map(|(name, _)| name)).collect();
            names.dedup();
            Answer::json(200, &json!({ "repositories": names }))
        }
        ["v2", name @ .., "tags", "list"] => {
            let name = name.join("/");
            let tags: Vec<&str> = held.tags.keys().filter_map(|key| key.strip_prefix(&format!("{name}:"))).collect();
            Answer::json(200, &json!({ "name": name, "tags": tags }))
        }
        ["v2", name @ .., "manifests", reference] => manifest(held, &name.join("/"), reference),
        ["v2", name @ .., "blobs", digest] => {
            let found = held.blobs.get(&format!("{}@{digest}", name.join("/")));
            found.map_or_else(
                || Answer::oci(404, "BLOB_UNKNOWN"),
                |bytes| Answer {
                    status: 200,
                    headers: vec![("Content-Type", "application/octet-stream".to_owned())],
                    body: bytes.clone(),
                },
            )
        }
        _ => Answer::oci(404, "NAME_UNKNOWN"),
    }
}

fn manifest(held: &Held, repository: &str, reference: &str) -> Answer {
    let tagged = held.tags.get(&format!("{repository}:{reference}"));
    let digest = tagged.map_or(reference, String::as_str);
    let Some((media_type, bytes)) = held.manifests.get(&format!("{repository}@{digest}")) else {
        return Answer::oci(404, "MANIFEST_UNKNOWN");
    };
    let headers = vec![("Content-Type", media_type.clone()), ("Docker-Content-Digest", digest.to_owned())];
    Answer { status: 200, headers, body: bytes.clone() }
}

/// `n` and `offset`, as the plan says of the audit log.
fn page(list: &[Value], query: &BTreeMap<String, String>) -> Vec<Value> {
    let number = |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    // Smaller pages than were asked for: nobody promised otherwise.
    list.iter().skip(number("offset", 0)).take(number("n", 50).min(3)).cloned().collect()
}
