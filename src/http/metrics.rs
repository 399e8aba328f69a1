//! What the process tells of itself on a port of its own: metrics as text, and its health.

use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, HttpServer, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::error::{Failure, unknown_path};
use super::{health, observe};
use crate::app::App;
use crate::error::{Error, Result};
use crate::metrics::{BOUNDS, Distribution, Series};
use crate::service::calls::{OUTCOMES, STEPS};

/// The media type of the answer.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Tokens that end within this are told of: a week is time enough to make others.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a count of them is told before they are counted anew.
const COUNTED: Duration = Duration::from_secs(60);

/// A server of metrics on `listener`. It runs when awaited, and ends when it is stopped.
pub fn server(app: Arc<App>, listener: TcpListener) -> Result<Server> {
    let (app, ending) = (web::Data::from(app), web::Data::new(Ending::default()));
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(app.clone())
            .app_data(ending.clone())
            .wrap_fn(observe::observe)
            .route("/metrics", web::get().to(tell))
            .route("/healthz", web::get().to(health::live))
            .route("/readyz", web::get().to(health::ready))
            .default_service(web::to(unknown_path))
    });
    let server = server.workers(1).disable_signals().listen(listener);
    Ok(server.map_err(|error| Error::internal("starting the server of metrics", error))?.run())
}

/// How many tokens end soon, and when that was counted.
#[derive(Default)]
struct Ending(Mutex<Option<(Instant, u64)>>);

impl Ending {
    /// The count, at most a minute old. While the database does not answer, there is none.
    async fn count(&self, app: &App) -> Option<u64> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = known.filter(|(counted, _)| counted.elapsed() < COUNTED) {
            return Some(count);
        }
        let count = app.tokens.ending_within(SOON).await.ok()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), count));
        Some(count)
    }
}

async fn tell(app: web::Data<App>, ending: web::Data<Ending>) -> Result<HttpResponse, Failure> {
    let ending = ending.count(&app).await;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Numbers { app: app.into_inner(), ending }));
    let mut told = String::new();
    text::encode(&mut told, &registry).map_err(|error| Error::internal("telling metrics", error))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, OPEN_METRICS)).body(told))
}

/// All numbers there are, at one moment.
struct Numbers {
    app: Arc<App>,
    ending: Option<u64>,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers(..)")
    }
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.process(&mut out)?;
        self.requests(&mut out)?;
        self.limits(&mut out)?;
        self.database(&mut out)?;
        self.memory(&mut out)?;
        self.keys(&mut out)?;
        self.calls(&mut out)
    }
}

impl Numbers {
    fn process(&self, out: &mut Out<'_>) -> fmt::Result {
        let build = [("version", env!("CARGO_PKG_VERSION")), ("database", self.app.database())];
        out.0
            .encode_descriptor("hook_keys_build", "What is running.", None, MetricType::Info)?
            .encode_info(&build)?;
        let up = self.app.started.elapsed().as_secs_f64();
        out.gauge("hook_keys_uptime", "How long the process has been running.", Some(&Unit::Seconds), up)?;
        let ready = f64::from(u8::from(self.app.is_ready()));
        out.gauge("hook_keys_ready", "Whether requests are worth sending here: 1 or 0.", None, ready)?;
        match resident_memory() {
            Some(bytes) => out.gauge(
                "process_resident_memory",
                "How much memory the process holds.",
                Some(&Unit::Bytes),
                bytes,
            ),
            None => Ok(()),
        }
    }

    fn requests(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(requests) = &self.app.requests else { return Ok(()) };
        let all = requests.read();
        let counts = all.iter().map(|(Series { route, method, status }, took)| {
            let labels = vec![("route", *route), ("method", *method)];
            (labels, Some(*status), took.count())
        });
        let (name, help) =
            ("hook_keys_http_requests", "Requests that were answered, by route, method and status.");
        let mut encoder = out.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, status, count) in counts {
            let status = status.unwrap_or_default().to_string();
            let labels = [&labels[..], &[("status", status.as_str())]].concat();
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        let mut by_route: Vec<(Vec<(&str, &str)>, Distribution)> = Vec::new();
        for (Series { route, method, .. }, took) in &all {
            let labels = vec![("route", *route), ("method", *method)];
            match by_route.last_mut().filter(|(last, _)| *last == labels) {
                Some((_, sum)) => sum.add(took),
                None => by_route.push((labels, *took)),
            }
        }
        out.histograms(
            "hook_keys_http_request_duration",
            "From the head of a request to the head of its answer, by route and method.",
            by_route,
        )?;
        let under_way = precise(requests.under_way());
        out.gauge("hook_keys_http_requests_in_flight", "Requests that are under way.", None, under_way)
    }

