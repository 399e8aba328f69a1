//! What the service is compared with: the same HTTP library with next to nothing on top. And the services that its
//! hooks call.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

use crate::Result;

/// As long as the service keeps idle connections.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Two endpoints of one kind: tokens from the first are used once, since it says nothing of their lifetime.
pub(crate) const TOKEN_ONCE: &str = "/token";
pub(crate) const TOKEN_KEPT: &str = "/token/kept";
pub(crate) const HOOK: &str = "/hook";

/// One handler for every path, and no middleware: the least that a server which answers these bytes can do.
pub(crate) fn serve_bytes(body: &Path) -> Result<()> {
    let body = web::Data::new(Bytes::from(std::fs::read(body)?));
    serve(move |config| {
        config.app_data(body.clone()).default_service(web::to(bytes));
    })
}

/// A token endpoint that believes everyone, and the receiver of a hook.
pub(crate) fn serve_services() -> Result<()> {
    serve(|config| {
        config
            .route(
                TOKEN_ONCE,
                web::post().to(async || json(r#"{"access_token":"bench","token_type":"Bearer"}"#)),
            )
            .route(
                TOKEN_KEPT,
                web::post()
                    .to(async || json(r#"{"access_token":"bench","token_type":"Bearer","expires_in":3600}"#)),
            )
            .route(HOOK, web::post().to(async || json("{}")));
    })
}

async fn bytes(request: HttpRequest, body: web::Data<Bytes>) -> HttpResponse {
    if !request.headers().contains_key(AUTHORIZATION) {
        return HttpResponse::Unauthorized().finish();
    }
    HttpResponse::Ok().content_type("application/json").body(Bytes::clone(&body))
}

fn json(text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text)
}

/// Serves with as many workers as the service has, which is the library's default for both.
fn serve(configure: impl Fn(&mut web::ServiceConfig) + Send + Clone + 'static) -> Result<()> {
    actix_web::rt::System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("serves http://{}", listener.local_addr()?);
        let server = HttpServer::new(move || App::new().configure(configure.clone()));
        server.keep_alive(KEEP_ALIVE).shutdown_timeout(0).listen(listener)?.run().await?;
        Ok(())
    })
}
