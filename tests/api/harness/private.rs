//! Private halves, opened as their owner could, to look for traces of them.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use hook_keys::seal::{Keyring, MasterKey, Place, WrappedTerm};
use pkcs1::der::Decode as _;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    org_id: String,
    #[diesel(sql_type = Binary)]
    private_key: Vec<u8>,
}

#[derive(QueryableByName)]
struct Wrapped {
    #[diesel(sql_type = Binary)]
    wrapped: Vec<u8>,
}

/// The secret numbers of one key, each big-endian, with a name for messages.
pub struct Secrets {
    pub numbers: Vec<(&'static str, Vec<u8>)>,
}

/// Opens every private half in the database.
pub fn open_all(database: &Path, master_key: &str) -> Vec<Secrets> {
    let mut conn = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    let master = MasterKey::parse(master_key, "the test").unwrap();
    let terms: Vec<Wrapped> = diesel::sql_query("SELECT wrapped FROM keyring").load(&mut conn).unwrap();
    let terms: Vec<_> =
        terms.into_iter().map(|Wrapped { wrapped }| WrappedTerm { term: 1, wrapped }).collect();
    let keyring = Keyring::unwrap(&master, &terms).unwrap();
    let rows: Vec<Row> =
        diesel::sql_query("SELECT id, org_id, private_key FROM hook_keys").load(&mut conn).unwrap();
    let open = |row: &Row| {
        let place = Place { table: "hook_keys", column: "private_key", row: &row.id, org: &row.org_id };
        numbers(&keyring.open(&place, &row.private_key).unwrap())
    };
    rows.iter().map(open).collect()
}

fn numbers(pkcs8: &[u8]) -> Secrets {
    let info = pkcs8::PrivateKeyInfoRef::from_der(pkcs8).unwrap();
    let key = pkcs1::RsaPrivateKeyRef::from_der(info.private_key.as_bytes()).unwrap();
    let number = |name, value: pkcs1::UintRef<'_>| (name, value.as_bytes().to_vec());
    Secrets {
        numbers: vec![
            number("p", key.prime1),
            number("q", key.prime2),
            number("d", key.private_exponent),
            number("dp", key.exponent1),
            number("dq", key.exponent2),
            number("qi", key.coefficient),
        ],
    }
}
