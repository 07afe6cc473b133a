//! Shortening of what strangers sent before it is put into a message; never a change of what is stored.

/// The longest piece of foreign text that a message repeats, in bytes.
const EXCERPT_MAX: usize = 160;

/// The longest message of a library that a message of ours repeats, in bytes: it may hold foreign text itself.
const DETAIL_MAX: usize = 480;

/// `text` as it may stand in a message: one line, without control characters, cut after [`EXCERPT_MAX`] bytes.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text, EXCERPT_MAX)
}

/// The message of a library as it may stand in ours: as [`excerpt`], cut after [`DETAIL_MAX`] bytes.
pub(crate) fn detail(message: &impl std::fmt::Display) -> String {
    cut(&message.to_string(), DETAIL_MAX)
}

fn cut(text: &str, max: usize) -> String {
    let mut short = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        if short.len().saturating_add(character.len_utf8()) > max {
            short.push('…');
            break;
        }
        short.push(if character.is_control() { ' ' } else { character });
    }
    short
}

/// Implements `Display`, `FromStr` and serde for a newtype over text that has `parse` and `as_str`.
macro_rules! text_newtype {
    ($type:ty, $error:ty, $expected:literal) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

pub(crate) use text_newtype;
