//! Tokens: what is read back, and every way of making one that is not ours.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;
use crate::action::Kind;

const NOW: i64 = 1_800_000_000;

fn ring() -> KeyRing {
    KeyRing::generate(0).unwrap()
}

fn claims() -> Claims {
    Claims {
        used_for: Use::Access,
        account: Account::new("anna", "uuid-1", AccountKind::Human, &["user"]),
        scope: Some(Scope::parse(["repository:a/b:pull,push repository:c:pull registry:catalog:*"])),
        binding: Binding::Password("f00".to_owned()),
        id: "jti-1".to_owned(),
        issued_at: NOW,
        expires_at: NOW + 300,
    }
}

fn parts(token: &str) -> (Value, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap();
    (json(parts[0]), json(parts[1]), parts[2].to_owned())
}

fn joined(header: &Value, claims: &Value, signature: &str) -> String {
    format!("{}.{}.{signature}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

#[test]
fn a_token_says_what_was_signed() {
    let ring = ring();
    for binding in [Binding::None, Binding::Password("f".into()), Binding::Credential("identity-token".into())] {
        for used_for in [Use::Access, Use::Refresh, Use::Session] {
            let scope = (used_for == Use::Access).then(|| claims().scope.unwrap());
            let said = Claims { binding: binding.clone(), used_for, scope, ..claims() };
            let token = sign(&ring, "mcr", &said).unwrap();
            assert!(is_ours(&ring, &token));
            assert_eq!(verify(&ring, "mcr", &token, NOW).unwrap(), said);
        }
    }
}

#[test]
fn the_wire_has_the_names_of_the_specification() {
    let token = sign(&ring(), "mcr", &claims()).unwrap();
    let (header, body, _) = parts(&token);
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!((&body["iss"], &body["aud"], &body["sub"]), (&json!("mcr"), &json!("mcr"), &json!("uuid-1")));
    assert_eq!(body["access"][0], json!({"type": "repository", "name": "a/b", "actions": ["pull", "push"]}));
    assert_eq!(body["access"][2], json!({"type": "registry", "name": "catalog", "actions": ["*"]}));
}

#[test]
fn a_credential_that_is_carried_is_not_shown() {
    let token =
        sign(&ring(), "mcr", &Claims { binding: Binding::Credential("eyJhbGci.x.y".into()), ..claims() }).unwrap();
    let (_, body, _) = parts(&token);
    assert!(!body.to_string().contains("eyJhbGci") && body["sealed"].is_string());
    assert!(!format!("{:?}", Binding::Credential("eyJhbGci".into())).contains("eyJ"));
}

#[test]
fn times_are_kept_to() {
    let ring = ring();
    let token = sign(&ring, "mcr", &claims()).unwrap();
    assert!(verify(&ring, "mcr", &token, NOW + 299).is_ok());
    assert_eq!(verify(&ring, "mcr", &token, NOW + 300), Err(TokenError::Expired), "no leeway");
    assert!(verify(&ring, "mcr", &token, NOW - 60).is_ok(), "a clock set back a little");
    assert_eq!(verify(&ring, "mcr", &token, NOW - 61), Err(TokenError::NotYet));
}

#[test]
fn tokens_of_another_service_or_another_key_are_refused() {
    let (ring, other) = (ring(), ring());
    let token = sign(&ring, "mcr", &claims()).unwrap();
    assert_eq!(verify(&ring, "mcr2", &token, NOW), Err(TokenError::Invalid));
    assert_eq!(verify(&other, "mcr", &token, NOW), Err(TokenError::NotOurs));
    // Their key, under our key's name.
    let header = Header { kid: parts(&token).0["kid"].as_str().map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    let forged = encode(&header, &parts(&token).1, other.current().unwrap().signing()).unwrap();
    assert_eq!(verify(&ring, "mcr", &forged, NOW), Err(TokenError::Invalid));
}

#[test]
fn issuer_and_audience_are_each_compared() {
    let ring = ring();
    let key = ring.current().unwrap();
    let (_, body, _) = parts(&sign(&ring, "mcr", &claims()).unwrap());
    let header = Header { kid: Some(key.id().to_owned()), ..Header::new(Algorithm::EdDSA) };
    let signed = |body: &Value| encode(&header, body, key.signing()).unwrap();
    assert!(verify(&ring, "mcr", &signed(&body), NOW).is_ok());
    for (name, value) in [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("aud", json!(["mcr", "other"])),
        ("typ", json!("JWT")),
        ("kind", json!("god")),
        ("exp", json!("never")),
        ("sealed", json!("AAAA")),
    ] {
        let mut changed = body.clone();
        changed[name] = value;
        assert_eq!(verify(&ring, "mcr", &signed(&changed), NOW), Err(TokenError::Invalid), "{name}");
    }
    for name in ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "typ", "name", "kind", "roles"] {
        let mut less = body.clone();
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&ring, "mcr", &signed(&less), NOW), Err(TokenError::Invalid), "without {name}");
    }
}

