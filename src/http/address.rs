//! Where a request comes from.

use std::net::IpAddr;

use actix_web::HttpRequest;

/// The address of the client: of the other end of the connection.
pub(super) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}
