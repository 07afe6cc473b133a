//! Tests of who may come in and from where, as a configuration says it.

use super::*;

/// What is wrong with the base and `more` in `[auth]` and after it.
fn problems(mode: &str, more: &str) -> Vec<String> {
    Site::new(&[&text(mode, more)]).problems(&[])
}

fn text(mode: &str, more: &str) -> String {
    let mode = if mode.is_empty() { String::new() } else { format!("mode = \"{mode}\"\n") };
    BASE.replace("mode = \"none\"\n", &format!("{mode}{more}"))
}

fn loaded(mode: &str, more: &str) -> Config {
    Site::new(&[&text(mode, more)]).load(&[]).unwrap().config
}

#[test]
fn an_identity_service_is_the_mode_where_it_is_named() {
    let config = loaded("", "[mcias]\nserver_url = \"https://id.example\"\n");
    assert_eq!(config.auth.mode, AuthMode::Mcias);
    assert_eq!(config.mcias.service_name, "mcr");
    use mcr_access::Kind;
    assert_eq!(config.policy.user_default, [Kind::Pull, Kind::Push, Kind::Delete, Kind::Catalog]);
    let config =
        loaded("htpasswd", "htpasswd_file = \"/h\"\nadmins = \"a\"\n[mcias]\nserver_url = \"https://id.example\"\n");
    assert_eq!(config.auth.mode, AuthMode::Htpasswd, "a mode that is said holds");
    assert_eq!(config.policy.user_default, [Kind::Pull, Kind::Catalog]);
    assert_eq!(config.auth.token_ttl, Duration::from_secs(300));
    assert_eq!(config.audit.keep, Duration::from_secs(400 * 24 * 3600));
    let none = loaded("htpasswd", "htpasswd_file = \"/h\"\nadmins = [\"a\"]\n[policy]\nuser_default = []\n");
    assert_eq!(none.policy.user_default, []);
}

#[test]
fn each_mode_says_what_it_lacks() {
    let said = problems("htpasswd", "");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("[auth] htpasswd_file: missing, while mode is \"htpasswd\"; set it"), "{said:?}");
    assert!(said[1].starts_with("[auth] admins: missing, while mode is \"htpasswd\": nobody could run"), "{said:?}");
    let said = problems("htpasswd", "htpasswd_file = \"/h\"\nadmins = []\n");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(": [auth] admins: missing, while mode"), "{said:?}");
    let said = problems("mcias", "");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("[mcias] server_url: missing, while mode is \"mcias\""), "{said:?}");
    let said = problems("mcias", "[mcias]\nserver_url = \"http://id.example\"\n");
    let expected = "0.toml:10: [mcias] server_url: expected an https URL such as \"https://id.example:8443\", found \"http://id.example\"";
    assert_eq!(said, [expected], "one complaint a key");
    let said = problems("", "");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("[auth] mode: missing; set it, for example"), "{said:?}");
}

#[test]
fn tokens_live_from_one_to_five_minutes() {
    let ttl = |ttl: &str| text("none", &format!("token_ttl = \"{ttl}\"\n"));
    for good in ["60s", "5m", "90s"] {
        assert!(Site::new(&[&ttl(good)]).load(&[]).is_ok(), "{good}");
    }
    for bad in ["59s", "301s", "0s"] {
        let said = Site::new(&[&ttl(bad)]).problems(&[]);
        let expected = "expected a duration such as \"30s\", \"24h\" or \"7d\", at least 1m and at most 5m";
        assert!(said.len() == 1 && said[0].contains(expected), "{bad}: {said:?}");
    }
}

#[test]
fn a_header_that_anybody_may_leave_out_is_believed_from_named_proxies_only() {
    let with = |more: &str| text("none", "").replace("[database]", &format!("{more}[database]"));
    let said = Site::new(&[&with("proxy_protocol = \"optional\"\n")]).problems(&[]);
    assert!(said.len() == 1 && said[0].contains("\"optional\" needs [server] trusted_proxies"), "{said:?}");
    let both = with("proxy_protocol = \"optional\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
    assert_eq!(Site::new(&[&both]).load(&[]).unwrap().config.server.proxy_protocol, ProxyProtocol::Optional);
    assert!(Site::new(&[&with("proxy_protocol = \"required\"\n")]).load(&[]).is_ok());
}

#[test]
fn lists_come_from_the_environment_too() {
    let variables = [
        ("MCR_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1"),
        ("MCR_SERVER_EXTERNAL_URL", "https://a,https://b"),
        ("MCR_AUTH_ADMINS", "ann,bob"),
        ("MCR_POLICY_USER_DEFAULT", "pull"),
    ];
    let config = Site::new(&[BASE]).load(&variables).unwrap().config;
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.external_url, ["https://a", "https://b"]);
    assert_eq!(config.auth.admins, ["ann", "bob"]);
    assert_eq!(config.policy.user_default, [mcr_access::Kind::Pull]);
    let empty = Site::new(&[BASE]).load(&[("MCR_SERVER_TRUSTED_PROXIES", "")]).unwrap();
    assert_eq!(empty.config.server.trusted_proxies, []);
}
