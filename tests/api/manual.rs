//! What a package needs of the program: completions, manual pages, a check for supervisors, and where it looks for its
//! settings and its master key.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::process::{Dev, complaint, hook_keys, stdout};

/// Every command as the help shows it, the ones above included, such as `["keyring", "master", "rotate"]`.
fn commands() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut next = 0;
    while let Some(above) = all.get(next).cloned() {
        let help = stdout(&hook_keys().args(&above).arg("--help").output().unwrap());
        let listed = help.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap());
        for line in listed.unwrap_or_default().lines() {
            let name = line.split_whitespace().next().unwrap();
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                all.push([above.clone(), vec![name.to_owned()]].concat());
            }
        }
        next += 1;
    }
    assert!(all.iter().any(|command| command.len() == 3), "{all:?}");
    all
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn completions(shell: &str) -> String {
    stdout(&hook_keys().args(["completions", shell]).output().unwrap())
}

/// What bash offers for these words, of which the last one is not complete.
fn offered(words: &[&str]) -> Vec<String> {
    let asks = format!(
        "compopt() {{ :; }} # it works while somebody types only\n{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_hook__keys hook-keys \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        completions("bash"),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1,
    );
    let mut bash = Command::new("bash")
        .args(["--norc", "-u"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(asks.as_bytes()).unwrap();
    let answer = bash.wait_with_output().unwrap();
    stdout(&answer).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_their_subcommands_and_their_flags() {
    assert_eq!(offered(&["hook-keys", "hea"]), ["healthcheck"]);
    assert_eq!(offered(&["hook-keys", "keyring", "master", "ro"]), ["rotate"]);
    assert_eq!(offered(&["hook-keys", "org", "create", "--max"]), ["--max-hook-keys"]);
    assert_eq!(offered(&["hook-keys", "completions", "z"]), ["zsh"]);
    for command in commands().iter().filter(|command| command.len() == 1) {
        assert_eq!(offered(&["hook-keys", &command[0]]), [command[0].clone()]);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    std::fs::write(&file, "").unwrap();
    let begun = directory.path().join("sett").display().to_string();
    assert_eq!(offered(&["hook-keys", "serve", "--config", &begun]), [file.display().to_string()]);
}

#[test]
fn completions_are_valid_scripts_that_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = completions(shell);
        for command in commands() {
            let last = command.last().map_or("hook-keys", String::as_str);
            assert!(script.contains(last), "{shell} does not know {command:?}");
        }
        // Where a shell is not there, it is not there to be completed for.
        if has(shell) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), script).unwrap();
            let checked = Command::new(shell).arg("-n").arg(file.path()).output().unwrap();
            assert_eq!((stdout(&checked), checked.stderr), (String::new(), Vec::new()), "{shell}");
        }
    }
    let unknown = hook_keys().args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

fn pages(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name());
    files.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn every_command_has_a_manual_page_that_names_its_parts() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("made/by/man");
    stdout(&hook_keys().arg("man").arg(&to).output().unwrap());
    let mut missing = pages(&to);
    for command in commands() {
        let name = [vec!["hook-keys".to_owned()], command.clone()].concat().join("-");
        let page = std::fs::read_to_string(to.join(format!("{name}.1"))).unwrap();
        missing.retain(|file| *file != format!("{name}.1"));
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"SEE ALSO\""] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{name} has no {section}");
        }
        let serves = ["dev", "serve"].contains(&command.last().map_or("", String::as_str));
        assert_eq!(page.contains("\n.SH SIGNALS\n"), serves, "{name}");
        let help = stdout(&hook_keys().args(&command).arg("--help").output().unwrap());
        let leads_on = help.contains("Commands:\n");
        assert_eq!(page.contains("\n.SH \"EXIT STATUS\"\n"), !leads_on, "{name}");
        let reads = help.contains("--config <FILE>") || command.is_empty();
        for section in ["FILES", "ENVIRONMENT"] {
            assert_eq!(page.contains(&format!("\n.SH {section}\n")), reads, "{section} of {name}");
        }
    }
    assert_eq!(missing, ["hook-keys.toml.5"]);
}

#[test]
fn manual_pages_name_no_page_that_is_not_there_and_render_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    stdout(&hook_keys().arg("man").arg(directory.path()).output().unwrap());
    for file in pages(directory.path()) {
        let path = directory.path().join(&file);
        let page = std::fs::read_to_string(&path).unwrap().replace("\\-", "-").replace("\\fR", "");
        for (at, _) in page.match_indices("(1)") {
            let name = page[..at].rsplit(['\n', ' ', 'I', 'B']).next().unwrap();
            assert!(directory.path().join(format!("{name}.1")).exists(), "{file} names {name}(1)");
        }
        if has("groff") {
            let mut groff = Command::new("groff");
            let rendered = groff.args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path).output().unwrap();
            assert_eq!(quiet(rendered), "", "{file}");
        }
    }
}

fn quiet(output: Output) -> String {
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_directory_that_cannot_be_written_to_is_told_by_man() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = complaint(&hook_keys().arg("man").arg(file.path()).output().unwrap());
    assert!(refused.contains("the manual pages cannot be written to"), "{refused}");
}

