//! The sources of settings: defaults, one TOML file, environment variables and flags, in rising order of
//! precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};
use zeroize::Zeroizing;

use super::database_url;
use crate::error::{Error, Result};

/// The commented sample file, which `hook-keys config sample` prints.
pub const SAMPLE: &str = include_str!("sample.toml");

/// The variable that holds the master key itself. It is no setting: it has no place in a file.
pub const MASTER_KEY_VARIABLE: &str = "HOOK_KEYS_MASTER_KEY";

/// The variable that names the settings file where no flag does. It is no setting either.
pub const CONFIG_VARIABLE: &str = "HOOK_KEYS_CONFIG";

const PREFIX: &str = "HOOK_KEYS_";

/// Where each setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The sample's value.
    Default,
    /// The settings file.
    File,
    /// An environment variable.
    Environment,
    /// A flag of the command.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// The sources put together but not yet checked, each value with its origin.
#[derive(Debug, Clone)]
pub struct Layers {
    pub(super) values: Table,
    sources: BTreeMap<String, Source>,
    pub(super) master_key: Option<Zeroizing<String>>,
    unknown_variables: Vec<String>,
}

impl Layers {
    /// The defaults alone.
    pub fn defaults() -> Result<Self> {
        let values: Table =
            toml::from_str(SAMPLE).map_err(|error| Error::internal("the sample settings", error))?;
        let mut sources = BTreeMap::new();
        for_each_leaf(&values, "", &mut |key, _| {
            sources.insert(key, Source::Default);
        });
        Ok(Self { values, sources, master_key: None, unknown_variables: Vec::new() })
    }

    /// Lays a settings file on top.
    pub fn with_file(mut self, path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::setup(format!("the settings file {shown} cannot be read: {error}")))?;
        let file: Table = toml::from_str(&text).map_err(|error| {
            // Not the error's own text, which repeats the line: a password may stand there.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let problem = error.message();
            Error::setup(format!("the settings file {shown} is not valid TOML: line {line}: {problem}"))
        })?;
        let mut leaves = Vec::new();
        for_each_leaf(&file, "", &mut |key, value| leaves.push((key, value.clone())));
        // An empty section says nothing, unless there is no such section.
        leaves
            .retain(|(key, value)| !(value.is_table() && self.values.get(key).is_some_and(Value::is_table)));
        for (key, value) in leaves {
            self.set(&key, value, Source::File)
                .map_err(|problem| Error::setup(format!("in the settings file {shown}, {problem}")))?;
        }
        Ok(self)
    }

    /// Lays environment variables on top. An unknown one that begins with `HOOK_KEYS_` is only remembered,
    /// not refused: Kubernetes makes such variables for a service called `hook-keys`.
    pub fn with_environment(mut self, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self> {
        let keys: BTreeMap<_, _> = self.sources.keys().map(|key| (variable(key), key.clone())).collect();
        let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        for (name, value) in named.filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG_VARIABLE) {
            let text = value
                .into_string()
                .map_err(|_| Error::setup(format!("the variable {name} is not valid UTF-8")))?;
            if name == MASTER_KEY_VARIABLE {
                // Compose files and unit files pass an unset variable on as an empty one.
                self.master_key = Some(Zeroizing::new(text)).filter(|key| !key.is_empty());
            } else if let Some(key) = keys.get(&name) {
                let value = from_text(self.value(key), text);
                self.set(key, value, Source::Environment)
                    .map_err(|problem| Error::setup(format!("in the variable {name}, {problem}")))?;
            } else {
                self.unknown_variables.push(name);
            }
        }
        Ok(self)
    }

    /// Lays one flag's value on top.
    pub fn with_flag(mut self, key: &str, value: impl Into<Value>) -> Result<Self> {
        self.set(key, value.into(), Source::Flag).map_err(Error::setup)?;
        Ok(self)
    }

    /// Variables that look like settings but are none.
    #[must_use]
    pub fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }

    /// Where the value of a setting came from; `None` when there is no such setting.
    #[must_use]
    pub fn source(&self, key: &str) -> Option<Source> {
        self.sources.get(key).copied()
    }

    /// Each setting with its value as TOML and where it came from, by key. Passwords are left out.
    #[must_use]
    pub fn explain(&self) -> Vec<(String, String, Source)> {
        let lines = self.sources.iter().map(|(key, source)| {
            let value = match self.value(key) {
                Some(Value::String(url)) if key == "database_url" => {
                    Value::String(database_url::shown(url)).to_string()
                }
                value => value.map(ToString::to_string).unwrap_or_default(),
            };
            (key.clone(), value, *source)
        });
        lines.collect()
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.values.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    fn set(&mut self, key: &str, value: Value, source: Source) -> Result<(), String> {
        let Some((known, slot)) = self.sources.get_mut(key).zip(leaf_mut(&mut self.values, key)) else {
            return Err(format!("{key} is not a setting: `hook-keys config sample` lists them all"));
        };
        if slot.type_str() != value.type_str() {
            return Err(format!("{key} must be of type {}, not {}", slot.type_str(), value.type_str()));
        }
        *slot = value;
        *known = source;
        Ok(())
    }
}

