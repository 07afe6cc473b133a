//! What `verify` found, as JUnit XML for CI systems; never a verdict of its own.

use mcr_oci::{Finding, FindingKind};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Looked;
use crate::print::printable;

/// Longest text of one failure, in characters.
const MAX_TEXT: usize = 1000;

/// One suite a reference: one passing case where it is sound, else one case a finding.
///
/// # Errors
/// What the writer says.
pub(super) fn xml(looked: &[Looked]) -> Result<String, String> {
    let mut report = Report::new("mcrctl verify");
    for looked in looked {
        let mut suite = TestSuite::new(looked.target.text.clone());
        suite.set_time(looked.duration);
        if looked.is_sound() {
            let mut case = TestCase::new("can be pulled whole", TestCaseStatus::success());
            case.set_classname(looked.target.text.clone()).set_time(looked.duration);
            suite.add_test_case(case);
        }
        for finding in &looked.findings {
            suite.add_test_case(case(looked, finding));
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| error.to_string())
}

fn case(looked: &Looked, finding: &Finding) -> TestCase {
    let kind = match finding.kind {
        FindingKind::Unreachable => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let detail: String = printable(finding.detail.as_deref().unwrap_or_default()).chars().take(MAX_TEXT).collect();
    status.set_type(finding.kind.as_str()).set_message(detail);
    let digest = finding.digest.as_ref().map_or(looked.target.text.as_str(), |digest| digest.as_str());
    let mut case = TestCase::new(format!("{} {digest}", finding.kind), status);
    case.set_classname(looked.target.text.clone());
    case
}
