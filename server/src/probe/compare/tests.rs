//! Tests of the comparison: what is hidden is found, what came or went meanwhile is not.

use std::sync::Mutex;

use super::*;

/// `a:1 b:1` as names; a repository alone as itself.
fn names(text: &str) -> Names {
    let mut names = Names::new();
    for word in text.split_whitespace() {
        let (repository, tag) = word.split_once(':').unwrap_or((word, ""));
        let tags = names.entry(repository.to_owned()).or_default();
        if !tag.is_empty() {
            tags.insert(tag.to_owned());
        }
    }
    names
}

fn seen(text: &str) -> Seen {
    let mut seen = Seen::default();
    for (repository, tags) in names(text) {
        seen.repository(&repository);
        let stood = Stood { digest: None, state: TagState::Sound, findings: 0 };
        tags.iter().for_each(|tag| seen.tag(&repository, tag, stood.clone()));
    }
    seen
}

/// What the database lists, at one look after the other; the last stays.
struct Rows(Mutex<Vec<Names>>);

impl Rows {
    fn of(looks: &[&str]) -> Self {
        Self(Mutex::new(looks.iter().rev().map(|look| names(look)).collect()))
    }
}

impl Database for Rows {
    async fn beyond(&self, seen: &Seen) -> Result<Names, String> {
        let mut looks = self.0.lock().unwrap();
        let listed = if looks.len() > 1 { looks.pop() } else { looks.last().cloned() };
        let mut names = Names::new();
        for (repository, tags) in listed.ok_or("gone")? {
            let hidden = !seen.has_repository(&repository);
            let tags: BTreeSet<String> = tags.into_iter().filter(|tag| !seen.has_tag(&repository, tag)).collect();
            if hidden || !tags.is_empty() {
                names.insert(repository, tags);
            }
        }
        Ok(names)
    }
}

/// What the listener shows at the second look; a tag list of `fails` cannot be had.
struct Shows<'a>(&'a str);

impl Listener for Shows<'_> {
    async fn repositories(&self) -> Result<BTreeSet<String>, String> {
        if self.0 == "down" { Err("503".to_owned()) } else { Ok(names(self.0).into_keys().collect()) }
    }

    async fn tags(&self, repository: &str) -> Result<BTreeSet<String>, String> {
        if repository == "fails" {
            return Err("500".to_owned());
        }
        Ok(names(self.0).remove(repository).unwrap_or_default())
    }
}

async fn compared(rows: &[&str], first: &str, second: &str) -> Result<(Vec<String>, Seen), String> {
    let mut seen = seen(first);
    let findings = unseen(&Rows::of(rows), &Shows(second), &mut seen).await?;
    let text = |found: Finding| {
        assert_eq!(found.kind, FindingKind::ManifestMissing);
        assert_eq!(found.detail.as_deref(), Some(DETAIL));
        let tag = found.tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        format!("{}{tag}", found.repository.unwrap())
    };
    Ok((findings.into_iter().map(text).collect(), seen))
}

async fn found(rows: &[&str], first: &str, second: &str) -> Vec<String> {
    compared(rows, first, second).await.unwrap().0
}

#[tokio::test]
async fn what_is_shown_is_no_finding() {
    assert_eq!(found(&["a:1 a:2 b:1 c"], "a:1 a:2 b:1 c", "down").await, [""; 0], "and no second look is taken");
    assert_eq!(found(&["a:1"], "a:1 more:1", "down").await, [""; 0], "nor is what came since");
    assert_eq!(found(&[""], "", "down").await, [""; 0]);
}

#[tokio::test]
async fn what_is_hidden_at_both_looks_is_found() {
    assert_eq!(found(&["a:1 a:2 b:1"], "a:1 b:1", "a:1 b:1").await, ["a:2"]);
    assert_eq!(found(&["a:1 b:1 b:2"], "a:1", "a:1").await, ["b:1", "b:2"], "a whole repository");
    assert_eq!(found(&["a:1 untagged"], "a:1", "a:1").await, ["untagged"], "also one without a tag");
    assert_eq!(found(&["a:1 b:1"], "", "").await, ["a:1", "b:1"]);
}

#[tokio::test]
async fn what_is_shown_at_the_second_look_is_no_finding() {
    let (findings, seen) = compared(&["a:1 a:2 b:1"], "a:1", "a:1 a:2 b:1").await.unwrap();
    assert_eq!(findings, [""; 0]);
    let mut rows = seen.into_rows();
    rows.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
    let states: Vec<TagState> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [TagState::Sound, TagState::Undetermined, TagState::Undetermined], "nobody walked them");
}

#[tokio::test]
async fn what_went_meanwhile_is_no_finding() {
    assert_eq!(found(&["a:1 a:2 b:1", "a:1"], "a:1", "a:1").await, [""; 0]);
    assert_eq!(found(&["a:1 a:2", ""], "", "").await, [""; 0]);
    assert_eq!(found(&["a:1 untagged", "a:1"], "a:1", "a:1").await, [""; 0]);
}

#[tokio::test]
async fn a_hidden_tag_is_broken() {
    let (_, seen) = compared(&["a:1 a:2"], "a:1", "a:1").await.unwrap();
    let rows = seen.into_rows();
    let hidden = rows.iter().find(|row| row.tag == "2").unwrap();
    assert_eq!((hidden.state, hidden.findings), (TagState::Broken, 1));
}

#[tokio::test]
async fn what_cannot_be_looked_at_again_is_not_judged() {
    assert!(compared(&["a:1 a:2"], "a:1", "down").await.is_err());
    assert_eq!(found(&["fails:1 a:1"], "fails a:1", "fails a:1").await, [""; 0]);
}
