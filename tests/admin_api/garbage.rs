//! Whatever is sent as a message, to every method: an answer that blames the message or does what it says, and never
//! one that the server would have to be ashamed of.

use mcr_tests::Random;
use mcr_tests::grpc::Grpc;
use prost::Message as _;
use prost_reflect::{Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::{Code, Status};

use crate::scene::Scene;

/// Messages made of fields, for each method.
const MADE: usize = 24;
/// Messages that are only bytes, for each method.
const BYTES: usize = 8;
/// Texts that something might take for something.
const TEXTS: [&str; 16] = [
    "",
    "app",
    "team/app",
    "v1",
    "sha256:",
    "a/../b",
    "%00",
    "\u{0}",
    "registry:pull",
    "allow",
    "admin",
    "0:-1",
    "2026-01-01T00:00:00Z",
    "😀",
    "'; DROP TABLE audit; --",
    "**/**/**/**/**/**/*",
];
const NUMBERS: [i64; 8] = [0, 1, -1, 1000, 4_294_967_295, i64::MAX, i64::MIN, 253_402_300_800];

/// What no message may lead to.
#[track_caller]
fn is_no_defect(method: &str, message: &[u8], outcome: &Result<Vec<u8>, Status>) {
    if let Err(status) = outcome {
        let bad = matches!(
            status.code(),
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable | Code::Aborted
        );
        assert!(!bad, "{method} {message:02x?}: {status:?}");
    }
}

fn text(random: &mut Random) -> String {
    match random.below(20) {
        0 => "x".repeat(5000),
        _ => (*random.pick(&TEXTS)).to_owned(),
    }
}

fn number(random: &mut Random) -> i64 {
    *random.pick(&NUMBERS)
}

fn value(random: &mut Random, field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::String => Value::String(text(random)),
        Kind::Bool => Value::Bool(random.below(2) == 0),
        Kind::Uint32 => Value::U32(u32::try_from(number(random) & 0xffff_ffff).unwrap()),
        Kind::Uint64 => Value::U64(number(random).cast_unsigned()),
        Kind::Int32 => Value::I32(i32::try_from(number(random) & 0x7fff_ffff).unwrap()),
        Kind::Int64 => Value::I64(number(random)),
        Kind::Message(of) => Value::Message(made(random, &of)),
        kind => panic!("a field of a kind this does not know: {kind:?}"),
    }
}

fn made(random: &mut Random, of: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields() {
        if random.below(3) == 0 {
            continue;
        }
        let value = match field.cardinality() {
            Cardinality::Repeated => {
                let many = random.below(4);
                Value::List((0..many).map(|_| value(random, &field)).collect())
            }
            _ => value(random, &field),
        };
        message.set_field(&field, value);
    }
    message
}

fn attack(grpc: &Grpc, random: &mut Random, method: &str) {
    let mut messages = vec![Vec::new(), vec![0xff; 40], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]];
    for _ in 0..BYTES {
        let length = random.below(64);
        messages.push(random.bytes(length));
    }
    let input = grpc.input(method);
    for _ in 0..MADE {
        messages.push(made(random, &input).encode_to_vec());
    }
    for message in messages {
        let outcome = grpc.raw(method, message.clone());
        is_no_defect(method, &message, &outcome);
    }
}

#[test]
fn no_message_breaks_anything() {
    let scene = Scene::filled();
    let grpc = scene.grpc();
    let mut random = Random::new(20_261_121);
    // What switches everything off comes last, so that the others are answered with what they deserve.
    let (last, first): (Vec<String>, Vec<String>) =
        grpc.methods().into_iter().partition(|method| method.ends_with("SetReadOnly") || method.ends_with("Logout"));
    for method in first.iter().chain(&last) {
        attack(&grpc, &mut random, method);
    }
    assert!(!scene.server.log().contains("panicked"), "{}", scene.server.log());
    let _ = scene.send("PUT", "/v1/read-only", &serde_json::json!({"read_only": false})).expect(200);
    let health = scene.client.get("/v1/health").expect(200).json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(scene.send("POST", "/v1/audit/verify", &serde_json::json!({})).expect(200).json()["sound"], true);
}

#[test]
fn no_frame_breaks_anything() {
    let scene = Scene::empty();
    let grpc = scene.grpc();
    for body in [
        &b""[..],
        b"\0",
        b"\0\0\0\0\x05ab",
        b"\x01\0\0\0\x02ab",
        b"\x07\0\0\0\x02ab",
        b"\0\xff\xff\xff\xff",
        b"\0\0\0\0\0\0\0\0\0\0",
    ] {
        for encoding in [None, Some("gzip"), Some("nonsense")] {
            let call =
                http::Request::post("/mcr.v1.RegistryService/ListTags").header("content-type", "application/grpc");
            let mut call = call.header("authorization", scene.authorization());
            if let Some(encoding) = encoding {
                call = call.header("grpc-encoding", encoding);
            }
            let body = tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::copy_from_slice(body)));
            let (status, head, _) = grpc.http(call.body(body).unwrap());
            let code = head.get("grpc-status").map_or("0", |code| code.to_str().unwrap()).to_owned();
            assert_eq!(status.as_u16(), 200);
            assert!(!matches!(code.as_str(), "2" | "13" | "14" | "15"), "{encoding:?} {code} {head:?}");
        }
    }
}
