//! The gate as a whole, with a ledger and an identity service in memory.

mod modes;
mod passwords;
mod service;
mod tokens;

use mcr_access::Credentials;

use crate::settings::{TokenCredentials, TokenRequest};

/// A token request with name and password.
fn asked(name: &str, password: &str, scope: &[&str]) -> TokenRequest {
    let given = Credentials { username: name.to_owned(), password: password.to_owned() };
    TokenRequest { credentials: TokenCredentials::Basic(given), ..anonymous(scope) }
}

fn anonymous(scope: &[&str]) -> TokenRequest {
    TokenRequest { scope: scope.iter().map(|text| (*text).to_owned()).collect(), ..TokenRequest::default() }
}

fn refresh(token: &str, scope: &[&str]) -> TokenRequest {
    TokenRequest { credentials: TokenCredentials::RefreshToken(token.to_owned()), ..anonymous(scope) }
}
