//! Who may use whom. The table is the one in docs/ARCHITECTURE.md; this test reads the `crate::` paths of the
//! source and holds it to the table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each module with the modules it may name.
const MAY_USE: [(&str, &[&str]); 17] = [
    ("main", &["cli"]),
    ("cli", &["app", "config", "domain", "error", "http", "service", "store::migrate", "tls"]),
    ("http", &["app", "cache", "domain", "error", "metrics", "service", "tls"]),
    (
        "app",
        &[
            "cache",
            "config",
            "crypto",
            "domain",
            "error",
            "lifecycle",
            "metrics",
            "outbound",
            "seal",
            "service",
            "store",
            "tls",
        ],
    ),
    ("lifecycle", &["cache", "error", "service"]),
    ("service", &["cache", "crypto", "domain", "error", "jose", "metrics", "outbound", "seal", "store"]),
    ("tls", &["config", "domain", "error"]),
    ("config", &["error"]),
    ("outbound", &["domain", "error"]),
    ("cache", &["crypto", "domain", "error", "metrics", "store"]),
    ("store", &["domain", "error", "metrics"]),
    ("seal", &["crypto", "domain", "error"]),
    ("jose", &["crypto", "domain", "error"]),
    ("crypto", &["domain", "error", "metrics"]),
    ("domain", &["error"]),
    ("metrics", &[]),
    ("error", &[]),
];

/// Crates that only one module may name.
const ONLY_IN: [(&str, &str); 30] = [
    ("reqwest", "outbound"),
    ("diesel", "store"),
    ("diesel_async", "store"),
    ("tokio_postgres", "store"),
    ("rustls", "store"),
    ("diesel_migrations", "store"),
    ("ring", "crypto"),
    ("aws_lc_rs", "crypto"),
    ("crypto_bigint", "crypto"),
    ("crypto_primes", "crypto"),
    ("curve25519_dalek", "crypto"),
    ("der", "jose"),
    ("pkcs1", "jose"),
    ("pkcs8", "jose"),
    ("sec1", "jose"),
    ("spki", "jose"),
    ("actix_web", "http"),
    ("actix_http", "http"),
    ("actix_server", "http"),
    ("actix_service", "http"),
    ("tokio_rustls", "http"),
    ("x509_cert", "tls"),
    ("prometheus_client", "http"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("indicatif", "cli"),
    ("itoa", "cli"),
    ("quick_cache", "cache"),
    ("flate2", "cache"),
];

/// Files that may name a crate in spite of [`ONLY_IN`]: the server's runtime is started and ended by the command, and
/// there is TLS on both sides.
const EXCEPTIONS: [(&str, &str); 5] = [
    ("src/cli/serve.rs", "actix_web"),
    ("src/cli/running.rs", "actix_web"),
    ("src/tls/mod.rs", "rustls"),
    ("src/tls/files.rs", "rustls"),
    ("src/tls/unverified.rs", "rustls"),
];

#[test]
fn modules_use_only_those_below_them() {
    let allowed: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut seen = BTreeSet::new();
    for (path, source) in sources() {
        let module = module_of(&path);
        seen.insert(module.clone());
        let allowed = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not in the table"));
        for used in crate_paths(&source) {
            let top = used.split("::").next().unwrap();
            let fine = top == module || allowed.iter().any(|rule| *rule == top || used.starts_with(rule));
            assert!(fine, "{}: {module} must not use {used}", path.display());
        }
    }
    assert_eq!(
        seen,
        allowed.keys().map(|module| (*module).to_owned()).collect(),
        "the table has other modules"
    );
}

#[test]
fn crates_are_named_in_their_own_module_only() {
    for (path, source) in sources() {
        let module = module_of(&path);
        for (name, home) in ONLY_IN {
            let excepted =
                EXCEPTIONS.iter().any(|(file, crate_name)| path.ends_with(file) && *crate_name == name);
            let named = source.lines().any(|line| names_crate(line, name));
            assert!(!named || module == home || excepted, "{} names {name}", path.display());
        }
    }
}

#[test]
fn files_keep_to_a_size_that_can_be_read() {
    for (path, source) in sources() {
        let lines = source.lines().count();
        assert!(lines <= 450, "{} has {lines} lines: split it by operation", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, source) in sources() {
        assert!(source.starts_with("//! "), "{} has no module comment", path.display());
    }
}

#[test]
fn paths_are_written_so_that_the_scanner_can_read_them() {
    for (path, source) in sources() {
        for hidden in ["crate::{", "super::super::"] {
            assert!(!source.contains(hidden), "{}: write each path out, not {hidden}", path.display());
        }
    }
}

#[test]
fn the_scanner_sees_what_it_must_see() {
    let source = "use crate::store::{self, Db};\n    crate::seal::open();\n// crate::comment::x\n";
    assert_eq!(crate_paths(source), ["store", "seal::open"]);
    assert!(names_crate("use diesel::prelude::*;", "diesel") && names_crate("    ring::hkdf::Salt", "ring"));
    assert!(!names_crate("use string::x;", "ring") && !names_crate("//! diesel::x", "diesel"));
}

/// Every source file with its text up to the unit tests, which may reach where they like.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 30, "the source has moved");
    files
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("src/lib.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            files.push((path, code));
        }
    }
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What follows `crate::` in code, each path by its first two parts at most.
fn crate_paths(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut paths = Vec::new();
    for line in code {
        paths.extend(line.split("crate::").skip(1).map(first_parts));
    }
    paths
}

fn first_parts(path: &str) -> String {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(path.len());
    let parts: Vec<_> = path[..end].split("::").filter(|part| !part.is_empty()).take(2).collect();
    parts.join("::")
}

fn names_crate(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("//")
        && line
            .match_indices(&format!("{name}::"))
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}
