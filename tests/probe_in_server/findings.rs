//! Damage, and where it is shown: findings, figures, tags, health, `mcrctl`, audit; and that healing clears it.

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Index, Options, Random, Server, damage, push};
use serde_json::Value;

use crate::scene::{RARELY, after_a_run, document, figures, first_run, mcrctl, probing, sql};

fn tag<'a>(document: &'a Value, repository: &str, name: &str) -> &'a Value {
    let tags = document["tags"].as_array().unwrap();
    let found = tags.iter().find(|tag| tag["repository"] == repository && tag["tag"] == name);
    found.unwrap_or_else(|| panic!("{repository}:{name} is not in {document:#}"))
}

fn by_the_probe(document: &Value) -> Vec<&Value> {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().filter(|finding| finding["source"] == "probe").collect()
}

fn has(figures: &[String], line: &str) -> bool {
    figures.iter().any(|figure| figure == line)
}

#[test]
fn damage_is_found_shown_everywhere_and_cleared_by_the_next_push() {
    let mut server = Server::with(probing());
    let client = server.client();
    let random = &mut Random::new(301);
    let (index, sound) = (Index::random(random, 5_000), Image::random(random, 2, 5_000));
    push::index(&client, "infra/ci", "latest", &index);
    push::image(&client, "infra/sound", "v1", &sound);
    let whole = after_a_run(&client);
    assert_eq!((&whole["sound"], &whole["findings"]), (&true.into(), &Value::Array(Vec::new())), "{whole:#}");
    assert_eq!(tag(&whole, "infra/ci", "latest")["state"], "sound");
    assert_eq!(mcrctl(&server, &[]).ok().text().lines().next(), Some("sound"));
    assert!(has(&figures(&client), "registry_manifest_integrity_failures 0"));
    assert!(has(&figures(&client), "registry_manifest_integrity_indexes_checked 1"));
    assert!(has(&figures(&client), "registry_manifest_integrity_repos_checked 2"));

    // The file behind a healthy row: only asking for its bytes shows it.
    damage::truncate(server.data(), &index.images[0].layers[0].digest, 0);
    let broken = after_a_run(&client);
    let found = by_the_probe(&broken);
    assert!(!found.is_empty() && found.iter().all(|found| found["tag"] == "latest"), "{broken:#}");
    assert_eq!(found[0]["path"][0], index.digest().as_str(), "{broken:#}");
    assert_eq!(broken["sound"], false);
    let row = tag(&broken, "infra/ci", "latest");
    assert_eq!(row["state"], "broken");
    assert!(row["last_seen_whole"].as_str() < row["checked_at"].as_str(), "{row:#}");
    assert_eq!(tag(&broken, "infra/sound", "v1")["state"], "sound", "one broken tag ends no run");
    let shown = figures(&client);
    assert!(has(&shown, &format!("registry_manifest_integrity_failures {}", found.len())), "{shown:#?}");
    assert!(shown.iter().any(|line| line.contains("_broken_tag{") && line.contains("tag=\"latest\"")), "{shown:#?}");
    let health = client.get("/v1/health").expect(200).text();
    assert!(health.contains("degraded") && health.contains("the probe found"), "{health}");
    let said = mcrctl(&server, &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.text().starts_with("BROKEN") && said.text().contains("infra/ci:latest"), "{}", said.text());
    assert!(server.log().contains("this tag cannot be pulled whole"), "{}", server.log());

    // Some more runs, so that one audit row a run would show.
    let _ = after_a_run(&client);
    let _ = after_a_run(&client);
    push::index(&client, "infra/ci", "latest", &index);
    wait_until("the next run after the push", || document(&client)["sound"] == true);
    assert!(has(&figures(&client), "registry_manifest_integrity_failures 0"));
    assert!(!figures(&client).iter().any(|line| line.contains("_broken_tag{")));
    assert_eq!(tag(&document(&client), "infra/ci", "latest")["state"], "sound");
    assert!(!client.get("/v1/health").expect(200).text().contains("degraded"));
    assert_eq!(mcrctl(&server, &["--quiet"]).ok().text(), "");

    // However many runs saw it: once for each kind.
    let _ = server.stop();
    let told = sql(server.data(), "SELECT tag, details FROM audit WHERE event = 'integrity_finding' ORDER BY seq");
    let kinds: Vec<String> = told
        .iter()
        .map(|row| {
            let (tag, details) = row.split_once('|').unwrap();
            let details: Value = serde_json::from_str(details).unwrap();
            assert_eq!((tag, &details["by"]), ("latest", &"mcr-probe".into()), "{row}");
            details["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    let distinct: std::collections::BTreeSet<&String> = kinds.iter().collect();
    assert!(!kinds.is_empty() && distinct.len() == kinds.len(), "{told:#?}");
}

#[test]
fn a_restart_while_it_is_broken_clears_nothing() {
    let mut server = Server::with(probing());
    let image = Image::random(&mut Random::new(302), 1, 5_000);
    push::image(&server.client(), "a", "v1", &image);
    let _ = after_a_run(&server.client());
    damage::remove(server.data(), &image.layers[0].digest);
    let before = after_a_run(&server.client());
    assert_eq!(before["sound"], false);
    let _ = server.stop();
    server.options().environment.clear();
    server.options().environment.push(("MCR_PROBE_SCHEDULE".to_owned(), RARELY.to_owned()));
    server.restart();
    let client = server.client();
    // At once: before the first run of this process.
    let (restored, after) = (figures(&client), document(&client));
    assert!(!server.log().contains("probe: "), "no run has been made yet:\n{}", server.log());
    assert!(restored.iter().any(|line| line.starts_with("registry_manifest_integrity_broken_tag{")), "{restored:#?}");
    assert!(!has(&restored, "registry_manifest_integrity_failures 0"), "{restored:#?}");
    assert!(has(&restored, "registry_manifest_integrity_catalog_accessible 1"), "{restored:#?}");
    let ended = after["probe"]["last_run"]["ended_at"].as_str().unwrap();
    assert!(ended >= before["probe"]["last_run"]["ended_at"].as_str().unwrap());
    let shown = restored.iter().find(|line| line.contains("_last_run_timestamp ")).unwrap();
    let seconds: f64 = shown.rsplit(' ').next().unwrap().parse().unwrap();
    let stored = sql_time(&server);
    assert!((seconds - stored).abs() < 0.002, "{seconds} is the time of the last run before the restart, {stored}");
    assert_eq!(mcrctl(&server, &[]).code, Some(1));
    assert!(client.get("/v1/health").expect(200).text().contains("degraded"));
}

/// When the last complete run ended, as the database has it.
fn sql_time(server: &Server) -> f64 {
    let rows =
        sql(server.data(), "SELECT ended_at FROM probe_runs WHERE outcome = 'complete' ORDER BY id DESC LIMIT 1");
    rows[0].parse::<f64>().unwrap() / 1000.0
}

#[test]
fn a_tag_that_moved_or_went_since_is_not_called_broken() {
    let server = Server::with(probing().env("MCR_PROBE_SCHEDULE", RARELY));
    let client = server.client();
    let random = &mut Random::new(303);
    let [one, two, other] = [(); 3].map(|()| Image::random(random, 1, 1_000));
    push::image(&client, "a", "moves", &one);
    push::image(&client, "a", "goes", &two);
    damage::remove(server.data(), &one.layers[0].digest);
    damage::remove(server.data(), &two.layers[0].digest);
    let broken = first_run(&client);
    assert_eq!(tag(&broken, "a", "moves")["state"], "broken");
    push::image(&client, "a", "moves", &other);
    let _ = client.delete("/v2/a/manifests/goes").expect(202);
    let after = document(&client);
    assert_eq!(tag(&after, "a", "moves")["state"], "undetermined", "nobody has looked at what it is now");
    assert!(tag(&after, "a", "moves")["checked_at"].is_null());
    assert_eq!(after["tags"].as_array().unwrap().len(), 1);
}

#[test]
fn what_head_cannot_see_is_seen_by_level_full() {
    let options = |level: &str| probing().env("MCR_PROBE_LEVEL", level).env("MCR_INTEGRITY_FRESH_FOR", "0s");
    let server = Server::with(options("full"));
    let client = server.client();
    let image = Image::random(&mut Random::new(304), 1, 200_000);
    push::image(&client, "a", "v1", &image);
    assert_eq!(after_a_run(&client)["sound"], true);
    damage::flip(server.data(), &image.layers[0].digest, 100_000);
    wait_until("the flipped bit is found", || document(&client)["sound"] == false);
    let broken = after_a_run(&client);
    assert_eq!(broken["probe"]["level"], "full");
    assert_eq!(tag(&broken, "a", "v1")["state"], "broken");
}

#[test]
fn an_empty_registry_is_sound() {
    let server = Server::with(probing());
    let shown = first_run(&server.client());
    assert_eq!((&shown["sound"], &shown["tags"]), (&true.into(), &Value::Array(Vec::new())));
    assert!(has(&figures(&server.client()), "registry_manifest_integrity_catalog_accessible 1"));
    assert_eq!(mcrctl(&server, &[]).code, Some(0));
}

#[test]
fn before_the_first_run_nothing_is_claimed() {
    let server = Server::with(Options::default().env("MCR_PROBE_SCHEDULE", RARELY));
    let client = server.client();
    assert_eq!(figures(&client), [""; 0]);
    let shown = document(&client);
    assert_eq!((&shown["sound"], &shown["probe"]["last_run"]), (&Value::Null, &Value::Null));
    let said = mcrctl(&server, &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.text().contains("none has completed yet"), "{}", said.text());
    let shown = first_run(&client);
    let next = shown["probe"]["next_run"].as_str().unwrap();
    assert!(next.ends_with("-01-01T00:00:00.000Z"), "{next}");
    assert_eq!(mcrctl(&server, &[]).code, Some(0));
}
