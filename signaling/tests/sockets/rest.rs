//! Sign-in, set-up, history and health over real HTTP.

use crate::common::{Options, PASSWORD, Server};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_local_account_signs_in_and_renews_its_token() {
    let server = Server::start().await;
    let body = json!({"login": "ivan", "password": PASSWORD}).to_string();
    let answer = server.request("POST", "/api/v1/session", &[JSON], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let session = answer.json();
    assert_eq!(session["user"]["name"], "Иван");
    assert!(session["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(answer.header("cache-control"), "no-store");
    let bearer = format!("Bearer {}", session["token"].as_str().unwrap());
    let renewed = server
        .request("POST", "/api/v1/session/refresh", &[("authorization", &bearer)], "")
        .await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    assert_eq!(renewed.json()["user"], session["user"]);
    let nobody = server.request("POST", "/api/v1/session/refresh", &[], "").await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, "Bearer"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_get_the_same_problem() {
    let server = Server::start().await;
    let mut bodies = Vec::new();
    for login in ["ivan", "nobody"] {
        let body = json!({"login": login, "password": "wrong"}).to_string();
        let answer = server.request("POST", "/api/v1/session", &[JSON], &body).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (401, "application/problem+json")
        );
        assert_eq!(answer.json()["code"], "UNAUTHENTICATED");
        bodies.push(answer.body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn guessing_is_braked_even_with_the_right_password() {
    let server = Server::with(Options {
        attempts: Some(3),
        ..Options::default()
    })
    .await;
    let attempt = async |password: &str| {
        let body = json!({"login": "ivan", "password": password}).to_string();
        server.request("POST", "/api/v1/session", &[JSON], &body).await
    };
    for _ in 0..3 {
        assert_eq!(attempt("wrong").await.status, 401);
    }
    let refused = attempt(PASSWORD).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("RATE_LIMITED")));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn the_one_time_code_makes_one_account() {
    let server = Server::with(Options {
        setup: Some("the-code".into()),
        ..Options::default()
    })
    .await;
    assert_eq!(
        server.request("GET", "/api/v1/server", &[], "").await.json()["setupRequired"],
        true
    );
    let set_up = async |code: &str, password: &str| {
        let body = json!({"code": code, "login": "root", "name": "Root", "password": password}).to_string();
        server.request("POST", "/api/v1/setup", &[JSON], &body).await
    };
    assert_eq!(set_up("the-code", "short").await.status, 400);
    assert_eq!(set_up("wrong", "long enough").await.status, 403);
    let made = set_up("the-code", "long enough").await;
    assert_eq!((made.status, &made.json()["user"]["name"]), (200, &json!("Root")));
    assert_eq!(set_up("the-code", "long enough").await.status, 410);
    assert_eq!(
        server.request("GET", "/api/v1/server", &[], "").await.json()["setupRequired"],
        false
    );
}

#[tokio::test]
async fn messages_come_in_pages_and_only_to_members() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "d").await;
    for n in 0..5 {
        ivan.done(
            "send_message",
            json!({"chatId": server.direct, "content": format!("m{n}")}),
        )
        .await;
    }
    let read = async |user, query: &str| {
        let bearer = format!("Bearer {}", server.token(user));
        let path = format!("/api/v1/chats/{}/messages{query}", server.direct);
        server.request("GET", &path, &[("authorization", &bearer)], "").await
    };
    let first = read(&server.maria, "?limit=3").await.json();
    let texts = |page: &serde_json::Value| {
        let messages = page["messages"].as_array().unwrap().iter();
        messages
            .map(|m| m["content"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(&first), &first["more"]),
        (vec!["m4".into(), "m3".into(), "m2".into()], &json!(true))
    );
    let before = first["messages"][2]["id"].as_str().unwrap();
    let rest = read(&server.maria, &format!("?before={before}")).await.json();
    assert_eq!(
        (texts(&rest), &rest["more"]),
        (vec!["m1".into(), "m0".into()], &json!(false))
    );
    assert_eq!(read(&server.anna, "").await.status, 404, "anna is not in the chat");
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_a_problem_document() {
    let server = Server::start().await;
    for (method, path, headers, body, status) in [
        ("GET", "/api/v1/nothing", vec![], "", 404),
        ("DELETE", "/api/v1/session", vec![], "", 405),
        ("POST", "/api/v1/session", vec![JSON], "{", 400),
        ("POST", "/api/v1/session", vec![JSON], "{}", 400),
        ("POST", "/api/v1/session", vec![], "{}", 415),
        ("GET", "/api/v1/calls/x", vec![], "", 401),
        ("GET", "/v1/ws", vec![], "", 400),
    ] {
        let answer = server.request(method, path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{method} {path}"
        );
        assert_eq!(answer.json()["status"], status);
    }
    let huge = "x".repeat(100_000);
    assert_eq!(
        server.request("POST", "/api/v1/session", &[JSON], &huge).await.status,
        413
    );
}

#[tokio::test]
async fn health_answers_and_every_answer_is_hardened() {
    let server = Server::start().await;
    for path in ["/healthz", "/readyz", "/api/v1/server"] {
        let answer = server.request("GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
    server.service.store().close().await;
    assert_eq!(server.request("GET", "/readyz", &[], "").await.status, 503);
    assert_eq!(server.request("GET", "/healthz", &[], "").await.status, 200);
}
