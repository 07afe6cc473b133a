//! Tests of tokens and ended logins as rows: what is kept, for how long, and how many.

use super::{CreateToken, RevokeSession, RevokeToken, TokenOutcome, TokenRow};
use crate::testing::{Bed, actor};

const DAY: i64 = 24 * 3_600_000;

fn token(id: &str, subject: &str, created_at_ms: i64) -> TokenRow {
    TokenRow {
        id: id.to_owned(),
        name: "ci".to_owned(),
        owner: "ann".to_owned(),
        subject: subject.to_owned(),
        account_type: "human".to_owned(),
        roles: vec!["user".to_owned()],
        actions: vec!["pull".to_owned()],
        repositories: vec!["**".to_owned()],
        secret_hash: "5e".repeat(32),
        created_at_ms,
        expires_at_ms: created_at_ms + DAY,
        last_used_at_ms: None,
        revoked_at_ms: None,
    }
}

fn create(bed: &Bed, token: TokenRow) -> TokenOutcome {
    let request = CreateToken { token, most_of_owner: 2, most: 3, actor: actor() };
    bed.wait(|metadata, done| metadata.create_token(request, done)).unwrap()
}

fn revoke(bed: &Bed, id: &str, at_ms: i64) -> bool {
    let request = RevokeToken { id: id.to_owned(), actor: actor(), at_ms };
    bed.wait(|metadata, done| metadata.revoke_token(request, done)).unwrap()
}

const MADE: TokenOutcome = TokenOutcome::Created { forgotten: Vec::new() };

#[test]
fn a_token_is_read_as_it_was_written() {
    let bed = Bed::new();
    assert_eq!(create(&bed, token("a", "s", 1)), MADE);
    bed.wait(|metadata, done| metadata.use_token("a".to_owned(), 5, done)).unwrap();
    bed.wait(|metadata, done| metadata.use_token("a".to_owned(), 4, done)).unwrap();
    assert!(revoke(&bed, "a", 6));
    assert!(!revoke(&bed, "a", 7) && !revoke(&bed, "b", 7));
    let bed = bed.reopen();
    let expected = TokenRow { last_used_at_ms: Some(5), revoked_at_ms: Some(6), ..token("a", "s", 1) };
    assert_eq!(bed.metadata.api_tokens().unwrap(), [expected]);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event IN ('token_created', 'token_revoked')"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE details LIKE '%5e5e%'"), 0, "no hash in the trail");
}

#[test]
fn tokens_are_counted_per_account_and_in_all_and_ended_ones_are_forgotten() {
    let bed = Bed::new();
    assert_eq!(create(&bed, token("a", "s", 1)), MADE);
    assert_eq!(create(&bed, token("b", "s", 1)), MADE);
    assert_eq!(create(&bed, token("c", "s", 1)), TokenOutcome::TooManyOfOwner);
    assert!(revoke(&bed, "b", 2));
    assert_eq!(create(&bed, token("c", "s", 3)), MADE);
    assert_eq!(create(&bed, token("d", "other", 3)), TokenOutcome::TooMany);
    let later = 3 + 92 * DAY;
    let TokenOutcome::Created { mut forgotten } = create(&bed, token("d", "other", later)) else { panic!() };
    forgotten.sort();
    assert_eq!(forgotten, ["a", "b", "c"]);
    assert_eq!(bed.metadata.api_tokens().unwrap().len(), 1);
}

#[test]
fn an_ended_login_is_kept_until_it_would_have_ended() {
    let bed = Bed::new();
    for (jti, until_ms) in [("a", 100), ("b", 200), ("a", 50)] {
        let request = RevokeSession { jti: jti.to_owned(), until_ms, at_ms: 1 };
        bed.wait(|metadata, done| metadata.revoke_session(request, done)).unwrap();
    }
    assert_eq!(bed.metadata.revoked_sessions(60).unwrap(), [("a".to_owned(), 100), ("b".to_owned(), 200)]);
    assert_eq!(bed.metadata.revoked_sessions(100).unwrap(), [("b".to_owned(), 200)]);
    assert_eq!(bed.wait(|metadata, done| metadata.clear_sessions(100, done)), Ok(1));
    assert_eq!(bed.count("SELECT count(*) FROM revoked_sessions"), 1);
}
