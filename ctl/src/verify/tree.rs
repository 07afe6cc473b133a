//! What `verify` found, drawn as a tree for people; never the judgement.

use std::collections::HashSet;

use indicatif::BinaryBytes;
use mcr_oci::{Descriptor, Digest, EdgeKind, Finding, Manifest, ManifestKind};
use mcr_verifier::Checked;

use super::{Looked, verdict};
use crate::failure::Outcome;
use crate::print::printable;

/// Most lines of one tree; findings beyond it are listed without a tree.
const MAX_LINES: usize = 2_000;

/// The tree of one reference and its verdict.
pub(super) fn draw(looked: &Looked) -> String {
    let mut tree =
        Tree { looked, lines: vec![printable(&looked.target.text)], drawn: HashSet::new(), told: HashSet::new() };
    if let Some(root) = looked.verified.as_ref().and_then(|verified| verified.digest.as_ref()) {
        tree.root(root);
    }
    tree.rest();
    tree.lines.push(last_line(looked));
    let mut text = tree.lines.join("\n");
    text.push('\n');
    text
}

/// `sound: 1 index, 2 manifests, 9 blobs (312 MiB) in 0.41 s`, or `INCOMPLETE: 2 findings`.
fn last_line(looked: &Looked) -> String {
    let seconds = looked.duration.as_secs_f64();
    let findings = looked.findings.len();
    let cut = looked.verified.as_ref().is_some_and(|verified| verified.findings_cut);
    let found = format!("{}{}", if cut { "more than " } else { "" }, count(findings as u64, "finding", "findings"));
    match verdict(looked) {
        Outcome::Holds => format!("sound: {} in {seconds:.2} s", looked_at(looked)),
        Outcome::Undetermined => format!("UNDETERMINED: {found}"),
        Outcome::Bad | Outcome::WrongUsage => format!("INCOMPLETE: {found}"),
    }
}

fn looked_at(looked: &Looked) -> String {
    let checked = looked.verified.as_ref().map_or_else(Checked::default, |verified| verified.checked);
    let mut parts = Vec::new();
    if checked.indexes > 0 {
        parts.push(count(checked.indexes, "index", "indexes"));
    }
    parts.push(count(checked.manifests, "manifest", "manifests"));
    parts.push(count(checked.configs + checked.layers, "blob", "blobs"));
    format!("{} ({})", parts.join(", "), BinaryBytes(checked.bytes))
}

fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

struct Tree<'a> {
    looked: &'a Looked,
    lines: Vec<String>,
    drawn: HashSet<Digest>,
    /// Findings that stand in the tree, by their place in the list.
    told: HashSet<usize>,
}

