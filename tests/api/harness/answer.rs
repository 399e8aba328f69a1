//! An answer, checked against openapi.yaml before a test sees it.

use reqwest::header::{CACHE_CONTROL, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::spec;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(request: RequestBuilder, method: &Method, path: &str) -> Self {
        let response = send(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = Self { status, headers, text: response.text().await.unwrap() };
        spec::check(method, path, &answer);
        answer
    }

    /// Fails the test unless the answer has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Fails the test unless the answer is this failure; `cause` is the one cause, or empty for none.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str, cause: &str) -> Self {
        let answer = self.expect(status);
        let body = answer.json();
        let causes = body["errorCauses"].as_array().unwrap();
        let causes: Vec<_> = causes.iter().map(|cause| cause["errorSummary"].as_str().unwrap()).collect();
        let expected: Vec<_> = Some(cause).filter(|cause| !cause.is_empty()).into_iter().collect();
        assert_eq!((body["errorCode"].as_str().unwrap(), causes), (code, expected), "{body}");
        answer
    }

    /// Fails the test unless the answer is this refusal of the Kong side: its message, whole.
    #[track_caller]
    pub fn expect_message(self, status: u16, message: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.json()["message"], message, "{}", answer.text);
        answer
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Sends a request, and once more where its connection had been given up: clients open some ahead of need, and on each
/// the server waits 5 seconds for the first request. It says so by a 408 with nothing else in it.
pub async fn send(mut request: RequestBuilder) -> Response {
    loop {
        let again = request.try_clone();
        let response = request.send().await.unwrap();
        let given_up = response.status() == StatusCode::REQUEST_TIMEOUT;
        match again.filter(|_| given_up && !response.headers().contains_key(CACHE_CONTROL)) {
            Some(again) => request = again,
            None => return response,
        }
    }
}
