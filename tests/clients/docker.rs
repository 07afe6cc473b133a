//! docker: Debian's engine, started here on directories of its own, against plain HTTP and TLS.

use mcr_tests::docker::Engine;
use mcr_tests::{Options, Server, layout, pull};

#[test]
fn images_and_lists_go_in_and_come_out() {
    let server = Server::start();
    let client = server.client();
    let engine = Engine::start();
    let remote = |tag: &str| format!("{}/dock/er:{tag}", server.authority());
    for architecture in layout::ARCHITECTURES {
        engine.load(architecture, &remote(architecture));
        let pushed = engine.run(&["push", &remote(architecture)]).ok();
        let digest = client.head(&format!("/v2/dock/er/manifests/{architecture}")).expect(200);
        assert!(pushed.text().contains(digest.required("docker-content-digest")), "{pushed:?}");
        let _ = pull::assert_whole(&client, "dock/er", architecture);
    }
    let list = remote("multi");
    let create = ["manifest", "create", "--insecure", &list, &remote("amd64"), &remote("arm64")];
    let _ = engine.run(&create).ok();
    let annotate = ["manifest", "annotate", &list, &remote("arm64"), "--os", "linux", "--arch", "arm64"];
    let _ = engine.run(&annotate).ok();
    let _ = engine.run(&["manifest", "push", "--insecure", &list]).ok();
    assert_eq!(pull::assert_whole(&client, "dock/er", "multi").manifests.len(), 3);
    for architecture in layout::ARCHITECTURES {
        let _ = engine.run(&["rmi", "-f", &remote(architecture)]).ok();
    }
    for architecture in layout::ARCHITECTURES {
        let platform = format!("linux/{architecture}");
        let _ = engine.run(&["pull", "--platform", &platform, &list]).ok();
        engine.assert_content(&list, architecture);
        let _ = engine.run(&["rmi", "-f", &list]).ok();
    }
    // Pushed under another name, its layers are mounted from the first.
    let _ = engine.run(&["pull", &remote("amd64")]).ok();
    let second = format!("{}/second:v1", server.authority());
    let _ = engine.run(&["tag", &remote("amd64"), &second]).ok();
    let pushed = engine.run(&["push", &second]).ok();
    assert!(pushed.text().contains("Mounted from dock/er"), "{pushed:?}");
    let _ = pull::assert_whole(&client, "second", "v1");
}

#[test]
fn tls_and_a_password_are_enough() {
    let server = Server::with(Options::secured());
    let engine = Engine::start();
    let authority = server.authority();
    let remote = format!("{authority}/secured:v1");
    engine.load("amd64", &remote);
    // 127.0.0.0/8 counts as insecure for docker: it speaks TLS and takes any certificate there.
    let denied = engine.run(&["push", &remote]).failed();
    // At once, not after retries: docker takes an error whose message is the usual one for a passing one.
    assert!(denied.all().contains("authentication required") && !denied.text().contains("Retrying"), "{denied:?}");
    let _ = engine.run(&["login", "-u", "admin", "-p", "wrong", &authority]).failed();
    let _ = engine.run(&["login", "-u", "admin", "-p", server.password(), &authority]).ok();
    let _ = engine.run(&["push", &remote]).ok();
    let _ = pull::assert_whole(&server.client(), "secured", "v1");
    let _ = engine.run(&["rmi", "-f", &remote]).ok();
    let _ = engine.run(&["pull", &remote]).ok();
    engine.assert_content(&remote, "amd64");
}