impl Tree<'_> {
    fn root(&mut self, root: &Digest) {
        let manifest = self.looked.verified.as_ref().and_then(|verified| verified.manifest(root));
        let what = match manifest.map(|manifest| manifest.kind) {
            Some(ManifestKind::Index) => "index",
            Some(ManifestKind::Image) | None => "manifest",
        };
        let found = self.found(root, &[]);
        let mark = if self.is_whole(root, &[]) { '✓' } else { '✗' };
        self.lines.push(format!("{mark} {what} {root}{}", found.unwrap_or_default()));
        if let Some(manifest) = manifest {
            self.below(manifest, &mut vec![root.clone()], "");
        }
    }

    fn below(&mut self, manifest: &Manifest, path: &mut Vec<Digest>, indent: &str) {
        let mut named = HashSet::new();
        let edges: Vec<_> = manifest.edges.iter().filter(|edge| named.insert(edge.descriptor.digest.clone())).collect();
        for (at, edge) in edges.iter().enumerate() {
            if self.lines.len() >= MAX_LINES {
                return;
            }
            let last = at + 1 == edges.len();
            let (branch, further) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let digest = &edge.descriptor.digest;
            let skipped = self.is_skipped(digest, path);
            let found = self.found(digest, path);
            let mark = match (skipped, self.is_whole(digest, path)) {
                (true, _) => '·',
                (false, true) => '✓',
                (false, false) => '✗',
            };
            let child = self.looked.verified.as_ref().and_then(|verified| verified.manifest(digest));
            let described = describe(edge.kind, child.map(|child| child.kind), &edge.descriptor, found.is_some());
            let told = found.or_else(|| skipped.then(|| "  not looked at".to_owned())).unwrap_or_default();
            self.lines.push(format!("{indent}{branch}{mark} {described}{told}"));
            if let Some(child) = child.filter(|_| !skipped) {
                // A manifest on several paths is drawn again only where something below it is wrong.
                if self.drawn.insert(digest.clone()) || mark == '✗' {
                    path.push(digest.clone());
                    self.below(child, path, &format!("{indent}{further}"));
                    path.pop();
                }
            }
        }
    }

    /// What is wrong with one node itself.
    fn found(&mut self, digest: &Digest, path: &[Digest]) -> Option<String> {
        let here = |finding: &Finding| finding.digest.as_ref() == Some(digest) && finding.path == path;
        let at: Vec<usize> =
            self.looked.findings.iter().enumerate().filter(|(_, finding)| here(finding)).map(|(at, _)| at).collect();
        let told: Vec<String> = at.iter().filter_map(|at| self.looked.findings.get(*at)).map(told).collect();
        self.told.extend(at);
        (!told.is_empty()).then(|| format!("  {}", told.join("; ")))
    }

    /// Whether nothing is wrong with a node or below it.
    fn is_whole(&self, digest: &Digest, path: &[Digest]) -> bool {
        let depth = path.len();
        let below =
            |finding: &Finding| finding.path.get(..depth) == Some(path) && finding.path.get(depth) == Some(digest);
        let here = |finding: &Finding| finding.digest.as_ref() == Some(digest) && finding.path == path;
        !self.looked.findings.iter().any(|finding| here(finding) || below(finding))
    }

    fn is_skipped(&self, digest: &Digest, path: &[Digest]) -> bool {
        let skipped = self.looked.verified.as_ref().map(|verified| verified.skipped.as_slice()).unwrap_or_default();
        skipped.iter().any(|skipped| skipped.descriptor.digest == *digest && Some(&skipped.parent) == path.last())
    }

    /// Findings that have no place in the tree: the registry as a whole, a tag that cannot be read.
    fn rest(&mut self) {
        let all = self.looked.findings.iter().enumerate();
        let rest: Vec<String> = all
            .filter(|(at, _)| !self.told.contains(at))
            .map(|(_, finding)| {
                let digest = finding.digest.as_ref().map(|digest| format!("{digest} ")).unwrap_or_default();
                format!("✗ {digest}{}", told(finding))
            })
            .collect();
        self.lines.extend(rest);
    }
}

fn told(finding: &Finding) -> String {
    let status = finding.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let detail = finding.detail.as_deref().map(|detail| format!(": {}", printable(detail))).unwrap_or_default();
    format!("{}{status}{detail}", finding.kind)
}

fn describe(kind: EdgeKind, child: Option<ManifestKind>, descriptor: &Descriptor, whole_digest: bool) -> String {
    let digest = descriptor.digest.as_str();
    let shown = if whole_digest { digest } else { digest.get(..19).unwrap_or(digest) };
    let size = BinaryBytes(descriptor.size);
    let what = match kind {
        EdgeKind::Child => {
            let what = match child {
                Some(ManifestKind::Index) => "index",
                Some(ManifestKind::Image) => "manifest",
                None => "child",
            };
            let platform =
                descriptor.platform.as_ref().map(|platform| format!(" {}", printable(&platform.to_string())));
            format!("{what}{}", platform.unwrap_or_default())
        }
        EdgeKind::Config => "config".to_owned(),
        EdgeKind::Layer => "layer".to_owned(),
    };
    format!("{what} {shown} {size}")
}
