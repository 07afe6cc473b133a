//! Trust and credentials of the registry under test, as containers/image takes them; never an image.

use mcr_tests::Server;
pub(crate) use mcr_tests::storage::Storage;

/// A directory with the server's certificate as `ca.crt`, as containers/image wants it.
pub(crate) fn certificates(server: &Server) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::copy(server.certificate(), home.path().join("ca.crt")).unwrap();
    home
}

/// `admin:password` of a server that has one.
pub(crate) fn credentials(server: &Server) -> String {
    format!("admin:{}", server.password())
}
