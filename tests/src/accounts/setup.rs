//! The configuration file of a registry with accounts; never a process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::identity::Identity;

/// What a test changes of the usual file.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Lines of further keys, by section.
    lines: Vec<(&'static str, String)>,
    /// Further names and addresses in the certificate.
    names: Vec<String>,
    /// Plain HTTP: a proxy in front ends TLS.
    pub plain: bool,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
    listen: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            names: Vec::new(),
            plain: false,
            environment: Vec::new(),
            listen: "127.0.0.1:0".to_owned(),
        }
    }
}

impl Setup {
    /// With a line such as `trusted_proxies = ["127.0.0.1/32"]` in a section.
    #[must_use]
    pub fn set(mut self, section: &'static str, line: &str) -> Self {
        self.lines.push((section, line.to_owned()));
        self
    }

    /// With another name or address in the certificate.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// On this address.
    #[must_use]
    pub fn on(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    /// Plain HTTP, for a proxy that ends TLS.
    #[must_use]
    pub fn behind_tls_proxy(mut self) -> Self {
        self.plain = true;
        self.set("server", "behind_tls_proxy = true")
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let own = ["127.0.0.1", "localhost", "registry.test", "internal.test"];
        own.into_iter().chain(self.names.iter().map(String::as_str)).collect()
    }

    /// The file's text, for a registry whose files lie in `home`.
    pub(super) fn text(&self, home: &Path, identity: Option<&Identity>) -> String {
        let at = home.display();
        let mut sections: BTreeMap<&str, String> = BTreeMap::new();
        let mut add = |section, line: String| {
            let _ = writeln!(sections.entry(section).or_default(), "{line}");
        };
        add("server", format!("listen_addr = \"{}\"", self.listen));
        if !self.plain {
            add("server", format!("tls_cert = \"{at}/tls/cert.pem\"\ntls_key = \"{at}/tls/key.pem\""));
        }
        add("database", format!("path = \"{at}/mcr.db\""));
        add("storage", format!("layers_path = \"{at}/layers\"\nuploads_path = \"{at}/uploads\""));
        match identity {
            None => {
                add("auth", format!("mode = \"htpasswd\"\nhtpasswd_file = \"{at}/htpasswd\""));
                add("auth", "admins = [\"alice\"]\nguests = [\"gustav\"]\nsystem = [\"ci-*\"]".to_owned());
            }
            Some(identity) => {
                add("mcias", format!("server_url = \"{}\"\nca_cert = \"{}\"", identity.url(), identity.ca().display()));
                add("mcias", "tags = [\"env:test\"]".to_owned());
            }
        }
        for (section, line) in &self.lines {
            add(section, line.clone());
        }
        let texts = sections.iter().map(|(section, lines)| format!("[{section}]\n{lines}"));
        texts.collect::<Vec<_>>().join("\n")
    }
}
