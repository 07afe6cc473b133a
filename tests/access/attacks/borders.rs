//! Borders between repositories: mounts, lists and refusals tell nothing of what lies behind one.

use mcr_tests::accounts::{ADMIN, GUEST, MACHINE, Mode, OTHER, Registry, USER};
use mcr_tests::{Blob, Client, Image, Random, Response, Server, process, pull, push, tools};

/// Two names of one length, so that answers can be compared byte for byte. Only the first one is there.
const THERE: &str = "secret/there";
const ABSENT: &str = "secret/absnt";

/// A registry where people may pull and push `mine/**` and nothing else; `secret/there` is an administrator's.
fn registry(mode: Mode) -> (Registry, Image) {
    let registry = Registry::start(mode);
    let image = Image::random(&mut Random::new(621), 2, 500);
    push::image(&registry.admin(), THERE, "v1", &image);
    let _ = registry.rule(&serde_json::json!({
        "priority": 5, "description": "nobody's business", "effect": "deny", "repositories": ["secret/**"],
    }));
    for name in [USER, MACHINE] {
        let _ = registry.allow(name, &["pull", "push"], "mine/**");
    }
    (registry, image)
}

/// Everybody who may not: nobody, accounts with passwords, and tokens that were asked for with the wrong scope.
fn outsiders(registry: &Registry) -> Vec<(&'static str, Client)> {
    let secret = format!("repository:{THERE}:pull,push,delete");
    let absent = format!("repository:{ABSENT}:pull,push,delete");
    vec![
        ("nobody", registry.nobody()),
        ("guest", registry.account(GUEST)),
        ("user", registry.account(USER)),
        ("machine", registry.account(MACHINE)),
        ("user with a token", registry.bearer(USER, &[&secret, &absent, "repository:mine/app:pull,push"])),
        ("guest with a token", registry.bearer(GUEST, &[&secret, &absent])),
    ]
}

/// An answer without what differs from request to request.
fn shape(answer: &Response, name: &str) -> String {
    let changing = ["date", "x-request-id", "docker-upload-uuid"];
    let headers = answer.headers.iter().filter(|(field, _)| !changing.contains(&field.to_lowercase().as_str()));
    let headers: Vec<String> = headers.map(|(field, value)| format!("{}: {value}", field.to_lowercase())).collect();
    format!("{}\n{}\n{}", answer.status, headers.join("\n"), answer.text()).replace(name, "NAME")
}

#[test]
fn a_refusal_does_not_tell_whether_the_repository_exists() {
    for mode in Mode::ALL {
        let (registry, image) = registry(mode);
        let digest = image.digest();
        let layer = &image.layers[0].digest;
        let requests = |name: &str| {
            [
                ("GET", format!("/v2/{name}/manifests/v1")),
                ("HEAD", format!("/v2/{name}/manifests/v1")),
                ("GET", format!("/v2/{name}/manifests/{digest}")),
                ("PUT", format!("/v2/{name}/manifests/v2")),
                ("DELETE", format!("/v2/{name}/manifests/v1")),
                ("DELETE", format!("/v2/{name}/manifests/{digest}")),
                ("GET", format!("/v2/{name}/blobs/{layer}")),
                ("HEAD", format!("/v2/{name}/blobs/{layer}")),
                ("DELETE", format!("/v2/{name}/blobs/{layer}")),
                ("POST", format!("/v2/{name}/blobs/uploads/")),
                ("POST", format!("/v2/{name}/blobs/uploads/?mount={layer}&from=mine/app")),
                ("GET", format!("/v2/{name}/blobs/uploads/00000000-0000-4000-8000-000000000000")),
                ("GET", format!("/v2/{name}/tags/list")),
                ("GET", format!("/v2/{name}/referrers/{digest}")),
                ("GET", format!("/v2/token?service=mcr&scope=repository:{name}:pull,push")),
                ("GET", format!("/v1/repositories/{name}")),
                ("GET", format!("/v1/repositories/{name}/tags")),
                ("GET", format!("/v1/repositories/{name}/tags/v1/history")),
                ("DELETE", format!("/v1/repositories/{name}/tags/v1")),
                ("DELETE", format!("/v1/repositories/{name}")),
            ]
        };
        for (who, client) in outsiders(&registry) {
            for ((method, there), (_, absent)) in requests(THERE).into_iter().zip(requests(ABSENT)) {
                let ask = |target: &str| client.request(method, target).body(b"").call();
                let [there_said, absent_said] = [ask(&there), ask(&absent)];
                if there.starts_with("/v2/token") {
                    // Tokens differ each time: what they grant must not.
                    let granted = |answer: &Response, name: &str| {
                        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                        let claims = json["token"].as_str().map(|text| super::minted::Token::parse(text).claims);
                        let access = claims.map(|claims| claims["access"].to_string());
                        format!("{} {access:?}", answer.status).replace(name, "NAME")
                    };
                    assert_eq!(granted(&there_said, THERE), granted(&absent_said, ABSENT), "{who}");
                    continue;
                }
                let refused = matches!(there_said.status, 401 | 403);
                assert!(refused, "{who}: {method} {there}: {} {}", there_said.status, there_said.text());
                assert_eq!(shape(&there_said, THERE), shape(&absent_said, ABSENT), "{who}: {method} {there}");
            }
        }
        let _ = pull::assert_whole(&registry.admin(), THERE, "v1");
    }
}