#[test]
fn healthcheck_asks_the_server_that_runs_and_fails_without_one() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start(&directory.path().join("data"), &[]);
    let check = |arguments: &[&str]| hook_keys().arg("healthcheck").args(arguments).output().unwrap();
    assert_eq!(stdout(&check(&["--url", &dev.base])), format!("{}/healthz answers 200\n", dev.base));
    let ready = stdout(&check(&["--ready", "--url", &dev.base]));
    assert_eq!(ready, format!("{}/readyz answers 200\n", dev.base));
    // Without --url it is the address in the settings, as this machine reaches it.
    let port = dev.base.rsplit(':').next().unwrap().to_owned();
    let of_settings =
        |listen: &str| hook_keys().arg("healthcheck").env("HOOK_KEYS_LISTEN", listen).output().unwrap();
    assert!(stdout(&of_settings(&format!("0.0.0.0:{port}"))).contains("answers 200"));
    assert!(complaint(&of_settings("127.0.0.1:0")).contains("give --url"));
    let base = dev.base.clone();
    dev.kill();
    assert!(complaint(&check(&["--url", &base])).contains("/healthz: Connection refused"));
}

#[test]
fn healthcheck_tells_what_is_no_server_and_what_is_no_url() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (answer, told) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "/healthz answers 503"),
        ("SSH-2.0-x\r\n", "does not speak HTTP/1.1"),
        ("", "does not speak HTTP/1.1"),
    ] {
        let asks = hook_keys()
            .args(["healthcheck", "--url", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        std::io::Read::read(&mut stream, &mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);
        let refused = complaint(&asks.unwrap().wait_with_output().unwrap());
        assert!(refused.contains(told), "{answer:?} gave {refused}");
    }
    for scheme in ["http", "https"] {
        // Taken by the system, and answered by nobody.
        let silent = format!("{scheme}://{}", listener.local_addr().unwrap());
        let refused = complaint(&hook_keys().args(["healthcheck", "--url", &silent]).output().unwrap());
        assert!(refused.contains("/healthz: there was no answer within 5 s"), "{refused}");
    }
    for url in ["ftp://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/healthz", "http://a@b:1"] {
        let refused = hook_keys().args(["healthcheck", "--url", url]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{url}");
        assert!(
            String::from_utf8(refused.stderr).unwrap().contains("use no path: http://HOST:PORT"),
            "{url}"
        );
    }
}

#[test]
fn the_settings_file_can_be_named_by_a_variable_and_a_flag_goes_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let named = |name: &str, size: u32| {
        let file = directory.path().join(name);
        std::fs::write(&file, format!("pool_size = {size}\n")).unwrap();
        file
    };
    let (one, two) = (named("one.toml", 11), named("two.toml", 12));
    let pool = |command: &mut Command| {
        let shown = stdout(&command.args(["config", "show"]).env("HOOK_KEYS_CONFIG", &one).output().unwrap());
        let line = shown.lines().find(|line| line.starts_with("pool_size")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(pool(&mut hook_keys()), "11");
    let mut flagged = hook_keys();
    flagged.args(["config", "show", "--config"]).arg(&two).env("HOOK_KEYS_CONFIG", &one);
    assert!(
        stdout(&flagged.output().unwrap())
            .lines()
            .any(|line| line.starts_with("pool_size") && line.contains("12"))
    );
    // A data directory has its own place for everything.
    let data = directory.path().join("data");
    let mut apart = hook_keys();
    apart.args(["config", "show", "--data-dir"]).arg(&data).env("HOOK_KEYS_CONFIG", &one);
    assert!(
        stdout(&apart.output().unwrap())
            .lines()
            .any(|line| line.starts_with("pool_size") && line.contains("16"))
    );
    // It is no setting, but it is known.
    let mut checked = hook_keys();
    checked
        .args(["config", "check"])
        .env("HOOK_KEYS_CONFIG", &one)
        .env("HOOK_KEYS_MASTER_KEY", "A".repeat(43) + "=");
    let checked = checked.output().unwrap();
    assert_eq!((stdout(&checked).as_str(), checked.stderr.as_slice()), ("the settings are valid\n", &[][..]));
}

#[test]
fn a_credential_of_systemd_may_be_let_in_by_an_access_list_and_no_other_file() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("master-key");
    std::fs::write(&key, "A".repeat(43) + "=").unwrap();
    let check = |mode: u32, credentials: &Path| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = hook_keys();
        command.args(["config", "check", "--config", "/dev/null"]).env("HOOK_KEYS_MASTER_KEY_FILE", &key);
        command.env("CREDENTIALS_DIRECTORY", credentials).output().unwrap()
    };
    assert_eq!(stdout(&check(0o440, directory.path())), "the settings are valid\n");
    assert_eq!(stdout(&check(0o400, directory.path())), "the settings are valid\n");
    for mode in [0o444, 0o460, 0o450] {
        assert!(complaint(&check(mode, directory.path())).contains("others than its owner may read it"));
    }
    assert!(complaint(&check(0o440, Path::new("/run/credentials"))).contains("has mode 0440"));
}

#[test]
fn the_settings_of_the_package_are_valid_and_name_its_places() {
    let shown =
        hook_keys().args(["config", "show", "--config", "packaging/debian/hook-keys.toml"]).output().unwrap();
    let shown = stdout(&shown);
    for (key, value) in [
        ("database_url", "\"sqlite:/var/lib/hook-keys/hook-keys.db\""),
        ("master_key_file", "\"/etc/hook-keys/master.key\""),
    ] {
        let row = shown.lines().find(|line| line.starts_with(key)).unwrap();
        assert_eq!(row.split_whitespace().skip(1).collect::<Vec<_>>(), [value, "file"]);
    }
    let changelog = std::fs::read_to_string("packaging/debian/changelog").unwrap();
    assert!(changelog.starts_with(concat!("hook-keys (", env!("CARGO_PKG_VERSION"), "-1)")), "{changelog}");
}
