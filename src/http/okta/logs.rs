//! `/api/v1/logs`: the audit trail of the caller's org, as Okta's System Log.

use actix_web::http::header::{HeaderValue, LINK};
use actix_web::{HttpRequest, web};

use super::wire::logs::{LogEvent, LogsRequest};
use super::{base_url, body};
use crate::app::App;
use crate::error::Error;
use crate::http::extract::{Authed, LogsRead};
use crate::http::representation::{Shown, show};

/// `GET /`: events, with links to this page and the next.
pub async fn list(authed: Authed<LogsRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let asked = LogsRequest::read(&request, &authed.caller.org, app.audit.clock.now())?;
    let found = app.audit.page(asked.query.clone()).await?;
    let events: Vec<_> = asked.shown(&found).iter().map(LogEvent::new).collect();
    let mut answer = show(&app, &request, body(&events)?).await?;
    let here = (request.query_string().to_owned(), "self");
    for (query, rel) in [Some(here), asked.next(&found).map(|query| (query, "next"))].into_iter().flatten() {
        let mark = if query.is_empty() { "" } else { "?" };
        let link =
            format!("<{}{}{mark}{query}>; rel=\"{rel}\"", base_url(&app, &request), request.uri().path());
        let link = HeaderValue::from_str(&link).map_err(|error| Error::internal("a link", error))?;
        answer.headers_mut().append(LINK, link);
    }
    Ok(answer)
}
