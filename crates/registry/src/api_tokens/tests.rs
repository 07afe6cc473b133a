//! Tests of API tokens: who is known by one, for how long, who may make one, and that no secret is kept.

use mcr_access::{AccountKind, Identity, Kind, Pull, Push};

use super::{API_TOKEN_PREFIX, MAX_TOKEN_LIFE_MS, MAX_TOKENS_OF_OWNER, NewToken};
use crate::testing::{Bed, NOW, admin, name, scoped, user};
use crate::{Error, Settings};

fn new() -> NewToken {
    NewToken {
        name: "ci".to_owned(),
        actions: vec!["pull".to_owned(), "registry:push".to_owned()],
        repositories: vec!["team/*".to_owned()],
        expires_at_ms: NOW + 1000,
    }
}

#[tokio::test]
async fn a_token_is_its_owner_limited_to_what_it_was_made_for() {
    let bed = Bed::new();
    let (record, secret) = bed.registry.create_token(&user("ann"), new()).await.unwrap();
    assert_eq!(record.actions, ["pull", "push"]);
    assert!(secret.starts_with(&format!("{API_TOKEN_PREFIX}{}_", record.id)), "{secret}");
    let bed = bed.reopen(Settings::default()).await;
    let known = bed.registry.api_token(&secret).unwrap();
    assert_eq!((&*known.id, known.owner.name.as_str(), known.expires_at_ms), (record.id.as_str(), "ann", NOW + 1000));
    let identity = Identity::of(known.owner, Some(known.scope), None);
    assert!(bed.registry.permit::<Push>(&identity, &name("team/app")).is_ok());
    assert!(bed.registry.permit::<Pull>(&identity, &name("other/app")).is_err());
    assert!(!identity.scope().unwrap().covers(Kind::Delete, Some("team/app")));
    assert!(!identity.scope().unwrap().covers(Kind::Catalog, None));
    assert!(!identity.scope().unwrap().covers(Kind::ManagePolicy, None));
}

#[tokio::test]
async fn nothing_but_the_whole_secret_is_known() {
    let bed = Bed::new();
    let (record, secret) = bed.registry.create_token(&user("ann"), new()).await.unwrap();
    let other = bed.registry.create_token(&user("bob"), new()).await.unwrap().1;
    let other_half = other.rsplit_once(&format!("{}_", other.split('_').nth(1).unwrap())).unwrap().1.to_owned();
    for wrong in [
        String::new(),
        "mcr_".to_owned(),
        format!("mcr_{}", record.id),
        format!("mcr_{}_", record.id),
        format!("mcr_{}_{other_half}", record.id),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}A"),
        secret.replacen("mcr_", "MCR_", 1),
        format!("mcr_0000000000000000_{other_half}"),
    ] {
        assert!(bed.registry.api_token(&wrong).is_none(), "{wrong}");
    }
    assert!(bed.registry.api_token(&secret).is_some());
    let open = bed.database();
    drop(bed.registry);
    #[expect(clippy::disallowed_methods, reason = "a look at the file itself")]
    let bytes = std::fs::read(open).unwrap();
    let half = secret.strip_prefix(&format!("mcr_{}_", record.id)).unwrap().as_bytes();
    assert!(!bytes.windows(half.len()).any(|window| window == half), "the secret is nowhere");
}

#[tokio::test]
async fn a_token_ends_when_it_is_revoked_or_its_time_is_over() {
    let bed = Bed::new();
    let (record, secret) = bed.registry.create_token(&user("ann"), new()).await.unwrap();
    assert!(matches!(bed.registry.revoke_token(&user("bob"), &record.id).await, Err(Error::NoSuch(_))));
    assert!(bed.registry.api_token(&secret).is_some());
    bed.registry.revoke_token(&user("ann"), &record.id).await.unwrap();
    assert!(bed.registry.api_token(&secret).is_none());
    assert!(matches!(bed.registry.revoke_token(&admin(), &record.id).await, Err(Error::NoSuch(_))), "once");
    let (_, second) = bed.registry.create_token(&user("ann"), new()).await.unwrap();
    bed.clock.advance(1000);
    assert!(bed.registry.api_token(&second).is_none());
    let bed = bed.reopen(Settings::default()).await;
    assert!(bed.registry.api_token(&secret).is_none() && bed.registry.api_token(&second).is_none());
    assert_eq!((bed.told("token_created").await.len(), bed.told("token_revoked").await.len()), (2, 1));
}

