//! Query parameters and percent-encoding; never what they mean.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Parameters looked at in one query.
const MAX_PARAMETERS: usize = 1024;
/// What must be escaped in a query value that we write.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'&').add(b'+').add(b'%').add(b'?').add(b'=');

/// Parameters whose values are logged: the ones that name content, pages and filters. Any other one may hold what
/// somebody took for a way to log in.
const LOGGED: &[&str] = &[
    "artifactType",
    "digest",
    "digest-algorithm",
    "event",
    "filter",
    "format",
    "from",
    "last",
    "mount",
    "n",
    "ns",
    "offset",
    "order",
    "origin",
    "proxy",
    "repository",
    "since",
    "tag",
    "until",
];

/// The decoded parameters of a query, in order. `+` stays `+`: media types have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a form, or a query of an endpoint whose clients write a space as `+` (WHATWG URL section 5).
    #[must_use]
    pub fn form(raw: &str) -> Self {
        Self::parse(Some(&raw.replace('+', " ")))
    }

    /// Decodes a raw query. What is not UTF-8 after decoding is left out.
    #[must_use]
    pub fn parse(raw: Option<&str>) -> Self {
        let Some(raw) = raw.filter(|r| !r.is_empty()) else { return Self::default() };
        let pairs = raw
            .split('&')
            .take(MAX_PARAMETERS)
            .filter_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect();
        Self { pairs }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Every parameter, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Percent-decodes; `None` where the result is not UTF-8.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Percent-encodes a query value.
#[must_use]
pub fn encode(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// Path and query as the log shows them: values of parameters that nobody asked for are left out.
#[must_use]
pub fn logged(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return path.to_owned() };
    let shown = query.split('&').take(MAX_PARAMETERS).map(|pair| match pair.split_once('=') {
        Some((name, _)) if !LOGGED.contains(&name) => format!("{name}=***"),
        None if !LOGGED.contains(&pair) => "***".to_owned(),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_plus_stays() {
        let query = Query::parse(Some("mount=sha256%3Aab&from=a%2Fb&tag=x&tag=y&t=a+b&flag"));
        assert_eq!(query.get("mount"), Some("sha256:ab"));
        assert_eq!(query.get("from"), Some("a/b"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(query.get("t"), Some("a+b"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn a_log_shows_no_value_that_nobody_asked_for() {
        assert_eq!(logged("/v2/", None), "/v2/");
        assert_eq!(
            logged("/v2/", Some("n=3&password=x&a&to%6Ben=y&last=b=c")),
            "/v2/?n=3&password=***&***&to%6Ben=***&last=b=c"
        );
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for value in ["a/b:c", "application/vnd.x+json", "a&b=c d%"] {
            assert_eq!(Query::parse(Some(&format!("v={}", encode(value)))).get("v"), Some(value));
        }
    }
}
