//! The operating system's randomness.

use ring::rand::{SecureRandom, SystemRandom};

use crate::domain::Entropy;
use crate::error::{Error, Result};

/// Random bytes from the operating system (`getrandom` on Linux).
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The system's source.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that opens the system's source")]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        self.0.fill(out).map_err(|error| Error::internal("reading the system's randomness", error))
    }
}
