//! Reads: against the reference route, of many keys against few, and beside creates.

use std::thread::sleep;
use std::time::Duration;

use super::{Bench, Data, Database, Tuning};
use crate::Result;
use crate::client::Client;
use crate::load::{Load, Request};
use crate::plan::{CONNECTIONS, KEYS_PER_ORG, SIDE_CREATORS, SLOW_DELAY, SLOW_READERS};
use crate::rounds::Rounds;
use crate::row::{Row, Section, Target, Unit};
use crate::seed::SeededOrg;
use crate::serve::Server;

/// Connections that read everything once.
const TOUCHERS: usize = 4;

/// The three reads.
#[derive(Clone, Copy)]
enum Read {
    Key,
    List,
    Public,
}

impl Read {
    const ALL: [Self; 3] = [Self::Key, Self::List, Self::Public];

    fn name(self) -> &'static str {
        match self {
            Self::Key => "one hook key",
            Self::List => "list of 50",
            Self::Public => "public key",
        }
    }

    /// Every request of this kind that an org can make.
    fn requests(self, org: &SeededOrg) -> Vec<Request> {
        let each = |path: fn(&crate::seed::SeededKey) -> String| {
            org.keys.iter().map(|key| Request::get(path(key), &org.token)).collect()
        };
        match self {
            Self::Key => each(|key| format!("/api/v1/hook-keys/{}", key.id)),
            Self::List => vec![Request::get("/api/v1/hook-keys", &org.token)],
            Self::Public => each(|key| format!("/api/v1/hook-keys/public/{}", key.key_id)),
        }
    }
}

/// A server under a load, and what all rounds together have cost it.
struct Side<'a> {
    load: &'a Load,
    server: &'a Server,
    requests: f64,
    seconds: f64,
}

impl<'a> Side<'a> {
    fn new(load: &'a Load, server: &'a Server) -> Self {
        Self { load, server, requests: 0.0, seconds: 0.0 }
    }

    /// Requests a second.
    fn run(&mut self, seconds: u64) -> Result<f64> {
        let before = self.server.cpu()?.total();
        let outcome = self.load.run(self.server, seconds, "read")?;
        self.seconds += self.server.cpu()?.total() - before;
        self.requests += outcome.requests;
        Ok(outcome.rate())
    }

    /// Microseconds of processor time that a request takes.
    fn micros(&self) -> f64 {
        self.seconds * 1e6 / self.requests
    }
}

pub(super) fn against_reference(bench: &Bench, all: &[Data]) -> Result<Section> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for data in all {
        let product = bench.serve_at_rest(&data.few, &Tuning::default())?;
        let org = data.few.first()?;
        for read in Read::ALL {
            let requests = read.requests(org);
            let request = requests.first().ok_or("an org without keys")?;
            let reference = bench.reference(&Client::connect(&product.address)?.send(request)?)?;
            let load = Load::new(&bench.work, "read", std::slice::from_ref(request), CONNECTIONS)?;
            let (mut ours, mut theirs) = (Side::new(&load, &product), Side::new(&load, &reference));
            ours.run(bench.plan.warm_up)?;
            theirs.run(bench.plan.warm_up)?;
            let seconds = bench.plan.seconds;
            let rounds =
                Rounds::interleave(bench.plan.rounds, |_| ours.run(seconds), |_| theirs.run(seconds))?;
            let what = format!("GET {}, {}", read.name(), data.engine.name());
            notes.push(format!(
                "{what}: {:.1} µs of the service's processor time a request, {:.1} µs of the reference's.",
                ours.micros(),
                theirs.micros()
            ));
            rows.push(Row::ratio(what, &rounds, Unit::PerSecond, Some(Target::AtLeast(0.80))));
        }
    }
    Ok(Section {
        title: "Reads against the reference route".to_owned(),
        how: format!(
            "Requests per second over {CONNECTIONS} connections: one hook key, the list of an org's {KEYS_PER_ORG} \
             keys, and one public key, always the same. The service runs with its default settings, logging at \
             `info` included. The reference is a bare handler of the same actix-web, with as many workers: it checks \
             that there is an `Authorization` header and answers the same bytes, without a token lookup, a database \
             or a log. The load generator takes its share of the same cores on both sides, so that the ratio of rates is \
             better than the ratio of what the two cost; the processor times tell that."
        ),
        rows,
        notes,
    })
}

