//! Keys and key sets, as clients of Kong's Admin API see them.

mod at_rest;
mod bodies;
mod convert;
mod corpus;
mod isolation;
mod large_set;
mod lists;
mod material;
pub mod openssl;
mod races;
mod references;
mod reveal;
mod routes;
mod spec;
mod upserts;
mod walkthrough;
mod writes;

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Client};

/// The path of a key.
fn path_of_key(key: &Value) -> String {
    format!("/keys/{}", key["id"].as_str().unwrap())
}

/// The path of a key set.
fn path_of_set(set: &Value) -> String {
    format!("/key-sets/{}", set["id"].as_str().unwrap())
}

/// Sends a body as it is.
async fn send_text(
    client: &Client,
    method: &str,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let method: Method = method.parse().unwrap();
    let request = client.request(method.clone(), path).header("content-type", content_type).body(body);
    Answer::of(request, &method, path).await
}
