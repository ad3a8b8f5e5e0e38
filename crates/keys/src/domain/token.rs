//! Secrets that are not keys: each opens or represents one thing. They have a key's format,
//! `<brand>_<word>_<secret><checksum>`, but their words are not kinds of keys, so no reader of keys accepts one.

use std::fmt;

use crate::domain::key_text::{self, Digest, Word};

macro_rules! token {
    ($(#[$doc:meta])* $name:ident $word:literal) => {
        $(#[$doc])*
        /// It has no `Display` and no `Serialize`, and its `Debug` shows nothing.
        pub struct $name(String);

        impl $name {
            /// Creates a token. `fill` provides random bytes.
            ///
            /// # Errors
            /// The error of `fill`, unchanged.
            pub fn generate<E>(brand: &Word, fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
                key_text::with_secret(format!(concat!("{}_", $word, "_"), brand.as_str()), fill).map(Self)
            }

            /// Reads a token. This needs no I/O; `None` if the format or the checksum is wrong.
            pub fn parse(text: &str) -> Option<Self> {
                let brand = key_text::stem_of(text)?.strip_suffix(concat!("_", $word, "_"))?;
                Word::parse(brand).map(|_| Self(text.to_owned()))
            }

            /// The stored digest of the token.
            pub fn digest(&self) -> Digest {
                Digest::of(&self.0)
            }

            /// The token in plain. Only the one answer that hands it out may call this.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

token! {
    /// The token that opens an invitation.
    InvitationToken "inv"
}
token! {
    /// The token that signs a member in on the settings pages, once.
    SignInToken "lnk"
}
token! {
    /// The token with which a program claims the key that a person has approved for it.
    DeviceToken "dev"
}
token! {
    /// The token that a signed-in browser sends with each request.
    SessionToken "ses"
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::{InvitationToken, SessionToken, SignInToken, Word};
    use crate::domain::key_text::{KeyKind, KeyText};

    #[test]
    fn token_is_read_back_and_is_nothing_else() {
        let brand = Word::parse("acme").unwrap();
        let fill = |bytes: &mut [u8]| {
            bytes.fill(7);
            Ok::<(), Infallible>(())
        };
        let token = InvitationToken::generate(&brand, fill).unwrap();
        let text = token.expose();
        assert!(text.starts_with("acme_inv_") && text.len() == 9 + 49, "{text}");
        assert_eq!(InvitationToken::parse(text).unwrap().digest(), token.digest());
        assert!(KeyText::parse(text).is_err());
        assert!(SignInToken::parse(text).is_none() && SessionToken::parse(text).is_none());
        assert_eq!(format!("{token:?}"), "InvitationToken(hidden)");
        let key = KeyText::generate(&brand, None, KeyKind::Pat, fill).unwrap();
        let wrong =
            [key.expose().to_owned(), text.replace("acme", "bcme"), format!("{text}0"), text.replacen('a', "", 1)];
        for wrong in wrong.iter().map(String::as_str).chain(["", "_inv_", "é"]) {
            assert!(InvitationToken::parse(wrong).is_none(), "{wrong}");
        }
    }
}
