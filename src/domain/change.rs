//! What a request says about one field.

/// A field that a request leaves out, clears or sets. A replacement starts from nothing, so for it the first two
/// are the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The request does not name the field.
    #[default]
    Keep,
    /// The request names the field and gives null.
    Clear,
    /// The request gives a value.
    Set(T),
}

impl<T> Change<T> {
    /// The field after the request.
    pub fn after(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The value that the request gives, if any.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}
