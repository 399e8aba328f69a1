//! Both sides crash and come back where they were.

use super::{make_role, run, settings, url};
use crate::harness::PostgresServer;
use crate::harness::process::{Serve, stdout};

#[tokio::test]
async fn what_was_acknowledged_outlives_a_crash_of_the_server_and_of_its_database() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    make_role(&server, "app", "");
    let config = settings(directory.path(), &url(&server, "app"), &[]);
    stdout(&run(&config, &["migrate"]));
    stdout(&run(&config, &["org", "create", "acme"]));
    let token = stdout(&run(&config, &["token", "create", "--org", "acme", "--name", "ci"]));
    let mut serve = Serve::start(&config, &[]);
    let address = serve.address().to_owned();
    for name in ["first", "second"] {
        serve.client(token.trim()).create(name).await;
        serve.kill();
        server.stop("immediate");
        server.start_again(&[]);
        serve = Serve::start_on(&address, &config, &[]);
    }
    assert_eq!(serve.address(), address);
    assert_eq!(serve.client(token.trim()).names().await, ["first", "second"]);
}
