//! Pages of lists: how many, from where; never what is listed.

use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;

/// Entries of a page where the client names no number.
pub const DEFAULT: usize = 100;
/// Entries of a page at most; who asks for more gets as many.
pub const MAX: usize = 1000;
/// Bytes of a cursor at most.
const MAX_CURSOR: usize = 1024;

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many: 1 to 1000, 100 where it is not given; more is taken as 1000.
    #[param(value_type = Option<u64>, minimum = 1, default = 100)]
    pub n: Option<u32>,
    /// The `next` of the page before.
    #[param(max_length = 1024)]
    pub last: Option<String>,
}

impl Page {
    /// How many, within bounds; `default` where nothing was said.
    ///
    /// # Errors
    /// None at all were asked for.
    pub fn limit(&self, default: usize) -> Result<usize, ApiError> {
        match self.n {
            None => Ok(default),
            Some(0) => Err(ApiError::Invalid("n must be 1 or more".to_owned())),
            Some(n) => Ok(usize::try_from(n).unwrap_or(MAX).min(MAX)),
        }
    }

    /// The cursor, none where it is empty.
    ///
    /// # Errors
    /// Longer than any cursor.
    pub fn cursor(&self) -> Result<Option<String>, ApiError> {
        match self.last.as_deref() {
            None | Some("") => Ok(None),
            Some(text) if text.len() > MAX_CURSOR => {
                Err(ApiError::Invalid(format!("last has more than {MAX_CURSOR} bytes; give the next of a page")))
            }
            Some(text) => Ok(Some(text.to_owned())),
        }
    }

    /// The cursor as a whole number, as lists that count give it.
    ///
    /// # Errors
    /// It is none.
    pub fn place<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        let bad = |_| ApiError::Invalid("last is not the next of a page of this list".to_owned());
        self.cursor()?.map(|text| text.parse().map_err(bad)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded() {
        let of = |n| Page { n, last: None }.limit(DEFAULT);
        assert_eq!(of(None), Ok(100));
        assert_eq!(of(Some(u32::MAX)), Ok(1000));
        assert_eq!(of(Some(7)), Ok(7));
        assert!(matches!(of(Some(0)), Err(ApiError::Invalid(_))));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let of = |last: &str| Page { n: None, last: Some(last.to_owned()) };
        assert_eq!(of("17").place::<i64>(), Ok(Some(17)));
        assert_eq!(of("").place::<i64>(), Ok(None));
        assert!(of("x").place::<i64>().is_err());
        assert!(of("99999999999999999999999").place::<i64>().is_err());
        assert!(of(&"x".repeat(2000)).cursor().is_err());
    }
}
