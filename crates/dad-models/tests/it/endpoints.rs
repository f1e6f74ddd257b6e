//! The ways in which a server is reached: keys, headers and parameters, and certificates of one's own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use dad_core::SecretRegistry;
use dad_models::{Credentials, HttpClient, ModelCatalog, ModelClient, ModelError};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::providers::{call, request, server};

/// A client of a project whose only model is `m`, with some fields of its entry and the key `sk-one`.
fn client(project: &Path, url: &str, fields: &str) -> HttpClient {
    std::fs::create_dir_all(project.join(".dhenara/.secrets")).unwrap();
    let entry = format!("[{{ name: m, provider: here, model: tiny, base_url: \"{url}\", {fields} }}]");
    std::fs::write(project.join(".dhenara/models.yaml"), entry).unwrap();
    let file = project.join(".dhenara/.secrets/.credentials.yaml");
    std::fs::write(file, "here:\n  api_key: sk-one\n").unwrap();
    let catalog = ModelCatalog::load(project).unwrap();
    HttpClient::new(catalog, Credentials::new(project, None, SecretRegistry::new()))
}

const ANSWER: &str = r#"{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"Hi"}}]}"#;

#[tokio::test]
async fn the_key_stands_where_the_server_wants_it() {
    for (fields, header, query) in [
        ("", Some(("authorization", "Bearer sk-one")), None),
        (
            "auth: { header: api-key }, query: { api-version: 2024-10-21 }",
            Some(("api-key", "sk-one")),
            Some("api-version=2024-10-21"),
        ),
        (
            "auth: { query: key }, query: { a: \"b&c\" }",
            None,
            Some("a=b%26c&key=sk-one"),
        ),
        (
            "auth: none, headers: { X-Team: research }",
            Some(("x-team", "research")),
            None,
        ),
    ] {
        let answer = ResponseTemplate::new(200).set_body_raw(ANSWER, "application/json");
        let server = server("/v1/chat/completions", answer).await;
        let project = tempfile::tempdir().unwrap();
        // The path of the protocol is added to a bare address.
        let response = client(project.path(), &server.uri(), fields)
            .complete(&request(), &call())
            .await
            .unwrap();
        assert_eq!(response.text, "Hi");
        let sent = server.received_requests().await.unwrap().remove(0);
        assert_eq!(sent.url.query(), query, "{fields}");
        let keys = ["authorization", "api-key"]
            .iter()
            .filter(|name| sent.headers.contains_key(**name));
        assert_eq!(
            keys.count(),
            usize::from(header.is_some_and(|(name, _)| name != "x-team")),
            "{fields}"
        );
        if let Some((name, value)) = header {
            assert_eq!(sent.headers[name], value, "{fields}");
        }
    }
}

#[tokio::test]
async fn a_key_in_an_address_stands_in_no_error() {
    let project = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/v1");
    let error = client(project.path(), &url, "auth: { query: key }")
        .complete(&request(), &call())
        .await
        .unwrap_err();
    assert!(matches!(error, ModelError::Connection { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("sk-one"), "{error}");
}

/// A server that answers one request over TLS, with a certificate that only its own authority signed.
fn tls_server(dir: &Path) -> String {
    let authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let authority = {
        let mut params = authority;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(dir.join("own.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        rcgen::Issuer::new(params, key)
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &authority).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut connection);
            let mut request = [0; 65536];
            // A client that does not trust the certificate hangs up.
            if stream.read(&mut request).is_err() {
                continue;
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                ANSWER.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(ANSWER.as_bytes()));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    format!("https://localhost:{port}/v1")
}

#[tokio::test]
async fn a_server_may_prove_itself_by_a_certificate_of_the_project() {
    let project = tempfile::tempdir().unwrap();
    let url = tls_server(project.path());
    let unknown = client(project.path(), &url, "")
        .complete(&request(), &call())
        .await
        .unwrap_err();
    assert!(matches!(unknown, ModelError::Connection { .. }), "{unknown:?}");
    assert!(unknown.to_string().contains("certificate"), "{unknown}");
    let response = client(project.path(), &url, "ca_file: own.pem")
        .complete(&request(), &call())
        .await
        .unwrap();
    assert_eq!(response.text, "Hi");
    std::fs::write(project.path().join("none.pem"), json!({}).to_string()).unwrap();
    for file in ["none.pem", "missing.pem"] {
        let error = client(project.path(), &url, &format!("ca_file: {file}"))
            .complete(&request(), &call())
            .await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&format!("{file}` cannot be read")), "{error}");
    }
}
