//! Text that may hold a password, as it may be shown: in the log, in errors, in the list of settings.

/// `text` as it may be shown: what can be a password in a URL reads `***`.
///
/// It hides too much rather than too little, because what it is given may not be well-formed: everything between the end
/// of the user's name and the last `@`, and everything after a parameter that is called like a secret.
///
/// ```
/// use roomful_server::redact::hide_secrets;
///
/// assert_eq!(hide_secrets("postgres://ana:p@ss:/w@db/rooms"), "postgres://ana:***@db/rooms");
/// assert_eq!(hide_secrets("redis://a:6379,b:6379"), "redis://a:6379,b:6379");
/// ```
pub fn hide_secrets(text: &str) -> String {
    let mut shown = text.to_owned();
    if let (Some(scheme), Some(at)) = (shown.find("://"), shown.rfind('@')) {
        let user = scheme + "://".len();
        if let Some(colon) = shown.get(user..at).and_then(|user| user.find(':')) {
            shown.replace_range(user + colon + 1..at, "***");
        }
    }
    for name in ["password=", "passwd=", "secret=", "token="] {
        // Lowering ASCII moves nothing: the place found is the place in `shown`.
        if let Some(start) = shown.to_ascii_lowercase().find(name) {
            shown.replace_range(start + name.len().., "***");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_survives_whatever_its_characters() {
        for (text, shown) in [
            (
                "postgres://ana:s3cret@db/rooms",
                "postgres://ana:***@db/rooms",
            ),
            (
                "postgres://ana:s3/cr@et,s3cret@db/rooms",
                "postgres://ana:***@db/rooms",
            ),
            (
                "redis://:s3cret@a:6379,:s3cret@b:6379",
                "redis://:***@b:6379",
            ),
            ("redis://a:6379,:s3cret@b:6379", "redis://a:***@b:6379"),
            (
                "postgres://db/rooms?user=ana&Password=s3cret&x=s3cret",
                "postgres://db/rooms?user=ana&Password=***",
            ),
            ("host=db password=s3cret", "host=db password=***"),
            ("postgres://ana:s3cretpassword=@db", "postgres://ana:***@db"),
        ] {
            assert_eq!(hide_secrets(text), shown);
        }
    }

    #[test]
    fn what_holds_no_secret_is_shown_as_it_is() {
        for text in [
            "sqlite:roomful.db",
            "127.0.0.1:8000",
            "https://example.com:8443",
            "ana@example.com",
            "://@",
            "@://",
            "é://ü@:",
        ] {
            assert_eq!(hide_secrets(text), text);
        }
    }
}
