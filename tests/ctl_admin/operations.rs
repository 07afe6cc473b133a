//! `status`, `read-only`, `integrity`, `completions`: what an operator asks of a registry as a whole.

use mcr_tests::accounts::{Mode, Registry, Setup, USER};
use mcr_tests::{Blob, Options, Server, process, push};

use crate::scene::{Shell, registry};

#[test]
fn status_needs_no_login_over_rest_and_grpc() {
    let setup = Setup::default().set("server", "grpc_addr = \"127.0.0.1:0\"");
    let registry = Registry::with(Mode::Htpasswd, &setup);
    let mut shell = Shell::nobody(&registry);
    assert_eq!(shell.says(&["status", "--addr", &registry.server().url()]).lines().next(), Some("ok"));
    // What is asked without a login is not sent one, not even a wrong one.
    shell.set("MCR_USERNAME", "x").set("MCR_PASSWORD", "wrong");
    assert_eq!(shell.says(&["status"]), "ok\n");

    let grpc = registry.server().ready().line.clone();
    let grpc = grpc.split_once(" grpc ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    shell.unset("MCR_ADDR");
    assert_eq!(shell.says(&["status", "--grpc", &grpc]), "ok\n");
    let (code, json) = shell.json(&["status", "--grpc", &grpc]);
    assert_eq!((code, json["status"].as_str()), (0, Some("ok")));
    // The other listener speaks no gRPC.
    let wrong = shell.exits(3, &["status", "--grpc", &registry.authority()]);
    assert!(wrong.contains("--grpc"), "{wrong}");
    shell.unset("MCR_CA_CERT");
    assert!(shell.exits(3, &["status", "--grpc", &grpc]).contains("--ca-cert"));
}

#[test]
fn grpc_without_tls() {
    let server = Server::start();
    let line = server.ready().line.clone();
    let grpc = line.split_once(" grpc ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let shell = Shell::at(&server.url(), None);
    assert_eq!(shell.says(&["status", "--plain-http", "--grpc", &grpc]), "ok\n");
}

#[test]
fn writes_are_refused_while_it_is_read_only() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    assert_eq!(admin.says(&["read-only", "status"]), "off\n");
    assert_eq!(admin.says(&["read-only", "on", "--reason", "moving house"]), "on: moving house\n");
    assert_eq!(admin.says(&["read-only", "status"]), "on: moving house\n");
    let refused = push::try_blob(&registry.admin(), "a/b", &Blob::new("x")).unwrap();
    assert_eq!(refused.status, 405, "{refused:?}");
    assert!(refused.text().contains("moving house"), "{refused:?}");
    let _ = Shell::of(&registry, USER).exits(1, &["read-only", "off"]);
    let (code, json) = admin.json(&["read-only", "off"]);
    assert_eq!((code, json["read_only"].as_bool()), (0, Some(false)));
    push::blob(&registry.admin(), "a/b", &Blob::new("x"));
    assert!(Shell::of(&registry, USER).exits(3, &["read-only", "status"]).contains("403"));
}

#[test]
fn integrity_is_asked_with_a_login() {
    let registry = registry();
    let (code, json) = Shell::admin(&registry).json(&["integrity"]);
    assert_eq!(code, 3, "no run has completed: {json}");
    assert!(json["probe"].is_object());
    assert!(Shell::nobody(&registry).exits(3, &["integrity"]).contains("mcrctl login"));
}

#[test]
fn a_registry_without_logins_is_administered_by_everybody() {
    let server = Server::with(Options::default());
    let shell = Shell::at(&server.url(), None);
    assert_eq!(shell.says(&["read-only", "status"]), "off\n");
    let _ = shell.says(&["policy", "list"]);
    let _ = shell.says(&["audit", "verify"]);
}

#[test]
fn completions_name_the_new_commands() {
    let server = Server::start();
    let shell = Shell::at(&server.url(), None);
    for name in ["bash", "zsh", "fish"] {
        let script = shell.says(&["completions", name]);
        for word in ["login", "history", "explain", "revoke", "read-only", "expect-head"] {
            assert!(script.contains(word), "{name}: {word}");
        }
    }
    let mut bash = shell.program(std::path::Path::new("bash"), &["-n", "/dev/stdin"]);
    let file = shell.home().join("completions");
    std::fs::write(&file, shell.says(&["completions", "bash"])).unwrap();
    bash.args([file]);
    let _ = process::run(&mut bash).ok();
}
