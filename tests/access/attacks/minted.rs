//! Tokens made by hand: taken apart, changed, signed with any key and algorithm; never a request.

use std::path::Path;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A JWT in its parts.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) head: Value,
    pub(super) claims: Value,
    pub(super) signature: String,
}

impl Token {
    pub(super) fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("no JWT: {} parts", parts.len()) };
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        Self { head: json(head), claims: json(claims), signature: signature.to_owned() }
    }

    /// Head and claims as they are signed.
    pub(super) fn body(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}", part(&self.head), part(&self.claims))
    }

    /// With the signature it has, whether that fits or not.
    pub(super) fn text(&self) -> String {
        format!("{}.{}", self.body(), self.signature)
    }

    pub(super) fn with_head(&self, key: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.head[key] = value;
        changed
    }

    pub(super) fn with_claim(&self, key: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.claims[key] = value;
        changed
    }

    pub(super) fn without_claim(&self, key: &str) -> Self {
        let mut changed = self.clone();
        changed.claims.as_object_mut().unwrap().remove(key);
        changed
    }

    /// Signed with HMAC under `secret`, whatever its head says.
    pub(super) fn hmac(&self, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let body = self.body();
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, body.as_bytes()));
        format!("{body}.{signature}")
    }
}

/// A key to sign with.
pub(super) struct Key(Ed25519KeyPair);

impl Key {
    /// One of an attacker.
    pub(super) fn own() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    /// The one a registry signs with, out of its key file: what no attacker has, to show that a token which is signed
    /// well is refused all the same.
    pub(super) fn of(home: &Path) -> Self {
        let text = std::fs::read_to_string(home.join("token-keys.json")).expect("the key file");
        let file: Value = serde_json::from_str(&text).unwrap();
        let seed = file["keys"][0]["ed25519_seed"].as_str().expect("a seed");
        let seed = URL_SAFE_NO_PAD.decode(seed).or_else(|_| STANDARD.decode(seed)).unwrap();
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    pub(super) fn sign(&self, token: &Token) -> String {
        let body = token.body();
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(body.as_bytes()));
        format!("{body}.{signature}")
    }

    pub(super) fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The public key in every form in which it could be taken for a shared secret.
    pub(super) fn public_forms(&self) -> Vec<Vec<u8>> {
        let raw = self.public();
        // SubjectPublicKeyInfo of Ed25519 (RFC 8410).
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&raw);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
        let texts = [STANDARD.encode(&raw), URL_SAFE_NO_PAD.encode(&raw), pem.clone(), pem.trim_end().to_owned()];
        let texts = texts.into_iter().map(String::into_bytes);
        texts.chain([raw, der]).collect()
    }

    /// The public key as a head of a token would carry it.
    pub(super) fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.public())})
    }
}
