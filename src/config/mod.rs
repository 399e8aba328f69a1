//! Settings: defaults, one TOML file, environment variables and flags, in rising order of precedence.
//!
//! The sample file is the single list of settings: its keys are the keys there are, its values the
//! defaults. Whatever is not in it is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// The commented sample file, which `hook-keys config sample` prints.
pub const SAMPLE: &str = include_str!("config.sample.toml");

/// The variable that holds the master key itself. It is no setting: it has no place in a file.
pub const MASTER_KEY_VARIABLE: &str = "HOOK_KEYS_MASTER_KEY";

const PREFIX: &str = "HOOK_KEYS_";

/// More ready key pairs than any load needs: they take 20 minutes of a core to make.
const LARGEST_POOL: u32 = 10_000;

/// The longest idle expiry: longer than any installation lives, and safe to add to a date.
const LONGEST_SPAN: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

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

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// The SQLite file.
    pub database: PathBuf,
    /// Where the master key comes from, if anywhere.
    pub master_key: MasterKeySource,
    /// Key pairs to keep ready.
    pub pool_size: u32,
    /// The log filter.
    pub log: String,
    /// Most hook keys of an org without a limit of its own.
    pub hook_keys_per_org: u32,
    /// Idle expiry of tokens made without an expiry of their own.
    pub token_idle_expiry: Duration,
}

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// Nowhere: commands that need it refuse to run.
    Missing,
    /// A file.
    File(PathBuf),
    /// The environment variable's value.
    Variable(Zeroizing<String>),
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(_) => f.write_str("Variable(..)"),
        }
    }
}

/// The sources put together but not yet checked, each value with its origin.
#[derive(Debug, Clone)]
pub struct Layers {
    values: Table,
    sources: BTreeMap<String, Source>,
    master_key: Option<Zeroizing<String>>,
    unknown_variables: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    database_url: String,
    master_key_file: String,
    pool_size: i64,
    log: String,
    limits: RawLimits,
    tokens: RawTokens,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    hook_keys_per_org: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTokens {
    idle_expiry: String,
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
        let file: Table = toml::from_str(&text)
            .map_err(|error| Error::setup(format!("the settings file {shown} is not valid TOML: {error}")))?;
        let mut leaves = Vec::new();
        for_each_leaf(&file, "", &mut |key, value| leaves.push((key, value.clone())));
        for (key, value) in leaves {
            self.set(&key, value, Source::File)
                .map_err(|problem| Error::setup(format!("in the settings file {shown}, {problem}")))?;
        }
        Ok(self)
    }

    /// Lays environment variables on top. An unknown one that begins with `HOOK_KEYS_` is only remembered,
    /// not refused: Kubernetes makes such variables for a service called `hook-keys`.
    pub fn with_environment(mut self, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let keys: BTreeMap<_, _> = self.sources.keys().map(|key| (variable(key), key.clone())).collect();
        for (name, text) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
            if name == MASTER_KEY_VARIABLE {
                // Compose files and unit files pass an unset variable on as an empty one.
                self.master_key = Some(Zeroizing::new(text)).filter(|key| !key.is_empty());
            } else if let Some(key) = keys.get(&name) {
                let is_text = matches!(self.value(key), Some(Value::String(_)));
                // A value that is no TOML stays text, and `set` says which type was expected.
                let parsed = if is_text { None } else { text.parse().ok() };
                self.set(key, parsed.unwrap_or(Value::String(text)), Source::Environment)
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

    /// Each setting with its value as TOML and where it came from, by key.
    #[must_use]
    pub fn explain(&self) -> Vec<(String, String, Source)> {
        let lines = self.sources.iter().map(|(key, source)| {
            let value = self.value(key).map(ToString::to_string).unwrap_or_default();
            (key.clone(), value, *source)
        });
        lines.collect()
    }

    /// Checks everything.
    pub fn check(&self) -> Result<Settings> {
        let raw: Raw = self
            .values
            .clone()
            .try_into()
            .map_err(|error| Error::setup(format!("the settings are not valid: {}", error.message())))?;
        let listen = raw.listen.parse().map_err(|_| {
            Error::setup(format!(
                "listen: {:?} is not an address and port such as 127.0.0.1:8080",
                raw.listen
            ))
        })?;
        let database = match raw.database_url.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => return Err(Error::setup("database_url: use `sqlite:` and the path of a file")),
        };
        let master_key = match (raw.master_key_file.as_str(), &self.master_key) {
            ("", None) => MasterKeySource::Missing,
            ("", Some(key)) => MasterKeySource::Variable(key.clone()),
            (path, None) => MasterKeySource::File(path.into()),
            (path, Some(_)) => {
                return Err(Error::setup(format!(
                    "there are two master keys: give either master_key_file ({path}) \
                     or the variable {MASTER_KEY_VARIABLE}"
                )));
            }
        };
        Ok(Settings {
            listen,
            database,
            master_key,
            pool_size: count("pool_size", raw.pool_size, LARGEST_POOL)?,
            log: raw.log,
            hook_keys_per_org: count("limits.hook_keys_per_org", raw.limits.hook_keys_per_org, u32::MAX)?,
            token_idle_expiry: parse_span("tokens.idle_expiry", &raw.tokens.idle_expiry)?,
        })
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

/// Reads a span of time such as `30d` or `12h`: at least a second, at most a hundred years.
pub fn parse_span(name: &str, text: &str) -> Result<Duration> {
    let span = humantime::parse_duration(text).ok();
    span.filter(|span| (Duration::from_secs(1)..=LONGEST_SPAN).contains(span)).ok_or_else(|| {
        Error::setup(format!(
            "{name}: {text:?} is not a span of time: write for example 90d, 12h or 15m, \
             at least 1s and at most 36500d"
        ))
    })
}

fn count(name: &str, value: i64, most: u32) -> Result<u32> {
    let count = u32::try_from(value).ok().filter(|count| *count <= most);
    count.ok_or_else(|| Error::setup(format!("{name}: {value} is not between 0 and {most}")))
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

fn for_each_leaf(table: &Table, path: &str, visit: &mut impl FnMut(String, &Value)) {
    for (name, value) in table {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Table(inner) => for_each_leaf(inner, &key, visit),
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
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Result<Layers> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers::defaults()?.with_environment(variables)
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
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
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
            let value = if key == "pool_size" || key.starts_with("limits.") { "9" } else { "text" };
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
            ("listen = ", "not valid TOML"),
            ("listen = \"localhost\"", "listen: \"localhost\" is not an address and port"),
            ("database_url = \"postgres://x\"", "database_url: use `sqlite:`"),
            ("[tokens]\nidle_expiry = \"0s\"", "tokens.idle_expiry: \"0s\" is not a span"),
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
    fn two_master_keys_are_refused_and_neither_is_shown() {
        let both = [("HOOK_KEYS_MASTER_KEY", "c2VjcmV0"), ("HOOK_KEYS_MASTER_KEY_FILE", "/key")];
        let layers = environment(&both).unwrap();
        let error = layers.check().unwrap_err().to_string();
        assert!(error.contains("two master keys") && !error.contains("c2VjcmV0"), "{error}");
        let settings = environment(&both[..1]).unwrap().check().unwrap();
        assert!(!format!("{settings:?}").contains("c2VjcmV0"));
    }
}