#[test]
fn no_other_algorithm_is_taken() {
    let ring = ring();
    let token = sign(&ring, "mcr", &claims()).unwrap();
    let (header, body, signature) = parts(&token);
    for (alg, refused) in [
        ("none", TokenError::NotOurs),
        ("None", TokenError::NotOurs),
        ("HS256", TokenError::Invalid),
        ("RS256", TokenError::Invalid),
        ("ES256", TokenError::Invalid),
        ("eddsa", TokenError::NotOurs),
    ] {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        for signature in ["", signature.as_str()] {
            assert_eq!(verify(&ring, "mcr", &joined(&header, &body, signature), NOW), Err(refused), "{alg}");
        }
    }
    // The public key as if it were a shared secret, the classic confusion.
    let public = ring.current().unwrap().verifying().try_get_as_bytes().unwrap().to_vec();
    let kid = header["kid"].as_str().map(str::to_owned);
    for alg in [Algorithm::HS256, Algorithm::HS512] {
        let header = Header { kid: kid.clone(), ..Header::new(alg) };
        let forged = encode(&header, &body, &EncodingKey::from_secret(&public)).unwrap();
        assert_eq!(verify(&ring, "mcr", &forged, NOW), Err(TokenError::Invalid));
    }
}

#[test]
fn parts_that_were_changed_or_swapped_are_refused() {
    let ring = ring();
    let token = sign(&ring, "mcr", &claims()).unwrap();
    let wide = Claims { scope: Some(Scope::parse(["repository:a/b:*"])), ..claims() };
    let other = sign(&ring, "mcr", &wide).unwrap();
    let (header, mut body, signature) = parts(&token);
    let split = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (one, two) = (split(&token), split(&other));
    assert_eq!(verify(&ring, "mcr", &format!("{}.{}.{}", one[0], two[1], one[2]), NOW), Err(TokenError::Invalid));
    body["access"][1]["actions"] = json!(["pull", "push", "delete"]);
    assert_eq!(verify(&ring, "mcr", &joined(&header, &body, &signature), NOW), Err(TokenError::Invalid));
    body["roles"] = json!(["admin"]);
    assert_eq!(verify(&ring, "mcr", &joined(&header, &body, &signature), NOW), Err(TokenError::Invalid));
    assert!(verify(&ring, "mcr", &token[..token.len() - 1], NOW).is_err());
    assert!(verify(&ring, "mcr", &format!("{token}A"), NOW).is_err());
}

#[test]
fn garbage_is_not_ours() {
    let ring = ring();
    let long = "a".repeat(MAX_TOKEN + 1);
    for text in ["", ".", "..", "...", "a.b.c", "QQ==", "\u{0}", "e30.e30.e30", "mcr_x_y"] {
        assert_eq!(verify(&ring, "mcr", text, NOW), Err(TokenError::NotOurs), "{text}");
        assert!(!is_ours(&ring, text));
    }
    assert_eq!(verify(&ring, "mcr", &long, NOW), Err(TokenError::TooLong));
}

#[test]
fn a_token_of_a_key_that_was_followed_is_good_until_it_runs_out() {
    let day = 24 * 3600 * 1000;
    let ring = ring();
    let token = sign(&ring, "mcr", &claims()).unwrap();
    let after = ring.rotated(31 * day, crate::keys::KEY_LIFETIME).unwrap().unwrap();
    assert!(verify(&after, "mcr", &token, NOW).is_ok());
    let new = sign(&after, "mcr", &claims()).unwrap();
    assert_ne!(parts(&new).0["kid"], parts(&token).0["kid"]);
    assert_eq!(verify(&ring, "mcr", &new, NOW), Err(TokenError::NotOurs));
}

#[test]
fn a_token_gives_no_more_than_its_scope() {
    let ring = ring();
    let token = sign(&ring, "mcr", &claims()).unwrap();
    let scope = verify(&ring, "mcr", &token, NOW).unwrap().scope.unwrap();
    assert!(scope.covers(Kind::Push, Some("a/b")) && scope.covers(Kind::Catalog, None));
    assert!(!scope.covers(Kind::Delete, Some("a/b")) && !scope.covers(Kind::Pull, Some("a")));
}

#[test]
fn a_token_that_would_be_too_long_is_not_made() {
    let mut scope = Scope::default();
    (0..MAX_SCOPE).for_each(|n| scope.add(&format!("{n}/{}", "x".repeat(250)), ActionSet::REPOSITORY));
    assert_eq!(sign(&ring(), "mcr", &Claims { scope: Some(scope), ..claims() }), Err(TokenError::TooLong));
}
