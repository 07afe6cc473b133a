//! One cell of the matrix: a caller, a place of its own, a request and what must hold for every answer; no endpoint.

use std::sync::atomic::{AtomicUsize, Ordering};

use mcr_tests::{Client, Response, push};

use crate::grpc::Grpc;
use crate::world::{Column, Form, Hand, World};

/// Numbers what is made.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// Who asks.
pub(crate) struct Cell<'a> {
    pub(crate) world: &'a World,
    pub(crate) column: &'a Column,
    pub(crate) form: Form,
    pub(crate) hand: &'a Hand,
    /// Without credentials of its own: each request brings them.
    pub(crate) client: &'a Client,
    pub(crate) grpc: &'a Grpc,
}

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    /// Without a body.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// With a body of that type.
    pub(crate) fn body(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { headers: vec![("Content-Type", media_type.to_owned())], body: Some(bytes.into()) }
    }

    /// With a JSON document.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::body("application/json", value.to_string())
    }

    fn send(&self, client: &Client, method: &str, target: &str, authorization: Option<&str>) -> Response {
        let mut request = client.request(method, target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let empty = matches!(method, "POST" | "PUT" | "PATCH").then_some(&[][..]);
        match self.body.as_deref().or(empty) {
            Some(bytes) => request.body(bytes).call(),
            None => request.call(),
        }
    }
}

impl Cell<'_> {
    /// A name that nothing has yet.
    pub(crate) fn fresh_name(&self) -> String {
        format!("m/{}/{}", self.column.name.replace(['+', '/'], "-"), MADE.fetch_add(1, Ordering::Relaxed))
    }

    /// A repository that holds the image as `v1`.
    #[track_caller]
    pub(crate) fn place(&self) -> String {
        let name = self.fresh_name();
        self.blobs_in(&name);
        let image = &self.world.image;
        let _ = push::put_image(&self.world.admin, &name, "v1", image).expect(201);
        name
    }

    /// Gives a repository the image's blobs.
    #[track_caller]
    pub(crate) fn blobs_in(&self, name: &str) {
        for blob in self.world.image.blobs() {
            let from = crate::world::BASE;
            let target = format!("/v2/{name}/blobs/uploads/?mount={}&from={from}", blob.digest);
            let _ = self.world.admin.post(&target).expect(201);
        }
    }

    /// Asks as the column's caller does; the status as it stands in the table.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, target: &str, ask: &Ask) -> String {
        let authorization = match (self.form, &self.hand.pair) {
            (Form::Tokens, Some(_)) if target.starts_with("/v2") && !target.starts_with("/v2/token") => {
                self.token_for(method, target, ask)
            }
            _ => self.hand.header(self.form),
        };
        self.ask_with(authorization.as_deref(), method, target, ask)
    }

    /// Asks with this header.
    #[track_caller]
    pub(crate) fn ask_with(&self, authorization: Option<&str>, method: &str, target: &str, ask: &Ask) -> String {
        let answer = ask.send(self.client, method, target, authorization);
        self.check(method, target, &answer);
        answer.status.to_string()
    }

    /// A token for what the challenge to this request asks for.
    #[track_caller]
    fn token_for(&self, method: &str, target: &str, ask: &Ask) -> Option<String> {
        let challenged = ask.send(self.client, method, target, None);
        if challenged.status != 401 {
            // It is open to all: a client that has logged in sends what it has.
            return self.hand.basic.clone();
        }
        let challenge = challenged.required("www-authenticate").to_owned();
        let scope = challenge.split_once("scope=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
        Some(self.token_of(scope))
    }

    /// A token for these scopes, as a header.
    #[track_caller]
    fn token_of(&self, scope: &str) -> String {
        let scope = scope.replace(',', "%2C").replace('*', "%2A").replace(' ', "%20");
        let target = format!("/v2/token?service=mcr&scope={scope}");
        let answer = Ask::plain().send(self.client, "GET", &target, self.hand.basic.as_deref()).expect(200);
        format!("Bearer {}", answer.json()["token"].as_str().expect("a token"))
    }

    /// Asks with a token for more than the challenge names, as clients do that know of another repository.
    #[track_caller]
    pub(crate) fn ask_for(&self, scope: &str, method: &str, target: &str, ask: &Ask) -> String {
        let authorization = match (self.form, &self.hand.pair) {
            (Form::Tokens, Some(_)) => Some(self.token_of(scope)),
            _ => self.hand.header(self.form),
        };
        self.ask_with(authorization.as_deref(), method, target, ask)
    }

    /// What holds for every answer, whoever asked.
    #[track_caller]
    fn check(&self, method: &str, target: &str, answer: &Response) {
        let what = format!("{}: {method} {target}: {} {}", self.column.name, answer.status, answer.text());
        assert!(answer.status < 500 && answer.status != 429, "{what}");
        if answer.status == 401 {
            assert!(answer.header("www-authenticate").is_some(), "{what}");
        }
        if matches!(answer.status, 401 | 403) && method != "HEAD" {
            if target.starts_with("/v1") {
                assert!(!answer.json()["error"].as_str().unwrap_or_default().is_empty(), "{what}");
            } else {
                let code = if answer.status == 401 { "UNAUTHORIZED" } else { "DENIED" };
                assert_eq!(answer.codes(), [code], "{what}");
            }
        }
    }

    /// Calls a method of gRPC; the code as it stands in the table.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, message: &[u8]) -> String {
        self.call_with(self.hand.header(self.form).as_deref(), method, message)
    }

    /// Calls with this metadata.
    #[track_caller]
    pub(crate) fn call_with(&self, authorization: Option<&str>, method: &str, message: &[u8]) -> String {
        let answer = self.grpc.call(method, authorization, message);
        let defects = ["UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"];
        assert!(!defects.contains(&answer.code), "{}: {method}: {answer:?}", self.column.name);
        answer.code.to_owned()
    }
}
