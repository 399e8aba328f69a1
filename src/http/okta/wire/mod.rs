//! The JSON of Okta's API. Members stand in the order of the recordings (contract §4, §5).

pub mod hook_keys;
pub mod inline_hooks;
pub mod logs;

use crate::domain::Timestamp;

/// `YYYY-MM-DDTHH:mm:ss.000Z`: hook answers never show milliseconds (contract §1, recorded).
fn timestamp(moment: Timestamp) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
