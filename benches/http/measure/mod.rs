//! What is measured, one file a subject, and what all of them use.

mod creates;
mod executes;
mod footprint;
mod reads;
mod renames;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hook_keys::crypto::SystemEntropy;
use hook_keys::crypto::rsa::RsaKeyPair;
use hook_keys::seal::MasterKey;

use crate::Result;
use crate::engine::Engine;
use crate::plan::Plan;
use crate::row::Section;
use crate::seed::{self, SeededOrg};
use crate::serve::Server;

/// Everything that measuring takes.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) product: PathBuf,
    pub(crate) work: PathBuf,
    /// The URL of the PostgreSQL server.
    pub(crate) postgres: String,
    /// This program, which is also the reference.
    own: PathBuf,
}

/// A filled database.
struct Database {
    url: String,
    orgs: Vec<SeededOrg>,
}

/// The databases of one engine.
struct Data {
    engine: Engine,
    /// One org that is only read.
    few: Database,
    /// Many orgs that are only read.
    many: Database,
    /// One org that is written to.
    written: Database,
    /// Some orgs, for the start.
    started: Database,
}

/// Settings that are not the defaults.
#[derive(Default)]
struct Tuning<'a> {
    pool_size: Option<u32>,
    /// More lines for the settings file.
    more: &'a str,
}

impl Bench {
    pub(crate) fn new(plan: Plan, product: PathBuf, work: PathBuf, postgres: String) -> Result<Self> {
        let (work, own) = (std::fs::canonicalize(work)?, std::env::current_exe()?);
        Ok(Self { plan, product: std::fs::canonicalize(product)?, work, postgres, own })
    }

    pub(crate) fn measure(&self) -> Result<Vec<Section>> {
        let start = Instant::now();
        let step = |what: &str| eprintln!("[{:>5.0} s] {what}", start.elapsed().as_secs_f64());
        step("generating key pairs");
        let pairs = seed::pairs(self.plan.pairs)?;
        let master = self.master_key()?;
        let mut all = Vec::new();
        for engine in Engine::BOTH {
            step(&format!("filling databases: {}", engine.name()));
            all.push(self.data(engine, &master, &pairs)?);
        }
        let mut sections = Vec::new();
        step("reads against the reference route");
        sections.push(reads::against_reference(self, &all)?);
        step("reads of many keys against few");
        let (section, memory) = reads::many_against_few(self, &all)?;
        sections.push(section);
        step("creates from a full pool");
        sections.push(creates::from_full_pool(self, &all)?);
        step("creates without a pool");
        sections.push(creates::without_pool(self, &all)?);
        step("reads beside creates");
        sections.push(reads::beside_creates(self, &all)?);
        step("renames");
        sections.push(renames::measure(self, &all)?);
        step("executes");
        sections.push(executes::measure(self, &all, &pairs)?);
        step("starts");
        sections.push(footprint::start(self, &all)?);
        step("memory and size");
        sections.push(footprint::memory(self, &all, &memory)?);
        sections.push(footprint::size(self)?);
        step("done");
        Ok(sections)
    }

    fn master_key(&self) -> Result<MasterKey> {
        let master = MasterKey::generate(&SystemEntropy::new())?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.master_file())?;
        file.write_all(master.to_text().as_bytes())?;
        Ok(master)
    }

    fn master_file(&self) -> PathBuf {
        self.work.join("master.key")
    }

    fn data(&self, engine: Engine, master: &MasterKey, pairs: &[RsaKeyPair]) -> Result<Data> {
        let database = |name: &str, orgs| -> Result<Database> {
            let url = engine.create(&self.work, &self.postgres, name)?;
            let orgs = seed::fill(&url, master, pairs, orgs)?;
            engine.tidy(&url)?;
            Ok(Database { url, orgs })
        };
        Ok(Data {
            engine,
            few: database("few", 1)?,
            many: database("many", self.plan.many_orgs)?,
            written: database("written", 1)?,
            started: database("started", self.plan.start_orgs)?,
        })
    }

    /// Starts the service on a database. It still fills its pool when this returns.
    fn serve(&self, database: &Database, tuning: &Tuning<'_>) -> Result<Server> {
        let file = self.fresh_file("serve", "toml")?;
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let pool = tuning.pool_size.map(|size| format!("pool_size = {size}\n")).unwrap_or_default();
        // Requests are counted as they are everywhere, and none is refused.
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndatabase_url = {:?}\nmaster_key_file = {}\n{pool}\
             rate_limits.requests = 1000000000\n{}",
            database.url,
            quoted(&self.master_file()),
            tuning.more
        );
        std::fs::write(&file, text)?;
        Server::start(
            &self.product,
            &["serve", "--config", &file.to_string_lossy()],
            file.with_extension("log"),
        )
    }

    /// The same, when nothing goes on in it any more.
    fn serve_at_rest(&self, database: &Database, tuning: &Tuning<'_>) -> Result<Server> {
        let server = self.serve(database, tuning)?;
        server.rest()?;
        Ok(server)
    }

    /// Starts the reference route with these bytes.
    fn reference(&self, body: &[u8]) -> Result<Server> {
        let file = self.fresh_file("reference", "json")?;
        std::fs::write(&file, body)?;
        let arguments = ["reference", "--body", &file.to_string_lossy()];
        Server::start(&self.own, &arguments, file.with_extension("log"))
    }

    /// Starts the services that hooks call.
    fn services(&self) -> Result<Server> {
        let log = self.fresh_file("services", "log")?;
        Server::start(&self.own, &["services"], log)
    }

    /// A file that no other server of this run has.
    fn fresh_file(&self, name: &str, extension: &str) -> Result<PathBuf> {
        let (_, path) = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .suffix(&format!(".{extension}"))
            .tempfile_in(&self.work)?
            .keep()?;
        Ok(path)
    }
}

impl Database {
    fn first(&self) -> Result<&SeededOrg> {
        self.orgs.first().ok_or_else(|| "a database without an org".into())
    }

    /// How many keys it was filled with.
    fn keys(&self) -> usize {
        self.orgs.iter().map(|org| org.keys.len()).sum()
    }
}