#[tokio::test]
async fn everybody_sees_their_own_and_administrators_all() {
    let bed = Bed::new();
    let (ann, _) = bed.registry.create_token(&user("ann"), new()).await.unwrap();
    bed.clock.advance(1);
    let (bob, _) = bed.registry.create_token(&user("bob"), new()).await.unwrap();
    let ids = |identity: &Identity| -> Vec<String> {
        bed.registry.tokens(identity).unwrap().into_iter().map(|token| token.id).collect()
    };
    assert_eq!(ids(&user("ann")), std::slice::from_ref(&ann.id));
    assert_eq!(ids(&admin()), [bob.id.clone(), ann.id]);
    bed.registry.revoke_token(&admin(), &bob.id).await.unwrap();
    assert!(bed.registry.tokens(&user("bob")).unwrap()[0].revoked_at_ms.is_some());
}

#[tokio::test]
async fn a_token_cannot_make_tokens_and_nobody_has_none() {
    let bed = Bed::new();
    let nobody = Identity::of(mcr_access::Account::anonymous(), None, None);
    for who in [scoped(&admin(), "repository:a:pull"), nobody, Identity::probe(None)] {
        assert!(matches!(bed.registry.create_token(&who, new()).await, Err(Error::Denied(_))), "{who:?}");
        assert!(matches!(bed.registry.tokens(&who), Err(Error::Denied(_))), "{who:?}");
        assert!(matches!(bed.registry.revoke_token(&who, "x").await, Err(Error::Denied(_))), "{who:?}");
    }
    let everyone = Identity::new("anonymous", AccountKind::Anonymous, true, None);
    assert!(bed.registry.create_token(&everyone, new()).await.is_ok(), "where there are no logins");
}

#[tokio::test]
async fn what_a_token_cannot_be_is_refused_by_name() {
    let bed = Bed::new();
    let some = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (field, wrong) in [
        ("name", NewToken { name: String::new(), ..new() }),
        ("name", NewToken { name: "a".repeat(101), ..new() }),
        ("actions", NewToken { actions: Vec::new(), ..new() }),
        ("actions", NewToken { actions: some(&["policy:manage"]), ..new() }),
        ("actions", NewToken { actions: some(&["*"]), ..new() }),
        ("repositories", NewToken { repositories: Vec::new(), ..new() }),
        ("repositories", NewToken { repositories: some(&["A"]), ..new() }),
        ("repositories", NewToken { repositories: vec!["a".to_owned(); 65], ..new() }),
        ("expires_at", NewToken { expires_at_ms: NOW, ..new() }),
        ("expires_at", NewToken { expires_at_ms: NOW + MAX_TOKEN_LIFE_MS + 1, ..new() }),
    ] {
        match bed.registry.create_token(&user("ann"), wrong).await {
            Err(Error::Invalid(message)) => assert!(message.starts_with(&format!("{field}: ")), "{message}"),
            other => panic!("{field}: {other:?}"),
        }
    }
    let catalog = NewToken { actions: some(&["catalog"]), repositories: Vec::new(), ..new() };
    let (_, secret) = bed.registry.create_token(&user("ann"), catalog).await.unwrap();
    assert!(bed.registry.api_token(&secret).unwrap().scope.covers(Kind::Catalog, None));
}

#[tokio::test]
async fn an_account_has_so_many() {
    let bed = Bed::new();
    for _ in 0..MAX_TOKENS_OF_OWNER {
        bed.registry.create_token(&user("ann"), new()).await.unwrap();
    }
    assert!(matches!(bed.registry.create_token(&user("ann"), new()).await, Err(Error::Conflict(_))));
    assert!(bed.registry.create_token(&user("bob"), new()).await.is_ok());
}

#[tokio::test]
async fn use_is_written_down_once_a_minute() {
    let bed = Bed::new();
    let long = NewToken { expires_at_ms: NOW + 1_000_000, ..new() };
    let (_, secret) = bed.registry.create_token(&user("ann"), long).await.unwrap();
    assert_eq!(bed.registry.tokens(&user("ann")).unwrap()[0].last_used_at_ms, None);
    for (advance, seen) in [(0, NOW), (59_999, NOW), (1, NOW + 60_000)] {
        bed.clock.advance(advance);
        assert!(bed.registry.api_token(&secret).is_some());
        assert_eq!(bed.registry.tokens(&user("ann")).unwrap()[0].last_used_at_ms, Some(seen));
    }
    let bed = bed.reopen(Settings::default()).await;
    assert_eq!(bed.registry.tokens(&user("ann")).unwrap()[0].last_used_at_ms, Some(NOW + 60_000));
}
