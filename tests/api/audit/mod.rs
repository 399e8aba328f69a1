//! The audit trail: what gets a row, who sees it, and how long it stays.

mod cli;
mod logs;
mod refusals;
mod retention;
mod together;
mod writes;

use serde_json::{Value, json};

use crate::harness::{Client, Server};

/// The types and outcomes of the rows that requests have left, in their order.
fn rows(server: &Server) -> Vec<String> {
    rows_of(server, "token")
}

/// Those that commands have left.
fn rows_of(server: &Server, actor: &str) -> Vec<String> {
    let query = format!(
        "SELECT kind || ' ' || outcome AS text FROM audit_events WHERE actor = '{actor}' ORDER BY seq"
    );
    server.database.texts(&query)
}

/// All events that the caller may see, from the first on.
async fn events(client: &Client) -> Vec<Value> {
    let answer = client.get("/api/v1/logs?limit=1000&since=2000-01-01T00:00:00Z").await.expect(200);
    answer.json().as_array().unwrap().clone()
}

/// The last of them.
async fn last(client: &Client) -> Value {
    events(client).await.pop().unwrap()
}

fn name(text: &str) -> Value {
    json!({ "name": text })
}