#[test]
fn lists_show_what_may_be_pulled_and_nothing_else() {
    for mode in Mode::ALL {
        let (registry, image) = registry(mode);
        push::image(&registry.admin(), "mine/app", "v1", &image);
        let _ = registry.open_to_all("open/**");
        push::image(&registry.admin(), "open/app", "v1", &image);
        let catalog = |client: &Client| {
            let mut names = Vec::new();
            let mut target = "/v2/_catalog?n=1".to_owned();
            for _ in 0..20 {
                let answer = client.get(&target).expect(200);
                let page = answer.json()["repositories"].as_array().cloned().unwrap();
                names.extend(page.iter().map(|name| name.as_str().unwrap().to_owned()));
                let Some(link) = answer.header("link") else { return names };
                target = link.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned();
            }
            panic!("the list does not end: {names:?}");
        };
        assert_eq!(catalog(&registry.admin()), ["mine/app", "open/app", THERE]);
        let mine = catalog(&registry.account(OTHER));
        assert!(mine.iter().all(|name| !name.starts_with("secret/")), "{mine:?}");
        assert!(mine.contains(&"mine/app".to_owned()) || mode == Mode::Htpasswd, "{mine:?}");
        for who in [registry.account(GUEST), registry.account(MACHINE), registry.nobody()] {
            for target in ["/v2/_catalog", "/v1/repositories", "/v2/_catalog?last=secret/a", "/v2/_catalog?n=1000"] {
                let answer = who.get(target);
                assert!(!answer.text().contains("secret"), "{target}: {}", answer.text());
            }
            let _ = who.get(&format!("/v2/{THERE}/tags/list")).status;
        }
        let listed = registry.account(OTHER).get("/v1/repositories?n=100").expect(200).text();
        assert!(!listed.contains("secret"), "{listed}");
    }
}

#[test]
fn a_mount_is_only_from_where_the_caller_may_pull() {
    for mode in Mode::ALL {
        let (registry, image) = registry(mode);
        let layer = &image.layers[0];
        let both = [format!("repository:{THERE}:pull"), "repository:mine/app:pull,push".to_owned()];
        let both: Vec<&str> = both.iter().map(String::as_str).collect();
        for client in [registry.account(USER), registry.bearer(USER, &both)] {
            for from in [THERE, ABSENT] {
                let digest = &layer.digest;
                for target in [
                    format!("/v2/mine/app/blobs/uploads/?mount={digest}&from={from}"),
                    format!("/v2/mine/app/blobs/uploads/?from={}&mount={digest}", from.replace('/', "%2F")),
                    format!("/v2/mine/app/blobs/uploads/?mount={digest}&from={from}&origin=registry.test"),
                    // Without `from`: only from what the caller may pull.
                    format!("/v2/mine/app/blobs/uploads/?mount={digest}"),
                ] {
                    // A session to upload into, as where the blob is not there: no 403, which would tell that it is.
                    let answer = client.post(&target).expect(202);
                    let _ = client.delete(&push::location(&answer)).expect(204);
                }
            }
            let _ = client.head(&format!("/v2/mine/app/blobs/{}", layer.digest)).expect(404);
            // A manifest that names the blob is no way to it either.
            for blob in [&image.config, &image.layers[1]] {
                push::blob(&client, "mine/app", blob);
            }
            let refused = push::put_image(&client, "mine/app", "stolen", &image);
            let _ = refused.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        }
        // And from what it may pull, it works: the refusals above are for the border.
        let own = Blob::new("own".to_owned());
        let user = registry.account(USER);
        push::blob(&user, "mine/first", &own);
        let mounted = user.post(&format!("/v2/mine/second/blobs/uploads/?mount={}&from=mine/first", own.digest));
        let _ = mounted.expect(201);
        // Whoever has the bytes may push them: what is stored once is not told.
        push::blob(&user, "mine/app", layer);
        let _ = push::put_image(&user, "mine/app", "own", &image).expect(201);
    }
}

/// Regression 15: crane asks for a mount from the local repository that has the name of its source elsewhere.
#[test]
fn a_copy_from_elsewhere_takes_nothing_from_a_private_repository_of_the_same_name() {
    let Some(crane) = tools::optional("crane", "crane") else { return };
    let (registry, image) = registry(Mode::Htpasswd);
    let elsewhere = Server::start();
    push::image(&elsewhere.client(), THERE, "v1", &image);
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&crane);
        command.env("DOCKER_CONFIG", home.path()).env("SSL_CERT_FILE", registry.trust().join("ca.crt"));
        process::run(command.args(arguments))
    };
    let password = registry.password(USER);
    let _ = run(&["auth", "login", &registry.authority(), "-u", USER, "-p", &password]).ok();
    let source = format!("{}/{THERE}:v1", elsewhere.authority());
    let before = registry.events("blob_uploaded").len();
    let _ = run(&["copy", &source, &format!("{}/mine/copy:v1", registry.authority())]).ok();
    let _ = pull::assert_whole(&registry.account(USER), "mine/copy", "v1");
    // Every blob travelled: a mount would have made no upload.
    let uploaded = registry.events("blob_uploaded");
    let here = uploaded.iter().skip(before).filter(|event| event["repository"] == "mine/copy");
    assert!(here.count() >= image.blobs().count(), "{uploaded:?}");
    let _ = registry.account(ADMIN).get(&format!("/v2/{THERE}/tags/list")).expect(200);
}
