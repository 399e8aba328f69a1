//! How long rows stay.

use std::time::{Duration, Instant};

use hook_keys::app::Parts;

use super::{events, name, rows};
use crate::harness::{PATIENCE, Server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn rows_older_than_the_retention_go_and_the_others_stay() {
    let server = Server::start_with(&[("HOOK_KEYS_AUDIT_RETENTION", "forever")], Parts::default()).await;
    let acme = server.org("acme").await;
    for number in 0..3 {
        acme.create(&format!("old {number}")).await;
    }
    // More than one transaction removes.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
                INSERT INTO audit_events (id, org_id, at_ms, kind, outcome, actor, actor_name, targets)
                SELECT 'x', NULL, 1, 'old', 'SUCCESS', 'command', 'root', '[]' FROM n";
    server.sql(many);
    server.clock.advance(29 * DAY);
    acme.post("/api/v1/hook-keys", name("young")).await.expect(200);
    server.clock.advance(DAY);
    server.clock.advance(Duration::from_secs(1));
    // For ever means that: the server has looked when it started, and would have found what is from 1970.
    let old = || server.database.texts("SELECT 'x' AS text FROM audit_events WHERE at_ms = 1").len();
    assert_eq!((rows(&server).len(), old()), (4, 1200));
    let strict = server.beside_with(&[("HOOK_KEYS_AUDIT_RETENTION", "30d")]).await;
    let begun = Instant::now();
    while rows(&strict).len() + old() > 1 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", rows(&strict));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(events(&acme).await.len(), 1);
    assert_eq!(acme.names().await.len(), 4, "the keys themselves stay");
}
