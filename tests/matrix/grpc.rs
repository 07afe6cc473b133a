//! Calls of gRPC by their path, message as bytes, answered by a code; never what a message says.

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::BodyExt as _;
use mcr_tests::tls;

/// A client of one gRPC port.
pub(crate) struct Grpc {
    client: reqwest::Client,
    origin: String,
    runtime: tokio::runtime::Runtime,
}

/// The names of codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What a call was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The name of the code.
    pub(crate) code: &'static str,
    /// The sentence beside it.
    pub(crate) message: String,
}

impl Grpc {
    pub(crate) fn new(address: &str, authority: &Path) -> Self {
        tls::install_provider();
        let address: SocketAddr = address.parse().expect("an address");
        let pem = std::fs::read(authority).unwrap();
        let trusted = [reqwest::Certificate::from_pem(&pem).unwrap()];
        let client = reqwest::Client::builder().tls_certs_only(trusted).no_proxy().build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client, origin: format!("https://{address}"), runtime }
    }

    /// One call with one message.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, authorization: Option<&str>, message: &[u8]) -> Answered {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&[0_u8][..], &length, message].concat();
        let mut post = self.client.post(format!("{}/{method}", self.origin)).body(frame);
        post = post.header("content-type", "application/grpc").header("te", "trailers");
        if let Some(authorization) = authorization {
            post = post.header("authorization", authorization);
        }
        self.runtime.block_on(async {
            let answer = post.send().await.unwrap_or_else(|error| panic!("{method}: {error:?}"));
            assert_eq!(answer.status(), 200, "{method}");
            let (head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
            let whole = body.collect().await.unwrap_or_else(|error| panic!("{method}: {error:?}"));
            let trailers = whole.trailers().cloned().unwrap_or_default();
            let said = |name: &str| trailers.get(name).or_else(|| head.headers.get(name)).cloned();
            let code = said("grpc-status").unwrap_or_else(|| panic!("{method}: no code"));
            let number: usize = code.to_str().unwrap().parse().unwrap();
            let message = said("grpc-message").map(|text| text.to_str().unwrap_or_default().to_owned());
            Answered { code: CODES[number], message: message.unwrap_or_default() }
        })
    }
}