/// A variable's text as a value of the type that `known` has. What cannot be one stays text, and `set` says
/// which type was expected.
fn from_text(known: Option<&Value>, text: String) -> Value {
    match known {
        Some(Value::String(_)) => Value::String(text),
        Some(Value::Array(_)) if !text.trim_start().starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| Value::String(part.to_owned())).collect::<Vec<_>>().into()
        }
        _ => text.parse().unwrap_or(Value::String(text)),
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn for_each_leaf(table: &Table, path: &str, visit: &mut impl FnMut(String, &Value)) {
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => for_each_leaf(inner, &key, visit),
            leaf => visit(key, leaf),
        }
    }
}

fn leaf_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        None => table.get_mut(key),
        Some((section, rest)) => match table.get_mut(section)? {
            Value::Table(inner) => leaf_mut(inner, rest),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ipnet::IpNet;

    use super::*;
    use crate::config::MasterKeySource;

    fn environment(variables: &[(&str, &str)]) -> Result<Layers> {
        Layers::defaults()?
            .with_environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn file(text: &str) -> Result<Layers> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Layers::defaults()?.with_file(file.path())
    }

    #[test]
    fn the_defaults_are_valid_settings() {
        let settings = Layers::defaults().unwrap().check().unwrap();
        assert_eq!(settings.hook_keys_per_org, 50);
        assert_eq!(settings.token_idle_expiry, Duration::from_secs(30 * 24 * 60 * 60));
        assert!(matches!(settings.master_key, MasterKeySource::Missing));
    }

    #[test]
    fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
        let layers = file("pool_size = 1\nlog = \"debug\"\n[limits]\nhook_keys_per_org = 7").unwrap();
        let variables = [("HOOK_KEYS_POOL_SIZE", "2"), ("HOOK_KEYS_LOG", "warn")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let layers = layers.with_environment(variables.into_iter()).unwrap();
        let layers = layers.with_flag("pool_size", 3).unwrap();
        let settings = layers.check().unwrap();
        assert_eq!((settings.pool_size, settings.log.as_str(), settings.hook_keys_per_org), (3, "warn", 7));
        for (key, source) in [
            ("limits.hook_keys_per_org", Source::File),
            ("listen", Source::Default),
            ("log", Source::Environment),
            ("pool_size", Source::Flag),
        ] {
            assert_eq!(layers.source(key), Some(source), "{key}");
        }
    }

    #[test]
    fn every_setting_is_also_a_variable() {
        for (key, _, _) in Layers::defaults().unwrap().explain() {
            let value = match key.as_str() {
                "pool_size"
                | "limits.hook_keys_per_org"
                | "limits.inline_hooks_per_org"
                | "limits.header_bytes"
                | "limits.body_bytes"
                | "limits.json_depth"
                | "limits.connections"
                | "keys.min_rsa_bits"
                | "rate_limits.requests"
                | "rate_limits.failed_logins"
                | "postgres.connections"
                | "cache.max_rows"
                | "outbound.concurrency" => "9",
                "outbound.allow_http" => "true",
                _ => "text",
            };
            let layers = environment(&[(&variable(&key), value)]).unwrap();
            assert_eq!(layers.source(&key), Some(Source::Environment), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_name() {
        for (text, part) in [
            ("limts = 3", "limts is not a setting"),
            ("[limits]\nhooks = 3", "limits.hooks is not a setting"),
            ("pool_size = \"many\"", "pool_size must be of type integer, not string"),
            ("pool_size = -1", "pool_size: -1 is not between 0 and 10000"),
            ("limits = 3", "limits is not a setting"),
            ("master_key = \"secret\"", "master_key is not a setting"),
            ("pool_size = 1\nlisten = ", "is not valid TOML: line 2: "),
            ("database_url = \"postgres://u:p@q@h/d\"", "%40"),
            ("database_url = \"postgres://u@h/d?sslrootcert=ca.pem\"", "postgres.ca_file"),
            ("listen = \"localhost\"", "listen: \"localhost\" is not an address and port"),
            ("database_url = \"mysql://x\"", "database_url: use `sqlite:`"),
            ("[postgres]\nconnections = 3\n", "postgres.connections: 3 is not between 4 and 1000"),
            ("[cache]\npoll_interval = \"3s\"", "cache.poll_interval: use at least 10ms and at most 2s"),
            ("[cache]\npoll_interval = \"9ms\"", "cache.poll_interval: use at least 10ms and at most 2s"),
            ("[cache]\nmax_rows = -1", "cache.max_rows: -1 is not between 0 and"),
            ("[postgres]\ncert_file = \"x\"", "postgres.cert_file and postgres.key_file go together"),
            ("database_url = \"sqlite://x.db\"", "database_url: use `sqlite:`"),
            ("[tokens]\nidle_expiry = \"0s\"", "tokens.idle_expiry: \"0s\" is not a span"),
            ("public_url = \"keys.example.com\"", "public_url: \"keys.example.com\" is not a URL"),
            ("public_url = \"https://x/path\"", "is not a URL"),
            (
                "[outbound]\nallow = [\"10.0.0.0/33\"]",
                "outbound.allow: \"10.0.0.0/33\" is not an address range",
            ),
            ("trusted_proxies = [\"proxy\"]", "trusted_proxies: \"proxy\" is not an address range"),
            ("[keys]\nmin_rsa_bits = 511", "keys.min_rsa_bits: 511 is not between 512 and 8192"),
            ("[keys]\nmin_rsa_bits = 8193", "keys.min_rsa_bits: 8193 is not between 512 and 8192"),
            ("[tls]\ncert_file = \"x\"", "tls.cert_file and tls.key_file go together"),
            ("[tls]\nclient_ca_file = \"x\"", "tls.client_ca_file: give tls.cert_file"),
            ("[limits]\nheader_bytes = 1023", "limits.header_bytes: use a number between 1024 and 131072"),
            ("[limits]\njson_depth = 128", "limits.json_depth: use a number between 4 and 127"),
            ("[limits]\nconnections = 0", "limits.connections: use a number between 1 and 65535"),
            ("[limits]\nkeep_alive = \"0s\"", "limits.keep_alive: \"0s\" is not such a time"),
            ("[shutdown]\ngrace = \"11m\"", "shutdown.grace: \"11m\" is not such a time"),
            ("[rate_limits]\nrequests = -1", "rate_limits.requests: -1 is not between 0 and"),
            ("[rate_limits]\nfailed_logins = -1", "rate_limits.failed_logins: -1 is not between 0 and"),
            ("[rate_limits]\nwindow = \"0s\"", "rate_limits.window: \"0s\" is not a span"),
            ("[rate_limits]\nwindow = \"1500ms\"", "rate_limits.window: use whole seconds, at least 1s"),
            ("[rate_limits]\nwindow = \"2h\"", "rate_limits.window: use whole seconds, at least 1s"),
            ("[metrics]\nlisten = \"9464\"", "metrics.listen: \"9464\" is not an address and port"),
            ("log_format = \"xml\"", "log_format: \"xml\" is neither human nor json"),
            ("[outbound]\nconcurrency = 0", "outbound.concurrency: use at least 1"),
            ("[outbound]\nallow = [5]", "expected a string"),
            ("[limts]", "limts is not a setting"),
            ("[tokens]\nidle_expiry = \"59m\"", "tokens.idle_expiry: use at least 1h"),
            ("[outbound]\ntimeout = \"5m\"", "outbound.timeout: \"5m\" is not a time limit"),
            ("[tokens]\nidle_expiry = \"101y\"", "tokens.idle_expiry: \"101y\" is not a span"),
        ] {
            let error = file(text).and_then(|layers| layers.check()).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn a_variable_of_the_wrong_type_is_refused_and_an_unknown_one_remembered() {
        let error = environment(&[("HOOK_KEYS_POOL_SIZE", "many")]).unwrap_err().to_string();
        assert!(error.contains("HOOK_KEYS_POOL_SIZE"), "{error}");
        let layers = environment(&[("HOOK_KEYS_SERVICE_HOST", "10.0.0.1"), ("OTHER", "x")]).unwrap();
        assert_eq!(layers.unknown_variables(), ["HOOK_KEYS_SERVICE_HOST"]);
    }

    #[test]
    fn ranges_are_read_from_a_list_in_the_file_and_from_text_with_commas() {
        let expected =
            ["10.1.2.0/24", "::1/128", "127.0.0.1/32"].map(|range| range.parse::<IpNet>().unwrap());
        let layers = file("[outbound]\nallow = [\"10.1.2.0/24\", \"::1/128\", \"127.0.0.1\"]").unwrap();
        assert_eq!(layers.check().unwrap().outbound.allow, expected);
        for text in ["10.1.2.0/24, ::1/128,127.0.0.1", "[\"10.1.2.0/24\", \"::1\", \"127.0.0.1\"]"] {
            let layers = environment(&[("HOOK_KEYS_OUTBOUND_ALLOW", text)]).unwrap();
            assert_eq!(layers.check().unwrap().outbound.allow, expected, "{text}");
        }
    }

    #[test]
    fn two_master_keys_are_refused_and_neither_is_shown() {
        let both = [("HOOK_KEYS_MASTER_KEY", "c2VjcmV0"), ("HOOK_KEYS_MASTER_KEY_FILE", "/key")];
        let layers = environment(&both).unwrap();
        let error = layers.check().unwrap_err().to_string();
        assert!(error.contains("two master keys") && !error.contains("c2VjcmV0"), "{error}");
        let settings = environment(&both[..1]).unwrap().check().unwrap();
        assert!(!format!("{settings:?}").contains("c2VjcmV0"));
    }
}
