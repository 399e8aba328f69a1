//! The six commands of Okta's published guide, run by the real curl, with only host and token changed.

use std::process::Command;

use serde_json::Value;

use crate::harness::Server;

/// Runs a command of the guide in a shell that knows its variables; returns the status and the body.
fn run(server: &Server, token: &str, variables: &[(&str, &str)], command: &str) -> (u16, String) {
    let command = command.replace("https://${yourOktaDomain}", "${server}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{command} -s -w '\\n%{{http_code}}'")]);
    shell.env("server", &server.base).env("api_token", token).envs(variables.iter().copied());
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

const WITH_BODY: &str = r#"-H "Accept: application/json" \
-H "Content-Type: application/json" \
-H "Authorization: SSWS ${api_token}" \
-d '{
    "name" : "NAME"
}'"#;

const WITHOUT_BODY: &str = r#"-H "Authorization: SSWS ${api_token}" \"#;

#[tokio::test]
async fn the_guides_commands_do_what_the_guide_says() {
    let server = Server::start().await;
    server.org("acme").await;
    let (_, token) = server.token("acme", &["all"], None).await;
    let with_body = |name: &str| WITH_BODY.replace("NAME", name);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();

    // As printed, with a comma after the last member, the body is no JSON, and the real service says so too.
    let create =
        |body: &str| format!("curl -v -X POST \\\n{body} \"https://${{yourOktaDomain}}/api/v1/hook-keys\"");
    let as_printed = with_body("Test Name").replace("\"Test Name\"", "\"Test Name\",");
    let (status, body) = run(&server, &token, &[], &create(&as_printed));
    assert_eq!((status, &json(&body)["errorCode"]), (400, &"E0000003".into()));
    let (status, created) = run(&server, &token, &[], &create(&with_body("Test Name")));
    assert_eq!(status, 200);
    let key = json(&created);
    let (id, key_id) = (key["id"].as_str().unwrap(), key["keyId"].as_str().unwrap());
    let variables = [("id", id), ("KeyId", key_id)];
    let get =
        |path: &str| format!("curl -v -X GET \\\n{WITHOUT_BODY}\n\"https://${{yourOktaDomain}}{path}\"");

    let plain = created.split(",\"_embedded\"").next().unwrap().to_owned() + "}";
    let (status, found) = run(&server, &token, &variables, &get("/api/v1/hook-keys/${id}"));
    assert_eq!((status, &found), (200, &plain));
    let (status, listed) = run(&server, &token, &variables, &get("/api/v1/hook-keys"));
    assert_eq!((status, listed), (200, format!("[{plain}]")));
    let (status, public) = run(&server, &token, &variables, &get("/api/v1/hook-keys/${KeyId}"));
    assert_eq!((status, json(&public)), (200, key["_embedded"].clone()));

    let put = format!(
        "curl -v -X PUT \\\n{} \"https://${{yourOktaDomain}}/api/v1/hook-keys/${{id}}\"",
        with_body("Test key")
    );
    let (status, renamed) = run(&server, &token, &variables, &put);
    assert_eq!((status, renamed), (200, created.replace("Test Name", "Test key")));

    let delete = get("/api/v1/hook-keys/${id}").replace("-X GET", "-X DELETE");
    assert_eq!(run(&server, &token, &variables, &delete), (204, String::new()));
    assert_eq!(run(&server, &token, &variables, &get("/api/v1/hook-keys/${id}")).0, 404);
}
