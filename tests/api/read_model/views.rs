//! Everything that can be read of an org.

use super::case::Known;
use super::ledger::{Reader, View};

/// The names of key sets, and ids that clients choose for them.
pub const SETS: [&str; 5] =
    ["s0", "s1", "s2", "2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f", "92a245af-8cb6-4175-b3a9-9383cbb9848f"];

/// The names of keys on Kong's side.
pub const KEYS: [&str; 3] = ["n0", "n1", "n2"];

/// The tags of key sets.
pub const TAGS: [&str; 2] = ["t0", "t1"];

/// Types of inline hooks; there are none of the last one.
pub const TYPES: [&str; 3] =
    ["com.okta.import.transform", "com.okta.saml.tokens.transform", "com.okta.telephony.provider"];

/// The names of the service under which everything is read.
const HOSTS: [&str; 2] = ["keys.example.com", "localhost:8080"];

const FIRST: &str = HOSTS[0];

/// The views of an org: of all that it has or ever had, of lists, and of what is another's.
pub fn of(org: usize, own: &Known, other: &Known) -> Vec<View> {
    let view = |reader, host, path| View { org, reader, host, path };
    let mut all = Vec::new();
    for host in HOSTS {
        all.extend(linked(own).into_iter().map(|path| view(Reader::Admin, host, path)));
    }
    let plain = plain(own).into_iter().chain(foreign(other));
    all.extend(plain.map(|path| view(Reader::Admin, FIRST, path)));
    for path in guarded(own) {
        all.push(view(Reader::Narrow, FIRST, path.clone()));
        all.push(view(Reader::Nobody, FIRST, path));
    }
    all
}

/// What has links in it.
fn linked(own: &Known) -> Vec<String> {
    let mut paths: Vec<_> = own.hooks.iter().map(|id| format!("/api/v1/inlineHooks/{id}")).collect();
    paths.extend(TYPES.map(|kind| format!("/api/v1/inlineHooks?type={kind}")));
    paths.push("/api/v1/inlineHooks".to_owned());
    paths.extend(own.hook_keys.last().map(|id| format!("/api/v1/hook-keys/{id}")));
    paths
}

/// What has none.
fn plain(own: &Known) -> Vec<String> {
    let mut paths = vec!["/api/v1/hook-keys".to_owned()];
    for id in &own.hook_keys {
        paths.push(format!("/api/v1/hook-keys/{id}"));
        paths.push(format!("/api/v1/hook-keys/{id}?expand=publickey"));
    }
    for id in &own.key_ids {
        paths.push(format!("/api/v1/hook-keys/public/{id}"));
        paths.push(format!("/api/v1/hook-keys/{id}"));
    }
    let sets =
        SETS.iter().copied().chain(own.sets.iter().map(String::as_str).filter(|id| !SETS.contains(id)));
    paths.extend(sets.map(|set| format!("/key-sets/{set}")));
    paths.extend(own.pages.iter().cloned());
    paths.extend(
        ["/key-sets", "/key-sets?tags=t0", "/key-sets?tags=t0,t1", "/key-sets?tags=t0/t1"].map(str::to_owned),
    );
    paths.extend(["/keys", "/tags", "/tags/t0"].map(str::to_owned));
    paths.push(format!("/key-sets/{}/keys", SETS[0]));
    for key in KEYS {
        paths.push(format!("/keys/{key}"));
        paths.push(format!("/keys/{key}/set"));
    }
    paths
}

/// What belongs to the other org, and is the id of nothing here.
fn foreign(other: &Known) -> Vec<String> {
    let hook_keys = other.hook_keys.last().map(|id| format!("/api/v1/hook-keys/{id}"));
    let key_ids = other.key_ids.last().map(|id| format!("/api/v1/hook-keys/public/{id}"));
    let hooks = other.hooks.last().map(|id| format!("/api/v1/inlineHooks/{id}"));
    let sets =
        other.sets.last().filter(|id| !SETS.contains(&id.as_str())).map(|id| format!("/key-sets/{id}"));
    [hook_keys, key_ids, hooks, sets].into_iter().flatten().collect()
}

/// What not everybody may read.
fn guarded(own: &Known) -> Vec<String> {
    let key = own.hook_keys.first().map(|id| format!("/api/v1/hook-keys/{id}"));
    let hook = own.hooks.first().map(|id| format!("/api/v1/inlineHooks/{id}"));
    let set = format!("/key-sets/{}", SETS[0]);
    [key, hook, Some(set)].into_iter().flatten().collect()
}
