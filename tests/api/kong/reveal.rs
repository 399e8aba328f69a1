//! Private halves are for tokens with `keys.reveal` alone. The requests come from the route table, so no route can be
//! left out.

use std::collections::BTreeSet;

use hook_keys::http::Api;
use hook_keys::http::routes;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, rsa_jwk, spellings};
use crate::harness::{Answer, Client, Server};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

const QUERIES: [&str; 6] =
    ["", "?format=jwk", "?format=pem", "?format=der", "?size=1&tags=t", "?size=1000&offset=x"];

/// Private keys in every form in which the service keeps them, each with its path.
struct World {
    admin: Client,
    bodies: Vec<(&'static str, Value)>,
}

impl World {
    async fn build(server: &Server) -> Self {
        let admin = server.org("acme").await;
        let set = admin.post("/key-sets", json!({ "name": "s", "tags": ["t"] })).await.expect(201).json();
        let in_set = json!({ "id": set["id"] });
        let rsa = key_of(&rsa_jwk("rsa"));
        let ec = key_of(&ec_jwk("ec"));
        // The small one as PEM, as the service itself writes it.
        let id = admin.create_key(ec.clone()).await["id"].as_str().unwrap().to_owned();
        let pem = admin.get(&format!("/keys/{id}?format=pem")).await.expect(200).json()["pem"].clone();
        assert!(pem["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
        admin.delete(&format!("/keys/{id}")).await.expect(204);
        let whole = json!({ "kid": "pem", "pem": pem });
        let half = json!({ "kid": "half", "pem": { "private_key": pem["private_key"] } });
        let mut bodies = vec![("rsa", rsa), ("ec", ec), ("pem", whole), ("half", half)];
        for (_, body) in &mut bodies {
            (body["set"], body["tags"]) = (in_set.clone(), json!(["t"]));
        }
        let world = Self { admin, bodies };
        world.restore("").await;
        world
    }

    /// Makes the key set and a key again what they were; all keys if the set was deleted, and they with it.
    async fn restore(&self, key: &str) {
        self.admin.put("/key-sets/s", json!({ "tags": ["t"] })).await.expect(200);
        for (name, body) in &self.bodies {
            if *name != key && self.admin.get(&format!("/keys/{name}")).await.status == 200 {
                continue;
            }
            let mut body = body.clone();
            body["set"] = json!({ "name": "s" });
            self.admin.put(&format!("/keys/{name}"), body).await.expect(200);
        }
    }

    /// Bodies that a route may take, and bodies that hold private material where it is refused.
    fn bodies(&self) -> Vec<(&'static str, String)> {
        let private = self.bodies[1].1["jwk"].as_str().unwrap().to_owned();
        let pem = self.bodies[2].1["pem"]["private_key"].clone();
        let (mut mine, mut taken) = (key_of(&ec_jwk("mine")), key_of(&ec_jwk("ec")));
        (mine["name"], taken["name"]) = ("mine".into(), "mine".into());
        let json = [
            mine,
            taken,
            json!({ "kid": "mine", "name": "mine", "pem": self.bodies[2].1["pem"] }),
            json!({ "name": "mine", "tags": ["t"] }),
            json!({ "name": "mine", "kid": "other", "jwk": private, "pem": self.bodies[3].1["pem"] }),
            json!({ "name": "mine", "kid": "ec", "jwk": private.replace("\"x\"", "\"X\""), private.clone(): 1 }),
            json!({ "name": "mine", "kid": "ec", "pem": { "public_key": pem, "private_key": private, "x": pem } }),
            json!({ "name": "mine", "kid": "ec", "jwk": private, "tags": [format!("{private},")], "set": private }),
            json!({ "name": "mine", "kid": "x", "set": { "name": private }, "created_at": pem }),
        ];
        let mut all: Vec<_> = json.into_iter().map(|body| ("application/json", body.to_string())).collect();
        let form: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("jwk", &private).finish();
        all.push(("application/x-www-form-urlencoded", form));
        all.push(("application/x-www-form-urlencoded", private.clone()));
        all.push(("application/json", private[..private.len() - 9].to_owned()));
        all.push(("text/plain", private));
        all
    }
}

async fn send(client: &Client, method: &str, path: &str, body: Option<(&str, String)>) -> Answer {
    let method: Method = method.parse().unwrap();
    let request = client.request(method.clone(), path);
    let request = match body {
        Some((content_type, body)) => request.header("content-type", content_type).body(body),
        None => request,
    };
    Answer::of(request, &method, path).await
}

#[tokio::test]
async fn without_the_permission_no_route_no_method_and_no_error_tells_a_private_member() {
    let server = Server::start().await;
    let world = World::build(&server).await;
    let manager = server.client("acme", &["keys.manage"]).await;
    let needles: Vec<_> = [spellings(&rsa_jwk("")), spellings(&ec_jwk(""))].concat();
    // Lines of a PEM are joined, so that no line break hides a number.
    let told = |answer: &Answer| {
        let text = answer.text.replace("\\n", "");
        needles.iter().any(|needle| text.contains(needle))
    };
    let paths: BTreeSet<_> = routes::table()
        .iter()
        .map(|endpoint| endpoint.path)
        .filter(|path| Api::of(path) == Api::Kong && *path != "/openapi.yaml")
        .collect();
    let (mut asked, mut statuses) = (0, BTreeSet::new());
    for path in paths {
        let keys: &[&str] =
            if path.contains("{key}") { &["rsa", "ec", "pem", "half", "none"] } else { &[""] };
        for key in keys {
            let path = path.replace("{key}", key).replace("{set}", "s");
            let path = path.replace("{tag}", "t").replace("{entity}", "keys");
            for method in METHODS {
                let mut requests: Vec<_> =
                    QUERIES.iter().map(|query| (format!("{path}{query}"), None)).collect();
                if method.starts_with('P') {
                    requests.extend(world.bodies().into_iter().map(|body| (path.clone(), Some(body))));
                }
                for (path, body) in requests {
                    let what = format!("{method} {path} {body:.200?}");
                    let answer = send(&manager, method, &path, body).await;
                    assert!(!told(&answer), "{what} told a private member: {:.200}", answer.text);
                    assert!(answer.status.as_u16() < 500, "{what}: {}", answer.text);
                    asked += 1;
                    statuses.insert(answer.status.as_u16());
                    if answer.status.is_success() && !["GET", "HEAD", "OPTIONS"].contains(&method) {
                        world.admin.delete("/keys/mine").await.expect(204);
                        world.admin.delete("/key-sets/mine").await.expect(204);
                        world.admin.delete("/keys/none").await.expect(204);
                        world.restore(key).await;
                    }
                }
            }
        }
    }
    assert!(asked > 1000, "only {asked} requests were made");
    assert_eq!(statuses, BTreeSet::from([200, 201, 204, 400, 404, 405, 409, 415]));

    // The search finds what is there: with the permission, every form of every key tells.
    let revealer = server.client("acme", &["keys.reveal"]).await;
    for (name, _) in &world.bodies {
        for query in ["", "?format=jwk", "?format=pem"] {
            assert!(told(&revealer.get(&format!("/keys/{name}{query}")).await.expect(200)), "{name}{query}");
        }
    }
    for list in ["/keys", "/key-sets/s/keys"] {
        assert!(told(&revealer.get(list).await.expect(200)));
    }
}

#[tokio::test]
async fn without_the_permission_a_key_is_its_public_half() {
    let server = Server::start().await;
    let world = World::build(&server).await;
    let reader = server.client("acme", &["keys.read"]).await;
    let rsa = reader.get("/keys/rsa").await.expect(200).json();
    let jwk = rsa["jwk"].as_str().unwrap();
    let members: Value = serde_json::from_str(jwk).unwrap();
    let names: Vec<_> = members.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["e", "kid", "kty", "n", "use"]);
    let pem = reader.get("/keys/pem").await.expect(200).json()["pem"].clone();
    assert_eq!(
        (&pem["private_key"], &pem["public_key"]),
        (&Value::Null, &world.bodies[2].1["pem"]["public_key"])
    );
    let half = reader.get("/keys/half").await.expect(200).json();
    assert_eq!(half["pem"], json!({ "private_key": null, "public_key": null }));
    let found = reader.get("/keys/half?format=jwk").await.expect(200).json();
    let found: Value = serde_json::from_str(found["jwk"].as_str().unwrap()).unwrap();
    assert_eq!((&found["x"], &found["kid"], &found["d"]), (&ec_jwk("")["x"], &json!("half"), &Value::Null));
}

#[tokio::test]
async fn the_answer_to_a_write_shows_private_halves_only_with_both_permissions() {
    let server = Server::start().await;
    server.org("acme").await;
    let manager = server.client("acme", &["keys.manage"]).await;
    let both = server.client("acme", &["keys.manage", "keys.reveal"]).await;
    let jwk = ec_jwk("k").to_string();
    let body = json!({ "kid": "k", "jwk": jwk });
    let made = manager.post("/keys", body.clone()).await.expect(201).json();
    assert!(!made["jwk"].as_str().unwrap().contains("\"d\""));
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(both.put(&path, body).await.expect(200).json()["jwk"], jwk);
}
