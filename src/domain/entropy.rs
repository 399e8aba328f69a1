//! Randomness as a parameter.

use crate::error::Result;

/// A source of cryptographically secure random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out` with random bytes, or fails when the operating system has none to give.
    fn fill(&self, out: &mut [u8]) -> Result<()>;
}

/// `[A-Za-z0-9_-]`.
pub const URL_SAFE: &[char] = &nanoid::alphabet::SAFE;

/// `[A-Za-z0-9]`.
pub const ALPHANUMERIC: &[char] = {
    let ['_', '-', alphanumeric @ ..] = URL_SAFE else { unreachable!() };
    alphanumeric
};

/// `length` characters drawn evenly from `alphabet`.
#[expect(clippy::disallowed_methods, reason = "the one place that draws text; its randomness is passed in")]
pub fn random_text(entropy: &dyn Entropy, alphabet: &[char], length: usize) -> Result<String> {
    let mut outcome = Ok(());
    let text = nanoid::format(
        |size| {
            let mut bytes = vec![0; size];
            if let Err(error) = entropy.fill(&mut bytes) {
                outcome = Err(error);
            }
            bytes
        },
        alphabet,
        length,
    );
    outcome.map(|()| text)
}
