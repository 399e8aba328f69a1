//! The URL of a PostgreSQL server, taken apart far enough to be shown without its password.
//!
//! The driver takes more than this, and makes other parts of a password than its owner meant: `p@ss` ends at the
//! `@`, and the rest would be the host, which messages name. So whatever can be read in two ways is refused.

/// How a URL of a PostgreSQL server may begin.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// What may follow the `?`, besides the password.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "port",
    "sslmode",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Whether `url` means a PostgreSQL server.
pub(super) fn is_postgres(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// The value of the setting with `***` in place of a password. Of what cannot be read, nothing is shown: anything in
/// it may be one.
pub(super) fn shown(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let unreadable =
        || if url.starts_with("postgres") { "postgres://(not readable)" } else { "(not readable)" };
    without_password(url).unwrap_or_else(|| unreadable().to_owned())
}

/// The URL with `***` in place of a password; `None` when it does not have the form of one.
pub(super) fn without_password(url: &str) -> Option<String> {
    let (scheme, rest) = SCHEMES.iter().find_map(|scheme| Some((scheme, url.strip_prefix(scheme)?)))?;
    let (main, query) = rest.split_once('?').map_or((rest, None), |(main, query)| (main, Some(query)));
    let (user, rest) = main.split_once('@').map_or((None, main), |(user, rest)| (Some(user), rest));
    // Another `@`, or one behind a `?`: the password may go on up to there.
    if rest.contains('@') || (user.is_none() && query.is_some_and(|query| query.contains('@'))) {
        return None;
    }
    let user = user.map_or(String::new(), |user| match user.split_once(':') {
        Some((user, _)) => format!("{user}:***@"),
        None => format!("{user}@"),
    });
    let hosts = rest.split('/').next().unwrap_or(rest);
    if !hosts.is_empty() && !hosts.split(',').all(is_host) {
        return None;
    }
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = pairs.map(shown_pair).collect::<Option<_>>()?;
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    Some(format!("{scheme}{user}{rest}{query}"))
}

fn shown_pair(pair: &str) -> Option<String> {
    match pair.split_once('=')? {
        ("password", _) => Some("password=***".to_owned()),
        (name, _) if PARAMETERS.contains(&name) => Some(pair.to_owned()),
        _ => None,
    }
}

/// A name or an address, perhaps with a port. A password that lost its host is refused here, unless it is a number.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((name, port)) if name.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)) => (name, port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-%:".contains(c);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    !name.is_empty()
        && name.chars().all(is_name)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_as_stars_wherever_it_stands() {
        for (url, expected) in [
            ("sqlite:hook-keys.db", "sqlite:hook-keys.db"),
            ("postgres://h/db", "postgres://h/db"),
            ("postgres://h/db?", "postgres://h/db"),
            ("postgres://u@h:5432/db", "postgres://u@h:5432/db"),
            ("postgres://u:secret@h/db", "postgres://u:***@h/db"),
            ("postgres://u:@h/db", "postgres://u:***@h/db"),
            ("postgres://u:se/cr:et@h/db", "postgres://u:***@h/db"),
            ("postgresql://u:secret@h", "postgresql://u:***@h"),
            ("postgres://u:secret@[::1]:5432,h:1/db", "postgres://u:***@[::1]:5432,h:1/db"),
            ("postgres://u:secret@%2Frun%2Fpg/db", "postgres://u:***@%2Frun%2Fpg/db"),
            ("postgres:///db?host=/run&password=secret", "postgres:///db?host=/run&password=***"),
            (
                "postgres://u@h/db?password=sec@ret&sslmode=require",
                "postgres://u@h/db?password=***&sslmode=require",
            ),
        ] {
            assert_eq!(shown(url), expected);
            assert_eq!(is_postgres(url), without_password(url).is_some(), "{url}");
        }
    }

    #[test]
    fn nothing_is_shown_of_what_can_be_read_in_two_ways_or_not_at_all() {
        for url in [
            "postgres://u:sec@ret@h/db",
            "postgres://u:sec@ret/x@h/db",
            "postgres://u:sec?ret@h/db",
            "postgres://u@x:sec?ret=@h/db",
            "postgres://u:secret",
            "postgres://u:secret/db",
            "postgres://u:@secret ret/db",
            "postgres://u@[secret]/db",
            "postgres://u@[::1]secret/db",
            "postgres://u@h:0/db",
            "postgres://u@h,,h/db",
            "postgres://u@h/db?password",
            "postgres://u@h/db?password=se&cret",
            "postgres://u@h/db?password=se&cr=et",
            "postgres://u@h/db?pass%77ord=secret",
            "postgres://u@h/db?PASSWORD=secret",
            "postgres:/u:secret@h/db",
            "postgres:u:secret@h/db",
        ] {
            assert_eq!(shown(url), "postgres://(not readable)", "{url}");
        }
        for url in ["mysql://u:secret@h/db", "host=h password=secret", " postgres://u:secret@h", "secret"] {
            assert_eq!(shown(url), "(not readable)", "{url}");
        }
    }
}
