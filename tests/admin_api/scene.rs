//! A registry with something in it, its administrator, and both ways to ask; never a claim.

use std::sync::Arc;

use mcr_tests::grpc::{self, Grpc};
use mcr_tests::{Client, Image, Index, Options, Random, Response, Server, push, tls};
use serde_json::Value;

/// A registry under `--dev`: TLS, one administrator.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) client: Arc<Client>,
}

impl Scene {
    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        let server = Server::with(Options::secured());
        let client = server.client();
        Self { server, client }
    }

    /// With an image `app:v1`, `app:v2`, an index `team/app:multi`, and a repository whose name looks like a tag's.
    pub(crate) fn filled() -> Self {
        let scene = Self::empty();
        let mut random = Random::new(4107);
        push::image(&scene.client, "app", "v1", &Image::random(&mut random, 2, 2000));
        push::image(&scene.client, "app", "v2", &Image::random(&mut random, 1, 3000));
        push::index(&scene.client, "team/app", "multi", &Index::random(&mut random, 1000));
        push::image(&scene.client, "app/tags/v1", "history", &Image::random(&mut random, 1, 100));
        scene
    }

    /// The gRPC port, as the administrator.
    pub(crate) fn grpc(&self) -> Grpc {
        let tls = tls::trusting(&self.server.certificate());
        let mut grpc = Grpc::connect(grpc::address(&self.server.ready().line), Some(tls));
        grpc.authorize(Some(&self.authorization()));
        grpc
    }

    /// What the administrator sends as `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        use base64::Engine as _;
        let pair = format!("admin:{}", self.server.password());
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }

    /// `GET`, which must be answered 200.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Value {
        self.client.get(target).expect(200).json()
    }

    /// Sends JSON.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, target: &str, body: &Value) -> Response {
        send(&self.client, method, target, body.to_string().as_bytes())
    }
}

/// Sends bytes that are said to be JSON.
#[track_caller]
pub(crate) fn send(client: &Client, method: &str, target: &str, body: &[u8]) -> Response {
    client.request(method, target).header("Content-Type", "application/json").body(body).call()
}

/// Insists on an error in the form of this API, and gives its sentence.
#[track_caller]
pub(crate) fn refused(answer: Response, status: u16) -> String {
    let answer = answer.expect(status);
    assert_eq!(answer.required("content-type"), "application/json");
    let body = answer.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    let text = body["error"].as_str().unwrap_or_else(|| panic!("no sentence: {body}"));
    assert!(!text.is_empty());
    text.to_owned()
}