    fn limits(&self, out: &mut Out<'_>) -> fmt::Result {
        let counts = self.app.tokens.limits.counts();
        out.counters(
            "hook_keys_rate_limited_requests",
            "Requests that were refused with 429, by the setting that they were too many for.",
            [
                ([("limit", "requests")], counts.requests_refused.read()),
                ([("limit", "failed_logins")], counts.logins_refused.read()),
            ],
        )?;
        let failed = counts.failed_logins.read();
        out.counter("hook_keys_failed_logins", "Requests whose credentials were wrong.", failed)?;
        let Some(ending) = self.ending else { return Ok(()) };
        let help = "Live tokens that end within 7 days if they are not used any more.";
        out.gauge("hook_keys_tokens_ending_soon", help, None, precise(ending))
    }

    fn database(&self, out: &mut Out<'_>) -> fmt::Result {
        let times = self.app.hook_keys.db.times();
        out.histograms(
            "hook_keys_database_duration",
            "What reads and writes took, waiting included, and what waiting for a connection that reads took.",
            [("read", &times.reads), ("write", &times.writes), ("wait", &times.waits)]
                .map(|(work, timings)| (vec![("work", work)], timings.read())),
        )?;
        let help = "Reads and writes that failed because the database was away, too slow, or at fault.";
        out.counter("hook_keys_database_failures", help, times.failures.read())?;
        let age = self.app.cache.last_look().unwrap_or(self.app.started.elapsed()).as_secs_f64();
        let help = "How long ago the refresher last saw all changes of the database.";
        out.gauge("hook_keys_refresher_last_look_age", help, Some(&Unit::Seconds), age)
    }

    fn memory(&self, out: &mut Out<'_>) -> fmt::Result {
        let (tokens, token_entries) = self.app.cache.tokens();
        let (answers, answer_entries, rows) = self.app.cache.answers();
        let lookups = [("token", tokens), ("answer", answers)];
        out.counters(
            "hook_keys_cache_lookups",
            "How often tokens and answers were looked for in memory, and whether they were there.",
            lookups.into_iter().flat_map(|(kind, lookups)| {
                [("hit", &lookups.hits), ("miss", &lookups.misses)]
                    .map(|(outcome, count)| ([("kind", kind), ("outcome", outcome)], count.read()))
            }),
        )?;
        let help = "How many tokens and answers are in memory.";
        let mut encoder =
            out.0.encode_descriptor("hook_keys_cache_entries", help, None, MetricType::Gauge)?;
        for (kind, entries) in [("token", token_entries), ("answer", answer_entries)] {
            encoder.encode_family(&[("kind", kind)])?.encode_gauge(&precise(entries))?;
        }
        let help = "As how many rows of cache.max_rows the answers in memory count.";
        out.gauge("hook_keys_cache_rows", help, None, precise(rows))
    }

    fn keys(&self, out: &mut Out<'_>) -> fmt::Result {
        let pool = &self.app.hook_keys.pool;
        let levels = pool.levels();
        for (name, help, level) in [
            ("hook_keys_pool_pairs", "RSA key pairs that are ready.", levels.ready),
            ("hook_keys_pool_target", "RSA key pairs to keep ready.", levels.target),
            ("hook_keys_pool_waiting", "Creations that wait for a key pair.", levels.waiting),
        ] {
            out.gauge(name, help, None, precise(level as u64))?;
        }
        out.histograms(
            "hook_keys_pool_generation_duration",
            "What generating an RSA key pair took.",
            [(vec![("alg", "RSA")], pool.generated().read())],
        )
    }

    fn calls(&self, out: &mut Out<'_>) -> fmt::Result {
        let calls = self.app.execute.calls.0.iter().zip(STEPS).flat_map(|(outcomes, step)| {
            outcomes
                .iter()
                .zip(OUTCOMES)
                .map(move |(timings, outcome)| (vec![("step", step), ("outcome", outcome)], timings.read()))
        });
        out.histograms(
            "hook_keys_outbound_call_duration",
            "What calls of external services took, by what for and by how they went.",
            calls,
        )
    }
}

/// Writes families of metrics, each with its help.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    fn counters<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (S, u64)>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        Ok(())
    }

    /// In seconds.
    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (Vec<(&'static str, &'static str)>, Distribution)>,
    ) -> fmt::Result {
        let mut encoder =
            self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, took) in all {
            let bounds = BOUNDS.iter().map(|micros| seconds(*micros)).chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(took.counts).collect();
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                seconds(took.micros),
                took.count(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

fn seconds(micros: u64) -> f64 {
    precise(micros) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "numbers beyond 2^53 are not met")]
fn precise(number: u64) -> f64 {
    number as f64
}

/// What Linux says of it, in bytes.
fn resident_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(precise(kilobytes * 1024))
}
