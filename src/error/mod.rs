//! The one error type of the crate. It knows no HTTP: the HTTP side chooses the status from [`Kind`].

mod refusal;

use std::fmt;

pub use refusal::{Part, Refusal, Violations};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a public half for the caller and a private half for the log.
///
/// The public half is [`Kind`], and `Display` shows it alone. The private half has no `Display`: only the
/// place that logs or prints to the operator asks for it, by [`Error::private`].
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    private: Option<String>,
    /// Whether the same work may go well if it is done again.
    passing: bool,
}

/// The kinds of failure, with all that a caller may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The input breaks a rule, or the state forbids the change. Each cause names the field and the remedy.
    Invalid {
        /// The field or object that was refused.
        subject: &'static str,
        /// One sentence for each broken rule.
        causes: Vec<String>,
    },
    /// A request about keys or key sets is refused.
    Refused(Box<Refusal>),
    /// No such thing in the caller's org. Another org's things answer the same.
    NotFound {
        /// The type of the thing, as Okta names it in its messages.
        resource: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The caller sent no credentials.
    NoCredentials,
    /// The credentials are unknown, expired or revoked.
    BadCredentials,
    /// The caller, or somebody at the same address, has come too often.
    TooManyRequests,
    /// The credentials are good but lack the permission.
    NotPermitted,
    /// An external service failed us. The cause begins with the step that failed and holds no secret.
    Upstream {
        /// How it failed.
        failure: Upstream,
        /// What happened, in one sentence.
        cause: String,
    },
    /// The service cannot do this now, but may soon.
    Unavailable,
    /// The operator must mend something (settings, files, master key, database). One sentence that says what.
    Setup(String),
    /// A fault of ours. The caller learns nothing more.
    Internal,
}

/// How an external service can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// It could not be reached: name, address, connection or TLS.
    Unreachable,
    /// It answered, but not with what is needed: status, size or body.
    BadAnswer,
    /// It did not answer in time.
    Silent,
}

impl Error {
    /// An error with nothing for the log beyond its public half.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, private: None, passing: false }
    }

    /// Input refused for one reason: `subject` is the field, `problem` says what is wrong and what to do.
    #[must_use]
    pub fn invalid(subject: &'static str, problem: impl fmt::Display) -> Self {
        Self::new(Kind::Invalid { subject, causes: vec![format!("{subject}: {problem}")] })
    }

    /// A name or other field that must be unique in the org and is not.
    #[must_use]
    pub fn taken(subject: &'static str) -> Self {
        Self::invalid(subject, "An object with this field already exists in the current organization")
    }

    /// A request about keys or key sets that is refused.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self::new(Kind::Refused(Box::new(refusal)))
    }

    /// Nothing of the type `resource` has this id in the caller's org.
    #[must_use]
    pub fn not_found(resource: &'static str, id: impl Into<String>) -> Self {
        Self::new(Kind::NotFound { resource, id: id.into() })
    }

    /// The operator must mend something; `sentence` says what.
    #[must_use]
    pub fn setup(sentence: impl Into<String>) -> Self {
        Self::new(Kind::Setup(sentence.into()))
    }

    /// What cannot be done now, but may soon. `cause` goes to the log and must hold no secret.
    #[must_use]
    pub fn unavailable(what: &str, cause: impl fmt::Display) -> Self {
        Self { private: Some(format!("{what}: {cause}")), ..Self::new(Kind::Unavailable) }
    }

    /// A transaction that lost against another one, and may be run again.
    #[must_use]
    pub fn lost_race(cause: impl fmt::Display) -> Self {
        Self { passing: true, ..Self::unavailable("database", cause) }
    }

    /// A fault of ours while doing `what`. `cause` goes to the log and must hold no secret.
    #[must_use]
    pub fn internal(what: &str, cause: impl fmt::Display) -> Self {
        Self { private: Some(format!("{what}: {cause}")), ..Self::new(Kind::Internal) }
    }

    /// Says for the log where the error came up. Kinds that are the caller's own doing need no such note.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.private = self.private.map(|cause| format!("{place}: {cause}"));
        self
    }

    /// Says to the operator which of two things it is about, where a command works on two.
    #[must_use]
    pub fn about(self, which: &str) -> Self {
        match self.kind {
            Kind::Setup(sentence) => Self { kind: Kind::Setup(format!("{which}: {sentence}")), ..self },
            _ => self.within(which),
        }
    }

    /// Whether the same work may go well if it is done again at once.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// Whether it was decided not to do it. Otherwise something has failed, and it may be done all the same.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self.kind, Kind::Internal | Kind::Unavailable | Kind::Setup(_))
    }

    /// What may be told to the caller.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What belongs in the log only, or on the terminal of the operator who typed the command.
    #[must_use]
    pub fn private(&self) -> Option<&str> {
        self.private.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Invalid { causes, .. } => f.write_str(&causes.join("; ")),
            Kind::Refused(refusal) => refusal.fmt(f),
            Kind::NotFound { resource, id } => write!(f, "no {resource} with the id {id:?}"),
            Kind::NoCredentials => f.write_str("no credentials"),
            Kind::BadCredentials => f.write_str("unknown, expired or revoked credentials"),
            Kind::TooManyRequests => f.write_str("too many requests"),
            Kind::NotPermitted => f.write_str("the credentials lack the permission"),
            Kind::Upstream { cause, .. } => f.write_str(cause),
            Kind::Unavailable => f.write_str("not available now"),
            Kind::Setup(sentence) => f.write_str(sentence),
            Kind::Internal => f.write_str("internal error"),
        }
    }
}

impl std::error::Error for Error {}
