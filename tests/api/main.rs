//! Black-box tests: real servers on free ports, real databases, real key pairs.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::too_many_lines,
    reason = "a test that cannot go on should stop, and nothing here is anybody's interface"
)]

mod addresses;
mod audit;
mod authz;
mod backup;
mod cli;
mod cluster;
mod contract;
mod copy;
mod crash;
mod edge;
mod faults;
mod first_start;
mod harness;
mod keyring;
mod kong;
mod logs;
mod manual;
mod metrics;
mod okta;
mod postgres;
mod rate_limits;
mod read_model;
mod representation;
mod sealing;
mod secrets;
mod upgrade;
