//! Tests of what is read of a request for a token, and what clients read in the answer.

use super::*;

fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn read(text: &'static str) -> Result<(Query, TokenCredentials), StatusCode> {
    let form = form(&Bytes::from_static(text.as_bytes())).map_err(|answer| answer.status())?;
    let credentials = grant(&form).map_err(|answer| answer.status())?;
    Ok((form, credentials))
}

#[test]
fn a_query_has_scopes_repeated_and_joined() {
    let basic = ("authorization", "Basic YW5uOmE6Yg==");
    let target = "/v2/token?account=ann&client_id=docker&offline_token=true&service=mcr&scope=repository%3Aa%3Apull&scope=repository:b:pull+repository:c:pull%20registry:catalog:*";
    let asked = by_query(&head(target, &[basic])).unwrap();
    assert_eq!(asked.scope, ["repository:a:pull", "repository:b:pull repository:c:pull registry:catalog:*"]);
    assert_eq!(
        (asked.service.as_deref(), asked.client_id.as_deref(), asked.offline),
        (Some("mcr"), Some("docker"), true)
    );
    let TokenCredentials::Basic(pair) = asked.credentials else { panic!("{:?}", asked.credentials) };
    assert_eq!((pair.username.as_str(), pair.password.as_str()), ("ann", "a:b"));
    let nobody = by_query(&head("/v2/token", &[])).unwrap();
    assert_eq!(nobody.credentials, TokenCredentials::Anonymous);
    assert!(!nobody.offline && nobody.scope.is_empty());
}

#[test]
fn credentials_that_cannot_be_read_are_wrong_and_not_anonymous() {
    for value in ["Bearer x", "Basic !!!", "Basic", ""] {
        let answer = by_query(&head("/v2/token", &[("authorization", value)])).unwrap_err();
        assert_eq!(answer.status(), 401, "{value:?}");
        assert!(answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
    }
    let two = [("authorization", "Basic YTpi"), ("authorization", "Basic YTpj")];
    assert_eq!(by_query(&head("/v2/token", &two)).unwrap_err().status(), 400);
}

#[test]
fn grants_are_password_and_refresh_token() {
    let (form, credentials) =
        read("grant_type=password&username=ann&password=a%2Bb+c&access_type=offline&scope=x+y").unwrap();
    let TokenCredentials::Basic(pair) = credentials else { panic!("{credentials:?}") };
    assert_eq!((pair.username.as_str(), pair.password.as_str()), ("ann", "a+b c"));
    assert_eq!((form.get("scope"), form.get("access_type")), (Some("x y"), Some("offline")));
    let (_, credentials) = read("grant_type=refresh_token&refresh_token=r&service=s").unwrap();
    assert_eq!(credentials, TokenCredentials::RefreshToken("r".to_owned()));
    for bad in [
        "",
        "grant_type=",
        "grant_type=password&username=ann",
        "grant_type=password&username=&password=x",
        "grant_type=refresh_token",
        "grant_type=client_credentials&client_id=x",
        "grant_type=password&username=a&username=b&password=x",
        "grant_type=password&grant_type=refresh_token&refresh_token=x",
    ] {
        assert_eq!(read(bad).unwrap_err(), StatusCode::BAD_REQUEST, "{bad}");
    }
    assert!(form_is_refused(b"grant_type=\xff"));
}

fn form_is_refused(bytes: &'static [u8]) -> bool {
    form(&Bytes::from_static(bytes)).is_err()
}

#[test]
fn an_answer_is_read_by_old_and_new_clients() {
    let issued = IssuedToken {
        token: "t".to_owned(),
        expires_in: 300,
        issued_at_ms: 0,
        refresh_token: None,
        scope: "repository:a:pull".to_owned(),
    };
    let shown = document(&issued);
    assert_eq!(
        (&shown["token"], &shown["access_token"], &shown["expires_in"]),
        (&"t".into(), &"t".into(), &300.into())
    );
    assert_eq!(shown["issued_at"], "1970-01-01T00:00:00.000Z");
    assert!(shown.get("refresh_token").is_none(), "it promises the POST grant");
    let with = document(&IssuedToken { refresh_token: Some("r".to_owned()), ..issued });
    assert_eq!(with["refresh_token"], "r");
}

#[test]
fn a_refusal_is_read_as_oauth_and_as_a_registrys() {
    let answer = refused(&Denied::Wrong);
    assert_eq!(answer.status(), 401);
    let super::super::body::OutBody::Full(bytes) = answer.into_body() else { panic!("a body") };
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&body["error"], &body["errors"][0]["code"]), (&"invalid_grant".into(), &"UNAUTHORIZED".into()));
    assert_eq!(refused(&Denied::Throttled { retry_after: 9 }).headers()["retry-after"], "9");
    let away = Denied::Unavailable { message: "x".to_owned(), retry_after: 7 };
    assert_eq!(
        (refused(&away).status().as_u16(), refused(&away).headers()["retry-after"].as_bytes()),
        (503, &b"7"[..])
    );
}
