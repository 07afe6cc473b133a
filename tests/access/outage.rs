//! The identity service fails while it is needed: what was validated lives out its half minute, then a clear 503; never
//! a 401 that makes people type passwords, never an open door, and all is well again without a restart.

use std::time::{Duration, Instant};

use mcr_tests::accounts::{ADMIN, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::identity::{Flaws, Identity, Mood};
use mcr_tests::{Blob, Client, Image, Random, Response, push};

/// What the contract gives a validation.
const LIVES: Duration = Duration::from_secs(30);
/// The longest an answer may take: the service is given 10 s.
const ANSWERED: Duration = Duration::from_secs(14);

/// Insists on a 503 that says what is the matter, to a person and to a program.
#[track_caller]
fn unavailable(what: &str, answer: &Response) {
    assert_eq!(answer.status, 503, "{what}: {} {}", answer.status, answer.text());
    let wait: u32 = answer.required("retry-after").parse().expect("seconds");
    assert!((1..=120).contains(&wait), "{what}: {wait}");
    assert!(answer.header("www-authenticate").is_none(), "{what}: no challenge: {:?}", answer.headers);
    let text = answer.text().to_lowercase();
    assert!(text.contains("identity service") || text.contains("login"), "{what}: {text}");
}

/// An account that nobody asked for before, so that nothing of it is cached.
fn newcomer(registry: &Registry, number: usize) -> (String, String) {
    let (name, password) = (format!("person-{number}"), format!("pw-of-person-{number}"));
    registry.is_secret(&password);
    registry.identity().add(mcr_tests::identity::Person {
        name: name.clone(),
        password: Some(password.clone()),
        kind: "human",
        roles: vec!["user"],
        subject: format!("subject-{number}"),
    });
    (name, password)
}

/// Everything that needs the service.
fn logins(registry: &Registry, (name, password): &(String, String)) -> Vec<(&'static str, Response)> {
    let nobody = registry.nobody();
    let client = nobody.with_basic(name, password);
    let login = serde_json::json!({"username": name, "password": password}).to_string();
    let post = nobody.request("POST", "/v1/auth/login").header("Content-Type", "application/json");
    vec![
        ("Basic", client.get("/v2/")),
        ("a token", client.get("/v2/token?service=mcr&scope=repository:mine/app:pull")),
        ("a login", post.body(login.as_bytes()).call()),
        ("a raw token", nobody.with_bearer("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl").get("/v2/")),
    ]
}

fn well(registry: &Registry) {
    let _ = registry.account(OTHER).get("/v2/").expect(200);
    let _ = registry.nobody().with_basic(OTHER, "still-wrong").get("/v2/").expect(401);
}

#[test]
fn a_push_lives_out_its_half_minute_and_goes_on_after_the_outage() {
    let registry = Registry::start(Mode::Mcias);
    push::image(&registry.admin(), "open/app", "v1", &Image::random(&mut Random::new(701), 1, 100));
    let _ = registry.open_to_all("open/**");
    let client = registry.bearer(USER, &["repository:mine/app:pull,push"]);
    let image = Image::random(&mut Random::new(702), 3, 50_000);
    push::blob(&client, "mine/app", &image.layers[0]);
    let down = Instant::now();
    registry.identity().down();
    // Under way: what was validated goes on.
    push::blob(&client, "mine/app", &image.layers[1]);
    for (what, answer) in logins(&registry, &newcomer(&registry, 0)) {
        unavailable(what, &answer);
    }
    let mut last_good = Duration::ZERO;
    let refused = loop {
        let answer = client.head(&format!("/v2/mine/app/blobs/{}", image.layers[0].digest));
        match answer.status {
            200 => last_good = down.elapsed(),
            _ => break answer,
        }
        assert!(down.elapsed() < LIVES + Duration::from_secs(5), "good for {:?}", down.elapsed());
        std::thread::sleep(Duration::from_millis(250));
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(last_good > Duration::from_secs(20), "validations live half a minute, this one {last_good:?}");
    // Still no open door, and no 401; what everybody may goes on, and the registry is ready.
    let blob = Blob::new("late".to_owned());
    let late = client.post("/v2/mine/app/blobs/uploads/");
    unavailable("a push with a token that cannot be validated", &late);
    let stranger = registry.stranger(&["repository:open/app:pull"]);
    let _ = stranger.get("/v2/open/app/manifests/v1").expect(200);
    let _ = stranger.get("/v2/mine/app/manifests/v1").expect(401);
    let _ = registry.nobody().get("/readyz").expect(200);
    let _ = registry.nobody().get("/v2/").expect(401);
    // Back: the same token, the same session of the same process.
    registry.identity().up();
    let start = Instant::now();
    mcr_tests::clock::wait_until("the push goes on", || {
        client.head(&format!("/v2/mine/app/blobs/{}", image.layers[0].digest)).status == 200
    });
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    push::blob(&client, "mine/app", &blob);
    push::image(&client, "mine/app", "v1", &image);
    well(&registry);
    registry.assert_nothing_secret_logged();
    registry.assert_audit_sound();
}

#[test]
fn every_way_to_fail_is_a_503_and_passes_by_itself() {
    let registry = Registry::start(Mode::Mcias);
    let says = |kind, text: &str| Mood::Says(kind, text.to_owned());
    let json = "application/json";
    let moods = [
        Mood::Resets,
        Mood::Breaks,
        Mood::Status(429),
        Mood::Status(500),
        Mood::Status(502),
        Mood::Status(503),
        Mood::Status(404),
        Mood::Status(302),
        Mood::Floods(64 << 20),
        says("text/html", "<html><body>Please log in</body></html>"),
        says(json, ""),
        says(json, "null"),
        says(json, "[]"),
        says(json, "{}"),
        says(json, "true"),
        says(json, r#"{"ok":true}"#),
        says(json, r#"{"valid":"yes","token":7,"sub":"x","username":"alice","roles":["admin"]}"#),
        says(json, r#"{"valid":1,"token":"","sub":"x","username":"alice","roles":["admin"]}"#),
        says(json, r#"{"valid":true,"token":null,"username":"alice","roles":["admin"]}"#),
        says(json, r#"{"valid":true,"sub":"x","username":"mcr-probe\n","account_type":"human","roles":"admin"}"#),
    ];
    for (number, mood) in moods.into_iter().enumerate() {
        let person = newcomer(&registry, number);
        registry.identity().mood(mood.clone());
        for (what, answer) in logins(&registry, &person) {
            unavailable(&format!("{mood:?}: {what}"), &answer);
        }
        registry.identity().mood(Mood::Well);
        let client = registry.nobody().with_basic(&person.0, &person.1);
        mcr_tests::clock::wait_until("it recovers", || client.get("/v2/").status == 200);
    }
    registry.assert_nothing_secret_logged();
}

#[test]
fn a_service_that_stalls_is_waited_for_ten_seconds_and_no_longer() {
    let registry = Registry::start(Mode::Mcias);
    let client: Client = registry.bearer(USER, &["repository:mine/app:pull,push"]);
    registry.identity().mood(Mood::Stalls(Duration::from_secs(40)));
    std::thread::scope(|scope| {
        // Many at once wait beside each other, not one after the other.
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let registry = &registry;
                scope.spawn(move || {
                    let start = Instant::now();
                    let someone = registry.nobody().with_basic(&format!("somebody-{number}"), "a-password");
                    let answer = someone.get("/v2/");
                    (start.elapsed(), answer)
                })
            })
            .collect();
        // Meanwhile what was validated is served as fast as ever.
        let start = Instant::now();
        push::blob(&client, "mine/app", &Blob::new("beside".to_owned()));
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        for thread in waiting {
            let (took, answer) = thread.join().unwrap();
            unavailable("a stall", &answer);
            assert!(took < ANSWERED, "{took:?}");
        }
    });
    registry.identity().mood(Mood::Well);
    mcr_tests::clock::wait_until("it recovers", || registry.account(OTHER).get("/v2/").status == 200);
}

#[test]
fn a_service_that_cannot_be_trusted_is_not_asked() {
    for flaws in [Flaws { tls_1_2: true, foreign: false }, Flaws { tls_1_2: false, foreign: true }] {
        // The registry starts: its pulls do not need the service.
        let registry = Registry::of(Identity::flawed(flaws), &Setup::default());
        let _ = registry.nobody().get("/readyz").expect(200);
        let answer = registry.account(ADMIN).get("/v2/");
        unavailable(&format!("{flaws:?}"), &answer);
        assert_eq!(registry.identity().counts().logins, 0, "no password was sent: {flaws:?}");
        assert!(registry.server().log().contains("identity service"), "the log says why: {}", registry.server().log());
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn equal_logins_are_asked_for_once_in_half_a_minute() {
    let registry = Registry::start(Mode::Mcias);
    let client = registry.account(USER);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let client = client.fresh();
            scope.spawn(move || (0..5).for_each(|_| drop(client.get("/v2/").expect(200))));
        }
    });
    let counts = registry.identity().counts();
    assert_eq!(counts.logins, 1, "{counts:?}");
    assert!(counts.validations <= 1, "{counts:?}");
    let asked = registry.identity().last_login();
    assert_eq!(asked, serde_json::json!({"service_name": "mcr", "tags": ["env:test"]}));
}
