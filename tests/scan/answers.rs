//! How `mcrctl scan` answers: exit codes, forms, figures, refusals; never a kind of damage.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use mcr_tests::{Image, Random, push};

use crate::registries;
use crate::scan::{mcrctl, scan, text};
use mcr_tests::distribution::Distribution;

fn with_a_lost_layer() -> (Distribution, Image) {
    let registry = registries::start();
    let image = Image::random(&mut Random::new(41), 1, 400);
    push::image(&registry.client(), "team/app", "v1", &image);
    std::fs::remove_file(registry.tree().data(&image.layers[0].digest)).unwrap();
    (registry, image)
}

#[test]
fn the_json_document_is_the_contracts() {
    let (registry, image) = with_a_lost_layer();
    let scan = scan([registry.root()]);
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&scan.json), ["registries", "sound"]);
    let expected = ["name", "path", "layout", "kind", "kind_reason", "scanned", "findings", "information", "repaired"];
    assert_eq!(keys(scan.registry(None)), expected);
    let scanned = ["repositories", "tags", "manifests", "indexes", "links", "blobs", "bytes"];
    assert_eq!(keys(&scan.registry(None)["scanned"]), scanned);
    let finding = scan.one("blob-missing");
    assert_eq!(finding["repository"], "team/app");
    assert_eq!((&finding["size"], &finding["path"][0]), (&400.into(), &image.digest().as_str().into()));
    assert!(finding.get("status").is_none() && finding.get("platform").is_none());
    assert_eq!(scan.stderr, "");
}

#[test]
fn people_get_a_heading_lines_with_paths_and_a_sum() {
    let (registry, image) = with_a_lost_layer();
    let said = text([registry.root()]);
    assert_eq!(said.code, Some(1));
    let lines: Vec<String> = said.text().lines().map(str::to_owned).collect();
    let heading = format!("tree ({}): layout distribution, private: ", registry.root().display());
    assert!(lines[0].starts_with(&heading), "{lines:#?}");
    let missing = format!("  blob-missing team/app:v1 {} → {}: bytes gone", image.digest(), image.layers[0].digest);
    assert!(lines.contains(&missing), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("scan: 1 repository, 1 tag, 0 indexes, 1 image, "), "{last}");
    assert!(last.contains(": 2 findings (") && last.ends_with(" s)"), "{last}");
    let state = tempfile::tempdir().unwrap();
    let quiet = mcr_tests::process::run(mcrctl(state.path()).args(["--quiet", "scan"]).arg(registry.root()));
    assert_eq!((quiet.code, quiet.all().as_str()), (Some(1), ""));
}

#[test]
fn what_is_no_registry_is_undetermined_and_wrong_words_are_usage() {
    let nothing = tempfile::tempdir().unwrap();
    std::fs::create_dir(nothing.path().join("folder")).unwrap();
    let file = nothing.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [nothing.path(), &file, &nothing.path().join("absent")] {
        let said = text([path]);
        assert_eq!(said.code, Some(3), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
    let said = text([nothing.path()]);
    for looked_for in ["docker/registry/v2", "mcr.db", "oci-layout"] {
        assert!(said.stderr.contains(looked_for), "{said:?}");
    }
    let path = nothing.path().to_str().unwrap();
    for words in [
        vec![],
        vec!["--kind", "cache", path],
        vec!["--layout", "docker", path],
        vec!["--repair", "everything", path],
        vec!["--fail-on", "rot", path],
        vec!["--jobs", "0", path],
        vec!["--pushgateway", "mailto:x", path],
    ] {
        let said = text(&words);
        assert_eq!(said.code, Some(2), "{words:?} {said:?}");
    }
    // Said to be one, an empty folder is an empty registry, and one that holds something else is none.
    assert_eq!(text(["--layout", "distribution", path]).code, Some(3));
    let empty = nothing.path().join("folder");
    assert_eq!(text(["--layout", "distribution", empty.to_str().unwrap()]).code, Some(0));
}

#[test]
fn fail_on_chooses_what_fails() {
    let (registry, _) = with_a_lost_layer();
    let root = registry.root().to_str().unwrap();
    for (kinds, code) in [("blob-missing", 1), ("link-orphan,blob-corrupt", 1), ("manifest-missing", 0)] {
        let found = scan(["--fail-on", kinds, root]);
        assert_eq!((found.code, found.json["sound"].as_bool()), (Some(code), Some(false)), "{kinds}");
    }
}

#[test]
fn figures_go_to_a_file_and_a_pushgateway() {
    let (registry, _) = with_a_lost_layer();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("scan.prom");
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base", gateway.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let (mut stream, _) = gateway.accept().unwrap();
        let mut request = Vec::new();
        let mut room = [0; 4096];
        while !String::from_utf8_lossy(&request).contains("last_run_timestamp 1") {
            let read = stream.read(&mut room).unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&room[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    });
    let root = registry.root().to_str().unwrap();
    let words = ["--textfile", file.to_str().unwrap(), "--pushgateway", &url, root];
    assert_eq!(scan(words).code, Some(1));
    let written = std::fs::read_to_string(&file).unwrap();
    let request = received.join().unwrap();
    assert!(request.starts_with("PUT /base/metrics/job/registry_scan HTTP/1.1\r\n"), "{request}");
    for text in [&written, &request] {
        assert!(text.contains("registry_scan_findings{registry=\"tree\",kind=\"blob-missing\"} 1\n"), "{text}");
        assert!(text.contains("registry_scan_findings{registry=\"tree\",kind=\"blob-corrupt\"} 0\n"), "{text}");
        assert!(text.contains("\nregistry_scan_last_run_timestamp "), "{text}");
    }
    // What cannot be told is told, and a sound tree is then undetermined.
    let empty = home.path().join("empty");
    std::fs::create_dir_all(empty.join("docker/registry/v2")).unwrap();
    let nowhere = home.path().join("absent/scan.prom");
    let said = text(["--textfile", nowhere.to_str().unwrap(), empty.to_str().unwrap()]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("--textfile"), "{said:?}");
}