/// Also returns the memory of each server that has read all of many keys.
pub(super) fn many_against_few(bench: &Bench, all: &[Data]) -> Result<(Section, Vec<f64>)> {
    let (mut rows, mut memory) = (Vec::new(), Vec::new());
    for data in all {
        let few = bench.serve_at_rest(&data.few, &Tuning::default())?;
        let many = bench.serve_at_rest(&data.many, &Tuning::default())?;
        touch(&few, &data.few)?;
        touch(&many, &data.many)?;
        memory.push(many.resident()?);
        for read in Read::ALL {
            let load = |name, database: &Database| {
                let requests: Vec<_> = database.orgs.iter().flat_map(|org| read.requests(org)).collect();
                Load::new(&bench.work, name, &requests, CONNECTIONS)
            };
            let (of_few, of_many) = (load("few", &data.few)?, load("many", &data.many)?);
            let run = |load: &Load, server: &Server, seconds| Ok(load.run(server, seconds, "read")?.rate());
            run(&of_many, &many, bench.plan.warm_up)?;
            run(&of_few, &few, bench.plan.warm_up)?;
            let seconds = bench.plan.seconds;
            let rounds = Rounds::interleave(
                bench.plan.rounds,
                |_| run(&of_many, &many, seconds),
                |_| run(&of_few, &few, seconds),
            )?;
            let what = format!("GET {} of many, {}", read.name(), data.engine.name());
            rows.push(Row::ratio(what, &rounds, Unit::PerSecond, Some(Target::AtLeast(0.90))));
        }
    }
    let keys = all.first().map_or(0, |data| data.many.keys());
    let section = Section {
        title: "Many keys against few".to_owned(),
        how: format!(
            "The same reads on a database of {keys} keys in {} orgs with a token each, against a database of one org \
             with {KEYS_PER_ORG} keys. Requests are drawn evenly from all keys and tokens of their database, by the \
             same script. Both servers are alive and take turns. Before, every key, list and public key of both has \
             been read once. That the generator draws from a longer table counts against the service.",
            bench.plan.many_orgs
        ),
        rows,
        notes: Vec::new(),
    };
    Ok((section, memory))
}

pub(super) fn beside_creates(bench: &Bench, all: &[Data]) -> Result<Section> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for data in all {
        let tuning = Tuning { pool_size: Some(0), ..Tuning::default() };
        let server = bench.serve_at_rest(&data.written, &tuning)?;
        let org = data.written.first()?;
        let request = Read::Key.requests(org).swap_remove(0);
        let reading = Load::new(&bench.work, "slow", &[request], SLOW_READERS)?.with_delay(SLOW_DELAY);
        let create = Request::with_body("POST", "/api/v1/hook-keys", &org.token, r#"{"name":"{n}"}"#);
        let creating = Load::new(&bench.work, "beside", &[create], SIDE_CREATORS)?;
        let seconds = bench.plan.seconds;
        reading.run(&server, bench.plan.warm_up, "")?;
        let mut created = 0.0;
        let rounds = Rounds::interleave(
            bench.plan.rounds,
            |round| {
                let running = creating.start(&server, seconds + 1, &format!("beside-{round}"))?;
                sleep(Duration::from_millis(500));
                let outcome = reading.run(&server, seconds, "")?;
                created += running.finish()?.requests;
                // Keys that nobody waits for any more are still made.
                server.rest()?;
                Ok(outcome.p99)
            },
            |_| Ok(reading.run(&server, seconds, "")?.p99),
        )?;
        let what = format!("p99 of reads beside creates, {}", data.engine.name());
        rows.push(Row::ratio(what, &rounds, Unit::Milliseconds, Some(Target::AtMost(2.0))));
        notes.push(format!("{}: {created:.0} keys were created beside the reads.", data.engine.name()));
    }
    Ok(Section {
        title: "Reads beside creates".to_owned(),
        how: format!(
            "The 99th percentile of the latency of reads of one key: {SLOW_READERS} connections, each with \
             {SLOW_DELAY} ms between an answer and its next request. Beside them {SIDE_CREATORS} connections create \
             keys as fast as they can, from a pool of size 0, so that a key pair is made for each. The reference is \
             the same reads on the same server when nobody creates."
        ),
        rows,
        notes,
    })
}

/// Reads every key, list and public key once.
fn touch(server: &Server, database: &Database) -> Result<()> {
    let reader = |orgs: &[SeededOrg]| -> Result<()> {
        let mut client = Client::connect(&server.address)?;
        for request in orgs.iter().flat_map(|org| Read::ALL.into_iter().flat_map(|read| read.requests(org))) {
            client.send(&request)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let share = database.orgs.len().div_ceil(TOUCHERS);
        let readers: Vec<_> =
            database.orgs.chunks(share).map(|orgs| scope.spawn(move || reader(orgs))).collect();
        readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "a reader panicked")?)
    })
}
