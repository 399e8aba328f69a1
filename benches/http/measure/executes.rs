//! Calls of hooks, with a signature each and without, beside what signing alone costs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use hook_keys::crypto::rsa::RsaKeyPair;
use serde_json::json;

use super::creates::{count, on_all_cores};
use super::{Bench, Data, Tuning};
use crate::Result;
use crate::client::Client;
use crate::load::{Load, Request};
use crate::plan::CONNECTIONS;
use crate::reference::{HOOK, TOKEN_KEPT, TOKEN_ONCE};
use crate::rounds::median;
use crate::row::{Row, Section, Unit};
use crate::seed::SeededOrg;
use crate::serve::Server;

/// The hooks call this machine, which they may not by default.
const CALL_LOOPBACK: &str = "[outbound]\nallow = [\"127.0.0.0/8\"]\nallow_http = true\n";

/// About as long as what an assertion signs.
const MESSAGE: [u8; 400] = [b'.'; 400];

/// What the rounds of one kind of call have shown.
#[derive(Default)]
struct Calls {
    rates: Vec<f64>,
    /// Microseconds of the service's processor time for each call.
    user: Vec<f64>,
    system: Vec<f64>,
}

pub(super) fn measure(bench: &Bench, all: &[Data], pairs: &[RsaKeyPair]) -> Result<Section> {
    let data = all.first().ok_or("no database")?;
    let services = bench.services()?;
    let server = bench.serve_at_rest(&data.written, &Tuning { more: CALL_LOOPBACK, ..Tuning::default() })?;
    let org = data.written.first()?;
    let load = |endpoint: &str, name: &str| -> Result<Load> {
        let requests = hooks(&server, &services, org, endpoint, name)?;
        let load = Load::new(&bench.work, name, &requests, CONNECTIONS)?;
        let load = load.of_own_requests();
        load.run(&server, bench.plan.warm_up, "")?;
        Ok(load)
    };
    let (signed, kept) = (load(TOKEN_ONCE, "signed")?, load(TOKEN_KEPT, "kept")?);
    let pair = pairs.first().ok_or("no key pair")?;
    let (mut signing, mut keeping) = (Calls::default(), Calls::default());
    let (mut one_core, mut all_cores) = (Vec::new(), Vec::new());
    let span = Duration::from_secs(bench.plan.seconds);
    for _ in 0..bench.plan.rounds {
        signing.round(bench, &server, &signed)?;
        keeping.round(bench, &server, &kept)?;
        one_core.push(signatures(pair, span, false)?);
        all_cores.push(signatures(pair, span, true)?);
    }
    let per_second = |what: &str, values: &[f64]| Row::median(what, values, Unit::PerSecond, None);
    let each = |what: String, values: &[f64]| Row::median(what, values, Unit::Microseconds, None);
    let mut rows = vec![
        per_second("execute, a signature each", &signing.rates),
        per_second("execute, token kept", &keeping.rates),
        per_second("RS256 signatures of aws-lc-rs, one core", &one_core),
        per_second("RS256 signatures of aws-lc-rs, all cores", &all_cores),
    ];
    for (what, calls) in [("a signature each", &signing), ("token kept", &keeping)] {
        rows.push(each(format!("user time of an execute, {what}"), &calls.user));
        rows.push(each(format!("system time of an execute, {what}"), &calls.system));
    }
    let span_of = |calls: &Calls| 1e6 / median(&calls.rates);
    let (whole, bare) = (span_of(&signing), span_of(&keeping));
    let notes = vec![
        format!(
            "With all cores busy, an execute with a kept token was answered every {bare:.0} µs, and one with a signature \
             every {whole:.0} µs. Signature and exchange add {:.0} µs, of which a signature alone takes {:.0} µs of one \
             core.",
            whole - bare,
            1e6 / median(&one_core)
        ),
        "The service, wrk and the external service share the cores of this machine: the processor times are those of \
         the service alone."
            .to_owned(),
    ];
    Ok(Section {
        title: "Executes".to_owned(),
        how: format!(
            "Calls of inline hooks per second by {CONNECTIONS} clients, each of a hook of its own with \
             `private_key_jwt`, on SQLite. Token endpoint and hook are served on this machine. Where each call signs, \
             the endpoint gives tokens without a lifetime, so that an execute is a signature, an exchange and a call. \
             Where the token is kept, it gives them an hour, and an execute is a call alone. Beside it stands what \
             aws-lc-rs signs with a key that is open already. There are no targets."
        ),
        rows,
        notes,
    })
}

/// Makes a hook for each client and returns the requests that call them.
fn hooks(
    server: &Server,
    services: &Server,
    org: &SeededOrg,
    endpoint: &str,
    name: &str,
) -> Result<Vec<Request>> {
    let mut client = Client::connect(&server.address)?;
    let mut calls = Vec::new();
    for (number, key) in org.keys.iter().take(CONNECTIONS as usize).enumerate() {
        let body = json!({
            "name": format!("{name} {number}"),
            "type": "com.okta.oauth2.tokens.transform",
            "version": "1.0.0",
            "channel": {
                "type": "OAUTH",
                "version": "1.0.0",
                "config": {
                    "uri": format!("http://{}{HOOK}", services.address),
                    "clientId": "bench",
                    "tokenUrl": format!("http://{}{endpoint}", services.address),
                    "authType": "private_key_jwt",
                    "scope": "hooks",
                    "hookKeyId": key.id,
                },
            },
        });
        let wanted = Request::with_body("POST", "/api/v1/inlineHooks", &org.token, &body.to_string());
        let made = client.json(&wanted)?;
        let id = made.get("id").and_then(|id| id.as_str()).ok_or("a hook without an id")?;
        let path = format!("/api/v1/inlineHooks/{id}/execute");
        calls.push(Request::with_body("POST", path, &org.token, r#"{"data":{"context":{}}}"#));
    }
    Ok(calls)
}

impl Calls {
    fn round(&mut self, bench: &Bench, server: &Server, load: &Load) -> Result<()> {
        let before = server.cpu()?;
        let outcome = load.run(server, bench.plan.seconds, "")?;
        let after = server.cpu()?;
        self.rates.push(outcome.rate());
        self.user.push((after.user - before.user) * 1e6 / outcome.requests);
        self.system.push((after.system - before.system) * 1e6 / outcome.requests);
        Ok(())
    }
}

/// Signatures a second that the library makes.
fn signatures(pair: &RsaKeyPair, span: Duration, all_cores: bool) -> Result<f64> {
    let made = AtomicUsize::new(0);
    let start = Instant::now();
    let work = || -> Result<()> {
        let key = KeyPair::from_pkcs8(pair.pkcs8())?;
        let random = SystemRandom::new();
        let mut signature = vec![0; key.public_modulus_len()];
        while start.elapsed() < span {
            key.sign(&RSA_PKCS1_SHA256, &random, &MESSAGE, &mut signature)?;
            made.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    if all_cores {
        on_all_cores(work)?;
    } else {
        work()?;
    }
    Ok(count(made.into_inner()) / start.elapsed().as_secs_f64())
}
